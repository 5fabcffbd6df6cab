"""Finished runs become a report: predictions of every test clip, and metrics made from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser import evaluation
from ser.config import Recipe, from_dict, stable_hash, to_dict
from ser.corpora import metadata
from ser.experiments.plans import PARTS, RUN_FILE, Plan
from ser.project import SerError, paths, read_json, shown, write_json, writing


def report(plan: Plan, seeds: Sequence[int]) -> Path:
    """Gather the runs of a plan into ``reports/<recipe>/<protocol>/``."""
    folders = [plan.run_folder(fold, seed) for seed in seeds for fold in range(len(plan.folds))]
    missing = [folder for folder in folders if not (folder / RUN_FILE).exists()]
    if missing:
        raise SerError(
            f"{len(missing)} of {len(folders)} runs are missing, the first is "
            f"{shown(missing[0])}. Run `ser run {plan.recipe.name} --protocol {plan.protocol}`."
        )
    classes = plan.recipe.classes
    parts = [name for name in PARTS if name != "validation" or not plan.recipe.training.refit]
    predictions = {name: _gather(folders, name) for name in parts}
    cards = [read_json(folder / RUN_FILE) for folder in folders]
    folder, histories = plan.report_folder, _histories(folders, cards)
    shares = {name: _part_summary(frame, classes) for name, frame in predictions.items()}
    seconds = sum(card["seconds"] for card in cards)
    if (old := _other_seeds(plan, predictions["test"])) is not None:
        before = read_json(folder / "metrics.json")
        rows = pd.concat([old, predictions["test"]])
        predictions["test"] = rows.sort_values(["seed", "clip_id"], ignore_index=True)
        known = pd.read_csv(folder / "history.csv")
        histories = pd.concat([known[known["seed"].isin(old["seed"])], histories])
        n_old, n_new = old["seed"].nunique(), len(set(seeds))
        for name, found in shares.items():
            for metric, value in found.items():
                both = n_old * before["parts"][name][metric] + n_new * value
                found[metric] = both / (n_old + n_new)
        seconds += before["training_seconds"] * n_old / before["n_seeds"]
    summary = evaluation.metrics(predictions["test"], classes, plan.table)
    summary["parts"] = shares
    summary["n_parameters"] = cards[0]["n_parameters"]
    summary["training_seconds"] = round(seconds, 1)
    summary["packages"] = cards[0]["packages"]
    with writing(folder / "predictions.csv") as temporary:
        predictions["test"].to_csv(temporary, index=False)
    with writing(folder / "history.csv") as temporary:
        histories.to_csv(temporary, index=False)
    write_json(folder / "recipe.json", to_dict(plan.recipe))
    write_json(folder / "metrics.json", summary)
    return folder


def _other_seeds(plan: Plan, found: pd.DataFrame) -> pd.DataFrame | None:
    """Predictions of an earlier report that may stay beside `found`, if there are any."""
    folder = plan.report_folder
    if not (folder / "metrics.json").is_file():
        return None
    if stable_hash(recipe_of(folder)) != stable_hash(plan.recipe):
        return None
    old = predictions_of(folder)
    old = old[~old["seed"].isin(found["seed"])]
    columns = ["clip_id", "fold", "label"]
    expected = found.loc[found["seed"] == found["seed"].iloc[0], columns].to_numpy().tolist()
    same = [rows[columns].to_numpy().tolist() == expected for _, rows in old.groupby("seed")]
    return old if same and all(same) else None


def _gather(folders: list[Path], part: str) -> pd.DataFrame:
    suffix = "" if part == "test" else f"-{part}"
    frames = [pd.read_csv(folder / f"predictions{suffix}.csv") for folder in folders]
    return pd.concat(frames).sort_values(["seed", "clip_id"], ignore_index=True)


def _part_summary(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """UAR and accuracy over all clips of a part, each run weighing the same as its clips."""
    folds = predictions.groupby("fold")  # a training clip occurs in several folds
    counts = np.sum([evaluation.confusion(group, classes) for _, group in folds], axis=0)
    clips = np.maximum(counts.sum(axis=1), 1)
    return {
        "uar": float(np.mean((np.diag(counts) / clips)[counts.sum(axis=1) > 0])),
        "accuracy": float(np.trace(counts) / counts.sum()),
    }


def _histories(folders: list[Path], cards: list[dict[str, Any]]) -> pd.DataFrame:
    frames = [
        pd.read_csv(folder / "history.csv").assign(fold=card["fold"], seed=card["seed"])
        for folder, card in zip(folders, cards, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def recipe_of(folder: Path) -> Recipe:
    """Read the recipe a run or report was made with.

    Parameters
    ----------
    folder : Path
        A run folder or a report folder.

    Returns
    -------
    Recipe
        The settings.

    Raises
    ------
    SerError
        When the folder is neither.
    """
    if (folder / RUN_FILE).exists():
        return from_dict(Recipe, read_json(folder / RUN_FILE)["recipe"], source=str(folder))
    return from_dict(Recipe, read_json(folder / "recipe.json"), source=str(folder))


def predictions_of(folder: Path) -> pd.DataFrame:
    """Read the predictions of a run or report.

    Parameters
    ----------
    folder : Path
        A run folder or a report folder.

    Returns
    -------
    DataFrame
        See `ser.evaluation.check_predictions`.

    Raises
    ------
    SerError
        When the folder holds none.
    """
    file = Path(folder) / "predictions.csv"
    if not file.is_file():
        raise SerError(
            f"{folder}: no predictions.csv there. Expected a run folder "
            "(models/runs/…/fold-0-seed-0; not one that trained on everything) or a report folder "
            "(reports/RECIPE/PROTOCOL)."
        )
    return pd.read_csv(file)


def metrics_of(folder: Path) -> dict[str, Any]:
    """Compute the metrics of a run or report from its predictions."""
    predictions, recipe = predictions_of(folder), recipe_of(Path(folder))
    table = metadata.read_table() if paths().metadata.exists() else None
    if table is not None and not set(predictions["clip_id"]) <= set(table["clip_id"]):
        table = None
    return evaluation.metrics(predictions, recipe.classes, table)
