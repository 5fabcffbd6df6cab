"""Recordings are changed as they say, and models tested on them by unseen speakers."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import one_line
from test_experiment import plan, root  # noqa: F401  fixtures

from ser import evaluation, experiments
from ser.audio import decode, to_mono
from ser.cli import show
from ser.inference.speech import has_speech
from ser.studies import robustness

KEY = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def recording(demo_shelf):
    return decode(sorted(demo_shelf.rglob("*.opus"))[5])


def change(recording, condition, key=KEY):
    rate = recording.sample_rate_hz
    return robustness.changed(recording.samples, rate, condition, content=key)


def power_above(x, rate, hertz):
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    return spectrum[np.fft.rfftfreq(len(x), 1 / rate) > hertz].sum() / spectrum.sum()


@pytest.mark.parametrize("condition", robustness.CONDITIONS)
def test_every_condition_gives_speech_and_the_same_each_time(recording, condition):
    first, second = change(recording, condition), change(recording, condition)
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]
    assert first[0].dtype == np.float32
    assert np.isfinite(first[0]).all()
    extra_s = {"a second": 1.0, "3 s of n": 3.0, "3 s of m": 3.0}.get(condition[:8], 0.0)
    expected_s = len(recording.samples) / recording.sample_rate_hz + extra_s
    assert len(first[0]) / first[1] == pytest.approx(expected_s, abs=0.1)
    mono = to_mono(recording.samples)
    assert (condition == "as recorded") == np.array_equal(first[0], mono)


@pytest.mark.parametrize("decibels", [20, 10, 5])
def test_noise_is_as_loud_as_it_says(recording, decibels):
    noisy, _ = change(recording, f"noise, {decibels} dB")
    mono = to_mono(recording.samples)
    ratio = 10 * np.log10(np.mean(mono**2) / np.mean((noisy - mono) ** 2))
    assert ratio == pytest.approx(decibels, abs=0.5)


def test_a_telephone_carries_nothing_above_four_kilohertz(recording):
    changed, rate = change(recording, "telephone, 8 kHz")
    assert rate == recording.sample_rate_hz
    assert power_above(changed, rate, 4_100) < 1e-6
    assert power_above(to_mono(recording.samples), rate, 4_100) > 1e-4


@pytest.mark.parametrize("condition", ["MP3", "Opus"])
def test_coding_loses_something_but_not_the_speech(recording, condition):
    changed, rate = change(recording, condition)
    assert rate == 16_000
    before = np.abs(np.fft.rfft(to_mono(recording.samples), 1 << 17))
    after = np.abs(np.fft.rfft(changed, 1 << 17))
    edges_hz = np.geomspace(100, 4_000, 20)
    bands = []
    for spectrum, of_rate in ((before, recording.sample_rate_hz), (after, rate)):
        hertz = np.fft.rfftfreq(1 << 17, 1 / of_rate)
        found = [
            np.mean(spectrum[(hertz >= a) & (hertz < b)] ** 2)
            for a, b in itertools.pairwise(edges_hz)
        ]
        bands.append(10 * np.log10(found))
    assert np.corrcoef(bands)[0, 1] > 0.95


def test_too_loud_is_clipped_and_quiet_is_not(recording):
    mono = to_mono(recording.samples)
    loud, _ = robustness.changed(mono / np.abs(mono).max(), 16_000, "12 dB louder", content=KEY)
    assert np.mean(np.abs(loud) == 1.0) > 1e-3
    quiet, _ = change(recording, "12 dB quieter")
    np.testing.assert_allclose(quiet, mono * 10 ** (-12 / 20), rtol=1e-5)
    late, rate = change(recording, "a second of silence first")
    assert not late[:rate].any()
    np.testing.assert_array_equal(late[rate:], mono)


@pytest.mark.parametrize("what, dbfs", [("noise", -45), ("music", -25)])
def test_what_comes_first_is_as_loud_as_it_says_and_no_speech(recording, what, dbfs):
    longer, rate = change(recording, f"3 s of {what} first")
    lead, rest = longer[: 3 * rate], longer[3 * rate :]
    np.testing.assert_array_equal(rest, to_mono(recording.samples))
    assert 10 * np.log10(np.mean(lead**2)) == pytest.approx(dbfs, abs=0.1)
    assert not has_speech(lead, rate) and has_speech(longer, rate)


def test_a_room_depends_on_the_clip(recording):
    first = change(recording, "reverberation")[0]
    other = change(recording, "reverberation", key=KEY[::-1])[0]
    assert np.abs(first - other[: len(first)]).max() > 1e-3


def test_as_recorded_gives_the_result_of_the_cross_validation(plan, monkeypatch):  # noqa: F811
    few = ("as recorded", "noise, 5 dB")
    table = robustness.measure(plan, conditions=few, n_jobs=1, progress=False)
    folders = [plan.run_folder(fold, 0) for fold in range(3)]
    predictions = pd.concat([pd.read_csv(folder / "predictions.csv") for folder in folders])
    expected = evaluation.metrics(predictions, plan.recipe.classes)
    assert table["condition"].tolist() == list(few)
    first = table.iloc[0]
    assert first["n_clips"] == 36
    assert first["uar"] == pytest.approx(expected["uar"]["mean"], abs=1e-6)
    assert [first["low"], first["high"]] == pytest.approx(expected["uar"]["interval_95"], abs=1e-6)
    assert first["ece"] == pytest.approx(expected["ece"], abs=1e-4)
    assert table.iloc[1]["confidence"] != first["confidence"]


@pytest.mark.slow
def test_a_draw_of_clips_and_folds_is_the_same_each_time(plan):  # noqa: F811
    options = {"conditions": ("as recorded", "12 dB quieter"), "n_jobs": 1, "progress": False}
    first, second = (robustness.measure(plan, n_clips=20, **options) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert first["n_clips"].tolist() == [20, 20]
    one_fold = dataclasses.replace(plan, folds=plan.folds[1:2])
    of_fold = robustness.measure(one_fold, n_clips=1_000, **options)
    assert of_fold["n_clips"].tolist() == [len(plan.folds[1].test)] * 2
    predictions = pd.read_csv(plan.run_folder(1, 0) / "predictions.csv")
    expected = evaluation.metrics(predictions, plan.recipe.classes)["uar"]["mean"]
    assert of_fold["uar"].iloc[0] == pytest.approx(expected, abs=1e-6)


def test_the_table_lies_beside_the_report(plan, monkeypatch, capsys):  # noqa: F811
    short = {k: robustness.CONDITIONS[k] for k in ("as recorded", "12 dB quieter")}
    measure = robustness.measure
    monkeypatch.setattr(
        robustness, "measure", lambda *a, **k: measure(*a, **k, conditions=list(short))
    )
    path = robustness.write(plan, n_jobs=1)
    assert path == plan.report_folder / "robustness.csv"
    found = pd.read_csv(path)
    assert list(found.columns) == list(robustness.COLUMNS)
    assert found["condition"].tolist() == list(short)
    show.show_robustness(path)
    shown = capsys.readouterr().out.splitlines()
    assert "UAR" in shown[0]
    assert shown[1].startswith("as recorded")
    path.unlink()


def test_models_must_be_trained_first(plan):  # noqa: F811
    with one_line("3 of 3 folds are not trained with seed 9", "`ser run tiny"):
        robustness.measure(plan, seed=9)
    other = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, name="other"))
    with one_line("other", "not trained"):
        robustness.measure(other)
    assert experiments.runs()


def test_an_unknown_condition_is_refused(recording):
    with one_line("no condition 'underwater'", "telephone, 8 kHz"):
        change(recording, "underwater")
