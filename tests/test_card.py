"""The card of a released model says what its report measured, and what not to do with it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, one_line
from huggingface_hub import ModelCard

from ser import evaluation
from ser.experiments import predictions_of
from ser.export import card, writer
from ser.inference import bundle
from ser.inference import model as inference
from ser.project import read_json, write_json

REPORT = Path(__file__).parents[1] / "reports" / "whisper-tiny-linear" / "combined-6"


@pytest.fixture
def folder(tmp_path):
    """A bundle that says it is of the report's recipe."""
    copy = tmp_path / "given-away"
    shutil.copytree(SMALL, copy)
    known, metrics = bundle.read_card(copy), read_json(REPORT / "metrics.json")
    known |= {"recipe": read_json(REPORT / "recipe.json"), "classes": metrics["classes"]}
    predictions = predictions_of(REPORT)
    found = evaluation.calibrate(predictions, metrics["classes"], 0.8)
    known["temperature"], known["threshold"] = found
    write_json(copy / bundle.CARD, {**known, bundle.OWN_SUM: bundle.own_sum(known)})
    return copy


def test_the_card_holds_what_was_measured(folder):
    text = card.write(folder, REPORT, right=0.8).read_text(encoding="utf-8")
    assert text == (folder / "README.md").read_text(encoding="utf-8")
    found = read_json(REPORT / "metrics.json")
    assert f"UAR {100 * found['uar']['mean']:.1f} %" in text
    for part in (*found["per_corpus"].values(), *found["per_sex"].values()):
        assert f"| {100 * part['uar']:.1f} % (" in text
    for name, part in found["per_class"].items():
        assert re.search(rf"\| {name} \| {100 * part['recall']:.1f} % \(\d+ to \d+\) \|", text)
    before, after = map(float, re.search(r"falls from ([\d.]+) to ([\d.]+) %", text).groups())
    assert before == pytest.approx(100 * found["ece"], abs=0.06)
    assert after < before
    answered, right = map(int, re.search(r"(\d+) % of the clips, and (\d+) %", text).groups())
    assert 5 < answered < 100
    assert right >= 80


def test_the_card_says_what_it_learnt_from_and_what_it_is_not_for(folder):
    text = card.write(folder, REPORT, right=0.8).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "In Python",
        "What it is for",
        "What it must not be used for",
        "What it is",
        "What it learnt from",
        "What to expect",
        "Known failures",
        "Limits",
        "Cite",
    ]
    header = ModelCard(text).data
    assert (header.license, header.license_name) == ("other", "non-commercial")
    assert header.datasets == list(read_json(REPORT / "metrics.json")["per_corpus"])
    assert header.language == ["en"]
    assert {"accuracy", "recall"} == set(header.metrics)
    assert header.library_name == "ser-honest"
    assert "CC BY-NC-SA 4.0" in text
    assert "| 7,435 | 91 |" in text
    assert len(re.findall(r"is taken for", text)) == 3
    assert "doi:10.1371/journal.pone.0196391" in text.split("## Cite")[1]
    minutes = read_json(REPORT / "metrics.json")["training_seconds"] / 60
    assert f"| compute | {minutes:.0f} minutes of training for the 5 folds" in text


def test_the_card_says_what_the_model_takes_synthesised_voices_for(folder, monkeypatch, tmp_path):
    checksum = bundle.read_card(folder)["files"]["onnx"]["sha256"]
    facts = {"sha256": checksum, "made": "2031-05-06", "synthesised": {"sad": 1, "happy": 3}}
    (tmp_path / "reports").mkdir()
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    for sha256, is_there in ((checksum, True), ("another", False)):
        write_json(tmp_path / "reports" / card.RELEASED, {"mine": {**facts, "sha256": sha256}})
        text = card.write(folder, REPORT, right=0.8).read_text(encoding="utf-8")
        said = "it takes 75 % for happy and 25 % for sad" in text
        assert (said, "made on 2031-05-06" in text, "year = {2031}" in text) == (is_there,) * 3


def test_conditions_are_in_the_card_where_they_were_measured(folder, tmp_path):
    report = tmp_path / REPORT.parent.name / REPORT.name
    shutil.copytree(REPORT, report)
    (report / "robustness.csv").write_text(
        "condition,n_clips,uar,low,high,confidence,ece\n"
        "as recorded,1200,0.7,0.65,0.75,0.8,0.1\nMP3,1200,0.612,0.58,0.64,0.8,0.1\n"
    )
    text = card.write(folder, report, right=0.8).read_text(encoding="utf-8")
    assert "| MP3 | 61.2 % (58 to 64) | 1,200 |" in text


def test_corpora_never_heard_are_in_the_card_where_they_were_measured(folder, tmp_path):
    for name in (REPORT.name, "leave-one-corpus-out"):
        shutil.copytree(REPORT, tmp_path / REPORT.parent.name / name)
    report = tmp_path / REPORT.parent.name / REPORT.name
    text = card.write(folder, report, right=0.8).read_text(encoding="utf-8")
    part = read_json(REPORT / "metrics.json")["per_corpus"]["savee"]
    low, high = (f"{100 * end:.0f}" for end in part["interval_95"])
    row = f"| `savee` | {100 * part['uar']:.1f} % ({low} to {high}) | 6 | 420 |"
    assert row in text.split("it never heard")[1]
    alone = card.write(folder, REPORT, right=0.8).read_text(encoding="utf-8")
    assert "it never heard" not in alone


def test_a_report_of_another_recipe_is_refused(folder):
    with one_line("of best-scratch", "of whisper-tiny-linear"):
        card.write(folder, REPORT.parents[1] / "best-scratch" / "ravdess-luna5", right=0.8)


# What is committed --------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
RELEASED = sorted(file.parent for file in (ROOT / "models").glob("*/bundle.json"))


def test_what_synthesised_voices_are_taken_for_is_known_of_every_model():
    """Else: python tools/released.py."""
    known = read_json(ROOT / "reports" / card.RELEASED)
    checksums = {f.name: bundle.read_card(f)["files"]["onnx"]["sha256"] for f in RELEASED}
    assert {name: facts["sha256"] for name, facts in known.items()} == checksums


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_a_released_model_is_whole_and_its_card_true(folder, tmp_path):
    known = bundle.read_card(folder)
    opened = bundle.load(folder)
    probabilities, _ = opened(np.zeros(16_000, np.float32))
    assert probabilities.shape == (len(known["classes"]),)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
    copy = shutil.copytree(folder, tmp_path / folder.name)
    report = ROOT / "reports" / known["recipe"]["name"] / known["protocol"]
    text = card.write(copy, report, right=0.8).read_text(encoding="utf-8")
    assert text == (folder / card.CARD).read_text(encoding="utf-8")
    found = evaluation.calibrate(predictions_of(report), known["classes"], 0.8)
    assert (known["temperature"], known["threshold"]) == pytest.approx(found, abs=1e-3)
    spread = writer.spread(report, known["classes"], known["temperature"])
    for name, values in known["voices"].items():
        np.testing.assert_allclose(values, spread[name], atol=2e-3)


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_a_released_model_knows_the_speech_it_learnt_from(folder, real_speech):
    model = inference.load_model(folder)
    files = sorted(real_speech.rglob("*.flac"))[::12]
    emotions = {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry"}
    emotions |= {"06": "fearful", "07": "disgust", "08": "surprised"}
    hits = [model.predict(file).label == emotions[file.stem.split("-")[2]] for file in files]
    assert len(files) == 120
    assert np.mean(hits) > 0.5
