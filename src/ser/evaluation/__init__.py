"""Predictions become metrics, intervals over speakers, and calibration. No plotting.

The functions take the table of ``predictions.csv``: one row per test clip and seed, with the
columns ``clip_id, speaker, fold, seed, label`` and one probability column per class. The decision
is the most probable class, the first of equals.
"""

from ser.evaluation.bootstrap import paired_bootstrap
from ser.evaluation.calibration import (
    cross_calibrated,
    expected_calibration_error,
    fit_temperature,
    reliability,
    with_temperature,
)
from ser.evaluation.checks import check_predictions, decisions
from ser.evaluation.report import confusion, metrics
from ser.evaluation.selective import calibrate, risk_coverage, uncertain_below
from ser.evaluation.trend import polynomial_trend

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
