"""Whether a confidence of 80 % is right 80 % of the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser.evaluation.bootstrap import ratio
from ser.evaluation.checks import check_predictions, decisions

N_BINS = 15  # as Guo et al. (2017)


def reliability(
    predictions: pd.DataFrame, classes: Sequence[str], n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare confidence with accuracy, in bins of equal width.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`. Seeds are pooled.
    classes : sequence of str
        The classes.
    n_bins : int
        Number of bins between 0 and 1; a bin holds its upper edge, as in Guo et al. (2017), "On
        calibration of modern neural networks".

    Returns
    -------
    DataFrame
        One row per bin: ``bin_low``, ``bin_high``, ``n_clips``, ``confidence`` (mean probability of
        the decision) and ``accuracy``; the last two are NaN in an empty bin.

    Raises
    ------
    SerError
        As `check_predictions`.
    """
    check_predictions(predictions, classes)
    truth, guess, confidence = decisions(predictions, classes)
    edges = np.linspace(0, 1, n_bins + 1)
    of_bin = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    n_clips = np.bincount(of_bin, minlength=n_bins)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "n_clips": n_clips,
            "confidence": ratio(np.bincount(of_bin, confidence, n_bins), n_clips),
            "accuracy": ratio(np.bincount(of_bin, truth == guess, n_bins), n_clips),
        }
    )


def expected_calibration_error(
    predictions: pd.DataFrame, classes: Sequence[str], n_bins: int = N_BINS
) -> float:
    """Average the gap between confidence and accuracy over the bins of `reliability`.

    Parameters
    ----------
    predictions, classes, n_bins
        As for `reliability`.

    Returns
    -------
    float
        Mean of ``|accuracy - confidence|`` weighted by the clips in each bin (Guo et al., 2017,
        eq. 3), 0 to 1; 0 is perfect.

    Raises
    ------
    SerError
        As `check_predictions`.
    """
    bins = reliability(predictions, classes, n_bins)
    gaps = (bins["accuracy"] - bins["confidence"]).abs().fillna(0.0)
    return float(np.average(gaps, weights=bins["n_clips"]))
