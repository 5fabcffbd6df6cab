"""A trained model on recordings of every kind: an answer, or one clear error."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import soxr
from conftest import SMALL, one_line

from ser import inference, models
from ser.audio import decode
from ser.config import AudioConfig, FeatureConfig, ModelConfig, to_dict
from ser.features import extraction
from ser.project import MODEL_FILE, AudioError

CLASSES = ("angry", "happy", "sad")
AUDIO = AudioConfig(sample_rate_hz=16_000)
FEATURES = FeatureConfig(n_mfcc=13, n_mels=40, n_fft=512, hop_length=256, n_frames=64)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """An untrained model saved the way training saves it: what counts here is the front end."""
    keras.utils.set_random_seed(0)
    network = models.build(
        ModelConfig(options={"filters": [4], "pool_sizes": [[2, 2]], "lstm_units": 8}),
        n_frames=FEATURES.n_frames,
        n_features=FEATURES.n_mfcc,
        n_classes=len(CLASSES),
    )
    file = tmp_path_factory.mktemp("model") / MODEL_FILE
    card = {"classes": CLASSES, "audio": to_dict(AUDIO), "features": to_dict(FEATURES)}
    models.save(network, file, card)
    return file


@pytest.fixture(scope="module")
def model(model_file):
    return inference.load_model(model_file)


def tone(duration_s=0.8, rate=16_000, level=0.3):
    t = np.arange(int(duration_s * rate)) / rate
    return (level * np.sin(2 * np.pi * 220 * t) * (1 + 0.5 * np.sin(9 * t))).astype(np.float32)


def test_answer_is_the_networks_output_for_the_training_front_end(model, model_file):
    samples = tone()
    expected = models.load(model_file).predict_on_batch(
        extraction.compute(samples, 16_000, AUDIO, FEATURES)[None]
    )[0]
    heard = model.hear(samples, 16_000)
    assert list(heard) == list(CLASSES)
    np.testing.assert_allclose(list(heard.values()), expected, atol=1e-6)
    answer = model.predict(samples, 16_000)  # a tone: nothing is answered
    assert (answer.label, answer.probabilities, answer.segments) == ("", {}, ())
    assert answer.no_speech
    assert answer.warnings == [inference.model.WARNINGS["no speech"]]
    assert answer.duration_s == pytest.approx(0.8)


def test_a_model_of_statistics_hears_what_it_was_trained_on(model_file, tmp_path):
    config = dataclasses.replace(FEATURES, statistics=("mean", "std"))
    network = models.build(
        ModelConfig(architecture="cnn_lstm", options={"axis": "features", "filters": [4, 4]}),
        n_frames=config.n_rows,
        n_features=config.n_mfcc,
        n_classes=len(CLASSES),
    )
    card = {"classes": CLASSES, "audio": to_dict(AUDIO), "features": to_dict(config)}
    models.save(network, tmp_path / "model.keras", card)
    answer = inference.load_model(tmp_path / "model.keras").hear(tone(), 16_000)
    rows = extraction.compute(tone(), 16_000, AUDIO, config)
    assert rows.shape == (2, 13)
    expected = network.predict_on_batch(rows[None])[0]
    np.testing.assert_allclose(list(answer.values()), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "name"),
    [
        (8_000, 1, "PCM_16", "größe 音.flac"),
        (44_100, 2, "PCM_24", "a.wav"),
        (48_000, 6, "DOUBLE", "a.wav"),
        (22_050, 1, "PCM_U8", "a.wav"),
    ],
)
def test_file_bytes_and_array_give_the_same_answer(
    model, demo_shelf, tmp_path, rate, channels, subtype, name
):
    clip = decode(sorted(demo_shelf.rglob("*.opus"))[7])
    samples = soxr.resample(clip.samples[:, 0], clip.sample_rate_hz, rate)
    file = tmp_path / name
    soundfile.write(file, np.repeat(samples[:, None], channels, axis=1), rate, subtype)
    recording, answer = decode(file), model.predict(str(file))
    assert answer.label in CLASSES
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert answer == model.predict(recording.samples, recording.sample_rate_hz)
    assert answer == model.predict(file.read_bytes())


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.zeros(16_000), "silent"),
        (np.full(16_000, 0.5), "silent"),
        (tone(level=0.002), "quiet: its loudest moment reaches 0.3 % of what can be recorded"),
        (np.where(np.arange(12_800) % 5, tone(), 1), "clipped: 20.0 % of the recording"),
        (tone(duration_s=0.25), "very short: there is little to go by in 0.25 s"),
        (tone(duration_s=30), "no speech"),
    ],
)
def test_doubtful_recordings_are_named(model, samples, word):
    assert any(word in warning for warning in model.predict(samples, 16_000).warnings)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), 16_000, "shape"),
        (tone(duration_s=0.02), 16_000, "0.020 s"),
        (np.array([0.1, np.nan] * 4000), 16_000, "NaN"),
        (np.array(["a"] * 4000), 16_000, "numbers"),
        (np.zeros((2, 16_000)), 16_000, "Transpose"),
        (tone(), None, "rate"),
        (tone(), 0, "sample rate"),
        (tone(), float("nan"), "sample rate"),
    ],
)
def test_unusable_samples_say_why(model, samples, rate, message):
    with pytest.raises(AudioError, match=message):
        model.predict(samples, rate)


def test_integers_are_scaled(model):
    samples = tone()
    as_integers = np.round(samples * 32_768).astype(np.int16)
    a, b = model.hear(samples, 16_000), model.hear(as_integers, 16_000)
    np.testing.assert_allclose(list(a.values()), list(b.values()), atol=1e-3)


def test_speech_is_answered_without_a_warning_and_too_little_of_it_with_one(model, demo_shelf):
    clip = sorted(demo_shelf.rglob("*.opus"))[7]
    recording = decode(clip)
    found = model.predict(clip).warnings
    assert inference.model.WARNINGS["no speech"] not in found
    middle = len(recording.samples) // 2
    short = recording.samples[middle : middle + recording.sample_rate_hz // 3]
    found = model.predict(short, recording.sample_rate_hz).warnings
    assert "very short: there is little to go by in 0.33 s" in found


def test_attributions_sum_to_what_the_clip_adds_to_its_mean_frame(model, model_file):
    samples = tone(duration_s=0.5)
    shares = model.attributions(samples, 16_000, "sad")
    rows = extraction.compute(samples, 16_000, AUDIO, FEATURES)
    assert shares.shape == rows.shape
    valid = np.any(rows != 0, axis=1)
    assert not shares[~valid].any()
    plain = np.zeros_like(rows)
    plain[valid] = rows[valid].mean(axis=0)
    network = models.load(model_file)
    ends = network.predict_on_batch(np.stack([rows, plain]))[:, CLASSES.index("sad")]
    assert abs(ends[0] - ends[1]) > 1e-4
    assert shares.sum() == pytest.approx(ends[0] - ends[1], rel=0.05, abs=1e-4)
    heard = model.hear(samples, 16_000)
    most_probable = max(heard, key=heard.get)
    np.testing.assert_allclose(
        model.attributions(samples, 16_000),
        model.attributions(samples, 16_000, most_probable),
        atol=1e-6,
    )


def test_an_answer_below_the_threshold_is_uncertain(model_file, demo_shelf):
    clip = sorted(demo_shelf.rglob("*.opus"))[7]
    careful = inference.load_model(model_file)
    for threshold, expected in ((0.0, False), (1.0, True)):
        careful.card["threshold"] = threshold
        answer = careful.predict(clip)
        assert answer.uncertain is expected
        assert answer.label == max(answer.probabilities, key=answer.probabilities.get)


def test_attention_sums_to_one_and_ignores_padding(model):
    weights, times_s = model.attention(tone(duration_s=0.5), 16_000)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert weights[times_s > 0.6].max() < 1e-6
    assert len(weights) == len(times_s) == FEATURES.n_frames // 2


def test_a_model_that_is_none_is_refused(model_file, tmp_path):
    whole, file = model_file.read_bytes(), tmp_path / "cut.keras"
    for keep in (0.0, 0.3, 0.9):
        file.write_bytes(whole[: int(keep * len(whole))])
        with one_line("not a Keras model, or cut short"):
            inference.load_model(file)
    models.load(model_file).save(file)
    with one_line("without labels"):
        inference.load_model(file)


def run_of(folder, model_file, corpus, recipe="r"):
    """A finished run of a recipe on a corpus."""
    folder = folder / "models" / "runs" / recipe / "p" / "fold-0-seed-0"
    folder.mkdir(parents=True)
    shutil.copy(model_file, folder / MODEL_FILE)
    (folder / "run.json").write_text(json.dumps({"recipe": {"corpora": [corpus]}}))
    return folder / MODEL_FILE


def test_released_models_answer_wherever_the_project_is(model_file, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    run_of(tmp_path, model_file, "ravdess")
    released = Path(__file__).parents[1] / "models"
    assert inference.find_model() == released / "whisper-tiny"
    assert inference.find_model("small") == released / "small"
    with one_line("nothing-of-this: no model there", "a recipe with", "small, whisper-tiny"):
        inference.load_model("nothing-of-this")


def test_a_model_is_chosen_by_name(model_file, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.setattr(inference.loading, "_released", dict)
    with one_line("no released model", "--model"):
        inference.find_model()
    demo = run_of(tmp_path, model_file, "demo", "on-demo")
    with one_line("no training on real speech"):  # a demo model never answers by itself
        inference.find_model()
    assert inference.find_model("newest") == inference.find_model("on-demo") == demo
    real = run_of(tmp_path, model_file, "ravdess", "real")
    os.utime(demo.with_name("run.json"), (2e9, 2e9))  # the newest, but of no real voice
    assert inference.find_model() == real
    assert inference.find_model("newest") == demo
    assert inference.find_model(real.parent) == inference.find_model(real) == real


def test_the_largest_released_model_answers_and_is_named(tmp_path, monkeypatch):
    homes = {}
    for name, n_bytes in (("a-large", 10_000), ("b-small", 10)):
        homes[name] = shutil.copytree(SMALL, tmp_path / "models" / name)
        (homes[name] / "model.tflite").write_bytes(bytes(n_bytes))
    monkeypatch.setattr(inference.loading, "_released", lambda: homes)
    assert inference.find_model() == homes["a-large"]
    assert inference.load_model().name == str(homes["a-large"])
