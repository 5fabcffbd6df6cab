"""Finished runs become a report: predictions of every test clip, and metrics made from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser import evaluation
from ser.config import Recipe, from_dict, to_dict
from ser.corpora import metadata
from ser.experiments.plans import PARTS, Plan
from ser.experiments.units import RUN_FILE, is_done
from ser.project import SerError, paths, read_json, shown, write_csv, write_json


def report(plan: Plan, seeds: Sequence[int], *, force: bool = False) -> Path:
    """Gather the finished runs of a plan into a report: every fold with each of the seeds.

    Other seeds of an earlier report of the same recipe, clips and folds stay beside them. Where a
    report of other settings, clips or folds lies there, results go to ``reports/local``, unless
    `force` replaces it.
    """
    folders = [plan.run_folder(fold, seed) for seed in seeds for fold in range(len(plan.folds))]
    missing = [folder for folder in folders if not is_done(folder)]
    if missing:
        raise SerError(
            f"{len(missing)} of {len(folders)} runs are missing, the first is "
            f"{shown(missing[0])}. Run `ser run {plan.recipe.name} --protocol {plan.protocol}`."
        )
    classes = plan.recipe.classes
    parts = [name for name in PARTS if name != "validation" or not plan.recipe.training.refit]
    predictions = {name: _gather(folders, name) for name in parts}
    cards = [read_json(folder / RUN_FILE) for folder in folders]
    test, histories = predictions["test"], _histories(folders, cards)
    shares = {name: _part_summary(frame, classes) for name, frame in predictions.items()}
    seconds = sum(card["seconds"] for card in cards)
    why, folder = plan.why_local(), plan.shared_folder
    if not why and (folder / "metrics.json").is_file():
        old = predictions_of(folder)
        if _same_clips(old, test):
            old = old[~old["seed"].isin(test["seed"])]
            shares, seconds = _joined(folder, shares, seconds, old["seed"].nunique(), len(seeds))
            test = pd.concat([old, test]).sort_values(["seed", "clip_id"], ignore_index=True)
            known = pd.read_csv(folder / "history.csv")
            histories = pd.concat([known[known["seed"].isin(old["seed"])], histories])
        else:
            why = "a report of other clips or folds lies there"
    if why and not force:
        folder = plan.local_folder
        print(
            f"{shown(folder)}, not {shown(plan.shared_folder)}: {why}. To write there all the "
            "same: force=True, or `ser run --force`.",
            flush=True,
        )
    summary = evaluation.metrics(test, classes, plan.table)
    summary["parts"] = shares
    summary["n_parameters"] = cards[0]["n_parameters"]
    summary["training_seconds"] = round(seconds, 1)
    summary["packages"] = cards[0]["packages"]
    left_out = {clip: why for card in cards for clip, why in card.get("left_out", {}).items()}
    summary["files"] = plan.files(len(left_out))
    if left_out:
        summary["left_out"] = dict(sorted(left_out.items()))
    write_csv(folder / "predictions.csv", test)
    write_csv(folder / "history.csv", histories)
    write_json(folder / "recipe.json", to_dict(plan.recipe))
    write_json(folder / "metrics.json", summary)
    return folder


def _same_clips(old: pd.DataFrame, found: pd.DataFrame) -> bool:
    """Tell whether every seed of both tests the same clips, with the same labels, in each fold."""
    columns = ["clip_id", "fold", "label"]
    of_seed = [
        rows[columns].sort_values(columns).to_numpy().tolist()
        for frame in (found, old)
        for _, rows in frame.groupby("seed")
    ]
    return all(rows == of_seed[0] for rows in of_seed)


def _joined(
    folder: Path, shares: dict[str, dict[str, float]], seconds: float, n_old: int, n_new: int
) -> tuple[dict[str, dict[str, float]], float]:
    """Join what only the runs tell with what an earlier report says of its other seeds."""
    before, n_seeds = read_json(folder / "metrics.json"), n_old + n_new

    def both(part: str, metric: str, value: float) -> float:
        return (n_old * before["parts"][part][metric] + n_new * value) / n_seeds if n_old else value

    joined = {
        part: {metric: both(part, metric, value) for metric, value in found.items()}
        for part, found in shares.items()
    }
    return joined, seconds + before["training_seconds"] * n_old / before["n_seeds"]


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
    """Read the recipe that a run or report was made with."""
    folder = Path(folder)
    run = folder / RUN_FILE
    values = read_json(run)["recipe"] if run.exists() else read_json(folder / "recipe.json")
    return from_dict(Recipe, values, source=str(folder), stored=True)


def predictions_of(folder: Path) -> pd.DataFrame:
    """Read the predictions of a run or report."""
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
    predictions, recipe = predictions_of(folder), recipe_of(folder)
    table = metadata.read_table() if paths().metadata.exists() else None
    if table is not None and not set(predictions["clip_id"]) <= set(table["clip_id"]):
        table = None
    found = evaluation.metrics(predictions, recipe.classes, table)
    for name in (RUN_FILE, "metrics.json"):
        if (file := Path(folder) / name).is_file():
            said = read_json(file)
            found |= {key: said[key] for key in ("files", "left_out") if key in said}
    return found


def runs() -> list[Path]:
    """List the folders of finished runs, the newest first."""
    return paths().finished_runs()
