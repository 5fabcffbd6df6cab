"""Predictions become metrics, intervals over speakers, and calibration. No plotting.

The functions take the table of ``predictions.csv``: one row per test clip and seed, with the
columns ``clip_id, speaker, fold, seed, label`` and one probability column per class. The decision
is the most probable class, the first of equals. Where a table cannot be evaluated, each of them
raises `SerError` as `check_predictions` does.
"""

from ser.evaluation.calibration import (
    calibrate,
    cross_calibrated,
    expected_calibration_error,
    fit_temperature,
    reliability,
    risk_coverage,
    uncertain_below,
    with_temperature,
)
from ser.evaluation.predictions import check_predictions, confusion, decisions
from ser.evaluation.scores import metrics, paired_bootstrap, polynomial_trend

__all__ = [
    "calibrate",
    "check_predictions",
    "confusion",
    "cross_calibrated",
    "decisions",
    "expected_calibration_error",
    "fit_temperature",
    "metrics",
    "paired_bootstrap",
    "polynomial_trend",
    "reliability",
    "risk_coverage",
    "uncertain_below",
    "with_temperature",
]
