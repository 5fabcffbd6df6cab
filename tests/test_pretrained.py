"""Pretrained encoders: equal to an independent computation, whatever stands beside a clip."""

import dataclasses
import hashlib
import importlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import one_line
from safetensors.numpy import save_file
from scipy.special import erf
from test_training import Arrays

from ser import models
from ser.audio import decode, to_waveform
from ser.config import AudioConfig, AugmentationConfig, FeatureConfig, TrainingConfig
from ser.corpora import metadata
from ser.features import dataset, encoders, extraction, ssl
from ser.models import own, pretrained, whisper
from ser.training import fitting
from ser.training.batches import Part

AUDIO = AudioConfig(sample_rate_hz=16_000)
RNG = np.random.default_rng(7)


def states_of(name, *states, hop_length=320, kind="whisper", **options):
    settings = {"n_fft": 400, "hop_length": hop_length, "n_frames": 500, **options}
    return FeatureConfig(kinds=(kind,), encoder=name, states=states, **settings)


@pytest.fixture(scope="module")
def speech(demo_shelf):
    """A clip of the demo corpus at 16 kHz."""
    recording = decode(next(f for f in demo_shelf.rglob("*") if f.is_file()))
    return to_waveform(recording.samples, recording.sample_rate_hz, AUDIO)


def small_tensors(width=16, blocks=2):
    """Random weights by the names of a Hugging Face checkpoint."""
    sizes = {"conv1.weight": (width, 80, 3), "conv2.weight": (width, width, 3)}
    sizes |= {"conv1.bias": (width,), "conv2.bias": (width,)}
    sizes |= {"layer_norm.weight": (width,), "layer_norm.bias": (width,)}
    sizes |= {"embed_positions.weight": (1500, width)}
    for number in range(blocks):
        layer = f"layers.{number}."
        for part in "qkv":
            sizes[f"{layer}self_attn.{part}_proj.weight"] = (width, width)
        sizes[f"{layer}self_attn.out_proj.weight"] = (width, width)
        for part in ("q", "v", "out"):
            sizes[f"{layer}self_attn.{part}_proj.bias"] = (width,)
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            sizes |= {f"{layer}{norm}.weight": (width,), f"{layer}{norm}.bias": (width,)}
        sizes |= {f"{layer}fc1.weight": (4 * width, width), f"{layer}fc1.bias": (4 * width,)}
        sizes |= {f"{layer}fc2.weight": (width, 4 * width), f"{layer}fc2.bias": (width,)}
    rng = np.random.default_rng(8)  # one of its own: the same weights in whatever order tests run
    return {k: rng.normal(size=v).astype(np.float32) / 4 for k, v in sizes.items()}


SMALL = pretrained.Encoder("someone/small", "abc", "", 0, width=16, heads=2, blocks=2)


def reference(log_mel, tensors, *, heads, blocks):
    """Whisper's encoder after its paper, in double precision, one clip at a time."""

    def convolve(x, name, stride):
        kernel, padded = tensors[f"{name}.weight"], np.pad(x, ((1, 1), (0, 0)))
        starts = range(0, len(padded) - 2, stride)
        steps = [np.einsum("ti,oit->o", padded[s : s + 3], kernel) for s in starts]
        return gelu(np.stack(steps) + tensors[f"{name}.bias"])

    def gelu(x):
        return x * (1 + erf(x / np.sqrt(2))) / 2

    def normalise(x, name):
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def dense(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors.get(f"{name}.bias", 0)

    x = convolve(convolve(log_mel.astype(np.float64), "conv1", 1), "conv2", 2)
    x = x + tensors["embed_positions.weight"][: len(x)]
    found = [x]
    for number in range(blocks):
        layer = f"layers.{number}."
        y = normalise(x, f"{layer}self_attn_layer_norm")
        q, k, v = (dense(y, f"{layer}self_attn.{part}_proj") for part in "qkv")
        mixed = []
        for part in np.split(np.arange(x.shape[1]), heads):
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(len(part)))
            mixed.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        x = x + dense(np.concatenate(mixed, axis=1), f"{layer}self_attn.out_proj")
        y = normalise(x, f"{layer}final_layer_norm")
        x = x + dense(gelu(dense(y, f"{layer}fc1")), f"{layer}fc2")
        found.append(x)
    found[-1] = normalise(x, "layer_norm")
    return found


# The front end ------------------------------------------------------------------------------------


def test_relative_to_its_loudest_a_recording_may_be_turned_down(speech):
    found = encoders.log_mel(speech, "relative")
    assert found.max() == pytest.approx((1.5 + 4) / 4, abs=1e-5)
    for factor in (10.0, 1e-2, 1e-4):
        turned = encoders.log_mel(np.float32(factor) * speech, "relative")
        np.testing.assert_allclose(turned, found, atol=1e-4)
    gain = np.float32(np.sqrt(10 ** (4 * (found.max() - encoders.log_mel(speech).max()))))
    np.testing.assert_allclose(encoders.log_mel(gain * speech), found, atol=1e-4)
    assert np.isfinite(encoders.log_mel(np.zeros(1_000, np.float32), "relative")).all()


def test_log_mel_is_the_one_of_the_paper(speech):
    found = encoders.log_mel(speech)
    assert found.shape == (len(speech) // 160, 80)
    assert found.dtype == np.float32
    padded = np.pad(speech.astype(np.float64), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [padded[160 * t : 160 * t + 400] * window for t in range(len(found))]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    log = np.log10(np.maximum(power @ encoders.mel_filters().T, 1e-10))
    expected = (np.maximum(log, log.max() - 8) + 4) / 4
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_mel_filters_are_the_released_ones(real_encoder):
    with np.load(real_encoder / "mel_filters.npz") as released:
        np.testing.assert_allclose(encoders.mel_filters(), released["mel_80"], atol=1e-7)


def test_positions_are_the_released_ones(real_encoder):
    with np.load(real_encoder / "encoder_fp16.npz") as released:
        expected = released["position_encodings/encodings"].astype(np.float32)
    np.testing.assert_allclose(whisper.positions(1500, 384), expected, atol=5e-4)


@pytest.mark.parametrize("n_steps", [1, 2, 5, 6])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_pooling_averages_what_is_there(n_steps, size):
    sequence = RNG.normal(size=(n_steps, 3))
    found = encoders.pool(sequence, size)
    expected = [sequence[i : i + size].mean(axis=0) for i in range(0, n_steps, size)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# The encoder --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    """A small encoder with random weights, and the weights."""
    tensors = small_tensors()
    model = whisper.encoder(60, width=16, heads=2, blocks=2)
    whisper.set_weights(model, tensors)
    return model, tensors


@pytest.mark.parametrize("n_frames", [60, 59, 31, 2, 1])
def test_states_are_those_of_an_independent_computation(small, n_frames):
    model, tensors = small
    batch = np.zeros((2, 60, 80), np.float32)
    batch[0, :n_frames] = RNG.normal(size=(n_frames, 80))
    batch[1] = RNG.normal(size=(60, 80))  # a neighbour changes nothing, nor does padding
    expected = reference(batch[0, :n_frames], tensors, heads=2, blocks=2)
    for found, values in zip(model.predict_on_batch(batch), expected, strict=True):
        np.testing.assert_allclose(found[0, : len(values)], values, atol=1e-3)


def test_the_first_blocks_alone_give_the_same_states(small):
    model, tensors = small
    shorter = whisper.encoder(60, width=16, heads=2, blocks=1, last_norm=False)
    whisper.set_weights(shorter, tensors)
    batch = RNG.normal(size=(1, 60, 80)).astype(np.float32)
    whole, part = model.predict_on_batch(batch), shorter.predict_on_batch(batch)
    assert (len(whole), len(part)) == (3, 2)
    for a, b in zip(whole, part, strict=False):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_encoder_hears_at_most_thirty_seconds():
    with pytest.raises(ValueError, match="1 to 3000 frames of 10 ms, found 3001"):
        whisper.encoder(3001)


def test_released_weights_on_real_speech(real_encoder, real_speech):
    recording = decode(sorted(real_speech.rglob("*.flac"))[100])
    waveform = to_waveform(recording.samples, recording.sample_rate_hz, AUDIO)
    config = states_of("whisper-tiny.en", 0, 1, 2, 3, 4)
    found = extraction.extract(waveform, 16_000, config)
    tensors = pretrained.weights("whisper-tiny.en")
    expected = reference(encoders.log_mel(waveform), tensors, heads=6, blocks=4)
    assert np.abs(expected[2]).max() > 1
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-3)
    pooled = extraction.extract(
        waveform, 16_000, states_of("whisper-tiny.en", 3, 2, hop_length=640)
    )
    both = np.concatenate([expected[3], expected[2]], axis=1)
    np.testing.assert_allclose(pooled, encoders.pool(both, 2), atol=1e-3)
    assert extraction.feature_names(config)[384] == "state 1 channel 0"


# Through the store --------------------------------------------------------------------------------


@pytest.fixture
def small_encoder(monkeypatch, tmp_path):
    """The small encoder among the others, its weights in SER_PRETRAINED."""
    named = {f"{pretrained.PREFIX}{k}": v for k, v in small_tensors().items()}
    path = tmp_path / "shelf" / "small" / pretrained.WEIGHTS_FILE
    path.parent.mkdir(parents=True)
    save_file(named, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = dataclasses.replace(SMALL, sha256=digest, n_bytes=path.stat().st_size)
    monkeypatch.setitem(pretrained.ENCODERS, "small", known)
    monkeypatch.setenv("SER_PRETRAINED", str(tmp_path / "shelf"))
    encoders.encoder.cache_clear()
    yield path
    encoders.encoder.cache_clear()


def test_states_go_through_the_store_in_half_precision(project, demo_table, small_encoder):
    augmentation = AugmentationConfig(n_variants=1)
    config = states_of("small", 1, 2, hop_length=640, n_frames=50)
    front = dataset.FrontEnd(AUDIO, config, augmentation)
    table = demo_table.iloc[:3]
    found = dataset.build(table, front, n_jobs=1, progress=False)
    assert found.shape == (3, 2, 50, 32)
    assert len(next(found._cache.read([1]))) == 2 * 50 * 32
    recording = decode(metadata.clip_path(table.iloc[0]))
    expected = extraction.compute(recording.samples, recording.sample_rate_hz, AUDIO, config)
    np.testing.assert_allclose(found.take([0])[0], expected, rtol=1e-3, atol=1e-5)
    found.verify()
    again = dataset.build(table, front, n_jobs=1, progress=False)
    assert again.n_computed == 0


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"kinds": ("whisper", "mfcc")}, ("stand alone",)),
        ({"n_deltas": 1}, ("stand alone",)),
        ({"hop_length": 512}, ("whisper needs a hop_length of 320 or a multiple",)),
        ({"encoder": None}, ("whisper needs an encoder",)),
        ({"states": ()}, ("at least one of its states",)),
        ({"states": (1, 1)}, ("only once",)),
        (
            {"kinds": ("whisper_mel",), "hop_length": 320},
            ("whisper_mel needs a hop_length of 160",),
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, parts):
    settings = {"kinds": ("whisper",), "encoder": "whisper-tiny.en", "states": (2,)}
    with one_line(*parts):
        FeatureConfig(**{**settings, "hop_length": 320, **options})


def test_another_rate_is_refused(speech):
    with one_line("whisper_mel", "16,000 Hz", "22050"):
        extraction.extract(speech, 22_050, FeatureConfig(kinds=("whisper_mel",), hop_length=160))


def test_a_state_that_an_encoder_has_not_is_refused(small_encoder, speech):
    with one_line("small has states 0 to 2, found 3"):
        extraction.extract(speech, 16_000, states_of("small", 3))


# In a model ---------------------------------------------------------------------------------------


@pytest.fixture
def tool(small_encoder, monkeypatch):
    """`tools/compare_encoders.py`, which fine-tunes the small encoder."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")
    module = importlib.import_module("compare_encoders")
    monkeypatch.setattr(module, "ENCODER", "small")
    return module


def mel_clips(n, n_frames=40):
    return RNG.normal(size=(n, n_frames, 80)).astype(np.float32)


HEAD = {"projection", "lstm", "attention", "probabilities", "normalise_statistics"}
SIZES = {"n_frames": 40, "n_features": 80, "n_classes": 3}


@pytest.mark.parametrize(("n", "expected"), [(0, set()), (1, {"2"}), (2, {"1", "2"})])
def test_only_the_last_blocks_are_trained(tool, n, expected):
    model = own.build(tool.fine_tuned(2, n), **SIZES)
    trained = {v.path.split("/")[0] for v in model.trainable_variables}
    assert trained >= HEAD
    blocks = {name.split("_")[1] for name in trained if name.startswith("block_")}
    assert blocks == expected
    assert ("norm" in trained) == (n > 0)


@pytest.mark.slow
def test_a_fine_tuned_model_carries_its_encoder_which_learns_more_slowly(tool, tmp_path):
    keras.utils.set_random_seed(0)
    batch, part = mel_clips(6), None
    batch[1, 25:] = 0
    part = Part(Arrays(batch[:, None]), np.arange(6), np.arange(6) % 3)
    model = own.build(tool.fine_tuned(2, 2), **SIZES)
    fitting._set_statistics(model, part)
    layer = model.get_layer("standardise_states")
    states = keras.Model(model.input, layer.input).predict_on_batch(batch)
    rows = states[np.any(states != 0, axis=-1)]
    assert len(rows) < 6 * states.shape[1]
    np.testing.assert_allclose(layer.mean, rows.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(layer.deviation, rows.std(axis=0), rtol=1e-3)
    fitting._compile(model, TrainingConfig(learning_rate=0.01), 3)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    model.train_on_batch(batch, np.eye(3)[np.arange(6) % 3])
    for variable in model.trainable_variables:  # Adam's first step is the rate, or next to it
        step = np.abs(variable.numpy() - before[variable.path]).max()
        encoder = variable.path.startswith(("block_", "norm/"))
        assert step <= 0.01 * (tool.ENCODER_RATE if encoder else 1.0) * 1.01, variable.path
        if not encoder:
            assert step > 0.005, variable.path
    expected = model.predict_on_batch(batch)
    np.testing.assert_allclose(model.predict_on_batch(batch[1:2]), expected[1:2], atol=1e-5)
    models.save(model, tmp_path / "model.keras", {})
    small = model.get_layer("conv_1")
    assert not small.trainable
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(batch), expected)
    again = own.build(tool.fine_tuned(2, 1, str(tmp_path / "model.keras")), **SIZES)
    for kept, given in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, given)


# Weights ------------------------------------------------------------------------------------------


def test_an_unknown_encoder_is_named_with_the_others():
    with one_line("no encoder 'whisper-tinyen'", "whisper-tiny.en", "whisper-base"):
        pretrained.get("whisper-tinyen")


def test_weights_that_are_not_here_are_one_command_away(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_PRETRAINED", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert not pretrained.is_here("whisper-base.en")
    with one_line("whisper-base.en", "290 MB", "`ser pretrained download whisper-base.en`"):
        pretrained.weights("whisper-base.en")


def test_weights_that_were_changed_are_refused(small_encoder):
    assert pretrained.is_here("small")
    assert len(pretrained.weights("small")) == len(small_tensors())
    data = bytearray(small_encoder.read_bytes())
    data[-1] ^= 1
    small_encoder.write_bytes(data)
    with one_line("not the released weights of someone/small", "SHA-256", "Remove the file"):
        pretrained.weights("small")


def test_another_encoder_in_the_same_place_is_refused(small_encoder):
    small_encoder.unlink()
    np.savez(small_encoder.with_name(pretrained.CTRANSLATE2_FILE), **{"conv1/weight": np.ones(3)})
    with one_line("not the encoder of someone/small"):
        pretrained.weights("small")


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as one file needs."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        server.asked.append((self.command, self.path))
        known = self.path == f"/someone/small/resolve/{'a' * 40}/{pretrained.WEIGHTS_FILE}"
        self.send_response(200 if known else 404)
        if known:
            self.send_header("ETag", f'"{hashlib.sha256(server.data).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(server.data) if known else 0))
        self.end_headers()
        if known and body:
            self.wfile.write(server.data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(small_encoder):
    """A hub on this machine that serves the weights of the small encoder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.data, asked = small_encoder.read_bytes(), []
    server.asked = asked
    server.fetched = lambda: sum(how == "GET" and "/resolve/" in path for how, path in asked)
    small_encoder.unlink()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def download(home, endpoint, **more):
    """Run `ser pretrained download small` as a user would, in a process of its own."""
    known = dataclasses.replace(pretrained.ENCODERS["small"], revision="a" * 40)
    code = (
        "import sys; from ser import cli; from ser.models import pretrained\n"
        f"pretrained.ENCODERS['small'] = pretrained.{known!r}\n"
        "sys.argv = ['ser', 'pretrained', 'download', 'small']; cli.main()"
    )
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, **more}
    environment.pop("SER_PRETRAINED", None)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def test_weights_come_from_the_hub_once(hub, tmp_path):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    shown = download(tmp_path / "home", endpoint)
    assert shown.returncode == 0, shown.stderr
    assert "small: its weights are here." in shown.stdout
    assert hub.fetched() == 1
    (found,) = (tmp_path / "home").rglob(pretrained.WEIGHTS_FILE)
    assert found.read_bytes() == hub.data
    again = download(tmp_path / "home", endpoint, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert hub.fetched() == 1


def test_a_hub_that_sends_something_else_leaves_nothing_behind(hub, tmp_path):
    hub.data = hub.data[:-1] + b"?"
    shown = download(tmp_path / "home", f"http://127.0.0.1:{hub.server_port}")
    assert shown.returncode == 2
    assert "not the released weights of someone/small" in shown.stderr
    assert not [p for p in (tmp_path / "home").rglob("blobs/*") if p.is_file()]


@pytest.mark.parametrize("more", [{"HF_HUB_OFFLINE": "1"}, {}])
def test_without_the_file_one_line_says_what_to_do(hub, tmp_path, more):
    endpoint = f"http://127.0.0.1:{hub.server_port}/nowhere"
    shown = download(tmp_path / "home", endpoint, **more)
    assert shown.returncode == 2
    lines = [line for line in shown.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, shown.stderr
    assert "the Hugging Face hub gave no model.safetensors of someone/small" in lines[0]
    assert "SER_PRETRAINED" in lines[0]


# wav2vec 2.0 and its kin --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["Wav2Vec2", "Hubert", "WavLM"])
def saved(request, tmp_path_factory):
    """A tiny encoder with random weights, as `save_pretrained` writes it."""
    transformers = pytest.importorskip("transformers", reason="make test EXTRAS=ssl")
    torch = pytest.importorskip("torch", reason="make test EXTRAS=ssl")
    torch.manual_seed(0)
    config = getattr(transformers, f"{request.param}Config")(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8, 8, 8, 8, 8),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp(request.param)
    getattr(transformers, f"{request.param}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return str(folder)


def test_states_of_wav2vec_are_those_of_transformers(saved, speech):
    import torch
    import transformers

    config = states_of(saved, 0, 2, kind="ssl")
    found = extraction.extract(speech, 16_000, config)
    model = transformers.AutoModel.from_pretrained(saved).eval()
    scaled = (speech - speech.mean()) / np.sqrt(speech.var() + 1e-7)
    with torch.inference_mode():
        states = model(torch.tensor(scaled)[None], output_hidden_states=True).hidden_states
    expected = np.concatenate([states[0][0].numpy(), states[2][0].numpy()], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(extraction.feature_names(config)) == found.shape[1] == 32
    pooled = extraction.extract(speech, 16_000, states_of(saved, 0, 2, kind="ssl", hop_length=1280))
    np.testing.assert_allclose(pooled, encoders.pool(found, 4), atol=1e-4)


def test_states_that_wav2vec_has_not_are_refused(saved, speech):
    with one_line("features.states must be 0 to 2, found 3"):
        extraction.extract(speech, 16_000, states_of(saved, 3, kind="ssl"))


def test_an_encoder_that_is_nowhere_is_refused(saved, speech, tmp_path):
    with one_line("cannot be had", "Hugging Face hub", "save_pretrained"):
        extraction.extract(speech, 16_000, states_of(str(tmp_path / "none"), 1, kind="ssl"))


def test_without_transformers_the_extra_is_named(monkeypatch, speech, tmp_path):
    ssl.width.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with one_line("transformers and PyTorch", "pip install 'ser-honest[ssl]'"):
        extraction.feature_names(states_of(str(Path("x") / "y"), 1, kind="ssl"))
