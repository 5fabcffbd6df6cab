"""When a model had better say that it is uncertain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser.evaluation.calibration import fit_temperature, with_temperature
from ser.evaluation.checks import check_predictions, decisions
from ser.project import SerError

RIGHT = 0.8  # of the answers that are given, unless told otherwise
FEWEST = 0.05  # of the clips; on fewer, an accuracy is chance


def risk_coverage(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Trade answers for accuracy: only those above a confidence are given.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`. Seeds are pooled.
    classes : sequence of str
        The classes.

    Returns
    -------
    DataFrame
        One row per confidence that occurs, the highest first: ``threshold``, ``coverage`` (share of
        clips at or above it) and ``accuracy`` of those (El-Yaniv and Wiener, "On the foundations of
        noise-free selective classification", JMLR 2010).

    Raises
    ------
    SerError
        As `check_predictions`.
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
    """Find the confidence below which an answer is called uncertain.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`; of speakers that the model did not hear.
    classes : sequence of str
        The classes.
    accuracy : float
        What share of the remaining answers shall be right, 0 to 1.

    Returns
    -------
    float
        The lowest confidence at and above which so many are, 0 to 1.

    Raises
    ------
    SerError
        As `check_predictions`, or when no confidence that 5 % of the clips reach is enough.
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
    """Choose what an exported model does with its probabilities."""
    temperature = fit_temperature(predictions, classes)
    calibrated = with_temperature(predictions, classes, temperature)
    return temperature, uncertain_below(calibrated, classes, accuracy)
