"""Compare ways to use Whisper tiny.en: how many of its blocks, and how much of them is trained.

    python tools/compare_encoders.py [FOLD ...]

Trains on folds of `ravdess-luna5` (0 and 2 unless told otherwise), one seed, a fixed number of
epochs, and asks the validation speakers; no test speaker is asked. Writes
``reports/tuning/whisper-tiny/validation.csv``, a row as soon as it is known, and goes on from there
when it is called again. Then exports what was trained on the first fold, and measures every bundle
in turns: ``cost.csv``, next to it.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser import evaluation, experiments
from ser.config import Recipe, to_dict
from ser.experiments import recipes
from ser.inference.model import load_model
from ser.project import MODEL_FILE, paths, shown, write_json, writing
from ser.studies import tuning as tune

BLOCKS = (3, 2, 4)
TRAINED = ("linear", "head", "last block", "all blocks")
SECONDS = 3.0
ROUNDS = 40


def settings(trained: str, blocks: int) -> Recipe:
    """Give the recipe of a row; where blocks are trained, the head was trained before."""
    states = [blocks - 1, blocks]
    changes: dict[str, Any] = {"training.refit": False}
    if trained in ("linear", "head"):
        name = "whisper-tiny-linear" if trained == "linear" else "whisper-tiny-frozen"
        changes |= {"features.states": states}
        return tune.changed(recipes.get(name), changes)
    head = paths().runs / f"compare-encoders-{blocks}.json"
    write_json(head, to_dict(settings("head", blocks)))
    changes |= {
        "model.options.blocks": blocks,
        "model.options.states": states,
        "model.options.trainable_blocks": blocks if trained == "all blocks" else 1,
        "training.start": str(head),
    }
    return tune.changed(recipes.get("whisper-tiny-tuned"), changes)


def train(recipe: Recipe, fold: int) -> tuple[Path, dict[str, Any]]:
    """Train a fold; give the run folder and what its validation speakers say."""
    folder = experiments.train_fold(experiments.plan(recipe), fold, 0)
    predictions = pd.read_csv(folder / "predictions-validation.csv")
    found = evaluation.metrics(predictions, recipe.classes)
    return folder, {name: found[name]["mean"] for name in ("uar", "accuracy")}


def cost(folders: dict[tuple[str, int], Path]) -> Iterator[dict[str, Any]]:
    """Export models, and measure how large they are and how long they take for three seconds."""
    from ser import models
    from ser.export.writer import export

    noise = np.random.default_rng(0).normal(0, 0.05, int(SECONDS * 16_000)).astype(np.float32)
    with tempfile.TemporaryDirectory() as home:
        rows, bundles = {}, {}
        for key, folder in folders.items():
            target = Path(home) / "-".join(map(str, key)).replace(" ", "-")
            export(folder / MODEL_FILE, target, kinds=("onnx",), half=True)
            rows[key] = {
                "trained": key[0],
                "blocks": key[1],
                "parameters": int(models.load(folder / MODEL_FILE).count_params()),
                "bundle_mb": (target / "model.onnx").stat().st_size / 1e6,
            }
            bundles[key] = load_model(target)
        times: dict[tuple[str, int], list[float]] = {key: [] for key in bundles}
        for _ in range(ROUNDS):
            for key, bundle in bundles.items():
                began = time.perf_counter()
                bundle.hear(noise, 16_000)
                times[key].append(time.perf_counter() - began)
        for key, row in rows.items():
            yield {**row, "ms": 1e3 * float(np.median(times[key]))}


def read(file: Path) -> list[dict[Hashable, Any]]:
    """Give the rows that are known; another process may write them too, for another fold."""
    return pd.read_csv(file).to_dict("records") if file.exists() else []


def main() -> int:
    """Train what is missing, then measure."""
    folds = [int(argument) for argument in sys.argv[1:]] or [0, 2]
    home = paths().reports / "tuning" / "whisper-tiny"
    file = home / "validation.csv"
    folders: dict[tuple[str, int], Path] = {}
    for fold, blocks, trained in itertools.product(folds, BLOCKS, TRAINED):
        row = {"trained": trained, "blocks": blocks, "fold": fold}
        known = any(all(other[name] == row[name] for name in row) for other in read(file))
        if known and fold != folds[0]:
            continue
        folder, found = train(settings(trained, blocks), fold)
        folders.setdefault((trained, blocks), folder)
        if not known:
            with writing(file) as temporary:
                pd.DataFrame([*read(file), {**row, **found}]).round(4).to_csv(
                    temporary, index=False
                )
    with writing(home / "cost.csv") as temporary:
        pd.DataFrame(cost(folders)).round(2).to_csv(temporary, index=False)
    print(f"written: {shown(file)}, {shown(home / 'cost.csv')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
