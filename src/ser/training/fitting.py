"""Fit one fold, and go on where a fit was stopped. Test clips never come in here."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ser import models
from ser.config import Recipe, TrainingConfig
from ser.models.ensemble import MemberwiseCrossEntropy, members_of, single
from ser.models.layers import Standardise
from ser.project import SerError, cannot_write, shown, write_csv
from ser.training.batches import Batches, Part, Source, statistics
from ser.training.callbacks import (
    WATCHED,
    Averaged,
    CountEpochs,
    ProgressLine,
    Restore,
    RunState,
    UnweightedAverageRecall,
    watchers,
)

PREDICTION_BATCH = 128
STATE_FILE = "state.npz"  # of a training under way


def fit(
    recipe: Recipe,
    train: Part,
    validation: Part | None,
    folder: Path,
    *,
    seed: int,
    model: Callable[[], keras.Model] | None = None,
    title: str = "",
    every: int = 5,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start: keras.Model | None = None,
    every_class: bool = True,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a model, or go on where an earlier call was stopped.

    Statistics and class weights come from `train`; the best epoch, early stopping and the learning
    rate look at `validation` only, which is None for a refit. After each epoch ``state.npz`` is
    written into `folder`, for a later call to go on from, and at the end ``history.csv``. `model`
    makes the uncompiled model in place of the recipe's; `start` is one whose weights are begun
    with, where layers are the same; `callbacks` come last, after the state is on disk. Gives the
    model with the weights of the best epoch, and the history, one row per epoch.
    """
    _check_parts(recipe, train, validation, every_class)
    if tensorboard and find_spec("tensorboard") is None:
        raise SerError("logs for TensorBoard need its package: pip install tensorboard.")
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*-????????.*"):  # by a kill while a file was written aside
        left.unlink()
    config, n_classes = recipe.training, len(recipe.classes)

    def begin() -> keras.Model:
        keras.utils.set_random_seed(seed)
        network = _build(recipe, train) if model is None else model()
        if start is not None:
            _take_over(recipe, network, start)
        _set_statistics(network, train)
        _compile(network, config, n_classes)
        return network

    network, state = begin(), RunState(folder / STATE_FILE, config)
    if state.file.exists():
        try:
            state.resume(network)
        except Exception:  # zip, NumPy and JSON each have their own
            print(f"{shown(state.file)}: damaged; this training begins again.", flush=True)
            network = begin()
    done = len(state.history)
    batches = Batches(train, recipe, seed)
    stopping, rate = watchers(config)
    stopped = _replay(state.history, network, config, stopping, rate)
    draw = keras.callbacks.LambdaCallback(on_epoch_begin=batches.start_epoch)
    every_epoch = [draw, CountEpochs()]
    if config.ema_momentum:
        every_epoch.append(Averaged(resumed=done > 0))
    every_epoch += [rate, stopping, Restore(stopping, rate), state]
    if every:
        every_epoch.append(ProgressLine(every, title or recipe.name, state.history))
    if tensorboard:
        every_epoch.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    if done < config.epochs and not stopped:
        try:
            network.fit(
                batches,
                validation_data=None if validation is None else whole(validation, n_classes),
                initial_epoch=done,
                epochs=config.epochs,
                shuffle=False,
                verbose=0,
                callbacks=[*every_epoch, *callbacks],
            )
        except OSError as error:
            raise cannot_write(folder, error) from error
    if not state.kept:
        raise SerError(
            f"recipe {recipe.name}: training diverged, {config.monitor} was never a number. Lower "
            "training.learning_rate, or set training.clip_norm."
        )
    network.set_weights(state.kept)
    history = pd.DataFrame(state.history)
    write_csv(folder / "history.csv", history, float_format="%.6g")
    return network, history


def _build(recipe: Recipe, train: Part) -> keras.Model:
    _, _, n_frames, n_features = train.features.shape
    return models.build(
        recipe.model, n_frames=n_frames, n_features=n_features, n_classes=len(recipe.classes)
    )


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
    """Measure on training clips what layers that normalise features subtract and divide by."""
    measured: dict[str, Any] = {}
    for member in members_of(model):
        for layer in member.layers:
            if not isinstance(layer, (Standardise, keras.layers.Normalization)):
                continue
            if getattr(layer, "input_mean", None) is not None:
                continue  # a Normalization that was given its mean and variance
            through, key = None, "features"
            if layer.input is not single(member.input):  # behind other layers, as an encoder
                key, before = layer.name, keras.Model(member.input, layer.input)
                through = before.predict_on_batch
            if key not in measured:  # once for all members
                measured[key] = statistics(train, through)
            mean, deviation = measured[key]
            if isinstance(layer, Standardise):
                layer.set_statistics(mean, deviation)
            else:
                _set_normalization(layer, mean, deviation)


def _set_normalization(layer: Any, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Do what `Normalization.adapt` does, without counting padding as a value."""
    if tuple(layer.adapt_mean.shape) != mean.shape:
        raise SerError(
            f"layer {layer.name}: expected Normalization over the last axis ({len(mean)} features),"
            f" found one over {tuple(layer.adapt_mean.shape)}. Use axis=-1."
        )
    layer.adapt_mean.assign(mean.astype(np.float32))
    layer.adapt_variance.assign(np.square(deviation).astype(np.float32))
    layer.finalize_state()


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
    # else the first step builds it, and the step is traced twice
    model.optimizer.build(model.trainable_variables)


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


def whole(part: Part, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the originals of all clips of a part, and their classes one-hot: validation data."""
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
