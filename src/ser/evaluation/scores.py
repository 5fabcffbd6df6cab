"""Scores, and how far they depend on who was tested: from one confusion matrix per speaker."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser.evaluation.calibration import expected_calibration_error
from ser.evaluation.predictions import check_predictions, speaker_confusions
from ser.project import SerError

N_BOOTSTRAP = 2000


def scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Reduce each confusion matrix to UAR, accuracy and macro-F1."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    truths, guesses = counts.sum(axis=-1), counts.sum(axis=-2)
    return {
        "uar": _mean_of_known(_ratio(hits, truths)),
        "accuracy": _ratio(hits.sum(axis=-1), truths.sum(axis=-1)),
        "macro_f1": _mean_of_known(_ratio(2 * hits, truths + guesses)),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean_of_known(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Average what is a number; NaN, without a warning, where nothing is."""
    return _ratio(np.nansum(values, axis=axis), np.isfinite(values).sum(axis=axis))


def draw_speakers(counts: np.ndarray, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> np.ndarray:
    """Draw as many speakers as there are, with replacement, and sum their confusion matrices."""
    n_speakers = counts.shape[1]
    rng = np.random.default_rng(seed)
    times = rng.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=n_bootstrap)
    return np.moveaxis(np.tensordot(times.astype(float), counts, axes=(1, 1)), 1, 0)


def interval(draws: np.ndarray, n_speakers: int) -> list[float] | None:
    """Take the middle 95 % of some draws."""
    if n_speakers < 2:
        return None
    return [float(value) for value in np.nanquantile(draws, (0.025, 0.975))]


def with_intervals(
    counts: np.ndarray, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Give each score its mean and standard deviation over seeds and its interval."""
    of_draw = scores(draw_speakers(counts, n_bootstrap, seed))
    return {
        name: {
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            # a draw may miss all speakers that one seed was tested on
            "interval_95": interval(_mean_of_known(of_draw[name], axis=0), counts.shape[1]),
        }
        for name, values in scores(counts.sum(axis=1)).items()
    }


def metrics(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    table: pd.DataFrame | None = None,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute everything that goes into ``metrics.json``.

    UAR is the mean recall of the classes that occur among the labels (scikit-learn's
    ``balanced_accuracy_score``); accuracy is also known as WA; macro-F1 is the mean over classes
    that occur among labels or decisions. Intervals are percentiles of a bootstrap that draws
    speakers, not clips, with replacement (Efron & Tibshirani, 1993, ch. 8 and 13): clips of one
    speaker are not independent. A draw is the same for all seeds, and averages over them. They say
    how much the result depends on the choice of test speakers; ``std`` says how much it depends on
    the training seed.

    Parameters
    ----------
    predictions, classes
        See `ser.evaluation`.
    table : DataFrame, optional
        The metadata table: ``corpus`` and ``sex`` by ``clip_id``.
    n_bootstrap, seed : int
        Number of draws of speakers, and their seed.

    Returns
    -------
    dict
        Ready for JSON. ``uar``, ``accuracy`` and ``macro_f1``, each with ``mean`` and ``std`` over
        seeds and ``interval_95``; ``per_class`` (those that occur), ``per_corpus``, ``per_sex``,
        ``per_fold`` and ``per_speaker``; ``per_pair`` (corpus trained on, then corpus tested;
        empty unless there is a column ``trained_on``); ``per_seed`` (UAR, by rising seed);
        ``ece``, ``n_clips``, ``n_speakers``, ``n_seeds``, ``n_bootstrap``, ``classes``. All values
        are 0 to 1. Intervals are None for fewer than two speakers; what is by corpus or sex is
        empty without `table`.

    Raises
    ------
    SerError
        When `table` lacks a clip, or as `check_predictions`.
    """
    check_predictions(predictions, classes)
    counts = speaker_confusions(predictions, classes)
    facts = _with_facts(predictions, table)
    draws = {"n_bootstrap": n_bootstrap, "seed": seed}

    def by(rows: pd.DataFrame, column: str) -> dict[str, Any]:
        groups = rows.groupby(column) if column in rows else ()
        return {str(name): _of_group(group, classes, **draws) for name, group in groups}

    pairs = facts.groupby("trained_on") if {"trained_on", "corpus"} <= set(facts) else ()
    return {
        **with_intervals(counts, **draws),
        "per_class": _per_class(counts, classes, **draws),
        **{f"per_{column}": by(facts, column) for column in ("corpus", "sex", "fold")},
        "per_pair": {str(trained): by(rows, "corpus") for trained, rows in pairs},
        "per_speaker": _per_speaker(facts, counts),
        "per_seed": scores(counts.sum(axis=1))["uar"].tolist(),
        "ece": expected_calibration_error(predictions, classes),
        "n_clips": int(predictions["clip_id"].nunique()),
        "n_speakers": counts.shape[1],
        "n_seeds": counts.shape[0],
        "n_bootstrap": n_bootstrap,
        "classes": list(classes),
    }


def _with_facts(predictions: pd.DataFrame, table: pd.DataFrame | None) -> pd.DataFrame:
    """Add the columns ``corpus`` and ``sex``, where there is a table."""
    if table is None:
        return predictions.drop(columns=["corpus", "sex"], errors="ignore")
    unknown = sorted(set(predictions["clip_id"]) - set(table["clip_id"]))
    if unknown:
        raise SerError(
            f"the metadata table lacks {len(unknown)} predicted clips (first: {unknown[0]!r}). "
            "Make it again with `ser metadata` for all corpora of the recipe."
        )
    facts = table.set_index("clip_id")[["corpus", "sex"]].loc[predictions["clip_id"]]
    sex = facts["sex"].fillna("").replace("", "unknown")
    return predictions.assign(corpus=facts["corpus"].to_numpy(), sex=sex.to_numpy())


def _of_group(group: pd.DataFrame, classes: Sequence[str], **draws: int) -> dict[str, Any]:
    counts = speaker_confusions(group, classes)
    found = with_intervals(counts, **draws)
    return {
        "uar": found["uar"]["mean"],
        "interval_95": found["uar"]["interval_95"],
        "accuracy": found["accuracy"]["mean"],
        "n_clips": int(group["clip_id"].nunique()),
        "n_speakers": counts.shape[1],
    }


def _per_class(counts: np.ndarray, classes: Sequence[str], **draws: int) -> dict[str, Any]:
    of_seed, drawn = counts.sum(axis=1), draw_speakers(counts, **draws)
    hits = np.diagonal(of_seed, axis1=-2, axis2=-1)
    support, guesses = of_seed.sum(axis=-1), of_seed.sum(axis=-2)
    recalls = _ratio(np.diagonal(drawn, axis1=-2, axis2=-1), drawn.sum(axis=-1)).mean(axis=0)
    return {
        name: {
            # a class that was never guessed has a precision of 0, as in scikit-learn
            "precision": float(np.nan_to_num(_ratio(hits, guesses)[:, i]).mean()),
            "recall": float(_ratio(hits, support)[:, i].mean()),
            "recall_interval_95": interval(recalls[:, i], counts.shape[1]),
            "f1": float(_ratio(2 * hits, support + guesses)[:, i].mean()),
            "support": int(support[0, i]),
        }
        for i, name in enumerate(classes)
        if support[0, i]
    }


def _per_speaker(facts: pd.DataFrame, counts: np.ndarray) -> dict[str, Any]:
    of_speaker = scores(counts)
    known = [name for name in ("corpus", "sex") if name in facts]
    first = facts.assign(speaker=facts["speaker"].astype(str)).groupby("speaker")[known].first()
    return {
        speaker: {
            "uar": float(of_speaker["uar"][:, i].mean()),
            "accuracy": float(of_speaker["accuracy"][:, i].mean()),
            "n_clips": int(counts[0, i].sum()),
            **{name: str(first.loc[speaker, name]) for name in known},
        }
        for i, speaker in enumerate(sorted(first.index))
    }


def paired_bootstrap(
    first: pd.DataFrame,
    second: pd.DataFrame,
    classes: Sequence[str],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, Any]:
    """Say whether one recipe's UAR differs from another's on the same clips.

    Speakers are drawn with replacement, the same for both (Bisani & Ney, 2004, "Bootstrap
    estimates for confidence intervals in ASR performance evaluation"). The p value is twice the
    share of draws on the far side of zero, with one added to both counts (Davison & Hinkley, 1997,
    eq. 4.11), so that it is never 0.

    Parameters
    ----------
    first, second : DataFrame
        Predictions of two recipes for the same clips; each is averaged over its own seeds.
    classes : sequence of str
        The classes, the same for both.
    n_bootstrap, seed : int
        Number of draws of speakers, and their seed.

    Returns
    -------
    dict
        ``first`` and ``second`` (UAR), ``difference`` (second minus first), ``interval_95`` of the
        difference, ``p_value`` (two-sided) and ``n_speakers``. Interval and p value are None for
        fewer than two speakers.

    Raises
    ------
    SerError
        When the clips, their labels or speakers differ, or as `check_predictions`.
    """
    clips = []
    for predictions in (first, second):
        check_predictions(predictions, classes)
        clips.append(set(predictions[["clip_id", "speaker", "label"]].itertuples(index=False)))
    differing = sorted(str(clip[0]) for clip in clips[0] ^ clips[1])
    if differing:
        raise SerError(
            f"a paired comparison needs the same clips, labels and speakers on both sides; "
            f"{differing[0]!r} differs. Evaluate both recipes with the same protocol and classes."
        )
    counts = [speaker_confusions(predictions, classes) for predictions in (first, second)]
    uar = [float(scores(each.sum(axis=1))["uar"].mean()) for each in counts]
    draws = [scores(draw_speakers(each, n_bootstrap, seed))["uar"].mean(axis=0) for each in counts]
    difference = draws[1] - draws[0]
    tail = min((difference <= 0).sum(), (difference >= 0).sum())
    n_speakers = first["speaker"].nunique()
    return {
        "first": uar[0],
        "second": uar[1],
        "difference": uar[1] - uar[0],
        "interval_95": interval(difference, n_speakers),
        "p_value": min(1.0, float(2 * (tail + 1) / (n_bootstrap + 1))) if n_speakers > 1 else None,
        "n_speakers": n_speakers,
    }


def polynomial_trend(history: pd.DataFrame, column: str, degree: int = 2) -> np.ndarray:
    """Fit a polynomial in the epoch to a training curve, as one published system reports it.

    Takes one row per epoch, in order. Returns the coefficients by least squares, highest degree
    first (`numpy.polyval` takes them); epochs count from 1.

    Examples
    --------
    >>> history = pd.DataFrame({"loss": [3.0, 7.0, 13.0]})
    >>> polynomial_trend(history, "loss").round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    if column not in history:
        allowed = ", ".join(map(str, history.columns))
        raise SerError(f"the history has no column {column!r}. Allowed: {allowed}.")
    if len(history) <= degree:
        raise SerError(
            f"a trend of degree {degree} needs at least {degree + 1} epochs, found {len(history)}."
        )
    epochs = np.arange(1, len(history) + 1)
    return np.polyfit(epochs, history[column].to_numpy(float), degree)
