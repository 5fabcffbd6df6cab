"""Everything that goes into ``metrics.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from ser.evaluation.bootstrap import draw_speakers, interval, ratio, scores, speaker_confusions
from ser.evaluation.calibration import expected_calibration_error
from ser.evaluation.checks import check_predictions, decisions
from ser.project import SerError


def metrics(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    table: pd.DataFrame | None = None,
    *,
    n_bootstrap: int = 2000,
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
    predictions : DataFrame
        See `check_predictions`.
    classes : sequence of str
        The classes, in the order of the model's outputs.
    table : DataFrame, optional
        The metadata table: ``corpus`` and ``sex`` by ``clip_id``.
    n_bootstrap : int
        Draws of speakers.
    seed : int
        Seed of the draws.

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
        As `check_predictions`, and when `table` lacks a clip.
    """
    check_predictions(predictions, classes)
    counts = speaker_confusions(predictions, classes)
    n_seeds, n_speakers = counts.shape[:2]
    drawn = draw_speakers(counts, n_bootstrap, seed)
    of_seed, of_draw = scores(counts.sum(axis=1)), scores(drawn)
    result: dict[str, Any] = {
        name: {
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            "interval_95": interval(of_draw[name].mean(axis=0), n_speakers),
        }
        for name, values in of_seed.items()
    }
    facts = _with_facts(predictions, table)
    result["per_class"] = _per_class(predictions, classes, counts, drawn)
    for column in ("corpus", "sex", "fold"):
        result[f"per_{column}"] = {
            str(name): _of_group(group, classes, n_bootstrap, seed)
            for name, group in (facts.groupby(column) if column in facts else ())
        }
    result["per_pair"] = {
        str(trained): {
            str(tested): _of_group(group, classes, n_bootstrap, seed)
            for tested, group in pairs.groupby("corpus")
        }
        for trained, pairs in (
            facts.groupby("trained_on") if {"trained_on", "corpus"} <= set(facts) else ()
        )
    }
    return {
        **result,
        "per_speaker": _per_speaker(facts, counts),
        "per_seed": of_seed["uar"].tolist(),
        "ece": expected_calibration_error(predictions, classes),
        "n_clips": int(predictions["clip_id"].nunique()),
        "n_speakers": n_speakers,
        "n_seeds": n_seeds,
        "n_bootstrap": n_bootstrap,
        "classes": list(classes),
    }


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Count how often each class was taken for each other.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`.
    classes : sequence of str
        The classes, in the order of rows and columns.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Clips, summed over seeds; rows are true classes, columns the most probable ones.

    Raises
    ------
    SerError
        As `check_predictions`.
    """
    check_predictions(predictions, classes)
    truth, guess, _ = decisions(predictions, classes)
    return confusion_matrix(truth, guess, labels=np.arange(len(classes)))


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


def _of_group(
    group: pd.DataFrame, classes: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    counts = speaker_confusions(group, classes)
    of_seed = scores(counts.sum(axis=1))
    of_draw = scores(draw_speakers(counts, n_bootstrap, seed))
    return {
        "uar": float(of_seed["uar"].mean()),
        "interval_95": interval(of_draw["uar"].mean(axis=0), counts.shape[1]),
        "accuracy": float(of_seed["accuracy"].mean()),
        "n_clips": int(group["clip_id"].nunique()),
        "n_speakers": counts.shape[1],
    }


def _per_class(
    predictions: pd.DataFrame, classes: Sequence[str], counts: np.ndarray, drawn: np.ndarray
) -> dict[str, Any]:
    truth, guess, _ = decisions(predictions, classes)
    codes = np.arange(len(classes))
    of_seed = np.array(
        [
            precision_recall_fscore_support(truth[of], guess[of], labels=codes, zero_division=0)
            for of in (
                (predictions["seed"] == one).to_numpy() for one in np.unique(predictions["seed"])
            )
        ]
    )
    precision, recall, f1, support = of_seed.mean(axis=0)
    draws = ratio(np.diagonal(drawn, axis1=-2, axis2=-1), drawn.sum(axis=-1)).mean(axis=0)
    return {
        name: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "recall_interval_95": interval(draws[:, i], counts.shape[1]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, name in enumerate(classes)
        if support[i]
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
