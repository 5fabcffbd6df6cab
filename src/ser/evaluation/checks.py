"""The table of predictions: what it must be, and what a model decided in each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser.project import SerError

COLUMNS = ("clip_id", "speaker", "fold", "seed", "label")
SUM_TOLERANCE = 1e-3  # probabilities may be written with four digits


def check_predictions(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    """Check that a table of predictions can be evaluated."""
    missing = [name for name in (*COLUMNS, *classes) if name not in predictions.columns]
    if missing:
        raise SerError(
            f"the predictions lack the columns {', '.join(missing)}. Expected "
            f"{', '.join(COLUMNS)} and one probability column per class."
        )
    if predictions.empty:
        raise SerError("the predictions hold no row. Run the experiment again.")
    for name in (*COLUMNS, *classes):
        if predictions[name].isna().any():
            where = predictions["clip_id"][predictions[name].isna()].iloc[0]
            raise SerError(f"the predictions hold NaN in column {name!r} (clip {where!r}).")
    _check_probabilities(predictions, classes)
    strange = sorted(set(predictions["label"]) - set(classes))
    if strange:
        raise SerError(
            f"the predictions hold the unknown label {strange[0]!r}. Allowed: {', '.join(classes)}."
        )
    _check_clips(predictions)


def _check_probabilities(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    try:
        values = predictions[list(classes)].to_numpy(float)
    except (TypeError, ValueError) as error:
        raise SerError(f"the predictions hold a probability that is no number: {error}.") from error
    outside = (values < 0).any(axis=1) | (values > 1 + SUM_TOLERANCE).any(axis=1)
    sums = values.sum(axis=1)
    for wrong, what in (
        (outside, "a probability outside 0 to 1"),
        (abs(sums - 1) > SUM_TOLERANCE, "probabilities that do not sum to 1"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            clip = predictions["clip_id"].iloc[row]
            raise SerError(f"the predictions hold {what} (clip {clip!r}, sum {sums[row]:.4g}).")


def _check_clips(predictions: pd.DataFrame) -> None:
    of_model = [name for name in ("seed", "trained_on") if name in predictions]
    twice = predictions.duplicated(["clip_id", *of_model])
    if twice.any():
        row = predictions[twice].iloc[0]
        raise SerError(
            f"the predictions hold the clip {row['clip_id']!r} more than once for seed "
            f"{row['seed']}. Expected every test clip exactly once per seed."
        )
    n_seeds = predictions["seed"].nunique()
    seeds_of = predictions.groupby("clip_id")["seed"].nunique()
    if (seeds_of < n_seeds).any():
        raise SerError(
            f"the predictions cover different clips for different seeds: clip "
            f"{seeds_of.idxmin()!r} has {seeds_of.min()} of {n_seeds} seeds. Finish the missing "
            "runs first."
        )
    for column in ("label", "speaker"):
        values_of = predictions.groupby("clip_id")[column].nunique()
        if (values_of > 1).any():
            raise SerError(
                f"the predictions give the clip {values_of.idxmax()!r} more than one {column}."
            )


def decisions(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say what is true and what was decided, row by row.

    Parameters
    ----------
    predictions : DataFrame
        Checked by `check_predictions`.
    classes : sequence of str
        The classes.

    Returns
    -------
    (ndarray of int, ndarray of int, ndarray of float)
        True class, most probable class (the first of equals), and its probability, each of shape
        (n_rows,); classes as positions in `classes`.
    """
    probabilities = predictions[list(classes)].to_numpy(float)
    truth = pd.Index(list(classes)).get_indexer(pd.Index(predictions["label"]))
    return truth, probabilities.argmax(axis=1), probabilities.max(axis=1)
