"""The leakage ladder: one model under four splits, from the published one to an honest one.

The rungs (`ser.studies.rungs`) differ in the split and in nothing else. Each training is a unit of
work: one per rung, seed and part.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser.config import Recipe, changed, stable_hash, to_dict
from ser.corpora import metadata
from ser.corpora.base import scheme_of
from ser.evaluation.predictions import speaker_confusions
from ser.evaluation.scores import with_intervals
from ser.experiments.recipes import CLAIMS
from ser.experiments.units import RUN_FILE, claimed, finish, is_done, work
from ser.features import dataset
from ser.features.extraction import FRONT_END_VERSION
from ser.models import backend
from ser.project import SerError, paths, read_json, shown, write_csv, write_json
from ser.studies.rungs import RUNGS, n_parts, split

SYSTEMS = (
    "four-corpora",
    "ravdess-six",
    "parallel",
    "tess",
    "mfcc-attention-2-augmented",
    "mfcc-attention-4-attention",
)
COLUMNS = (
    *("recipe", "rung", "title"),
    *(f"{score}{limit}" for score in ("accuracy", "uar") for limit in ("", "_low", "_high")),
    *("seeds", "chance", "claim_low", "claim_high"),
)
FAST = {"clips": 800, "epochs": 8, "patience": 4}
VOTES = "CREMA-D, processedResults/summaryTable.csv: majority vote on the voice alone"
Unit = tuple[str, int, int]  # rung, seed, part


@dataclasses.dataclass(frozen=True)
class Ladder:
    """A recipe and the clips that all rungs split."""

    recipe: Recipe
    table: pd.DataFrame

    @property
    def front_end(self) -> dataset.FrontEnd:
        """What computes the features."""
        return dataset.FrontEnd(self.recipe.audio, self.recipe.features, self.recipe.augmentation)

    @property
    def folder(self) -> Path:
        """Where the units lie; a model in there has heard its test clips, and is not offered."""
        sounds = self.table[["clip_id", "pcm_sha256", "label"]].to_numpy().tolist()
        name = stable_hash(self.recipe, sounds, FRONT_END_VERSION)
        return paths().runs / f"ladder-{self.recipe.name}" / name

    def run_folder(self, rung: str, seed: int, part: int) -> Path:
        """Folder of one unit."""
        return self.folder / f"{rung}-seed-{seed}-part-{part}"

    def units(self, seeds: Sequence[int]) -> list[Unit]:
        """List the trainings, all rungs of a seed before the next seed."""
        return [
            (rung, seed, part)
            for seed in seeds
            for rung in RUNGS
            for part in range(n_parts(self.table, rung))
        ]


class Rows:
    """The variants of the clips of a feature set as rows of their own, as in published code."""

    def __init__(
        self, features: dataset.FeatureSet, rows: np.ndarray, mean: Any = 0.0, deviation: Any = 1.0
    ) -> None:
        self.features, self.rows, self.mean, self.deviation = features, rows, mean, deviation
        self.shape = (len(rows), 1, *features.shape[2:])

    def take(self, clips: Any, variants: Any = 0) -> np.ndarray:
        """Read some rows."""
        chosen = self.rows[np.asarray(clips, np.int64)]
        batch = self.features.take(chosen[:, 0], chosen[:, 1])
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
    """Climb the ladder with a recipe, or go on where an earlier call was stopped.

    Parameters
    ----------
    recipe : Recipe
        The settings, the same on every rung.
    seeds : sequence of int
        Each rung is trained once with each, or once for every part of it.
    n_jobs : int
        Trainings at the same time, in processes that share the cores.
    fast : bool
        Coarse: about 800 clips and 8 epochs; the report goes to ``reports/local/ladder``.
    table : DataFrame, optional
        The metadata table; read from ``data/interim`` where left out.

    Returns
    -------
    Path
        The report folder: ``metrics.json``, ``recipe.json`` and the predictions of each rung.

    Raises
    ------
    SerError
        When a corpus is not in the table, or holds too few clips, speakers or texts for a rung.
        Finished trainings are kept.
    """
    chosen = metadata.label_table(metadata.read_table() if table is None else table, recipe)
    ladder = coarse(recipe, chosen) if fast else Ladder(recipe, chosen)
    units = ladder.units(seeds)
    missing = [unit for unit in units if not is_done(ladder.run_folder(*unit))]
    print(
        f"{recipe.name}: {len(ladder.table):,} clips × {recipe.augmentation.n_variants + 1} "
        f"variants, {len(units)} trainings, {len(units) - len(missing)} of them done before. "
        f"Runs: {shown(ladder.folder)}",
        flush=True,
    )
    target = paths().reports / ("local/ladder" if fast else "ladder") / recipe.name
    if missing:
        dataset.build(ladder.table, ladder.front_end)  # once, not in every unit
    began_s = time.monotonic()
    for done, unit in enumerate(work(train, ladder, missing, recipe=recipe, n_jobs=n_jobs), 1):
        left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
        print(
            f"{recipe.name} {done}/{len(missing)}: rung {unit[0]} ({RUNGS[unit[0]]}), seed "
            f"{unit[1]}; about {left_s / 60:.0f} min left",
            flush=True,
        )
        gather(ladder, units, target)
    return gather(ladder, units, target)


def coarse(recipe: Recipe, table: pd.DataFrame) -> Ladder:
    """Take fewer epochs, and the same share of the clips of every speaker and class."""
    share = min(1.0, FAST["clips"] / len(table))
    some = table.groupby(["speaker", "label"]).sample(frac=share, random_state=0)
    training = {
        f"training.{name}": min(FAST[name], getattr(recipe.training, name))
        for name in ("epochs", "patience")
    }
    return Ladder(changed(recipe, training), some.sort_values("clip_id", ignore_index=True))


def train(ladder: Ladder, rung: str, seed: int, part: int, *, n_jobs: int = 1) -> Unit:
    """Train and test one unit, unless that was done before."""
    recipe, folder = ladder.recipe, ladder.run_folder(rung, seed, part)
    with claimed(folder) as done:
        if done:
            return rung, seed, part
        backend.load()
        from ser.training import batches, fitting

        features = dataset.build(ladder.table, ladder.front_end, n_jobs=n_jobs, progress=False)
        table = features.table  # clips that cannot be read are out
        rows = split(table, rung, seed, features.shape[1], part)
        labels = table["label"].map(recipe.classes.index).to_numpy(np.int64)

        def made_of(chosen: np.ndarray, mean: Any = 0.0, deviation: Any = 1.0) -> batches.Part:
            source = Rows(features, chosen, mean, deviation)
            return batches.Part(source, np.arange(len(chosen)), labels[chosen[:, 0]])

        scale: tuple[Any, Any] = (0.0, 1.0)
        if rung == "a":  # the leak: test rows take part in the statistics
            mean, deviation = batches.statistics(made_of(np.concatenate([rows.train, rows.test])))
            scale = mean, np.where(deviation > 1e-6, deviation, 1.0)
        training, validation, tested = (
            made_of(chosen, *scale) for chosen in (rows.train, rows.validation, rows.test)
        )
        began_s = time.monotonic()
        model, history = fitting.fit(recipe, training, validation, folder, seed=seed, every=0)
        probabilities = fitting.predict(model, tested.features, tested.clips)
        frame = table.iloc[rows.test[:, 0]][["clip_id", "speaker", "label"]].reset_index(drop=True)
        frame.insert(1, "variant", rows.test[:, 1])
        frame.insert(3, "fold", part)
        frame.insert(4, "seed", seed)
        frame[list(recipe.classes)] = probabilities.astype(np.float64).round(4)
        write_csv(folder / "predictions.csv", frame.sort_values(["clip_id", "variant"]))
        card = {
            **{"rung": rung, "seed": seed, "part": part},
            "recipe": to_dict(recipe),
            "n_parameters": int(model.count_params()),
            "epochs": len(history),
            "train_rows": len(rows.train),
            "test_rows": len(rows.test),
            "seconds": round(time.monotonic() - began_s, 1),
        }
        finish(folder, model, card)
    return rung, seed, part


def gather(ladder: Ladder, units: Sequence[Unit], target: Path) -> Path:
    """Write the report of a ladder from the units that are finished."""
    classes, summary = ladder.recipe.classes, {}
    for rung, title in RUNGS.items():
        wanted = [ladder.run_folder(*unit) for unit in units if unit[0] == rung]
        done = [folder for folder in wanted if is_done(folder)]
        if not done:
            continue
        predictions = pd.concat([pd.read_csv(folder / "predictions.csv") for folder in done])
        predictions = predictions.sort_values(["seed", "fold", "clip_id", "variant"])
        write_csv(target / f"predictions-{rung}.csv", predictions)
        cards = [read_json(folder / RUN_FILE) for folder in done]
        summary[rung] = {
            "title": title,
            **rung_metrics(predictions, classes),
            "n_trainings": len(done),
            "n_trainings_wanted": len(wanted),
            "train_rows": int(np.mean([card["train_rows"] for card in cards])),
            "test_rows": int(np.mean([card["test_rows"] for card in cards])),
            "epochs": [card["epochs"] for card in cards],
            "seconds": round(sum(card["seconds"] for card in cards), 1),
        }
        summary["n_parameters"] = cards[0]["n_parameters"]
    write_json(target / "recipe.json", to_dict(ladder.recipe))
    write_json(target / "metrics.json", {"chance": 1 / len(classes), **summary})
    return target


def rung_metrics(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Score a rung; each of its seeds may test other speakers."""
    counts = speaker_confusions(predictions, classes)
    return {"n_seeds": counts.shape[0], "n_speakers": counts.shape[1], **with_intervals(counts)}


def write_table(folder: Path | None = None) -> pd.DataFrame:
    """Gather the ladders of all recipes into one table, ``ladder.csv``."""
    folder = paths().reports / "ladder" if folder is None else Path(folder)
    rows = []
    for file in sorted(folder.glob("*/metrics.json")):
        metrics, name = read_json(file), file.parent.name
        claim = CLAIMS.get(name)
        claimed = (claim and claim.accuracy) or (np.nan, np.nan)
        for rung in (rung for rung in RUNGS if rung in metrics):
            found, row = metrics[rung], [name, rung, metrics[rung]["title"]]
            for score in ("accuracy", "uar"):
                row += [found[score]["mean"], *(found[score]["interval_95"] or (np.nan, np.nan))]
            rows.append((*row, found["n_seeds"], metrics["chance"], *claimed))
    if not rows:
        raise SerError(f"no ladder under {folder}. Make one with `ser ladder RECIPE`.")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(folder / "ladder.csv", table.round(4))
    return table


def write_human(votes_csv: Path) -> Path:
    """Write what listeners reach into ``reports/ladder/human.json``."""
    path = paths().reports / "ladder" / "human.json"
    write_json(path, {**human_accuracy(votes_csv), "source": VOTES})
    return path


def human_accuracy(votes_csv: Path) -> dict[str, Any]:
    """Say how often listeners name the acted emotion of CREMA-D's clips by voice alone."""
    try:
        votes = pd.read_csv(votes_csv, usecols=["FileName", "VoiceVote"])
    except (OSError, ValueError) as error:
        raise SerError(
            f"{votes_csv}: expected a table with the columns FileName and VoiceVote, found "
            f"something else ({error}). Use summaryTable.csv of CREMA-D."
        ) from error
    acted = [name.split("_")[2][0] for name in votes["FileName"]]
    said = [vote.split(":") for vote in votes["VoiceVote"]]
    codes = scheme_of("crema_d").codes["emotion"]
    labels = {code[0]: label for code, (label, _) in codes.items()}
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
