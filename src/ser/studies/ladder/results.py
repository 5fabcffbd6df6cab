"""Units become a report per recipe, and the reports one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser.config import Recipe, to_dict
from ser.corpora.crema_d import EMOTION_CODES
from ser.evaluation.predictions import speaker_confusions
from ser.evaluation.scores import draw_speakers, interval, scores
from ser.experiments.recipes import CLAIMS
from ser.experiments.units import RUN_FILE
from ser.project import SerError, paths, read_json, write_json, writing
from ser.studies.ladder.splits import RUNGS
from ser.studies.ladder.units import Unit, run_folder

N_BOOTSTRAP = 2000
VOTES = "CREMA-D, processedResults/summaryTable.csv: majority vote on the voice alone"


def gather(recipe: Recipe, folder: Path, units: Sequence[Unit], target: Path) -> Path:
    """Write the report of a recipe's ladder from the units that are finished."""
    summary: dict[str, Any] = {}
    for rung in RUNGS:
        of_rung = [unit for unit in units if unit.rung == rung]
        done = [run_folder(folder, unit) for unit in of_rung]
        done = [run for run in done if (run / RUN_FILE).exists()]
        if not done:
            continue
        predictions = pd.concat([pd.read_csv(run / "predictions.csv") for run in done])
        predictions = predictions.sort_values(["seed", "fold", "clip_id", "variant"])
        with writing(target / f"predictions-{rung}.csv") as temporary:
            predictions.to_csv(temporary, index=False)
        cards = [read_json(run / RUN_FILE) for run in done]
        summary[rung] = {
            "title": RUNGS[rung],
            **rung_metrics(predictions, recipe.classes),
            "n_trainings": len(done),
            "n_trainings_wanted": len(of_rung),
            "train_rows": int(np.mean([card["train_rows"] for card in cards])),
            "test_rows": int(np.mean([card["test_rows"] for card in cards])),
            "epochs": [card["epochs"] for card in cards],
            "seconds": round(sum(card["seconds"] for card in cards), 1),
        }
        summary["n_parameters"] = cards[0]["n_parameters"]
    write_json(target / "recipe.json", to_dict(recipe))
    write_json(target / "metrics.json", {"chance": 1 / len(recipe.classes), **summary})
    return target


def rung_metrics(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Score a rung."""
    counts = speaker_confusions(predictions, classes)
    n_seeds, n_speakers = counts.shape[:2]
    of_seed = scores(counts.sum(axis=1))
    of_draw = scores(draw_speakers(counts, N_BOOTSTRAP, seed=0))
    result: dict[str, Any] = {"n_seeds": n_seeds, "n_speakers": n_speakers}
    for name, values in of_seed.items():
        known = np.isfinite(of_draw[name])  # a draw may miss all test speakers of a seed
        total = np.where(known, of_draw[name], 0.0).sum(axis=0)
        draws = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
        result[name] = {
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)) if n_seeds > 1 else 0.0,
            "interval_95": interval(draws, n_speakers),
        }
    return result


def write_table(folder: Path | None = None) -> pd.DataFrame:
    """Gather the ladders of all recipes into one table, ``ladder.csv``."""
    folder = paths().reports / "ladder" if folder is None else Path(folder)
    rows = []
    for file in sorted(folder.glob("*/metrics.json")):
        metrics, name = read_json(file), file.parent.name
        claim = CLAIMS.get(name)
        low, high = (claim and claim.accuracy) or (None, None)
        for rung in (rung for rung in RUNGS if rung in metrics):
            found = metrics[rung]
            row = {"recipe": name, "rung": rung, "title": found["title"]}
            for score in ("accuracy", "uar"):
                limits = found[score]["interval_95"] or (None, None)
                row |= {score: found[score]["mean"]}
                row |= {f"{score}_low": limits[0], f"{score}_high": limits[1]}
            row |= {"seeds": found["n_seeds"], "chance": metrics["chance"]}
            rows.append({**row, "claim_low": low, "claim_high": high})
    if not rows:
        raise SerError(f"no ladder under {folder}. Make one with `ser ladder RECIPE`.")
    table = pd.DataFrame(rows)
    with writing(folder / "ladder.csv") as temporary:
        table.round(4).to_csv(temporary, index=False)
    return table


def write_human(votes_csv: Path) -> Path:
    """Write what listeners reach into ``reports/ladder/human.json``."""
    path = paths().reports / "ladder" / "human.json"
    write_json(path, {**human_accuracy(votes_csv), "source": VOTES})
    return path


def human_accuracy(votes_csv: Path) -> dict[str, Any]:
    """Say how often listeners name the acted emotion of CREMA-D's clips by voice alone."""
    try:
        votes = pd.read_csv(votes_csv)
    except (OSError, ValueError) as error:
        raise SerError(
            f"{votes_csv}: cannot be read as a table ({type(error).__name__})."
        ) from error
    missing = {"FileName", "VoiceVote"} - set(votes.columns)
    if missing:
        raise SerError(
            f"{votes_csv}: expected the columns FileName and VoiceVote, found "
            f"{', '.join(map(str, votes.columns))}. Use summaryTable.csv of CREMA-D."
        )
    acted = [name.split("_")[2][0] for name in votes["FileName"]]
    said = [vote.split(":") for vote in votes["VoiceVote"]]
    labels = {code[0]: label for code, (label, _) in EMOTION_CODES.items()}
    counts = pd.DataFrame(0.0, index=list(labels), columns=list(labels))
    for true, letters in zip(acted, said, strict=True):
        for letter in letters:
            counts.loc[true, letter] += 1 / len(letters)
    right = pd.Series(np.diag(counts), counts.index)
    return {
        "accuracy": float(right.sum() / len(votes)),
        "uar": float((right / counts.sum(axis=1)).mean()),
        "classes": list(labels.values()),
        "confusion": counts.round(2).to_numpy().tolist(),
        "n_clips": len(votes),
        "n_ties": sum(len(letters) > 1 for letters in said),
    }
