"""Write a model bundle: one graph in three formats, a card, checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser import models
from ser.config import AudioConfig, FeatureConfig, from_dict
from ser.export import graph
from ser.inference import bundle
from ser.project import unknown, write_json, writing

ORIGIN = (
    *("recipe", "protocol", "fold", "test", "seed"),
    *("data_fingerprint", "n_parameters", "packages"),
)


def export(
    model_file: Path,
    folder: Path,
    *,
    temperature: float = 1.0,
    threshold: float = 0.0,
    kinds: Sequence[str] = tuple(bundle.FILES),
    half: bool = False,
) -> Path:
    """Make a bundle of a saved model.

    Parameters
    ----------
    model_file : Path
        A ``.keras`` file of this package.
    folder : Path
        Where the bundle goes; the files of an earlier one are replaced or removed.
    temperature : float
        See `ser.export.graph.graph`.
    threshold : float
        Below this probability an answer is called uncertain, 0 to 1.
    kinds : sequence of str
        Out of `ser.inference.bundle.FILES`.
    half : bool
        Keep large constants of the ONNX file in half precision.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SerError
        When the model cannot be read or its features cannot be exported, an extra is not
        installed, or the disk is full.
    """
    model, card = models.load(model_file), models.read_card(model_file)
    audio = from_dict(AudioConfig, card["audio"], source=str(model_file))
    features = from_dict(FeatureConfig, card["features"], source=str(model_file))
    for kind in sorted(set(kinds) - set(bundle.FILES)):
        raise unknown(f"no format {kind!r}", bundle.FILES, kind)
    free, one = (
        graph.graph(model, audio, features, temperature, n_clips=number) for number in (-1, 1)
    )
    files: dict[str, Any] = {}
    for kind in set(bundle.FILES) - set(kinds):
        (folder / bundle.FILES[kind]).unlink(missing_ok=True)
    for kind in kinds:
        if kind == "onnx":
            data = graph.to_onnx(free, half=half)
        else:
            data = graph.to_litert(one, quantise=kind == "litert-int8")
        with writing(folder / bundle.FILES[kind]) as temporary:
            temporary.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files[kind] = {"file": bundle.FILES[kind], "sha256": digest, "bytes": len(data)}
    write_json(
        folder / bundle.CARD,
        {
            "format": bundle.FORMAT,
            "classes": card["classes"],
            "audio": card["audio"],
            "features": card["features"],
            "sample_rate_hz": audio.sample_rate_hz,
            "window_s": features.n_frames * features.hop_length / audio.sample_rate_hz,
            "temperature": temperature,
            "threshold": threshold,
            "files": files,
            **{key: card.get(key) for key in ORIGIN},
        },
    )
    return folder
