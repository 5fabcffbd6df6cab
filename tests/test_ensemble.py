"""Members of an ensemble learn as if alone, and answer together."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import one_line
from test_training import CLIPS, RECIPE, TRAIN, VALIDATION

from ser import models
from ser.config import ModelConfig, Recipe, from_dict, to_dict
from ser.models.ensemble import MemberwiseCrossEntropy, members_of
from ser.training import batches, fitting

SIZES = {"filters": 8, "lstm_units": 5, "heads": 2, "attention_units": 3}
CONFIG = ModelConfig(architecture="residual", options=SIZES, members=3)
LABELS = np.array([0, 1, 2, 3, 0, 1])


@pytest.fixture(scope="module")
def ensemble():
    keras.utils.set_random_seed(0)
    return models.build(CONFIG, n_frames=32, n_features=5, n_classes=4)


@pytest.fixture(scope="module")
def clips():
    values = np.random.default_rng(0).normal(size=(len(LABELS), 32, 5)).astype(np.float32)
    values[1, 20:] = 0  # padding
    return values


def test_the_answer_is_the_mean_of_different_members(ensemble, clips):
    members = members_of(ensemble)
    answers = np.stack([member.predict_on_batch(clips) for member in members])
    assert len(members) == 3
    assert min(np.abs(answers[i] - answers[i - 1]).max() for i in range(3)) > 0.01
    np.testing.assert_allclose(ensemble.predict_on_batch(clips), answers.mean(axis=0), atol=1e-6)
    assert ensemble.count_params() == 3 * members[0].count_params()
    assert members_of(members[0]) == [members[0]]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_each_member_learns_from_its_own_loss(ensemble, clips, smoothing):
    """Dropout is off, so that both ways see the same; batch normalisation trains."""
    truth = tf.one_hot(LABELS, 4)
    alone = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    together = MemberwiseCrossEntropy(label_smoothing=smoothing)
    members = members_of(ensemble)
    layers = [layer for member in members for layer in member.layers if hasattr(layer, "rate")]
    rates = [layer.rate for layer in layers]
    for layer in layers:
        layer.rate = 0.0
    with tf.GradientTape(persistent=True) as tape:
        losses = [alone(truth, member(clips, training=True)) for member in members]
        joint = together(truth, ensemble(clips, training=True))
    for layer, rate in zip(layers, rates, strict=True):
        layer.rate = rate
    np.testing.assert_allclose(joint, np.mean(losses), rtol=1e-5)
    for member, loss in zip(members, losses, strict=True):
        own = tape.gradient(loss, member.trainable_variables)
        shared = tape.gradient(joint, member.trainable_variables)
        for one, other in zip(own, shared, strict=True):
            np.testing.assert_allclose(np.asarray(other) * 3, one, atol=1e-5)


def test_of_one_network_it_is_kerass_cross_entropy():
    truth = np.eye(4)[LABELS]
    guess = np.random.default_rng(0).dirichlet(np.ones(4), len(LABELS))
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(truth, guess)
    found = MemberwiseCrossEntropy(label_smoothing=0.1)(truth, guess)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_attention_is_the_mean_of_the_members(ensemble, clips):
    weights = models.with_attention(ensemble).predict_on_batch(clips)[1]
    each = [models.with_attention(one).predict_on_batch(clips)[1] for one in members_of(ensemble)]
    np.testing.assert_allclose(weights, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert weights[1, -2:].max() < 1e-6


def test_a_saved_ensemble_answers_the_same(ensemble, clips, tmp_path):
    ensemble.save(tmp_path / "model.keras")
    loaded = models.load(tmp_path / "model.keras")
    expected = ensemble.predict_on_batch(clips)
    np.testing.assert_allclose(loaded.predict_on_batch(clips), expected, atol=1e-6)
    assert len(members_of(loaded)) == 3


def test_networks_that_keras_loads_with_a_list_for_an_output(ensemble, clips):
    listed = [keras.Model(one.inputs, [one.output]) for one in members_of(ensemble)[:2]]
    assert isinstance(listed[0].output, list)
    probabilities, attention = models.with_attention(listed[0]).predict_on_batch(clips)
    assert probabilities.shape == (6, 4)
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)


def test_an_ensemble_is_trained_with_statistics_of_training_clips(tmp_path):
    settings = dataclasses.replace(
        RECIPE,
        model=dataclasses.replace(CONFIG, members=2),
        training=dataclasses.replace(RECIPE.training, epochs=2, monitor="epoch", ema_momentum=0.5),
    )
    whole, history = fitting.fit(settings, TRAIN, VALIDATION, tmp_path, seed=0, every=0)
    mean, _ = batches.statistics(TRAIN)
    for member in members_of(whole):
        kept = member.get_layer("standardise").mean.numpy()
        np.testing.assert_allclose(kept, mean, rtol=1e-5)
    answers = fitting.predict(whole, CLIPS, VALIDATION.clips)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    hits = answers.argmax(axis=1) == VALIDATION.labels
    assert history["val_accuracy"].iloc[-1] == pytest.approx(hits.mean(), abs=1e-4)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


def test_one_member_is_the_network_itself_and_none_is_one_line():
    alone = dataclasses.replace(CONFIG, members=1)
    model = models.build(alone, n_frames=32, n_features=5, n_classes=4)
    assert members_of(model) == [model]
    with one_line("model.members", "greater than or equal to 1", "found 0"):
        from_dict(Recipe, {**to_dict(RECIPE), "model": {"members": 0}})
