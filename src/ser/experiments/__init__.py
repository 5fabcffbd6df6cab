"""A recipe becomes folds, runs and a report."""

from ser.experiments.notebooks import Run, keep, open_run, prepare, record
from ser.experiments.plans import Plan, plan
from ser.experiments.reports import metrics_of, predictions_of, recipe_of, report, runs
from ser.experiments.runner import load_parts, pretrain, run, train_fold
