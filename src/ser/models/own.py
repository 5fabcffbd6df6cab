"""A reader's own model: any function of the sizes, or an uncompiled Keras model.

>>> from ser.models import backend
>>> keras = backend.load()
>>> def mine(n_frames, n_features, n_classes):
...     inputs = keras.Input((n_frames, n_features))
...     x = keras.layers.Normalization()(inputs)
...     x = keras.layers.GRU(16)(x)
...     return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))
>>> build(mine, n_frames=50, n_features=13, n_classes=4).count_params() > 0
True
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from ser.fingerprint import code_hash, is_readers
from ser.project import SerError

Own: TypeAlias = Callable[[int, int, int], keras.Model] | keras.Model


def build(own: Own, *, n_frames: int, n_features: int, n_classes: int) -> keras.Model:
    """Make a fresh, uncompiled model, and check that it can be trained, saved and used.

    Parameters
    ----------
    own : callable or keras.Model
        A function ``(n_frames, n_features, n_classes) -> keras.Model``; of a model, the layers are
        taken with new weights.
    n_frames, n_features : int
        Shape of one clip's features.
    n_classes : int
        Number of outputs.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, n_features)`` to probabilities ``(n_clips, n_classes)``.

    Raises
    ------
    SerError
        When the function fails or gives something else, a shape does not fit, the outputs are no
        probabilities, or a layer cannot be saved safely.
    """
    name = getattr(own, "__name__", getattr(own, "name", type(own).__name__))
    try:
        if isinstance(own, keras.Model):
            model = keras.models.clone_model(own)
        else:
            model = own(n_frames, n_features, n_classes)
        if isinstance(model, keras.Model) and not model.built:
            model.build((None, n_frames, n_features))
    except SerError:
        raise
    except Exception as error:  # whatever a reader's cell may raise
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise SerError(
            f"model {name}: cannot be built for {n_frames} frames of {n_features} features and "
            f"{n_classes} classes ({type(error).__name__}: {reason})."
        ) from error
    if not isinstance(model, keras.Model):
        raise SerError(
            f"model {name}: expected a keras.Model, found {type(model).__name__}. Return the model "
            "itself, uncompiled."
        )
    _check(model, name, (n_frames, n_features), n_classes)
    return model


def _check(model: keras.Model, name: str, shape: tuple[int, int], n_classes: int) -> None:
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Lambda):
            raise SerError(
                f"model {name}: a Lambda layer ({layer.name}) cannot be loaded safely. Write a "
                "keras.layers.Layer with a call method in its place."
            )
    expected = f"expected features of shape (n_frames, n_features) = {shape}"
    noise = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    try:
        found = model(noise, training=False)
    except Exception as error:  # shapes that do not fit raise many errors
        found_shape = getattr(model, "input_shape", "another shape")
        raise SerError(f"model {name}: {expected}, found an input of {found_shape}.") from error
    answers = [np.asarray(keras.ops.convert_to_numpy(one)) for one in keras.tree.flatten(found)]
    if len(answers) != 1 or answers[0].shape != (2, n_classes):
        shapes = ", ".join(str(answer.shape[1:]) for answer in answers)
        raise SerError(
            f"model {name}: expected one output of {n_classes} probabilities, found outputs of "
            f"shape {shapes}."
        )
    if (answers[0] < 0).any() or not np.allclose(answers[0].sum(axis=1), 1, atol=1e-3):
        raise SerError(
            f"model {name}: expected probabilities that sum to 1, found {answers[0][0].round(2)}. "
            'End with keras.layers.Dense(n_classes, activation="softmax").'
        )


def fingerprint(own: Own, *, n_frames: int, n_features: int, n_classes: int) -> str:
    """Name what decides a reader's model: its layers, its code, and the code of its own layers.

    An edited cell gives another name, the same cell the same one in any process.
    """
    model = build(own, n_frames=n_frames, n_features=n_features, n_classes=n_classes)
    parts = [_configuration(model)]
    if not isinstance(own, keras.Model):
        parts.append(code_hash(own))
    kinds = {type(layer) for layer in model._flatten_layers() if is_readers(type(layer))}
    parts += sorted(code_hash(kind) for kind in kinds)
    return code_hash(tuple(parts))


def _configuration(model: keras.Model) -> str:
    """Write a model's layers down, without the numbers that Keras counts up in their names."""
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError):  # a class of the reader's: its code must do
        return ""
    names = {layer.name: f"layer {i}" for i, layer in enumerate(model._flatten_layers())}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [renamed(inner) for inner in value]
        return names.get(value, value) if isinstance(value, str) else value

    return json.dumps(renamed(config), sort_keys=True, default=repr)
