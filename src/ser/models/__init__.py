"""Settings become an uncompiled Keras model; one module per architecture.

An architecture is a module of this package with a function ``build(n_frames, n_features,
n_classes, *, ...)``. Adding one is adding its file and its name below.
"""

from __future__ import annotations

import inspect
import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser.config import ModelConfig
from ser.project import SerError, unknown, writing

if TYPE_CHECKING:
    import keras

ARCHITECTURES = (
    "cnn_lstm",
    "cnn_lstm_attention",
    "cnn_transformer",
    "parallel",
    "residual_lstm",
    "states_lstm",
    "whisper_lstm",
)
CARD = "ser.json"


def build(config: ModelConfig, *, n_frames: int, n_features: int, n_classes: int) -> keras.Model:
    """Build an uncompiled model.

    Parameters
    ----------
    config : ModelConfig
        Architecture and its sizes.
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
        When the architecture or one of its options is unknown, or the sizes do not fit together.
    """
    if config.architecture not in ARCHITECTURES:
        what = f"no architecture {config.architecture!r}"
        raise unknown(what, ARCHITECTURES, config.architecture)
    function = import_module(f"ser.models.{config.architecture}").build
    parameters = inspect.signature(function).parameters.values()
    allowed = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in config.options:
        if name not in allowed:
            raise unknown(f"{config.architecture} has no option {name!r}", allowed, name)
    try:
        sizes = (n_frames, n_features, n_classes)
        members = [function(*sizes, **config.options) for _ in range(config.members)]
    except (TypeError, ValueError) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise SerError(
            f"{config.architecture} cannot be built for {n_frames} frames of {n_features} "
            f"features with {config.options}: {reason}."
        ) from error
    from ser.models.ensemble import committee

    return members[0] if len(members) == 1 else committee(members)


def load(path: Path | str) -> keras.Model:
    """Load a saved model for inference.

    Parameters
    ----------
    path : path
        A ``.keras`` file of this package.

    Returns
    -------
    keras.Model
        Uncompiled.

    Raises
    ------
    SerError
        When the file is missing, cut short, or not a model.
    """
    import keras

    # these register what a saved model names
    from ser.models import (  # noqa: F401
        ensemble,
        layers,
        whisper,
    )

    path = Path(path)
    if not path.is_file():
        raise SerError(f"{path}: no such model. Train one with `ser train`.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, HDF5 and Keras each have their own
        raise SerError(
            f"{path}: not a complete Keras model ({type(error).__name__}). Delete it and train "
            "again, or restore it from a copy."
        ) from error


def describe(path: Path, card: dict[str, Any]) -> None:
    """Write labels, front end and origin into a saved model: one file is enough to use it."""
    with writing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with zipfile.ZipFile(path) as old:
            for member in old.infolist():
                if member.filename != CARD:  # from a call that a kill came after
                    archive.writestr(member, old.read(member))
        archive.writestr(CARD, json.dumps(card, indent=2, ensure_ascii=False))


def read_card(path: Path | str) -> dict[str, Any]:
    """Read what `describe` wrote.

    Parameters
    ----------
    path : path
        A ``.keras`` file of this package.

    Returns
    -------
    dict
        Labels, front end and origin.

    Raises
    ------
    SerError
        When the file is missing, cut short, or was not made by this package.
    """
    path = Path(path)
    if not path.is_file():
        raise SerError(f"{path}: no such model. Train one with `ser train`.")
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(CARD))
    except KeyError as error:
        raise SerError(
            f"{path}: a Keras model without labels and front end. Use one that `ser train` made."
        ) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SerError(
            f"{path}: not a complete Keras model ({type(error).__name__}). Delete it and train "
            "again, or restore it from a copy."
        ) from error


def attention_weights(model: keras.Model) -> keras.Model:
    """Make a model that gives the weights over time."""
    import keras

    both = with_attention(model)
    if both is model:
        raise SerError(f"{model.name} has no attention layer to look into.")
    return keras.Model(both.input, both.outputs[1])


def with_attention(model: keras.Model) -> keras.Model:
    """Make a model that gives probabilities and, if it has any, the weights over time."""
    import keras

    from ser.models.ensemble import MeanOfMembers, members_of

    pairs = []
    for member in members_of(model):
        if "attention" not in [layer.name for layer in member.layers]:
            return model
        weights = member.get_layer("attention").output[1]
        pairs.append(keras.Model(member.input, [member.output, weights]))
    if len(pairs) == 1:
        return pairs[0]
    pairs = [pair(model.input) for pair in pairs]
    probabilities = MeanOfMembers()([found for found, _ in pairs])
    return keras.Model(model.input, [probabilities, keras.layers.Average()([w for _, w in pairs])])
