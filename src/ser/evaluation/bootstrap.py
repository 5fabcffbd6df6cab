"""Scores and their uncertainty, both from one confusion matrix per seed and speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser.evaluation.checks import check_predictions, decisions
from ser.project import SerError


def speaker_confusions(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Count how often each class was taken for each other, by seed and by speaker."""
    truth, guess, _ = decisions(predictions, classes)
    seeds, of_seed = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    speakers, of_speaker = np.unique(predictions["speaker"].to_numpy(str), return_inverse=True)
    counts = np.zeros((len(seeds), len(speakers), len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (of_seed, of_speaker, truth, guess), 1)
    return counts


def draw_speakers(counts: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Draw as many speakers as there are, with replacement, and sum what they said."""
    n_speakers = counts.shape[1]
    rng = np.random.default_rng(seed)
    times = rng.multinomial(n_speakers, np.full(n_speakers, 1 / n_speakers), size=n_bootstrap)
    return np.moveaxis(np.tensordot(times.astype(float), counts, axes=(1, 1)), 1, 0)


def scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Reduce each confusion matrix to UAR, accuracy and macro-F1."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    truths, guesses = counts.sum(axis=-1), counts.sum(axis=-2)
    return {
        "uar": _mean_of_known(ratio(hits, truths)),
        "accuracy": ratio(hits.sum(axis=-1), truths.sum(axis=-1)),
        "macro_f1": _mean_of_known(ratio(2 * hits, truths + guesses)),
    }


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    return ratio(np.nansum(values, axis=-1), np.isfinite(values).sum(axis=-1))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide counts."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def interval(draws: np.ndarray, n_speakers: int) -> list[float] | None:
    """Take the middle 95 % of some draws."""
    if n_speakers < 2:
        return None
    return [float(value) for value in np.nanquantile(draws, (0.025, 0.975))]


def paired_bootstrap(
    first: pd.DataFrame,
    second: pd.DataFrame,
    classes: Sequence[str],
    *,
    n_bootstrap: int = 2000,
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
    n_bootstrap : int
        Draws of speakers.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict
        ``first`` and ``second`` (UAR), ``difference`` (second minus first), ``interval_95`` of the
        difference, ``p_value`` (two-sided) and ``n_speakers``. Interval and p value are None for
        fewer than two speakers.

    Raises
    ------
    SerError
        As `check_predictions`, and when the clips, their labels or speakers differ.
    """
    for predictions in (first, second):
        check_predictions(predictions, classes)
    _check_same_clips(first, second)
    points, draws = [], []
    for predictions in (first, second):
        counts = speaker_confusions(predictions, classes)
        points.append(float(scores(counts.sum(axis=1))["uar"].mean()))
        drawn = draw_speakers(counts, n_bootstrap, seed)
        draws.append(scores(drawn)["uar"].mean(axis=0))
    difference = draws[1] - draws[0]
    tail = min((difference <= 0).sum(), (difference >= 0).sum())
    n_speakers = first["speaker"].nunique()
    return {
        "first": points[0],
        "second": points[1],
        "difference": points[1] - points[0],
        "interval_95": interval(difference, n_speakers),
        "p_value": min(1.0, float(2 * (tail + 1) / (n_bootstrap + 1))) if n_speakers > 1 else None,
        "n_speakers": n_speakers,
    }


def _check_same_clips(first: pd.DataFrame, second: pd.DataFrame) -> None:
    clips = [
        set(zip(one["clip_id"], one["speaker"], one["label"], strict=True))
        for one in (first, second)
    ]
    differing = sorted(str(clip[0]) for clip in clips[0] ^ clips[1])
    if differing:
        raise SerError(
            f"a paired comparison needs the same clips, labels and speakers on both sides; "
            f"{differing[0]!r} differs. Evaluate both recipes with the same protocol and classes."
        )
