"""Exported bundles answer as the model does, in every format, and refuse what was changed."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import one_line, ser_command
from test_pretrained import small_encoder  # noqa: F401  a fixture

from ser import inference, models, plots
from ser.audio import decode, to_waveform
from ser.config import AudioConfig, FeatureConfig, ModelConfig, to_dict
from ser.export import graph
from ser.export import waveform_graph as front_end
from ser.export.writer import export
from ser.features import encoders
from ser.features import extraction as features
from ser.inference import bundle
from ser.models.ensemble import members_of
from ser.project import SerError

tf = pytest.importorskip("tensorflow", reason="exporting needs TensorFlow")

CLASSES = ("angry", "neutral", "sad")
AUDIO = AudioConfig(sample_rate_hz=16_000, trim_db=40.0)
WHOLE = AudioConfig(sample_rate_hz=16_000)
MFCC = FeatureConfig(
    kinds=("mfcc", "chroma"), n_mfcc=13, n_mels=40, n_fft=1024, n_frames=64, level="relative"
)
LOUD = FeatureConfig(
    kinds=("log_mel", "rms"), n_mels=40, n_fft=600, hop_length=160, n_frames=150, fmax_hz=7000.0
)
MEL = FeatureConfig(kinds=("whisper_mel",), hop_length=160, n_frames=120)  # of any n_fft
STATES = FeatureConfig(
    kinds=("whisper",), encoder="small", states=(2, 1), n_fft=400, hop_length=640, n_frames=40
)
FRONT_ENDS = {
    "relative": (AUDIO, MFCC),
    "absolute": (WHOLE, LOUD),
    "whisper": (AUDIO, MEL),
    "states": (AUDIO, STATES),
    "relative whisper": (AUDIO, dataclasses.replace(MEL, level="relative")),
    "relative states": (AUDIO, dataclasses.replace(STATES, level="relative")),
}


def speech(folder, n):
    """Waveforms of clips at 16 kHz, not trimmed, from all over a corpus."""
    paths = sorted(p for p in folder.rglob("*.*") if p.suffix in (".opus", ".flac"))
    step = max(1, len(paths) // n)
    recordings = [decode(path) for path in paths[::step][:n]]
    return [to_waveform(r.samples, r.sample_rate_hz, WHOLE) for r in recordings]


def odd_waveforms(clip):
    rng = np.random.default_rng(0)
    quiet = np.zeros(9_000, np.float32)
    yield "alone", clip
    yield "silence around it", np.concatenate([quiet, clip, quiet])
    yield "very quiet", clip * 1e-3
    yield "long", np.tile(clip, 5)
    yield "shorter than a window", clip[2_000:2_900]
    yield "a click", np.eye(1, 5_000, 2_500, dtype=np.float32)[0]
    yield "noise", rng.normal(size=7_777).astype(np.float32) / 10
    yield "digital silence", np.zeros(4_000, np.float32)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_graph_computes_the_features_of_training(name, demo_shelf, small_encoder):  # noqa: F811
    audio, config = FRONT_ENDS[name]
    compute = tf.function(
        lambda waveform: front_end.compute(waveform, audio, config),
        input_signature=[tf.TensorSpec((None,), tf.float32)],
    )
    (clip,) = speech(demo_shelf, 1)
    scale = features.compute(clip, 16_000, audio, config).std(axis=0) + 1e-3
    for what, waveform in odd_waveforms(clip):
        expected = features.compute(waveform, 16_000, audio, config)
        found = compute(waveform).numpy()[0]
        assert found.shape == expected.shape
        assert (np.abs(found - expected) / scale).max() < 2e-4, what


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_graph_computes_them_for_real_speech(name, real_speech, small_encoder):  # noqa: F811
    audio, config = FRONT_ENDS[name]
    compute = tf.function(
        lambda waveform: front_end.compute(waveform, audio, config),
        input_signature=[tf.TensorSpec((None,), tf.float32)],
    )
    waveforms = speech(real_speech, 200)
    expected = np.stack([features.compute(w, 16_000, audio, config) for w in waveforms])
    found = np.concatenate([compute(waveform).numpy() for waveform in waveforms])
    varies_by = expected[np.any(expected != 0, axis=-1)].std(axis=0)
    assert (np.abs(found - expected) / np.maximum(varies_by, 1.0)).max() < 1e-4


@pytest.mark.parametrize("size", [2, 16, 400, 1024, 600, 14])
def test_the_power_spectrum_is_numpys(size):
    frames = np.random.default_rng(size).normal(size=(7, size)).astype(np.float32)
    found = np.array(front_end.power_spectrum(frames, size))
    expected = np.abs(np.fft.rfft(frames.astype(np.float64), axis=1)) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


@pytest.mark.parametrize(
    "config", [FeatureConfig(kinds=("spectral_contrast",)), FeatureConfig(n_deltas=1)]
)
def test_features_that_a_graph_cannot_compute_are_refused(config):
    with one_line("cannot be exported", "mfcc, log_mel, chroma, rms, whisper_mel, whisper"):
        graph.graph(None, AUDIO, config)


# Bundles ------------------------------------------------------------------------------------------

MODELS = {
    "ensemble": (
        AUDIO,
        MFCC,
        ModelConfig(
            architecture="residual",
            options={
                "filters": 8,
                "lstm_units": 5,
                "normalise": "both",
                "pool_size": 4,
                "statistics_dropout": 0.5,
            },
            members=2,
        ),
    ),
    "image": (
        WHOLE,
        LOUD,
        ModelConfig(options={"filters": [4], "pool_sizes": [[2, 2]], "lstm_units": 4}),
    ),
    "without attention": (
        AUDIO,
        MFCC,
        ModelConfig(architecture="cnn_lstm", options={"filters": [4, 4], "lstm_units": 5}),
    ),
    "states": (
        AUDIO,
        STATES,
        ModelConfig(
            architecture="encoder_states",
            options={"projection": 8, "lstm_units": 4, "statistics_dropout": 0.5},
        ),
    ),
}


def save(name, path, clips):
    """Save a model that was never trained but whose answers differ from clip to clip."""
    tf.keras.utils.set_random_seed(0)  # or, now and then, a network that int8 suits badly
    audio, config, sizes = MODELS[name]
    n_features = len(features.feature_names(config))
    model = models.build(
        sizes, n_frames=config.n_frames, n_features=n_features, n_classes=len(CLASSES)
    )
    batch = np.stack([features.compute(w, 16_000, audio, config) for w in clips])
    rows = batch[np.any(batch != 0, axis=-1)]
    for member in members_of(model):
        if "standardise" in [layer.name for layer in member.layers]:
            member.get_layer("standardise").set_statistics(rows.mean(axis=0), rows.std(axis=0))
        last, logits = member.layers[-1], np.log(member.predict_on_batch(batch))
        more = 2 / (logits - logits.mean(axis=0)).std()
        last.kernel.assign(more * last.kernel)
        last.bias.assign(more * (last.bias - logits.mean(axis=0)))
    card = {"classes": CLASSES, "audio": to_dict(audio), "features": to_dict(config)}
    models.save(model, path, {**card, "recipe": {"name": name}})
    return path


SLOW = {"ensemble", "without attention", "states"}  # other tests answer with such bundles


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODELS]
)
def saved(request, tmp_path, demo_shelf, small_encoder):  # noqa: F811
    return save(request.param, tmp_path / "model.keras", speech(demo_shelf, 4))


def answers(model, waveforms):
    return np.array([[*model.hear(w, 16_000).values()] for w in waveforms])


def test_every_format_answers_as_the_model_does(saved, tmp_path, demo_shelf):
    waveforms = speech(demo_shelf, 8)
    keras_model = inference.load_model(saved)
    expected = answers(keras_model, waveforms)
    assert expected.std(axis=0).max() > 0.01  # or all would agree whatever they hear
    encoders.encoder.cache_clear()  # in a new process, nothing has been loaded yet
    tolerances = {"onnx": 1e-3, "litert": 1e-3}
    if models.read_card(saved)["recipe"]["name"] in ("ensemble", "image"):  # two are enough
        tolerances["litert-int8"] = 0.1
    folder = export(saved, tmp_path / "bundle", kinds=tuple(tolerances))
    for kind, tolerance in tolerances.items():
        opened = bundle.load(folder, kind)
        found = [opened(waveform) for waveform in waveforms]
        probabilities = np.array([p for p, _ in found])
        np.testing.assert_allclose(probabilities, expected, atol=tolerance, err_msg=kind)
        top = np.sort(expected, axis=1)
        clear = top[:, -1] - top[:, -2] > 2 * tolerance
        assert (probabilities.argmax(1) == expected.argmax(1))[clear].all()
        if found[0][1] is not None:
            weights, _ = keras_model.attention(waveforms[0], 16_000)
            np.testing.assert_allclose(found[0][1], weights, atol=tolerance)
    loaded = inference.load_model(folder)
    np.testing.assert_allclose(answers(loaded, waveforms), expected, atol=1e-3)
    assert loaded.longest_s == pytest.approx(keras_model.longest_s)
    assert loaded.classes == keras_model.classes == CLASSES


def test_on_real_speech_the_formats_agree_on_two_hundred_clips(tmp_path, real_speech):
    waveforms = speech(real_speech, 200)
    assert len(waveforms) == 200
    file = save("ensemble", tmp_path / "model.keras", waveforms[:20])
    expected = answers(inference.load_model(file), waveforms)
    folder = export(file, tmp_path / "bundle", kinds=("onnx", "litert"))
    for kind in ("onnx", "litert"):
        opened = bundle.load(folder, kind)
        found = np.array([opened(waveform)[0] for waveform in waveforms])
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_temperature_is_in_the_graph(one_bundle, demo_shelf):
    waveforms = speech(demo_shelf, 3)
    plain = answers(inference.load_model(one_bundle / "model.keras"), waveforms)
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    found = answers(inference.load_model(one_bundle / "bundle"), waveforms)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    card = bundle.read_card(one_bundle / "bundle")
    assert (card["temperature"], card["threshold"]) == (2.0, 0.4)
    assert card["recipe"] == {"name": "ensemble"}


@pytest.mark.slow
def test_large_constants_in_half_precision(one_bundle, demo_shelf, tmp_path):
    stale = tmp_path / "half" / "model.tflite"
    stale.parent.mkdir()
    stale.write_bytes(b"of an earlier bundle")
    model, whole = one_bundle / "model.keras", one_bundle / "bundle"
    half = export(model, stale.parent, kinds=("onnx",), half=True, temperature=2.0)
    assert {file.name for file in half.iterdir()} == {"bundle.json", "model.onnx"}
    sizes = [bundle.read_card(f)["files"]["onnx"]["bytes"] for f in (half, whole)]
    assert sizes[0] < sizes[1]
    waveforms = speech(demo_shelf, 3)
    found, expected = (answers(inference.load_model(f), waveforms) for f in (half, whole))
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("failing", ["to_litert", "write_bytes"])
def test_an_export_that_fails_leaves_the_bundle_that_was_there(
    one_bundle, tmp_path, monkeypatch, failing
):
    folder = tmp_path / "bundle"
    shutil.copytree(one_bundle / "bundle", folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(graph, "to_onnx", lambda *_, **__: b"another model")
    monkeypatch.setattr(graph if failing == "to_litert" else Path, failing, fail)
    with pytest.raises((OSError, SerError)):
        export(one_bundle / "model.keras", folder, kinds=("onnx", "litert"))
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def explained(model, samples):
    """Explain the one answer about a recording: titles of the figure."""
    figure = plots.explanation(model, samples, 16_000, model.predict(samples, 16_000))
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_an_explanation_draws_what_the_model_can_tell(one_bundle, demo_shelf, tmp_path):
    (waveform,) = speech(demo_shelf, 1)
    of_keras = explained(inference.load_model(one_bundle / "model.keras"), waveform[:32_000])
    assert of_keras[0].startswith("where the model listened; its answer:")
    assert of_keras[1].startswith("what spoke for")
    opened = inference.load_model(one_bundle / "bundle")
    assert len(explained(opened, waveform[:32_000])) == 1
    (title,) = explained(opened, waveform)
    assert title.startswith(f"where the model listened in the first {opened.longest_s:.1f} s;")
    tone = 0.3 * np.sin(np.arange(12_000) / 10).astype(np.float32)
    assert explained(opened, tone) == ["where the model listened; its answer: no speech"]
    with one_line("a bundle shows attention only"):
        opened.attributions(waveform, 16_000)


def test_a_bundle_answers_without_tensorflow_and_librosa(one_bundle, demo_shelf, tmp_path):
    clip = next(demo_shelf.rglob("*.opus"))
    code = (
        "import sys, json; from ser.inference import load_model\n"
        f"found = load_model({str(one_bundle / 'bundle')!r}).predict({str(clip)!r})\n"
        "heavy = [m for m in ('tensorflow', 'keras', 'librosa', 'torch') if m in sys.modules]\n"
        "print(json.dumps([found.probabilities, heavy]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    probabilities, heavy = json.loads(shown.stdout)
    assert heavy == []
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_bundle_of_a_damaged_file_is_refused_before_it_is_loaded(one_bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(one_bundle / "bundle", folder)
    file = folder / bundle.FILES["onnx"]
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for damaged in (bytes(changed), whole[:-1], b"", whole + b"x"):
        file.write_bytes(damaged)
        with one_line("damaged or changed", "Export or download"):
            bundle.load(folder)
    file.unlink()
    with one_line("missing from its bundle"):
        bundle.load(folder)
    file.write_bytes(whole)
    with one_line("no litert file", "onnx"):
        bundle.load(folder, "litert")
    card = json.loads((folder / bundle.CARD).read_text())
    for wrong in ({**card, "format": 2}, [1], {}):
        (folder / bundle.CARD).write_text(json.dumps(wrong))
        with one_line("expected a bundle of format 1"):
            bundle.load(folder)
    with one_line("no bundle there"):
        bundle.load(tmp_path)


@pytest.mark.slow
def test_the_command_line_makes_and_uses_a_bundle(one_bundle, demo_shelf, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    rows = [(f"{i}", f"{i % 5}", 0, 0, CLASSES[(i % 7) // 5], *(0.8, 0.1, 0.1)) for i in range(210)]
    columns = ["clip_id", "speaker", "fold", "seed", "label", *CLASSES]
    pd.DataFrame(rows, columns=columns).to_csv(report / "predictions.csv", index=False)
    shown = ser_command(
        *("export", one_bundle / "model.keras", "--to", tmp_path / "made"),
        *("--calibrate", report, "--right", 0.7, "--formats", "onnx"),
    )
    assert shown.returncode == 0, shown.stderr
    assert "uncertain below 71 %" in shown.stdout  # five of seven are right
    assert "model.onnx" in shown.stdout
    card = bundle.read_card(tmp_path / "made")
    assert card["temperature"] > 1
    assert card["threshold"] == pytest.approx(5 / 7, abs=0.01)
    clip = tmp_path / "me.wav"
    soundfile.write(clip, speech(demo_shelf, 1)[0], 16_000)
    shown = ser_command("predict", clip, "--model", tmp_path / "made", "--json")
    assert shown.returncode == 0, shown.stderr
    (answer,) = json.loads(shown.stdout)
    assert answer["label"] in CLASSES


def test_formats_that_do_not_exist_are_refused(one_bundle, tmp_path):
    with one_line("no format 'coreml'", "onnx, litert, litert-int8"):
        export(one_bundle / "model.keras", tmp_path, kinds=("coreml",))


def test_a_graph_needs_tensorflow(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "jax")
    with one_line("needs TensorFlow", "KERAS_BACKEND"):
        graph.graph(None, AUDIO, MFCC)
