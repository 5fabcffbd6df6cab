"""A recipe becomes folds, runs and a report."""

from ser.experiments.plans import Plan, plan
from ser.experiments.reports import metrics_of, predictions_of, recipe_of, report, runs
from ser.experiments.runner import load_parts, pretrain, run, train_fold

__all__ = [
    "Plan",
    "load_parts",
    "metrics_of",
    "plan",
    "predictions_of",
    "pretrain",
    "recipe_of",
    "report",
    "run",
    "runs",
    "train_fold",
]
