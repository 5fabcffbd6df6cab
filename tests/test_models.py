"""Models: shapes, the time axis, padding, saving; on whichever backend is installed."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import one_line, warnings_are_errors

from ser import models
from ser.config import ModelConfig
from ser.models import own
from ser.models.layers import (
    AttentionPooling,
    AttentiveStatistics,
    ClipNormalise,
    ClipStatistics,
    MaskedAverage,
    Standardise,
)

SMALL = ModelConfig(
    options={
        "filters": [4, 6],
        "pool_sizes": [[2, 2], [2, 4]],
        "lstm_units": 5,
        "attention_units": 3,
    }
)


def build(config=SMALL, n_frames=60, n_features=16, n_classes=3):
    keras.utils.set_random_seed(0)
    return models.build(config, n_frames=n_frames, n_features=n_features, n_classes=n_classes)


def clips(n_clips=4, n_frames=60, n_features=16, n_valid=None, seed=0):
    batch = np.random.default_rng(seed).normal(size=(n_clips, n_frames, n_features))
    for clip, n in zip(batch, n_valid or [n_frames] * n_clips, strict=True):
        clip[n:] = 0
    return batch.astype(np.float32)


def attention(model, batch):
    """The weights over time."""
    return models.with_attention(model).predict_on_batch(batch)[1]


def part_of(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


@pytest.fixture(scope="module")
def small():
    """A built model; tests do not change it."""
    return build()


# Building -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_frames", "n_features", "n_classes"), [(174, 40, 8), (97, 33, 2)])
def test_default_sizes(n_frames, n_features, n_classes):
    model = build(ModelConfig(), n_frames, n_features, n_classes)
    assert model.input_shape == (None, n_frames, n_features)
    assert model.output_shape == (None, n_classes)
    probabilities = model.predict_on_batch(clips(2, n_frames, n_features))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.min() >= 0
    assert model.get_layer("lstm").forward_layer.units == 128
    assert not model.compiled


def test_blocks_follow_the_options(small):
    names = [layer.name for layer in small.layers]
    assert "conv_2" in names
    assert "conv_3" not in names
    assert small.get_layer("conv_2").filters == 6
    assert small.get_layer("pool_2").output.shape == (None, 15, 2, 6)
    assert small.get_layer("lstm").output.shape == (None, 15, 10)


def test_misspelled_option_names_the_allowed_ones():
    with one_line(
        "cnn_lstm_attention", "'lstm_unit'", "Did you mean 'lstm_units'?", "Allowed: filters"
    ):
        build(ModelConfig(options={"lstm_unit": 64}))


def test_unknown_architecture():
    with one_line(
        "'transformer'",
        "Allowed: cnn_beside_lstm, cnn_lstm, cnn_lstm_attention, encoder_states, residual",
    ):
        build(ModelConfig(architecture="transformer"))


@pytest.mark.parametrize(
    ("options", "sizes", "parts"),
    [
        ({"filters": [4]}, {}, ("one entry per block", "1 and 3")),
        ({}, {"n_frames": 7}, ("7 frames", "(2, 2) in block 3 leaves nothing")),
        ({}, {"n_features": 1}, ("1 features", "(2, 2) in block 1 leaves nothing")),
        ({"pool_sizes": [[2], [2], [2]]}, {}, ("cannot be built",)),
        ({"pool_sizes": [[0, 1]] * 3}, {}, ("pool_size",)),
        ({"lstm_units": 0}, {}, ("units", "positive")),
        ({"lstm_units": "many"}, {}, ("cannot be built", "'many'")),
        ({"conv_dropout": 2}, {}, ("between 0 and 1", "2")),
    ],
)
def test_sizes_that_do_not_fit(options, sizes, parts):
    with one_line(*parts):
        build(ModelConfig(options=options), **sizes)


# The time axis ------------------------------------------------------------------------------------


def test_the_sequence_axis_is_time(small):
    # What is said later must not reach the earlier steps of the sequence before the LSTM. Where
    # the wrong axis is flattened, every step holds a bit of all times.
    sequence = part_of(small, "as_sequence")
    assert sequence.output_shape == (None, 60 // 4, 16 // 8 * 6)
    original = clips(1)
    changed = original.copy()
    changed[:, 40:] += 1
    difference = np.abs(sequence(original) - sequence(changed))[0].max(axis=1)
    receptive = 40 // 4 - 1  # the convolutions see a step ahead
    assert not difference[:receptive].any()
    assert difference[receptive + 1 :].min() > 0


def test_all_features_of_a_step_reach_it(small):
    sequence = part_of(small, "as_sequence")
    original = clips(1)
    for feature in (0, 7, 15):
        changed = original.copy()
        changed[:, 20:24, feature] += 5
        difference = np.abs(sequence(original) - sequence(changed))[0].max(axis=1)
        assert difference[5] > 0
        assert not difference[[0, 1, 2, 9, 12]].any()


# Padding ------------------------------------------------------------------------------------------


def test_attention_is_zero_on_padding_and_sums_to_one(small):
    n_valid = [60, 41, 5, 1]
    weights = attention(small, clips(n_valid=n_valid))
    assert weights.shape == (4, 15)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    for row, n in zip(weights, n_valid, strict=True):
        steps = -(-n // 4)  # a step with any frame in it counts
        assert row[:steps].min() > 0
        assert row[steps:].max(initial=0) < 1e-12


def test_a_clip_of_nothing_but_padding_gives_an_answer(small):
    probabilities = small.predict_on_batch(np.zeros((1, 60, 16), np.float32))
    assert np.isfinite(probabilities).all()


def test_the_lstm_sees_nothing_in_padding(small):
    hidden = part_of(small, "hide_padding")(clips(n_valid=[60, 40, 20, 8]))
    for row, steps in zip(np.array(hidden), [15, 10, 5, 2], strict=True):
        assert np.abs(row[:steps]).max() > 0
        assert not row[steps:].any()


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch(small):
    batch = clips(n_valid=[60, 30, 44, 8])
    together = small.predict_on_batch(batch)
    for i in range(4):
        np.testing.assert_allclose(
            small.predict_on_batch(batch[i : i + 1])[0], together[i], atol=1e-5
        )


# Layers -------------------------------------------------------------------------------------------


def test_standardise_is_numpys_and_leaves_padding_at_zero():
    batch = 3 + 2 * clips(n_valid=[60, 30, 10, 0])
    batch[np.all(batch == 3, axis=2)] = 0
    layer = Standardise()
    layer.build(batch.shape)
    mean, deviation = np.linspace(-1, 1, 16), np.linspace(0.5, 2, 16)
    deviation[3] = 0
    layer.set_statistics(mean, deviation)
    found, mask = (np.array(x) for x in layer(batch))
    valid = np.any(batch != 0, axis=2)
    np.testing.assert_array_equal(mask[..., 0], valid)
    scale = np.where(deviation == 0, 1, deviation)
    np.testing.assert_allclose(found[valid], ((batch - mean) / scale)[valid], rtol=1e-4, atol=1e-5)
    assert not found[~valid].any()


def test_pooling_layers_are_numpys():
    sequence = clips(3, 8, 5)
    mask = np.ones((3, 8, 1), np.float32)
    mask[1, 5:] = mask[2, 1:] = 0
    average = np.array(MaskedAverage()(sequence, mask))
    for row, n, found in zip(sequence, (8, 5, 1), average, strict=True):
        np.testing.assert_allclose(found, row[:n].mean(axis=0), atol=1e-6)
    pooled, weights = (np.array(x) for x in AttentionPooling(4)(sequence, mask))
    np.testing.assert_allclose(pooled, np.einsum("ct,ctf->cf", weights, sequence), atol=1e-5)
    assert not weights[1, 5:].any()
    np.testing.assert_allclose(weights[2, 0], 1)


def test_statistics_of_each_head_are_numpys():
    sequence = clips(3, 8, 5)
    mask = np.ones((3, 8, 1), np.float32)
    mask[1, 5:] = mask[2, 1:] = 0
    layer = AttentiveStatistics(heads=2, units=4)
    pooled, weights = (np.array(x) for x in layer(sequence, mask))
    hidden = np.tanh(sequence @ layer.hidden.kernel.numpy() + layer.hidden.bias.numpy())
    scores = np.exp(hidden @ layer.score.kernel.numpy()) * mask
    heads = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, heads.mean(axis=2), atol=1e-6)
    means, deviations = np.split(pooled.reshape(3, 4, 5), 2, axis=1)
    for head in range(2):
        for clip in range(3):
            weight = heads[clip, :, head]
            mean = np.average(sequence[clip], axis=0, weights=weight)
            variance = np.average((sequence[clip] - mean) ** 2, axis=0, weights=weight)
            np.testing.assert_allclose(means[clip, head], mean, atol=1e-5)
            found = np.sqrt(np.maximum(variance, 1e-5))
            np.testing.assert_allclose(deviations[clip, head], found, atol=1e-3)


def test_a_clip_is_normalised_by_itself():
    sequence = 3 + 2 * clips(3, 50, 5)
    mask = np.ones((3, 50, 1), np.float32)
    mask[1, 30:] = mask[2] = 0
    found = np.array(ClipNormalise()(sequence, mask))
    for n, clip in ((50, found[0]), (30, found[1])):
        np.testing.assert_allclose(clip[:n].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(clip[:n].std(axis=0), 1, atol=1e-3)
    assert not found[1, 30:].any()
    assert not found[2].any()


def test_statistics_of_a_clip_are_numpys():
    sequence = 3 + 2 * clips(2, 50, 5)
    mask = np.ones((2, 50, 1), np.float32)
    mask[1, 30:] = 0
    found = np.array(ClipStatistics()(sequence * mask, mask))
    for clip, values in zip((sequence[0], sequence[1, :30]), found, strict=True):
        change = np.sqrt(np.mean(np.diff(clip, axis=0) ** 2, axis=0))
        expected = [clip.mean(0), clip.std(0), change, clip.max(0), clip.min(0)]
        np.testing.assert_allclose(values, np.concatenate(expected), atol=1e-4)


# Other architectures ------------------------------------------------------------------------------

TEMPORAL = {"filters": 8, "heads": 2, "attention_units": 3}
OTHERS = {
    "along time": ModelConfig(
        architecture="cnn_lstm",
        options={"filters": [4, 6], "pool_sizes": [2, 2], "lstm_units": 5, "dense_units": 7},
    ),
    "along features": ModelConfig(
        architecture="cnn_lstm",
        options={
            "axis": "features",
            "filters": [4, 6],
            "pool_sizes": [4, 4],
            "lstm_units": 5,
            "dense_units": 7,
        },
    ),
    "beside": ModelConfig(
        architecture="cnn_beside_lstm",
        options={"filters": [4, 6], "lstm_units": 5, "attention_units": 3},
    ),
    "average": ModelConfig(options={**SMALL.options, "attention": False}),
    "residual": ModelConfig(architecture="residual", options={**TEMPORAL, "lstm_units": 5}),
    "residual with everything": ModelConfig(
        architecture="residual",
        options={
            **TEMPORAL,
            "normalise": "both",
            "input_dropout": 0.05,
            "pool_size": 1,
            "n_blocks": 2,
            "lstm_units": 5,
            "statistics_dropout": 0.5,
        },
    ),
    "transformer": ModelConfig(
        architecture="residual",
        options={
            **TEMPORAL,
            "sequence": "transformer",
            "transformer_heads": 2,
            "normalise": "clip",
        },
    ),
    "states": ModelConfig(
        architecture="encoder_states",
        options={"projection": 8, "lstm_units": 5, "heads": 1, "statistics_dropout": 0.5},
    ),
    "states, a linear probe": ModelConfig(
        architecture="encoder_states", options={"heads": 0, "statistics_dropout": 0.3}
    ),
}


QUICK = ("residual", "states")  # one with a convolution, one on an encoder's states


def in_time(name):
    return name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=OTHERS)
def other(request):
    """A built model of each; tests do not change it."""
    return build(OTHERS[request.param])


@pytest.mark.parametrize("architecture", models.ARCHITECTURES)
def test_every_architecture_has_a_whole_default(architecture):
    model = build(ModelConfig(architecture=architecture), 87, 40, 7)
    assert model.name.startswith(architecture)
    assert (model.input_shape, model.output_shape) == ((None, 87, 40), (None, 7))
    assert not model.compiled


def test_other_architectures_give_probabilities(other):
    batch = clips(n_valid=[60, 41, 5, 0])
    probabilities = other.predict_on_batch(batch)
    assert probabilities.shape == (4, 3)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    for i in range(4):  # a clip does not depend on its neighbours
        alone = other.predict_on_batch(batch[i : i + 1])[0]
        np.testing.assert_allclose(alone, probabilities[i], atol=1e-5)


def test_other_architectures_answer_the_same_once_loaded(other, tmp_path):
    layer = other.get_layer("standardise")
    before = [np.array(weight) for weight in layer.weights]
    layer.set_statistics(np.linspace(-1, 1, 16), np.linspace(0.5, 2, 16))
    other.save(tmp_path / "model.keras")
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(clips()), other.predict_on_batch(clips()))
    layer.set_statistics(*before)
    differing = loaded.predict_on_batch(clips()) - other.predict_on_batch(clips())
    assert np.abs(differing).max() > 1e-6  # the statistics count, and travelled with the model


@pytest.mark.parametrize("name", [in_time(name) for name in OTHERS])
def test_other_architectures_learn_what_can_be_told_apart(name):
    options = {"conv_dropout": 0.0} if "states" not in name else {"input_dropout": 0.0}
    options["head_dropout"] = 0.0
    config = dataclasses.replace(OTHERS[name], options={**OTHERS[name].options, **options})
    model = build(config, n_frames=16, n_features=8)
    labels = np.arange(24) % 3
    batch = clips(24, 16, 8)
    for clip, label in zip(batch, labels, strict=True):
        clip[:, 2 * label : 2 * label + 3] += 3
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    losses = [float(model.train_on_batch(batch, labels)) for _ in range(40)]
    assert losses[-1] < losses[0]
    guesses = model(batch, training=True)  # batch statistics: the running ones lag behind
    assert np.mean(np.argmax(guesses, axis=1) == labels) > 0.9


def test_along_features_all_values_are_one_string_of_scalars():
    model = build(OTHERS["along features"], n_frames=3)
    batch = clips(2, 3)
    string = np.array(part_of(model, "as_one_sequence")(batch))
    assert string.shape == (2, 3 * 16, 1)
    np.testing.assert_array_equal(string[..., 0], batch.reshape(2, 48))
    assert model.get_layer("lstm").input.shape == (None, 3, 6)
    # neighbours are neighbouring coefficients: the first says nothing to the last step
    changed = batch.copy()
    changed[:, 0, 0] += 5
    steps = part_of(model, "pool_2")
    difference = np.abs(steps(batch) - steps(changed)).max(axis=(0, 2))
    assert difference[0] > 0
    assert difference[2] == 0


def test_along_time_the_sequence_axis_is_time():
    model = build(OTHERS["along time"])
    assert "as_one_sequence" not in [layer.name for layer in model.layers]
    steps = part_of(model, "pool_2")
    assert steps.output_shape == (None, 60 // 4, 6)
    original = clips(1)
    for feature in (0, 15):
        changed = original.copy()
        changed[:, 40:44, feature] += 5
        difference = np.abs(steps(original) - steps(changed))[0].max(axis=1)
        assert difference[10] > 0
        assert not difference[[0, 5, 7, 13, 14]].any()


def test_attention_beside_the_convolutions():
    model = build(OTHERS["beside"])
    n_valid = [60, 41, 5, 1]
    weights = attention(model, clips(n_valid=n_valid))
    assert weights.shape == (4, 30)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    for row, n in zip(weights, n_valid, strict=True):
        steps = -(-n // 2)
        assert row[:steps].min() > 0
        assert row[steps:].max(initial=0) < 1e-12


@pytest.mark.parametrize("name", ["residual", "residual with everything", "transformer", "states"])
def test_attention_of_the_convolutions_over_time(name):
    n_valid = [60, 41, 5, 1]
    model = build(OTHERS[name])
    weights = attention(model, clips(n_valid=n_valid))
    frames = 60 // weights.shape[1]
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    for row, n in zip(weights, n_valid, strict=True):
        steps = -(-n // frames)
        assert row[:steps].min() > 0
        assert row[steps:].max(initial=0) < 1e-12


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("residual", {"normalise": "none"}, ("training, clip, both", "none")),
        ("residual", {"pool_size": 61}, ("pooling by 61", "60 frames")),
        ("residual", {"sequence": "gru"}, ("lstm, transformer", "gru")),
        ("states", {"pool_size": 61}, ("pooling by 61", "60 steps")),
        ("states, a linear probe", {"statistics_dropout": None}, ("set statistics_dropout",)),
        ("transformer", {"transformer_heads": 3}, ("8 filters", "3 heads")),
    ],
)
def test_sizes_of_the_convolutions_over_time(name, options, parts):
    config = dataclasses.replace(OTHERS[name], options={**OTHERS[name].options, **options})
    with one_line(*parts):
        build(config)


def test_the_lstm_is_beside_the_convolutions():
    model = build(OTHERS["beside"])
    convolutions = {layer.name for layer in model.layers if layer.name.startswith("conv_")}
    assert convolutions == {"conv_1", "conv_2"}
    weights = model.get_layer("attention").output[1]
    heard = {layer.name for layer in keras.Model(model.input, weights).layers}
    seen = {layer.name for layer in part_of(model, "image_summary").layers}
    assert "lstm" in heard
    assert "lstm" not in seen
    assert not heard & convolutions
    assert convolutions <= seen
    assert model.get_layer("fused").output.shape == (None, 6 + 2 * 5)


def test_without_attention_the_average_is_all(small):
    model = build(OTHERS["average"])
    names = [layer.name for layer in model.layers]
    assert not {"attention", "summary"} & set(names)
    assert model.get_layer("dropout_head").input is model.get_layer("average").output
    assert model.get_layer("probabilities").get_weights()[0].shape == (10, 3)
    assert small.get_layer("probabilities").get_weights()[0].shape == (20, 3)
    assert models.with_attention(model) is model


@pytest.mark.parametrize(
    ("architecture", "options", "sizes", "parts"),
    [
        ("cnn_lstm", {"axis": "time"}, {}, ("one of frames, features", "'time'")),
        ("cnn_lstm", {"axes": "frames"}, {}, ("'axes'", "Did you mean 'axis'?", "Allowed: axis")),
        ("cnn_lstm", {"filters": [4]}, {}, ("one entry per block", "1 and 2")),
        ("cnn_lstm", {}, {"n_frames": 3}, ("3 frames", "pooling by 2 in block 2")),
        (
            "cnn_lstm",
            {"axis": "features", "pool_sizes": [8, 8]},
            {"n_frames": 1, "n_features": 40},
            ("pooling by 8 in block 2 leaves nothing",),
        ),
        ("cnn_lstm", {"pool_sizes": [[2, 2], [2, 2]]}, {}, ("cannot be built",)),
        ("cnn_lstm", {"lstm_units": 0}, {}, ("cannot be built", "units")),
        ("cnn_lstm", {"conv_dropout": 2}, {}, ("between 0 and 1", "2")),
        ("cnn_beside_lstm", {"lstm_pol": 2}, {}, ("'lstm_pol'", "Did you mean 'lstm_pool'?")),
        ("cnn_beside_lstm", {}, {"n_frames": 7}, ("3 blocks", "at least 8 frames of 8 features")),
        ("cnn_beside_lstm", {}, {"n_features": 7}, ("3 blocks", "at least 8 frames of 8 features")),
        ("cnn_beside_lstm", {"lstm_pool": 61}, {}, ("pooling by 61", "at least 61 frames")),
        ("cnn_beside_lstm", {"lstm_pool": 0}, {}, ("cannot be built", "pool_size")),
        ("cnn_beside_lstm", {"filters": 4}, {}, ("cannot be built",)),
        ("cnn_beside_lstm", {"kernel_size": "wide"}, {}, ("cannot be built", "wide")),
    ],
)
def test_options_of_other_architectures_that_do_not_fit(architecture, options, sizes, parts):
    with one_line(architecture, *parts):
        build(ModelConfig(architecture=architecture, options=options), **sizes)


# Saving -------------------------------------------------------------------------------------------


@pytest.fixture
def saved(small, tmp_path):
    models.save(small, tmp_path / "model.keras", {"classes": ["a", "ä"]})
    return tmp_path / "model.keras"


def test_a_loaded_model_answers_the_same(small, saved):
    loaded = models.load(saved)
    np.testing.assert_array_equal(loaded.predict_on_batch(clips()), small.predict_on_batch(clips()))
    assert not loaded.compiled
    weights = attention(loaded, clips())
    np.testing.assert_array_equal(weights, attention(small, clips()))


def test_the_card_travels_with_the_model(small, saved):
    assert models.read_card(saved) == {"classes": ["a", "ä"]}
    models.save(small, saved, {"classes": ["b"]})  # again, after a kill
    assert models.read_card(saved) == {"classes": ["b"]}
    assert list(saved.parent.iterdir()) == [saved]
    models.load(saved)


@warnings_are_errors
def test_a_model_of_an_older_keras_answers_as_it_did():
    """Two members, attention and all, made by this package with Keras 3.4.1."""
    file = Path(__file__).with_name("made_with_keras_3_4_1.keras")
    card, model = models.read_card(file), models.load(file)
    assert card["made with"] == "3.4.1"
    rows = np.linspace(-1, 1, 2 * 20 * 8).reshape(2, 20, 8).astype(np.float32)
    with_weights = models.with_attention(model)
    probabilities, weights = with_weights.predict_on_batch(rows)
    np.testing.assert_allclose(probabilities, card["answers"], atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(rows), card["answers"], atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_a_model_of_a_newer_keras_says_so(saved):
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["metadata.json"] = b'{"keras_version": "3.99.1"}'
    known = b'"GlorotUniform", "config": {'
    assert known in parts["config.json"]
    parts["config.json"] = parts["config.json"].replace(known, known + b'"axes_of_2030": 0, ')
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    here = f"made with Keras 3.99.1, here Keras {keras.__version__}, which cannot load it ("
    with one_line(here, "axes_of_2030", "Install Keras 3.99.1, or use a bundle") as caught:
        models.load(saved)
    assert "elete" not in str(caught.value)


def test_a_model_that_would_run_code_is_refused(tmp_path):
    inputs = keras.Input((3,))
    outputs = keras.layers.Lambda(lambda x: x + 1)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    with one_line("model.keras", "cannot load it", "Lambda"):
        models.load(tmp_path / "model.keras")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_model_cut_short_is_one_line(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    for read in (models.load, models.read_card):
        with one_line(str(saved), "not a Keras model, or cut short", "train again"):
            read(saved)


def test_a_damaged_model_is_one_line(saved):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF  # within the weights
    saved.write_bytes(content)
    with one_line(str(saved), "Keras"):
        models.load(saved)


def test_missing_and_strange_models(small, tmp_path):
    for read in (models.load, models.read_card):
        with one_line("no.keras", "no such model", "ser train"):
            read(tmp_path / "no.keras")
    small.save(tmp_path / "bare.keras")
    with one_line("bare.keras", "without labels and front end"):
        models.read_card(tmp_path / "bare.keras")


# A model of the reader's own ----------------------------------------------------------------------

SIZES = {"n_frames": 12, "n_features": 4, "n_classes": 3}
CELL = """
import keras
from keras import layers
WIDTH = 5
@keras.saving.register_keras_serializable("mine")
class Scale(layers.Layer):
    def call(self, x):
        return 2.0 * x
@keras.saving.register_keras_serializable("mine")
def bent(x):
    return keras.ops.relu(x) - 0.1
def block(x):
    return layers.Conv1D(WIDTH, 3, activation="relu")(x)
def mine(n_frames, n_features, n_classes):
    inputs = keras.Input((n_frames, n_features))
    x = layers.Normalization()(inputs)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(Scale()(block(x)))
    x = layers.Softmax()(layers.Flatten()(x[:, ::2]))
    x = layers.Dense(4, activation=bent)(x)
    return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(x))
"""


def cell(source=CELL):
    """What a cell of a notebook defines as `mine`."""
    namespace = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace["mine"]


def hashed(source=CELL, as_model=False):
    made = cell(source)
    return own.fingerprint(made(**SIZES) if as_model else made, **SIZES)


@pytest.mark.parametrize("as_model", [False, True])
def test_the_same_cell_has_the_same_name(as_model):
    assert hashed(as_model=as_model) == hashed(as_model=as_model)  # Keras has counted on


@pytest.mark.parametrize("as_model", [False, True])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WIDTH = 5", "WIDTH = 6"),
        ("2.0 * x", "3.0 * x"),
        ("- 0.1", "- 0.2"),
        ('"relu"', '"tanh"'),
        ("LSTM(2", "GRU(2"),
        ("::2", "::3"),
        ("layers.Normalization()(inputs)", "inputs"),
    ],
)
def test_an_edit_gives_another_name(old, new, as_model):
    assert old in CELL
    assert hashed(CELL.replace(old, new), as_model) != hashed(CELL, as_model)


@pytest.mark.slow
def test_the_name_is_the_same_in_another_process():
    script = f"{CELL}\nfrom ser.models import own\nprint(own.fingerprint(mine, **{SIZES}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == hashed(), done.stderr[-2000:]


def test_of_a_model_a_fresh_copy_is_made():
    given = cell()(**SIZES)
    model = own.build(given, **SIZES)
    assert model is not given
    assert [type(one) for one in model.layers] == [type(one) for one in given.layers]
    kernels = [one.layers[-1].get_weights()[0] for one in (model, given)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0
    as_list = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    )
    assert own.build(as_list, **SIZES).output_shape == (None, 3)


def test_what_is_unknown_where_a_model_is_loaded_is_named(tmp_path):
    models.save(cell()(**SIZES), tmp_path / "model.keras", {})
    script = f"from ser import models\nmodels.load({str(tmp_path / 'model.keras')!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    expected = "the model has a layer Scale that is not known here. Run the code that defines it"
    assert expected in done.stderr.splitlines()[-1]


def plain(*inner, last=None):
    """A function of the sizes that strings layers together."""

    def mine(n_frames, n_features, n_classes):
        end = keras.layers.Dense(n_classes, activation="softmax") if last is None else last
        return keras.Sequential([keras.Input((n_frames, n_features)), *inner, end])

    return mine


class Unregistered(keras.layers.Layer):
    def call(self, x):
        return x


@keras.saving.register_keras_serializable("mine")
class Unsaved(keras.layers.Layer):
    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def call(self, x):
        return self.function(x)


def shifted(x):
    return x + 1


FLAT = keras.layers.Flatten
NORMALISED = keras.Sequential([keras.Input((12, 4)), keras.layers.Normalization()])


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (lambda *sizes: None, ("expected a keras.Model", "found NoneType")),
        (
            lambda *sizes: 1 / 0,
            ("cannot be built for 12 frames of 4 features and 3 classes", "Zero"),
        ),
        (5, ("cannot be built", "not callable")),
        (
            lambda *sizes: keras.Sequential([keras.Input((7, 4)), FLAT()]),
            ("expected features", "(12, 4)", "found an input of (7, 4)"),
        ),
        (plain(), ("expected one output of 3 probabilities", "(12, 3)")),
        (plain(FLAT(), last=keras.layers.Dense(3)), ("expected probabilities that sum to 1",)),
        (plain(keras.layers.Lambda(lambda x: x), FLAT()), ("a Lambda layer", "call method")),
        (plain(Unregistered(), FLAT()), ("Unregistered", "register_keras_serializable")),
        (plain(keras.layers.Activation(shifted), FLAT()), ("shifted", "register_keras")),
        (plain(Unsaved(np.abs), FLAT()), ("could not be loaded", "get_config")),
        (plain(NORMALISED, FLAT()), ("normalization", "inside another layer", "keras.Input")),
    ],
)
def test_what_cannot_be_trained_saved_and_loaded_is_refused(given, parts):
    with one_line("model ", *parts):
        own.build(given, **SIZES)


# Other backends -----------------------------------------------------------------------------------

ONE_STEP = """
import keras, numpy as np
from ser import models
from ser.training import fitting as training
from ser.config import ModelConfig, TrainingConfig
options = {"filters": [4], "pool_sizes": [[2, 2]], "lstm_units": 4, "attention_units": 3}
model = models.build(ModelConfig(options=options), n_frames=12, n_features=6, n_classes=2)
training._compile(model, TrainingConfig(), 2)
batch = np.random.default_rng(0).normal(size=(8, 12, 6)).astype("float32")
targets = np.eye(2, dtype="float32")[[0, 1] * 4]
before = model.get_layer("conv_1").get_weights()[0]
losses = [float(model.train_on_batch(batch, targets, np.ones(8))[0]) for _ in range(2)]
assert np.isfinite(losses).all()
assert np.abs(model.get_layer("conv_1").get_weights()[0] - before).max() > 0
_, weights = models.with_attention(model).predict_on_batch(batch)
np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_builds_and_trains_a_step_on_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"install {backend} to test KERAS_BACKEND={backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", ONE_STEP]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == backend
