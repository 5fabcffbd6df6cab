"""Write a model bundle: one graph in three formats, a card, checksums."""

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
from ser.project import SerError, unknown, write_json, writing

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
    model, card = models.load(model_file), models.checked_card(model_file)
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
        "classes": list(card["classes"]),
        "audio": card["audio"],
        "features": card["features"],
        "sample_rate_hz": audio.sample_rate_hz,
        "window_s": features.n_frames * features.hop_length / audio.sample_rate_hz,
        "temperature": temperature,
        "threshold": threshold,
        "voices": voices,
        **{key: card.get(key) for key in ORIGIN},
    }
    aside = {kind: f"-{hashlib.sha256(data).hexdigest()[:8]}" for kind, data in made.items()}
    try:
        if (folder / bundle.CARD).exists():  # it names its files until the new ones are whole
            _write(folder, described, made, aside)
        _write(folder, described, made, dict.fromkeys(made, ""))
    finally:
        _tidy(folder)
    return folder


def spread(report: Path, classes: Sequence[str], temperature: float) -> dict[str, Any] | None:
    """Learn how answers about unheard voices spread, about unheard corpora where there is a report.

    `ser.inference.Model.adapt` needs it; the report of unheard corpora lies beside `report`.
    """
    unheard = report.with_name(UNHEARD)
    found = predictions_of(unheard if unheard.is_dir() else report)
    if set(found["label"]) != set(classes) or found.groupby("speaker").size().min() < 2:
        return None  # too little to tell
    return voices_in(found, classes, temperature)


def voices_in(
    predictions: pd.DataFrame, classes: Sequence[str], temperature: float
) -> dict[str, Any]:
    """Learn how answers about unheard voices spread from a table of predictions."""
    found = evaluation.with_temperature(predictions, classes, temperature)
    return voice.fit(
        found[list(classes)].to_numpy(float),
        pd.Index(list(classes)).get_indexer(pd.Index(found["label"])),
        found["speaker"].to_numpy(str),
        found["clip_id"].astype(str).str.partition("/")[0].to_numpy(str),
    )


def _write(
    folder: Path, card: dict[str, Any], made: dict[str, bytes], ends: dict[str, str]
) -> None:
    """Write the files of a bundle, and last the card that names them."""
    files = {}
    for kind, data in made.items():
        stem, _, suffix = bundle.FILES[kind].partition(".")
        name = f"{stem}{ends[kind]}.{suffix}"
        with writing(folder / name) as temporary:
            temporary.write_bytes(data)
        found = hashlib.sha256(data).hexdigest()
        files[kind] = {"file": name, "sha256": found, "bytes": len(data)}
    card = {**card, "files": files}
    write_json(folder / bundle.CARD, {**card, bundle.OWN_SUM: bundle.own_sum(card)})


def _tidy(folder: Path) -> None:
    """Remove the files that the card does not name: of another bundle, or of a kill."""
    try:
        named = {entry["file"] for entry in bundle.read_card(folder)["files"].values()}
    except SerError:
        named = set()
    for name in bundle.FILES.values():
        stem, _, suffix = name.partition(".")
        for file in (*folder.glob(name), *folder.glob(f"{stem}-????????.{suffix}")):
            if file.name not in named:
                file.unlink()
