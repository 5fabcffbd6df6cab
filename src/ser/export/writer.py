"""Write a model bundle: one graph in three formats, a card, checksums."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser import evaluation, models
from ser.config import AudioConfig, FeatureConfig, from_dict
from ser.experiments import predictions_of
from ser.export import graph
from ser.export.card import UNHEARD
from ser.inference import bundle, voice
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
    voices: dict[str, Any] | None = None,
    kinds: Sequence[str] = tuple(bundle.FILES),
    half: bool = False,
) -> Path:
    """Make a bundle of a saved model, in place of an earlier one in its folder.

    Probabilities are divided by `temperature` in their logarithms; an answer below `threshold` is
    called uncertain; `voices` is what `spread` gives; `half` keeps large constants of the ONNX file
    in half precision.
    """
    model, card = models.load(model_file), models.read_card(model_file)
    audio = from_dict(AudioConfig, card["audio"], source=str(model_file))
    features = from_dict(FeatureConfig, card["features"], source=str(model_file))
    for kind in sorted(set(kinds) - set(bundle.FILES)):
        raise unknown(f"no format {kind!r}", bundle.FILES, kind)
    free, one = (
        graph.graph(model, audio, features, temperature, n_clips=number) for number in (-1, 1)
    )
    made = {}
    for kind in kinds:
        if kind == "onnx":
            made[kind] = graph.to_onnx(free, half=half)
        else:
            made[kind] = graph.to_litert(one, quantise=kind == "litert-int8")
    described = {
        "format": bundle.FORMAT,
        "classes": card["classes"],
        "audio": card["audio"],
        "features": card["features"],
        "sample_rate_hz": audio.sample_rate_hz,
        "window_s": features.n_frames * features.hop_length / audio.sample_rate_hz,
        "temperature": temperature,
        "threshold": threshold,
        "voices": voices,
        "files": {
            kind: {
                "file": bundle.FILES[kind],
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
            }
            for kind, data in made.items()
        },
        **{key: card.get(key) for key in ORIGIN},
    }
    with contextlib.ExitStack() as all_at_once:  # renamed when all are written, the card last
        write_json(all_at_once.enter_context(writing(folder / bundle.CARD)), described)
        for kind, data in made.items():
            all_at_once.enter_context(writing(folder / bundle.FILES[kind])).write_bytes(data)
    for kind in set(bundle.FILES) - set(kinds):
        (folder / bundle.FILES[kind]).unlink(missing_ok=True)
    return folder


def spread(report: Path, classes: Sequence[str], temperature: float) -> dict[str, Any]:
    """Learn how answers about unheard voices spread, about unheard corpora where there is a report.

    `ser.inference.Model.adapt` needs it; the report of unheard corpora lies beside `report`.
    """
    unheard = report.with_name(UNHEARD)
    found = predictions_of(unheard if unheard.is_dir() else report)
    found = evaluation.with_temperature(found, classes, temperature)
    return voice.fit(
        found[list(classes)].to_numpy(float),
        pd.Index(list(classes)).get_indexer(pd.Index(found["label"])),
        found["speaker"].to_numpy(str),
        found["clip_id"].str.partition("/")[0].to_numpy(str),
    )
