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

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from ser.fingerprint import code_hash
from ser.models.layers import Standardise
from ser.project import SerError, first_line

Own: TypeAlias = Callable[[int, int, int], keras.Model] | keras.Model
_WITH_NAMES = ("name", "keras_history", "input_layers", "output_layers")


def build(own: Own, *, n_frames: int, n_features: int, n_classes: int) -> keras.Model:
    """Make a fresh, uncompiled model, and check that it can be trained, saved and used.

    Of a model, the layers are taken with new weights. SerError when the function fails or gives
    something else, a shape does not fit, the outputs are no probabilities, or a layer cannot be
    saved safely or measured on training clips.
    """
    name = getattr(own, "__name__", getattr(own, "name", type(own).__name__))
    try:
        model = own if isinstance(own, keras.Model) else own(n_frames, n_features, n_classes)
        if isinstance(model, keras.Model) and not model.built:
            model.build((None, n_frames, n_features))
    except SerError:
        raise
    except Exception as error:  # whatever a reader's cell may raise
        raise SerError(
            f"model {name}: cannot be built for {n_frames} frames of {n_features} features and "
            f"{n_classes} classes ({type(error).__name__}: {first_line(error).rstrip('.')})."
        ) from error
    if not isinstance(model, keras.Model):
        raise SerError(
            f"model {name}: expected a keras.Model, found {type(model).__name__}. Return the model "
            "itself, uncompiled."
        )
    _check_shapes(model, name, (n_frames, n_features), n_classes)
    copy = _check_saved(model, name)
    _check_normalisation(model, name)
    return copy if model is own else model


def _check_shapes(model: keras.Model, name: str, shape: tuple[int, int], n_classes: int) -> None:
    inputs = [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or []]
    if inputs and inputs not in ([shape], [(None, shape[1])]):
        raise SerError(
            f"model {name}: expected features of shape (n_frames, n_features) = {shape}, found an "
            f"input of {', '.join(map(str, inputs))}. Begin with keras.Input((n_frames, "
            "n_features))."
        )
    noise = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = model(noise, training=False)
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


def _check_saved(model: keras.Model, name: str) -> keras.Model:
    """Make a copy with new weights, as loading in safe mode would."""
    try:
        config = keras.saving.serialize_keras_object(model)
        for entry in _entries(config):
            if entry["class_name"] == "Lambda":
                raise SerError(
                    f"model {name}: a Lambda layer ({entry['config']['name']}) cannot be loaded "
                    "safely. Write a keras.layers.Layer with a call method in its place."
                )
            code = _name_of_code(entry)
            if code and ">" not in code:
                raise SerError(
                    f"model {name}: {code} could not be found once the model is saved. Put "
                    "@keras.saving.register_keras_serializable() before its definition."
                )
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise SerError(
            f"model {name}: could not be loaded once it is saved "
            f"({first_line(error).rstrip('.')}). Give its layers a get_config method, "
            "and its functions names."
        ) from error


def _check_normalisation(model: keras.Model, name: str) -> None:
    measured = model.layers if getattr(model, "inputs", None) else []
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, (Standardise, keras.layers.Normalization)) and layer not in measured:
            raise SerError(
                f"model {name}: what {layer.name} subtracts and divides by cannot be measured "
                "inside another layer. Use it between keras.Input and that layer."
            )


def fingerprint(own: Own, *, n_frames: int, n_features: int, n_classes: int) -> str:
    """Name what decides a reader's model: its layers, its code, and the code of its own layers.

    An edited cell gives another name, the same cell the same one in any process.
    """
    model = build(own, n_frames=n_frames, n_features=n_features, n_classes=n_classes)
    config = keras.saving.serialize_keras_object(model)
    names = {name for entry in _entries(config) if (name := _name_of_code(entry))}
    code = [keras.saving.get_registered_object(name) for name in sorted(names)]
    if not isinstance(own, keras.Model):
        code.append(own)
    return code_hash((_with_steady_names(config), *map(code_hash, code)))


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """List the parts of a configuration: layers, initialisers, functions."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for value in config:
            yield from _entries(value)


def _name_of_code(entry: dict[str, Any]) -> str:
    """Give the name of a class or function that Keras does not have, with ``>`` if registered."""
    kind, module = entry["class_name"], entry.get("module") or ""
    if kind == "function":
        return entry["config"]
    is_plain = kind.startswith("__")  # a tensor, a slice, a number
    return "" if is_plain or module.split(".")[0] == "keras" else entry["registered_name"]


def _with_steady_names(config: Any) -> str:
    """Write a configuration down; Keras counts names such as dense_3 up as a process goes on."""
    steady: dict[str, str] = {}
    for entry in _entries(config):
        kind, inner = entry["class_name"], entry.get("config")
        name = inner.get("name", "") if isinstance(inner, dict) else ""
        automatic = re.sub(r"^(forward|backward)_|_\d+$", "", name).replace("_", "")
        if automatic and automatic == kind.lower():
            steady.setdefault(name, f"{kind} {len(steady)}")

    def renamed(value: Any, is_name: bool = False) -> Any:
        if isinstance(value, dict):
            return {key: renamed(inner, key in _WITH_NAMES) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [renamed(inner, is_name) for inner in value]
        return steady.get(value, value) if is_name and isinstance(value, str) else value

    return json.dumps(renamed(config), sort_keys=True, default=repr)
