"""Settings become an uncompiled Keras model; one module per architecture.

An architecture is a module of this package with a function ``build(n_frames, n_features,
n_classes, *, ...)``. To add one, write its file, name it below, and
import it in `load` where it has layers of its own.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import zipfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser.config import ModelConfig
from ser.project import SerError, first_line, unknown, writing

if TYPE_CHECKING:
    import keras

ARCHITECTURES = (
    "cnn_beside_lstm",
    "cnn_lstm",
    "cnn_lstm_attention",
    "encoder_states",
    "residual",
)
CARD = "ser.json"
MOST_BYTES = {".json": 30_000_000, ".h5": 4_000_000_000}  # of a file within a saved model


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
        reason = first_line(error).rstrip(".")
        raise SerError(
            f"{config.architecture} cannot be built for {n_frames} frames of {n_features} "
            f"features with {config.options}: {reason}."
        ) from error
    from ser.models.ensemble import ensemble

    return members[0] if len(members) == 1 else ensemble(members)


def load(path: Path | str) -> keras.Model:
    """Load a saved model for inference, uncompiled, in Keras' safe mode."""
    from ser.models import backend

    keras = backend.load()
    from ser.models import ensemble, layers, whisper  # register what a model may name

    path = _existing(path)
    _check_sizes(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, HDF5 and Keras each have their own
        raise SerError(f"{path}: {_why_not_loaded(path, error, keras.__version__)}") from error


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise SerError(f"{path}: no such model. Train one with `ser train`.")
    return path


def _check_sizes(path: Path) -> None:
    """Refuse what unpacks to more than a model has, before it is unpacked."""
    with contextlib.suppress(zipfile.BadZipFile, OSError, ValueError):  # said when it is opened
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        for entry in entries:
            most = MOST_BYTES.get(Path(entry.filename).suffix, MOST_BYTES[".json"])
            if entry.file_size > most:
                found = f"{entry.filename} of {entry.file_size / 1e6:,.0f} MB"
                raise SerError(
                    f"{path}: expected at most {most / 1e6:,.0f} MB in each file of a model, found "
                    f"{found}. Copy it again from its source."
                )


def _why_not_loaded(path: Path, error: Exception, version: str) -> str:
    """Tell a damaged file from one that is whole but not for this process."""
    if not zipfile.is_zipfile(path):
        return (
            "not a Keras model, or cut short. Expected a .keras file that `ser train` made; copy "
            "it again, or train again under another name."
        )
    if found := re.search(r"locate (?:class|function) '(\w+)'", str(error)):
        return (
            f"the model has a layer {found[1]} that is not known here. Run the code that defines "
            "it, decorated with @keras.saving.register_keras_serializable(), and load again."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            made = json.loads(archive.read("metadata.json"))["keras_version"]
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile):
        reason = first_line(error).rstrip(".")
        return f"not a complete Keras model ({reason}). Copy it again from its source."
    reason = str(error).rpartition("Exception encountered: ")[2].strip().partition("\n")[0][:200]
    if made == version:
        return f"Keras {version}, which made it, cannot load it ({reason})."
    return (
        f"made with Keras {made}, here Keras {version}, which cannot load it ({reason}). "
        f"Install Keras {made}, or use a bundle that `ser export` makes there."
    )


def save(model: keras.Model, path: Path, card: dict[str, Any]) -> None:
    """Write a model with its labels, front end and origin: one file is enough to use it."""
    with writing(path) as temporary:
        model.save(temporary, include_optimizer=False)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, json.dumps(card, indent=2, ensure_ascii=False))


def read_card(path: Path | str) -> dict[str, Any]:
    """Read the card that `save` wrote into a model."""
    path = _existing(path)
    _check_sizes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(CARD))
    except KeyError as error:
        raise SerError(
            f"{path}: a Keras model without labels and front end. Use one that `ser train` made."
        ) from error
    except Exception as error:  # zip, zlib and JSON each have their own
        raise SerError(f"{path}: {_why_not_loaded(path, error, '')}") from error
    return card


def checked_card(path: Path | str) -> dict[str, Any]:
    """Read a model's card, and see that it holds what is needed to answer."""
    card = read_card(path)
    classes = card.get("classes") if isinstance(card, dict) else None
    parts = [card.get(part) for part in ("audio", "features")] if classes else [None]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not named or len(set(classes or ())) < 2 or not all(isinstance(p, dict) for p in parts):
        raise SerError(
            f"{path}: its card ({CARD}) holds no labels and front end. Use a model that "
            "`ser train` made."
        )
    return card


def with_attention(model: keras.Model) -> keras.Model:
    """Make a model that gives probabilities and, if it has any, the weights over time.

    The weights are those of layers named ``attention`` that give (sum, weights), averaged over the
    members of an ensemble.
    """
    import keras

    from ser.models.ensemble import MeanOfMembers, members_of, single

    pairs = []
    for member in members_of(model):
        found = [layer.output for layer in member.layers if layer.name == "attention"]
        if not found or not isinstance(found[0], (list, tuple)) or len(found[0]) != 2:
            return model
        pairs.append(keras.Model(member.input, [single(member.output), found[0][1]]))
    if len(pairs) == 1:
        return pairs[0]
    answers = [pair(model.input) for pair in pairs]
    probabilities = MeanOfMembers()([found for found, _ in answers])
    attention = keras.layers.Average()([weights for _, weights in answers])
    return keras.Model(model.input, [probabilities, attention])
