"""Predictions become metrics, intervals over speakers, and calibration. No plotting.

The functions take `predictions`, the table of ``predictions.csv``: one row per test clip and seed,
with the columns ``clip_id, speaker, fold, seed, label`` and one probability column, 0 to 1, for
each of the `classes`. The decision is the most probable class, the first of equals. Seeds are
pooled where not said otherwise. A table that cannot be evaluated is a `SerError`, see
`check_predictions`.
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
