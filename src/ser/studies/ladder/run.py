"""Train the units of a ladder: one per rung, seed and part; each is skipped once it is done."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from ser.config import Recipe, stable_hash, to_dict
from ser.corpora import metadata
from ser.experiments.units import RUN_FILE
from ser.features import dataset
from ser.features.extraction import FRONT_END_VERSION
from ser.models import backend
from ser.project import paths, shown, write_json, writing
from ser.studies.ladder.results import gather
from ser.studies.ladder.splits import RUNGS, split
from ser.studies.ladder.units import Unit, run_folder, units

SYSTEMS = (
    "four-corpora",
    "ravdess-six",
    "parallel",
    "tess",
    "mfcc-attention-2-augmented",
    "mfcc-attention-4-attention",
)
FAST = {"clips": 800, "epochs": 8, "patience": 4}


class Rows:
    """The variants of the clips of a feature set as rows of their own, as in published code."""

    def __init__(
        self,
        features: dataset.FeatureSet,
        rows: np.ndarray,
        mean: np.ndarray | None = None,
        deviation: np.ndarray | None = None,
    ) -> None:
        self.features, self.rows = features, rows
        self.mean, self.deviation = mean, deviation
        _, _, n_frames, n_features = features.shape
        self.shape = (len(rows), 1, n_frames, n_features)

    def take(self, clips: Any, variants: Any = 0) -> np.ndarray:
        """Read some rows."""
        chosen = self.rows[np.asarray(clips, np.int64)]
        batch = self.features.take(chosen[:, 0], chosen[:, 1])
        if self.mean is None or self.deviation is None:
            return batch
        frames = np.any(batch != 0, axis=-1, keepdims=True)
        return np.where(frames, (batch - self.mean) / self.deviation, 0.0).astype(np.float32)


def run(
    recipe: Recipe,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    n_jobs: int = 1,
    fast: bool = False,
    table: pd.DataFrame | None = None,
) -> Path:
    """Climb the ladder with a recipe, or go on where an earlier call was stopped."""
    chosen = metadata.label_table(metadata.read_table() if table is None else table, recipe)
    if fast:
        recipe, chosen = _coarse(recipe, chosen)
    sounds = chosen[["clip_id", "pcm_sha256", "label"]].to_numpy().tolist()
    folder = paths().runs / f"ladder-{recipe.name}" / stable_hash(recipe, sounds, FRONT_END_VERSION)
    todo = units(chosen, seeds)
    missing = [unit for unit in todo if not (run_folder(folder, unit) / RUN_FILE).exists()]
    n_variants = recipe.augmentation.n_variants + 1
    print(
        f"{recipe.name}: {len(chosen):,} clips × {n_variants} variants, {len(todo)} "
        f"trainings, {len(todo) - len(missing)} of them done before. Runs: {shown(folder)}",
        flush=True,
    )
    target = paths().reports / ("local/ladder" if fast else "ladder") / recipe.name
    if not missing:
        return gather(recipe, folder, todo, target)
    chosen = _features(recipe, chosen, progress=True).table  # clips that cannot be read are out
    began_s = time.monotonic()
    jobs = (delayed(_train)(recipe, chosen, unit, folder, n_jobs) for unit in missing)
    with backend.processes(n_jobs) as workers:
        for done, unit in enumerate(workers(jobs), 1):
            left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
            print(
                f"{recipe.name} {done}/{len(missing)}: rung {unit.rung} ({RUNGS[unit.rung]}), seed "
                f"{unit.seed}; about {left_s / 60:.0f} min left",
                flush=True,
            )
            gather(recipe, folder, todo, target)
    return target


def _coarse(recipe: Recipe, table: pd.DataFrame) -> tuple[Recipe, pd.DataFrame]:
    """Take fewer epochs, and the same share of the clips of every speaker and class."""
    share = min(1.0, FAST["clips"] / len(table))
    some = table.groupby(["speaker", "label"]).sample(frac=share, random_state=0)
    training = dataclasses.replace(
        recipe.training,
        epochs=min(FAST["epochs"], recipe.training.epochs),
        patience=min(FAST["patience"], recipe.training.patience),
    )
    some = some.sort_values("clip_id", ignore_index=True)
    return dataclasses.replace(recipe, training=training), some


def _features(recipe: Recipe, table: pd.DataFrame, *, progress: bool) -> dataset.FeatureSet:
    front_end = dataset.FrontEnd(recipe.audio, recipe.features, recipe.augmentation)
    return dataset.build(table, front_end, n_jobs=-1 if progress else 1, progress=progress)


def _train(recipe: Recipe, table: pd.DataFrame, unit: Unit, folder: Path, n_jobs: int) -> Unit:
    backend.share_cores(n_jobs)
    backend.load()
    from ser.training import batches, fitting

    features = _features(recipe, table, progress=False)
    parts = split(table, unit.rung, unit.seed, features.shape[1], unit.part)
    labels = table["label"].map(recipe.classes.index).to_numpy(np.int64)
    scale: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if unit.rung == "a":  # the leak: test rows take part in the statistics
        rows = np.concatenate([parts.train, parts.test])
        everything = batches.Part(Rows(features, rows), np.arange(len(rows)), labels[rows[:, 0]])
        scale = batches.statistics(everything)
        scale = scale[0], np.where(scale[1] > 1e-6, scale[1], 1.0)

    def part(rows: np.ndarray) -> batches.Part:
        source = Rows(features, rows, *scale)
        return batches.Part(source, np.arange(len(rows)), labels[rows[:, 0]])

    began_s = time.monotonic()
    mine = run_folder(folder, unit)
    title = f"{recipe.name} rung {unit.rung} seed {unit.seed}"
    model, history = fitting.fit(
        recipe,
        part(parts.train),
        part(parts.validation),
        mine,
        seed=unit.seed,
        title=title,
        every=0,
    )
    tested = part(parts.test)
    probabilities = fitting.predict(model, tested.features, tested.clips)
    frame = table.iloc[parts.test[:, 0]][["clip_id", "speaker", "label"]].reset_index(drop=True)
    frame.insert(1, "variant", parts.test[:, 1])
    frame.insert(3, "fold", unit.part)
    frame.insert(4, "seed", unit.seed)
    for column, name in enumerate(recipe.classes):
        frame[name] = probabilities[:, column].astype(np.float64).round(4)
    with writing(mine / "predictions.csv") as temporary:
        frame.sort_values(["clip_id", "variant"]).to_csv(temporary, index=False)
    (mine / fitting.STATE_FILE).unlink(missing_ok=True)
    card = {
        **dataclasses.asdict(unit),
        "recipe": to_dict(recipe),
        "n_parameters": int(model.count_params()),
        "epochs": len(history),
        "train_rows": len(parts.train),
        "test_rows": len(parts.test),
        "seconds": round(time.monotonic() - began_s, 1),
    }
    write_json(mine / RUN_FILE, card)
    return unit
