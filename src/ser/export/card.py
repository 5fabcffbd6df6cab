"""The card of a model that is given away: what it is for, what it learnt from, how far to trust it.

Every number comes from a report of the same recipe: from speakers that the model tested on them had
not heard. See Mitchell et al., "Model cards for model reporting", FAT* 2019. Its text is
``card.md``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser import corpora, evaluation
from ser.corpora.folders import accounted
from ser.experiments import predictions_of
from ser.inference import bundle
from ser.project import SerError, paths, read_json

CARD = "README.md"
HOME = "https://github.com/speech-emotion-honest/ser"
RELEASED = "released.json"  # beside the reports: when a model was made, what it takes voices for
ROBUSTNESS = "robustness.csv"
N_CONFUSIONS = 3
UNHEARD = "leave-one-corpus-out"


def write(folder: Path, report: Path, *, right: float) -> Path:
    """Write the card of a bundle, with the header that the Hugging Face Hub reads."""
    from huggingface_hub import ModelCard, ModelCardData  # a second to import

    about, predictions = bundle.read_card(folder), predictions_of(report)
    if report.parent.name != (name := about["recipe"]["name"]):
        raise SerError(f"{report}: a report of {report.parent.name}; the model is of {name}.")
    found, known = read_json(report / "metrics.json"), _released(about)
    learnt_from = [corpora.get(name) for name in found["per_corpus"]]
    header = ModelCardData(
        license="other",
        license_name="non-commercial",
        license_link=f"{HOME}#licences-and-citing",
        language=sorted({corpus.language for corpus in learnt_from}),
        datasets=[corpus.name for corpus in learnt_from],
        metrics=["recall", "accuracy"],
        pipeline_tag="audio-classification",
        tags=["speech-emotion-recognition", "onnx"],
        library_name="ser-honest",
    )
    files = found.get("files")
    card = ModelCard.from_template(
        header,
        template_path=str(Path(__file__).with_name("card.md")),
        percent=_percent,
        name=folder.name,
        home=HOME,
        about=about,
        recipe=about["recipe"],
        encoder=about["features"].get("encoder"),
        made=known.get("made"),
        corpora=learnt_from,
        accounted=accounted(files["used"], files["left_out"]) if files else "",
        report=report.name,
        found=found,
        right=right,
        trust=_trust(predictions, about),
        recordings=_recordings(report),
        unheard=_unheard(report.with_name(UNHEARD)),
        confusions=_confusions(predictions, about["classes"]),
        voices=_voices(known),
    )
    card.save(folder / CARD)
    return folder / CARD


def _released(about: dict[str, Any]) -> dict[str, Any]:
    """Give what `tools/released.py` wrote down about exactly these files; else nothing."""
    file = paths().reports / RELEASED
    found = read_json(file) if file.is_file() else {}
    checksum = about["files"]["onnx"]["sha256"] if "onnx" in about["files"] else ""
    return next((known for known in found.values() if known["sha256"] == checksum), {})


def _trust(predictions: pd.DataFrame, about: dict[str, Any]) -> dict[str, float]:
    """Say how true the probabilities are, and what the threshold leaves; each 0 to 1."""
    classes = about["classes"]
    calibrated = evaluation.cross_calibrated(predictions, classes)
    truth, guess, confidence = evaluation.decisions(
        evaluation.with_temperature(predictions, classes, about["temperature"]), classes
    )
    given = confidence >= about["threshold"]
    return {
        "before": evaluation.expected_calibration_error(predictions, classes),
        "after": evaluation.expected_calibration_error(calibrated, classes),
        "answered": given.mean(),
        "right": (truth == guess)[given].mean(),
    }


def _recordings(report: Path) -> list[dict[Any, Any]]:
    file = report / ROBUSTNESS
    return pd.read_csv(file).to_dict("records") if file.is_file() else []


def _unheard(report: Path) -> dict[str, dict[str, Any]]:
    """Give the scores of corpora that the recipe never heard, where they were measured."""
    if not (report / "metrics.json").is_file():
        return {}
    predictions = predictions_of(report)
    n_classes = predictions.groupby(predictions["clip_id"].str.split("/").str[0])["label"].nunique()
    of_corpus = read_json(report / "metrics.json")["per_corpus"]
    return {name: {**part, "n_classes": n_classes[name]} for name, part in of_corpus.items()}


def _confusions(predictions: pd.DataFrame, classes: list[str]) -> list[tuple[float, str, str]]:
    """Give the largest shares of one class that are taken for another."""
    counts = evaluation.confusion(predictions, classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    worst = np.dstack(np.unravel_index(np.argsort(-shares, axis=None), shares.shape))[0]
    return [(shares[i, j], classes[i], classes[j]) for i, j in worst[:N_CONFUSIONS]]


def _voices(known: dict[str, Any]) -> list[tuple[str, float]]:
    """Give the two classes that synthesised voices are taken for most, where that is known."""
    heard = known.get("synthesised", {})
    most = sorted(heard, key=lambda label: -heard[label])[:2]
    return [(label, heard[label] / sum(heard.values())) for label in most]


def _percent(value: float, interval: Any = None) -> str:
    around = "" if interval is None else f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"
    return f"{100 * value:.1f} %{around}"
