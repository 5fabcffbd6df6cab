"""The table of predictions: what it must be, what was decided in each row, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser.project import SerError

COLUMNS = ("clip_id", "speaker", "fold", "seed", "label")
SUM_TOLERANCE = 1e-3  # probabilities may be written with four digits


def check_predictions(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    """Check that a table of predictions can be evaluated."""
    columns = [*COLUMNS, *classes]
    missing = [name for name in columns if name not in predictions]
    if missing:
        raise SerError(
            f"the predictions lack the columns {', '.join(missing)}. Expected "
            f"{', '.join(COLUMNS)} and one probability column per class."
        )
    if predictions.empty:
        raise SerError("the predictions hold no row. Run the experiment again.")
    for name in columns:
        empty = predictions[name].isna()
        if empty.any():
            where = predictions["clip_id"][empty].iloc[0]
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
    sums = values.sum(axis=1)
    outside = ((values < 0) | (values > 1 + SUM_TOLERANCE)).any(axis=1)
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
    twice = predictions[predictions.duplicated(["clip_id", *of_model])]
    if len(twice):
        raise SerError(
            f"the predictions hold the clip {twice['clip_id'].iloc[0]!r} more than once for seed "
            f"{twice['seed'].iloc[0]}. Expected every test clip exactly once per seed."
        )
    n_seeds = predictions["seed"].nunique()
    found = predictions.groupby("clip_id")[["seed", "label", "speaker"]].nunique()
    if (found["seed"] < n_seeds).any():
        raise SerError(
            f"the predictions cover different clips for different seeds: clip "
            f"{found['seed'].idxmin()!r} has {found['seed'].min()} of {n_seeds} seeds. Finish the "
            "missing runs first."
        )
    for column in ("label", "speaker"):
        if (found[column] > 1).any():
            clip = found[column].idxmax()
            raise SerError(f"the predictions give the clip {clip!r} more than one {column}.")


def decisions(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say what is true and what was decided, row by row.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`; not checked again.
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


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Count how often each class was taken for each other.

    Parameters
    ----------
    predictions : DataFrame
        See `check_predictions`.
    classes : sequence of str
        The classes, in the order of rows and columns.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Clips, summed over seeds; rows are true classes, columns the most probable ones.
    """
    check_predictions(predictions, classes)
    return speaker_confusions(predictions, classes).sum(axis=(0, 1))


def speaker_confusions(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Count the same by seed and by speaker: ``(n_seeds, n_speakers, n_classes, n_classes)``."""
    truth, guess, _ = decisions(predictions, classes)
    seeds, of_seed = np.unique(predictions["seed"].to_numpy(), return_inverse=True)
    speakers, of_speaker = np.unique(predictions["speaker"].to_numpy(str), return_inverse=True)
    counts = np.zeros((len(seeds), len(speakers), len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (of_seed, of_speaker, truth, guess), 1)
    return counts
