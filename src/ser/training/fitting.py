"""Fit one fold: batches, callbacks, class weights, resume. Test clips never come in here."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from ser import models
from ser.config import Recipe, TrainingConfig
from ser.models.ensemble import MemberwiseCrossEntropy, members_of
from ser.models.layers import Standardise
from ser.project import MODEL_FILE, SerError, cannot_write, shown
from ser.training.batches import Batches, Part, Source, statistics
from ser.training.callbacks import (
    WATCHED,
    Averaged,
    NextEpoch,
    ProgressLine,
    Restore,
    RunState,
    UnweightedAverageRecall,
    WholeCheckpoint,
    dropout_states,
    mode_of,
    watched_name,
    watchers,
)

PREDICTION_BATCH = 128


def fit(
    recipe: Recipe,
    train: Part,
    validation: Part | None,
    folder: Path,
    *,
    seed: int,
    title: str = "",
    every: int = 5,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start: keras.Model | None = None,
    every_class: bool = True,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a model, or go on where an earlier call was stopped.

    Parameters
    ----------
    recipe : Recipe
        Model and training settings.
    train, validation : Part
        Clips of different speakers. Statistics and class weights come from `train`; the best
        epoch, early stopping and the learning rate look at `validation` only. None for a refit,
        which leaves the ``val_`` columns of the history empty.
    folder : Path
        The run folder: ``history.csv``, ``last.keras`` and ``model.keras`` go there.
    seed : int
        Decides initial weights, dropout, order and variants.
    title : str
        What the progress lines begin with.
    every : int
        Epochs between progress lines; 0 for none.
    tensorboard : bool
        Write logs for TensorBoard under ``folder/tensorboard``.
    callbacks : sequence of keras.callbacks.Callback
        Called last, after the state of the epoch is on disk.
    start : keras.Model, optional
        A model whose weights are begun with, in place of random ones, where it has the same
        layers.
    every_class : bool
        Whether each class must occur.

    Returns
    -------
    (keras.Model, DataFrame)
        The model of the best epoch and the history, one row per epoch.

    Raises
    ------
    SerError
        When a part is empty, a class has no training clip, the loss is no number, TensorBoard is
        asked for and not installed, or the disk is full.
    """
    _check_parts(recipe, train, validation, every_class)
    if tensorboard and find_spec("tensorboard") is None:
        raise SerError("logs for TensorBoard need its package: pip install tensorboard.")
    folder.mkdir(parents=True, exist_ok=True)
    batches = Batches(train, recipe, seed)
    model, history = _start_or_resume(recipe, train, folder, seed, len(batches), start)
    config, done = recipe.training, len(history)
    stopping, mover = watchers(config)
    checkpoint = WholeCheckpoint(
        folder / MODEL_FILE,
        monitor=watched_name(config),
        mode=mode_of(config),
        save_best_only=True,
        initial_value_threshold=_best_value(config, history),
    )
    all_callbacks = [NextEpoch(batches)]
    if config.ema_momentum:
        all_callbacks.append(Averaged(resumed=done > 0))
    all_callbacks += [checkpoint, mover, stopping]
    stopped = _replay(history, model, config, stopping, mover)
    all_callbacks += [Restore(stopping, mover), RunState(folder, history)]
    if every:
        all_callbacks.append(ProgressLine(title or recipe.name, history, config.epochs, every))
    if tensorboard:
        all_callbacks.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    if done < config.epochs and not stopped:
        try:
            model.fit(
                batches,
                validation_data=_whole(validation, len(recipe.classes)),
                initial_epoch=done,
                epochs=config.epochs,
                shuffle=False,
                verbose=0,
                callbacks=[*all_callbacks, *callbacks],
            )
        except OSError as error:
            raise cannot_write(folder, error) from error
    if not (folder / MODEL_FILE).exists():
        raise SerError(
            f"recipe {recipe.name}: training diverged, {config.monitor} was never a number. Lower "
            "training.learning_rate, or set training.clip_norm."
        )
    return models.load(folder / MODEL_FILE), pd.DataFrame(history)


def _check_parts(recipe: Recipe, train: Part, validation: Part | None, every_class: bool) -> None:
    for name, part in (("training", train), ("validation", validation)):
        if part is not None and not len(part):
            raise SerError(f"recipe {recipe.name}: the {name} part of this fold holds no clip.")
    missing = sorted(set(range(len(recipe.classes))) - set(train.labels.tolist()))
    if missing and every_class:
        raise SerError(
            f"recipe {recipe.name}: no training clip of class {recipe.classes[missing[0]]!r} in "
            "this fold. Choose another protocol, or leave the class out of the recipe."
        )


def _start_or_resume(
    recipe: Recipe,
    train: Part,
    folder: Path,
    seed: int,
    steps_per_epoch: int,
    start: keras.Model | None = None,
) -> tuple[keras.Model, list[dict[str, float]]]:
    last, log = folder / "last.keras", folder / "history.csv"
    if last.exists() and log.exists() and (folder / MODEL_FILE).exists():
        with contextlib.suppress(Exception):  # zip, HDF5, Keras and pandas each have their own
            model = keras.saving.load_model(last, safe_mode=True)
            states = models.read_card(last)["dropout"]
            for variable, state in zip(dropout_states(model), states, strict=True):
                variable.assign(np.array(state, np.uint32))
            epoch = int(ops.convert_to_numpy(model.optimizer.iterations)) // steps_per_epoch
            history = [dict(row) for _, row in pd.read_csv(log).iterrows()]
            if 0 < epoch <= len(history):
                return model, history[:epoch]
        print(f"{shown(last)}: damaged; this training begins again.", flush=True)
    keras.utils.set_random_seed(seed)
    _, _, n_frames, n_features = train.features.shape
    model = models.build(
        recipe.model, n_frames=n_frames, n_features=n_features, n_classes=len(recipe.classes)
    )
    if start is not None:
        _take_over(recipe, model, start)
    _set_statistics(model, train)
    _compile(model, recipe.training, len(recipe.classes))
    return model, []


def _take_over(recipe: Recipe, model: keras.Model, start: keras.Model) -> None:
    """Copy the weights of the layers that both models have, of one name and shape."""
    taken = 0
    for member, other in zip(members_of(model), members_of(start), strict=False):
        known = {layer.name: layer for layer in other.layers if layer.weights}
        for layer in member.layers:
            same = known.get(layer.name)
            if same and [w.shape for w in same.weights] == [w.shape for w in layer.weights]:
                layer.set_weights(same.get_weights())
                taken += 1
    if not taken:
        raise SerError(
            f"recipe {recipe.name}: begins with a {start.name}, which shares no layer with a "
            f"{model.name}. Choose a recipe whose layers have the same names and shapes."
        )


def _set_statistics(model: keras.Model, train: Part) -> None:
    measured = None
    for member in members_of(model):
        for layer in [layer for layer in member.layers if isinstance(layer, Standardise)]:
            if layer.input is member.input:
                measured = measured or statistics(train)  # once for all members
                layer.set_statistics(*measured)
            else:  # behind an encoder that is trained along
                before = keras.Model(member.input, layer.input)
                layer.set_statistics(*statistics(train, before.predict_on_batch))


def _compile(model: keras.Model, config: TrainingConfig, n_classes: int) -> None:
    options: dict[str, Any] = {"learning_rate": config.learning_rate, "clipnorm": config.clip_norm}
    if config.ema_momentum:
        options |= {"use_ema": True, "ema_momentum": config.ema_momentum}
    if config.weight_decay:
        optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **options)
    else:
        optimizer = keras.optimizers.Adam(**options)
    alone = members_of(model) == [model]
    loss = keras.losses.CategoricalCrossentropy if alone else MemberwiseCrossEntropy
    model.compile(
        optimizer=optimizer,
        loss=loss(label_smoothing=config.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            UnweightedAverageRecall(n_classes),
        ],
    )
    optimizer.build(model.trainable_variables)  # else the first step does, and is traced twice


def _best_value(config: TrainingConfig, history: list[dict[str, float]]) -> float:
    """Give the best value so far; infinitely bad at first, so that NaN is no improvement."""
    values = [row[config.monitor] for row in history if np.isfinite(row[config.monitor])]
    return min(values, default=np.inf) if mode_of(config) == "min" else max(values, default=-np.inf)


def _replay(
    history: list[dict[str, float]],
    model: keras.Model,
    config: TrainingConfig,
    *observers: keras.callbacks.Callback,
) -> bool:
    """Show the past epochs to the watchers; True when one of them would have stopped."""
    model.stop_training = False
    if history:
        model.optimizer.learning_rate = config.learning_rate
    for watcher in observers:
        watcher.set_model(model)
        watcher.on_train_begin()
        for epoch, row in enumerate(history):
            watcher.on_epoch_end(epoch, {**row, WATCHED["epoch"]: row["epoch"]})
    return bool(model.stop_training)


def _whole(part: Part | None, n_classes: int) -> tuple[np.ndarray, np.ndarray] | None:
    if part is None:
        return None
    targets = np.eye(n_classes, dtype=np.float32)[part.labels]
    return part.features.take(part.clips), targets


def predict(model: keras.Model, features: Source, clips: np.ndarray) -> np.ndarray:
    """Compute class probabilities of clips."""
    starts = range(0, len(clips), PREDICTION_BATCH)
    parts = [
        model.predict_on_batch(features.take(clips[start : start + PREDICTION_BATCH]))
        for start in starts
    ]
    return np.concatenate(parts)
