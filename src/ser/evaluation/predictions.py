"""The table of predictions: what it must be, what was decided in each row, and how often."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser.project import SerError

COLUMNS = ("clip_id", "speaker", "fold", "seed", "label")
SUM_TOLERANCE = 1e-3  # probabilities may be written with four digits


def check_predictions(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    """Check that a table of predictions can be evaluated."""
    missing = [name for name in (*COLUMNS, *classes) if name not in predictions]
    if missing or predictions.empty:
        found = ", ".join(missing) or "row"
        raise SerError(
            f"predictions need the columns {', '.join(COLUMNS)}, one probability column per class "
            f"and one row per test clip and seed; found no {found}. Run the experiment again."
        )
    values = predictions[list(classes)].apply(pd.to_numeric, errors="coerce")
    filled = predictions[list(COLUMNS)].notna().all(axis=1) & values.notna().all(axis=1)
    of_model = [name for name in ("seed", "trained_on") if name in predictions]
    of_clip = predictions.groupby("clip_id")[["seed", "label", "speaker"]].transform("nunique")
    problems = {
        "an empty cell, or a probability that is no number": ~filled,
        "a probability outside 0 to 1": ((values < 0) | (values > 1 + SUM_TOLERANCE)).any(axis=1),
        "probabilities that do not sum to 1": (values.sum(axis=1) - 1).abs() > SUM_TOLERANCE,
        "an unknown label": ~predictions["label"].isin(list(classes)),
        "a clip twice for one seed": predictions.duplicated(["clip_id", *of_model]),
        "a clip that other seeds have not": of_clip["seed"] < predictions["seed"].nunique(),
        "a clip with more than one label": of_clip["label"] > 1,
        "a clip with more than one speaker": of_clip["speaker"] > 1,
    }
    for what, wrong in problems.items():
        if wrong.any():
            row = predictions[wrong].iloc[0]
            cells = ", ".join(f"{name} {row[name]}" for name in (*COLUMNS, *classes))
            raise SerError(
                f"the predictions hold {what}: {cells}. Expected every clip once per seed, one of "
                f"the labels {', '.join(classes)}, and probabilities that sum to 1."
            )


def decisions(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say what is true and what was decided, row by row; nothing is checked.

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

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Clips, summed over seeds; rows are true classes, columns the most probable
        ones, both in the order of `classes`.
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
