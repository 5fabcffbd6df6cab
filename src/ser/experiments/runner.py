"""Train the folds of a plan: each fold with one seed is a unit of work.

A cross-validation that was killed goes on in the epoch it was in. What a recipe learns from extra
corpora before any fold, it learns once for each seed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser.config import Recipe, changed, to_dict
from ser.corpora.folders import accounted
from ser.experiments import protocols
from ser.experiments.plans import PARTS, Plan, plan
from ser.experiments.reports import report
from ser.experiments.units import claimed, finish, is_done, work
from ser.features import dataset
from ser.models import backend
from ser.project import MODEL_FILE, shown, write_csv

if TYPE_CHECKING:
    import keras

    from ser.models.own import Own
    from ser.training import batches


def train_fold(
    plan: Plan,
    fold: int,
    seed: int,
    *,
    model: Own | None = None,
    every: int = 5,
    n_jobs: int = -1,
    tensorboard: bool = False,
) -> Path:
    """Train and test one fold with one seed, unless that was done before.

    Parameters
    ----------
    plan : Plan
        As `plan` makes it.
    fold : int
        Index of the fold, from 0.
    seed : int
        Decides initial weights, dropout, order and variants.
    model : callable or keras.Model, optional
        A model of your own, ``(n_frames, n_features, n_classes) -> keras.Model``, in place of the
        recipe's. An edited one is a new run.
    every : int
        Epochs between progress lines; 0 for none.
    n_jobs : int
        Processes that compute missing features.
    tensorboard : bool
        Write logs for TensorBoard into the run folder.

    Returns
    -------
    Path
        The run folder: ``model.keras``, ``history.csv``, ``predictions.csv`` (test clips),
        ``predictions-train.csv``, ``predictions-validation.csv`` (not after a refit) and
        ``run.json``. A part that the fold leaves empty has no predictions.

    Raises
    ------
    SerError
        When the fold does not exist, no clip can be read, or the disk is full.
    """
    plan = plan.with_model(model)
    plan.fold(fold)  # or one line
    folder = plan.run_folder(fold, seed)
    if is_done(folder):
        return folder
    _prepared(plan, [fold], n_jobs=n_jobs, progress=every > 0)
    return _train(plan, fold, seed, every=every, n_jobs=n_jobs, tensorboard=tensorboard)


def _prepared(plan: Plan, folds: Sequence[int], *, n_jobs: int, progress: bool) -> None:
    """Compute what folds need; refuse those that cannot be trained; account for every file."""
    plan.check_folds(folds)
    plan.build_model()  # or one line, before hours of features
    found = dataset.build(plan.table, plan.front_end, n_jobs=n_jobs, progress=progress)
    files = plan.files(len(found.problems))
    print(accounted(files["used"], files["left_out"]), flush=True)
    if found.losses:
        print(found.losses, flush=True)
    plan.check_folds(folds, found.reasons)


def _train(
    plan: Plan, fold: int, seed: int, *, every: int = 5, n_jobs: int = -1, tensorboard: bool = False
) -> Path:
    """Train and test a unit whose features are there, unless that was done before."""
    folder = plan.run_folder(fold, seed)
    with claimed(folder) as done:
        if done:
            return folder
        backend.load()  # imports TensorFlow, which takes seconds
        from ser import models
        from ser.training import fitting

        started_s = time.time()
        there = [part for part in PARTS if getattr(plan.fold(fold), part)]
        feature_set, parts = load_parts(plan, fold, there, n_jobs=n_jobs, progress=every > 0)
        if plan.recipe.training.refit and "validation" in parts:
            parts["train"] = parts["train"].joined(parts.pop("validation"))
        begun = pretrain(plan, seed, every=every, n_jobs=n_jobs)
        network, history = fitting.fit(
            plan.recipe,
            parts["train"],
            parts.get("validation"),
            folder,
            seed=seed,
            model=plan.build_model,
            title=f"fold {fold + 1}/{len(plan.folds)} seed {seed}",
            every=every,
            tensorboard=tensorboard,
            start=models.load(begun) if begun else None,
        )
        seconds = time.time() - started_s
        return write_run(plan, fold, seed, network, history, feature_set, parts, seconds)


def write_run(
    plan: Plan,
    fold: int,
    seed: int,
    network: keras.Model,
    history: pd.DataFrame,
    feature_set: dataset.FeatureSet,
    parts: dict[str, batches.Part],
    seconds: float = 0.0,
) -> Path:
    """Write what a trained model says of each part, the model, and last the card."""
    from ser.training import fitting

    folder = plan.run_folder(fold, seed)
    for name, part in parts.items():
        frame = feature_set.table.iloc[part.clips][["clip_id", "speaker", "label"]]
        frame.insert(2, "fold", fold)
        frame.insert(3, "seed", seed)
        if protocols.get(plan.protocol).tested == "by others":
            frame["trained_on"] = plan.folds[fold].name
        probabilities = fitting.predict(network, feature_set, part.clips).astype(np.float64)
        frame[list(plan.recipe.classes)] = probabilities.round(6)
        suffix = "" if name == "test" else f"-{name}"
        write_csv(folder / f"predictions{suffix}.csv", frame.sort_values("clip_id"))
    card = _card(plan, fold, seed, history, network.count_params(), seconds)
    card["files"] = plan.files(len(feature_set.problems))
    if len(feature_set.problems):
        card["left_out"] = feature_set.reasons
    finish(folder, network, card)
    return folder


def pretrain(plan: Plan, seed: int, *, every: int = 5, n_jobs: int = -1) -> Path | None:
    """Train on the extra corpora alone, unless that was done; give the file of the model."""
    recipe, training = plan.recipe, plan.recipe.training
    if not (training.extra_epochs and recipe.extra_corpora):
        return None
    backend.load()
    from ser.training import batches, fitting

    folder = plan.runs_folder / f"extra-seed-{seed}"
    with claimed(folder) as done:
        if not done:
            _, parts = load_parts(plan, 0, ["train"], n_jobs=n_jobs, progress=every > 0)
            whole = parts["train"]
            clips, labels = whole.clips[whole.is_extra], whole.labels[whole.is_extra]
            alone = {"training.epochs": training.extra_epochs, "training.monitor": "epoch"}
            network, _ = fitting.fit(
                changed(recipe, alone),
                batches.Part(whole.features, clips, labels),
                None,
                folder,
                seed=seed,
                model=plan.build_model,
                title=f"extra corpora seed {seed}",
                every=every,
                every_class=False,
            )
            finish(folder, network, {"recipe": to_dict(recipe), "seed": seed})
    return folder / MODEL_FILE


def load_parts(
    plan: Plan,
    fold: int,
    names: Sequence[str] = PARTS,
    *,
    n_jobs: int = -1,
    progress: bool = True,
) -> tuple[dataset.FeatureSet, dict[str, batches.Part]]:
    """Open the features of a fold.

    Parameters
    ----------
    plan : Plan
        As `plan` makes it.
    fold : int
        Index of the fold, from 0.
    names : sequence of str
        Some of ``train``, ``validation`` and ``test``.
    n_jobs : int
        Processes that compute missing features.
    progress : bool
        Show a progress bar meanwhile.

    Returns
    -------
    (FeatureSet, dict of str to Part)
        The features of all clips of the plan, and the parts that were asked for.

    Raises
    ------
    SerError
        When the fold does not exist, no clip can be read, the disk is full, or the cache is
        damaged.
    """
    from ser.training import batches

    of_fold = plan.fold(fold)
    feature_set = dataset.build(plan.table, plan.front_end, n_jobs=n_jobs, progress=progress)
    feature_set.verify()  # seconds at most; a damaged cache must not become a result
    codes = {name: code for code, name in enumerate(plan.recipe.classes)}
    labels = feature_set.table["label"].map(codes).to_numpy(np.int64)
    parts = {}
    for name in names:
        clips = feature_set.positions(getattr(of_fold, name))
        extra = feature_set.table["corpus"].isin(plan.recipe.extra_corpora).to_numpy()[clips]
        parts[name] = batches.Part(feature_set, clips, labels[clips], extra)
    return feature_set, parts


def _card(
    plan: Plan, fold: int, seed: int, history: pd.DataFrame, n_parameters: int, seconds: float
) -> dict[str, Any]:
    watched = history[plan.recipe.training.monitor].to_numpy()
    best = watched.argmin() if plan.recipe.training.monitor == "val_loss" else watched.argmax()
    packages = ("keras", "tensorflow", "librosa", "numpy", "audiomentations", "ser-honest")
    return {
        "classes": list(plan.recipe.classes),
        "audio": to_dict(plan.recipe.audio),
        "features": to_dict(plan.recipe.features),
        "recipe": to_dict(plan.recipe),
        "protocol": plan.protocol,
        "fold": fold,
        "test": plan.folds[fold].name,
        "seed": seed,
        "data_fingerprint": plan.fingerprint,
        "n_parameters": int(n_parameters),
        "epochs": len(history),
        "best_epoch": int(history["epoch"].iloc[best]),
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def run(
    recipe: Recipe | Plan,
    protocol: str | None = None,
    *,
    model: Own | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    folds: Sequence[int] | None = None,
    n_jobs: int = 1,
    every: int = 5,
    force: bool = False,
    table: pd.DataFrame | None = None,
) -> Path:
    """Cross-validate a recipe, and write its report.

    Parameters
    ----------
    recipe : Recipe or Plan
        The settings; or a plan, which `protocol` and `table` then do not change.
    protocol : str, optional
        A name from `ser.experiments.protocols.names`; the recipe's own where left out.
    model : callable or keras.Model, optional
        A model of your own in place of the recipe's; see `train_fold`.
    seeds : sequence of int
        Every fold is trained once with each.
    folds : sequence of int, optional
        Only these folds; no report is written then, since it needs all of them.
    n_jobs : int
        Folds trained at the same time, in processes that share the cores.
    every : int
        Epochs between progress lines; 0 for none.
    force : bool
        Replace a report of other settings, clips or folds, too; else such results go to
        ``reports/local``.
    table : DataFrame, optional
        The metadata table; read from ``data/interim`` where left out.

    Returns
    -------
    Path
        The report folder, or the folder of runs where `folds` is given.

    Raises
    ------
    SerError
        See `plan` and `train_fold`. Finished folds are kept; the same call goes on from there.
    """
    whole = recipe if isinstance(recipe, Plan) else plan(recipe, protocol, table)
    whole, recipe = whole.with_model(model), whole.recipe
    chosen = range(len(whole.folds)) if folds is None else folds
    units = [(fold, seed) for seed in seeds for fold in chosen]
    todo = [unit for unit in units if not is_done(whole.run_folder(*unit))]
    to_train = sorted({fold for fold, _ in todo})
    print(
        f"{recipe.name}, {whole.protocol}: {len(whole.table)} clips, {len(units)} trainings, "
        f"{len(units) - len(todo)} of them done before. Runs: {shown(whole.runs_folder)}",
        flush=True,
    )
    options: dict[str, Any] = {"recipe": recipe, "n_jobs": n_jobs, "every": every}
    if todo:  # first what several units need, else each would make it
        _prepared(whole, to_train, n_jobs=-1, progress=every > 0)
        if recipe.training.extra_epochs:
            first = sorted({(seed,) for _, seed in todo})
            list(work(pretrain, whole, first, **options))
    began_s = time.monotonic()
    for done, _ in enumerate(work(_train, whole, todo, **options), 1):
        left_s = (time.monotonic() - began_s) / done * (len(todo) - done)
        left = tqdm.format_interval(left_s)
        print(f"{done}/{len(todo)} trainings finished, about {left} left", flush=True)
    return whole.runs_folder if folds is not None else report(whole, seeds, force=force)
