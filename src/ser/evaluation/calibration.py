"""Whether a confidence of 80 % is right 80 % of the time, and below which one to say nothing."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from ser.evaluation.predictions import check_predictions, decisions
from ser.project import SerError

N_BINS = 15  # as Guo et al. (2017)
TEMPERATURES = (0.05, 20.0)
SMALLEST = 1e-6  # probability; predictions are kept to six digits
RIGHT = 0.8  # of the answers that are given, unless told otherwise
FEWEST = 0.05  # of the clips; on fewer, an accuracy is chance


def reliability(
    predictions: pd.DataFrame, classes: Sequence[str], n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare confidence with accuracy, in bins of equal width.

    Returns
    -------
    DataFrame
        One row per bin: ``bin_low``, ``bin_high``, ``n_clips``, ``confidence`` (mean probability of
        the decision) and ``accuracy``; the last two are NaN in an empty bin. A bin holds its upper
        edge, as in Guo et al. (2017), "On calibration of modern neural networks".
    """
    check_predictions(predictions, classes)
    truth, guess, confidence = decisions(predictions, classes)
    edges = np.linspace(0, 1, n_bins + 1)
    of_bin = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    n_clips = np.bincount(of_bin, minlength=n_bins)
    some = np.where(n_clips > 0, n_clips, np.nan)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "n_clips": n_clips,
            "confidence": np.bincount(of_bin, confidence, n_bins) / some,
            "accuracy": np.bincount(of_bin, truth == guess, n_bins) / some,
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
    """Find the temperature, from unseen speakers, that makes probabilities as true as it can.

    Returns
    -------
    float
        Logarithms of probabilities are divided by it, 0.05 to 20; over 1 where the model was too
        sure. It minimises the cross-entropy (Guo et al., 2017, section 4.2).
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

    The logarithms of probabilities are divided by `temperature` (see `fit_temperature`); 1 changes
    nothing. Returns a copy of the table.
    """
    changed = predictions.copy()
    changed[list(classes)] = softmax(_logarithms(predictions, classes) / temperature, axis=1)
    return changed


def _logarithms(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    return np.log(np.maximum(predictions[list(classes)].to_numpy(float), SMALLEST))


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


def risk_coverage(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Trade answers for accuracy: only those above a confidence are given.

    Returns
    -------
    DataFrame
        One row per confidence that occurs, the highest first: ``threshold``, ``coverage`` (share of
        clips at or above it) and ``accuracy`` of those (El-Yaniv and Wiener, "On the foundations of
        noise-free selective classification", JMLR 2010).
    """
    check_predictions(predictions, classes)
    truth, guess, confidence = decisions(predictions, classes)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(truth[order] == guess[order])
    n_clips = np.arange(1, len(order) + 1)
    curve = pd.DataFrame(
        {
            "threshold": confidence[order],
            "coverage": n_clips / len(order),
            "accuracy": right / n_clips,
        }
    )
    return curve.drop_duplicates("threshold", keep="last").reset_index(drop=True)


def uncertain_below(
    predictions: pd.DataFrame, classes: Sequence[str], accuracy: float = RIGHT
) -> float:
    """Find the confidence, from unseen speakers, below which an answer is called uncertain.

    Returns
    -------
    float
        The lowest confidence, 0 to 1, at and above which a share of `accuracy` of the answers is
        right.

    Raises
    ------
    SerError
        When no confidence that 5 % of the clips reach is enough.
    """
    curve = risk_coverage(predictions, classes)
    curve = curve[curve["coverage"] >= FEWEST]
    enough = curve[curve["accuracy"] >= accuracy]
    if enough.empty:
        raise SerError(
            f"no confidence makes {accuracy:.0%} of the answers right: found at most "
            f"{curve['accuracy'].max():.0%}. Ask for less."
        )
    return float(enough["threshold"].min())


def calibrate(
    predictions: pd.DataFrame, classes: Sequence[str], accuracy: float = RIGHT
) -> tuple[float, float]:
    """Choose the temperature of an exported model, and below which confidence it is uncertain."""
    temperature = fit_temperature(predictions, classes)
    calibrated = with_temperature(predictions, classes, temperature)
    return temperature, uncertain_below(calibrated, classes, accuracy)
