"""Whether a confidence of 80 % is right 80 % of the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from ser.evaluation.bootstrap import ratio
from ser.evaluation.checks import check_predictions, decisions
from ser.project import SerError

N_BINS = 15  # as Guo et al. (2017)
TEMPERATURES = (0.05, 20.0)
SMALLEST = 1e-6  # probability; predictions are kept to six digits


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
    """Average the gap between confidence and accuracy over the bins of `reliability`."""
    bins = reliability(predictions, classes, n_bins)
    gaps = (bins["accuracy"] - bins["confidence"]).abs().fillna(0.0)
    return float(np.average(gaps, weights=bins["n_clips"]))


def fit_temperature(predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """Find the temperature that makes probabilities as true as one number can.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`; of speakers that the model did not hear. Seeds are pooled.
    classes : sequence of str
        The classes.

    Returns
    -------
    float
        Logarithms of probabilities are divided by it, 0.05 to 20; over 1 where the model was too
        sure. It minimises the cross-entropy (Guo et al., 2017, section 4.2).

    Raises
    ------
    SerError
        As `check_predictions`.
    """
    check_predictions(predictions, classes)
    truth, _, _ = decisions(predictions, classes)
    logs = _logarithms(predictions, classes)

    def cross_entropy(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        found = scaled[np.arange(len(truth)), truth] - logsumexp(scaled, axis=1)
        return -float(found.mean())

    bounds = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))


def with_temperature(
    predictions: pd.DataFrame, classes: Sequence[str], temperature: float
) -> pd.DataFrame:
    """Make probabilities more or less sure; decisions stay as they are.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`.
    classes : sequence of str
        The classes.
    temperature : float
        As `fit_temperature` gives it; 1 changes nothing.

    Returns
    -------
    DataFrame
        A copy with other probabilities.
    """
    changed = predictions.copy()
    changed[list(classes)] = softmax(_logarithms(predictions, classes) / temperature, axis=1)
    return changed


def cross_calibrated(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Calibrate every fold with a temperature that was fitted on the other folds' speakers."""
    folds = predictions["fold"].unique()
    if len(folds) < 2:
        raise SerError("calibration across folds needs at least two folds, found one.")
    parts = []
    for fold in folds:
        of_fold = predictions["fold"] == fold
        temperature = fit_temperature(predictions[~of_fold], classes)
        parts.append(with_temperature(predictions[of_fold], classes, temperature))
    return pd.concat(parts).loc[predictions.index]


def _logarithms(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    return np.log(np.maximum(predictions[list(classes)].to_numpy(float), SMALLEST))
