"""Training: nothing but training clips decides, and a kill at any moment loses nothing."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import EMOTIONS, one_line
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from ser import models
from ser.config import MaskingConfig, ModelConfig, Recipe, TrainingConfig
from ser.models import own
from ser.training import batches as reading
from ser.training import fitting
from ser.training.batches import Batches, Part
from ser.training.callbacks import HISTORY_COLUMNS, RunState, UnweightedAverageRecall

MODEL = ModelConfig(
    options={
        "filters": [8],
        "pool_sizes": [[4, 2]],
        "lstm_units": 8,
        "attention_units": 8,
        "conv_dropout": 0.1,
        "head_dropout": 0.1,
    }
)
RECIPE = Recipe(
    name="tiny",
    corpora=("demo",),
    classes=EMOTIONS,
    model=MODEL,
    training=TrainingConfig(epochs=8, batch_size=16, learning_rate=0.01, patience=50),
)
VALUES = [column for column in HISTORY_COLUMNS if column != "seconds"]


def recipe(**training):
    changed = dataclasses.replace(RECIPE.training, **training)
    return dataclasses.replace(RECIPE, training=changed)


class Arrays:
    """Features in memory, read as a feature set is: (n_clips, n_variants, n_frames, n_features)."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def take(self, clips, variants=0):
        return self.values[np.asarray(clips), variants]


def random_values(n_clips=20, n_variants=1, n_frames=60, n_features=13, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 2, (n_clips, n_variants, n_frames, n_features)).astype(np.float32)
    for clip, n in zip(values, rng.integers(1, n_frames + 1, n_clips), strict=True):
        clip[:, n:] = 0
    return values


LABELS = np.arange(72) % 3


def _learnable():
    values = random_values(72)
    for clip, label in zip(values, LABELS, strict=True):
        clip[..., 4 * label : 4 * label + 4] += np.any(clip != 0, axis=-1, keepdims=True)
    return Arrays(values)


CLIPS = _learnable()
TRAIN, VALIDATION = (Part(CLIPS, c, LABELS[c]) for c in np.split(np.arange(72), [48]))


def fit(folder, recipe=RECIPE, seed=0, **options):
    return fitting.fit(recipe, TRAIN, VALIDATION, folder, seed=seed, **{"every": 0, **options})


def assert_same(one, other):
    """The same model, to the last bit."""
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One undisturbed training: folder, model, history."""
    folder = tmp_path_factory.mktemp("run")
    return folder, *fit(folder)


# What training clips decide, and only they --------------------------------------------------------


def test_statistics_are_numpys_over_unpadded_frames():
    values, clips = random_values(n_clips=150, n_variants=2), np.arange(5, 140)
    mean, deviation = reading.statistics(Part(Arrays(values), clips, np.zeros(len(clips), int)))
    frames = values[clips, 0].astype(np.float64)
    frames = frames[np.any(frames != 0, axis=2)]
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-6)


def test_the_model_holds_statistics_of_training_clips_only(trained):
    mean, deviation = reading.statistics(TRAIN)
    layer = trained[1].get_layer("standardise")
    np.testing.assert_allclose(layer.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.deviation, deviation, rtol=1e-5)
    everything, _ = reading.statistics(Part(CLIPS, np.arange(72), LABELS))
    assert np.abs(mean - everything).max() > 1e-2


def test_class_weights_are_scikit_learns():
    labels = np.random.default_rng(0).choice(5, 200, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=labels)
    found = reading.class_weights(labels, 5, TrainingConfig())
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[labels].sum() == pytest.approx(200, rel=1e-5)
    ones = reading.class_weights(labels, 5, TrainingConfig(class_weights=False))
    np.testing.assert_array_equal(ones, np.ones(5))


def test_early_stopping_and_rate_follow_validation_only(tmp_path):
    # Validation labels say nothing: its loss rises while the training loss falls.
    shuffled = np.random.default_rng(0).permutation(VALIDATION.labels)
    validation = dataclasses.replace(VALIDATION, labels=shuffled)
    settings = recipe(epochs=40, patience=6, reduce_patience=2, reduce_factor=0.5)
    model, history = fitting.fit(settings, TRAIN, validation, tmp_path, seed=0, every=0)
    losses = history["val_loss"].to_numpy()
    best = losses.argmin()
    assert len(history) == best + 1 + 6 < 40
    assert history["loss"].iloc[-1] < history["loss"].iloc[best]
    rate, lowest, waited = 0.01, np.inf, 0
    for epoch, loss in enumerate(losses):  # Keras' rule, by hand
        assert history["learning_rate"].iloc[epoch] == pytest.approx(rate, rel=1e-4), epoch
        lowest, waited = (loss, 0) if loss < lowest - 1e-4 else (lowest, waited + 1)
        if waited >= 2:
            rate, waited = rate * 0.5, 0
    assert history["learning_rate"].iloc[-1] < 0.01
    # the model that is kept is that of the best epoch
    probabilities = fitting.predict(model, CLIPS, validation.clips)
    kept = -np.log(probabilities[np.arange(len(shuffled)), shuffled]).mean()
    assert kept == pytest.approx(losses[best], rel=1e-3)
    # a second call trains no more
    again, same = fitting.fit(settings, TRAIN, validation, tmp_path, seed=0, every=0)
    pd.testing.assert_frame_equal(same, history)
    assert_same(again, model)


# Batches ------------------------------------------------------------------------------------------


def batches_of(n_variants=1, seed=0, **changes):
    values = random_values(n_clips=50, n_variants=n_variants)
    values[..., 0, 0] = np.arange(50)[:, None] + np.arange(n_variants) / 100  # who am I
    part = Part(Arrays(values), np.arange(5, 45), np.arange(5, 45) % 3)
    return Batches(part, dataclasses.replace(RECIPE, **changes), seed)


def epoch_of(batches, epoch):
    batches.start_epoch(epoch)
    return [batches[i] for i in range(len(batches))]


def names_in(epoch):
    """Which clips and variants the batches hold, in order."""
    return np.concatenate([features[:, 0, 0] for features, _, _ in epoch])


def test_an_epoch_holds_every_clip_once_with_its_label_and_weight():
    batches = batches_of()
    epoch = epoch_of(batches, 0)
    assert [len(features) for features, _, _ in epoch] == [16, 16, 8]
    clips = names_in(epoch)
    assert sorted(clips) == list(range(5, 45))
    assert list(clips) != sorted(clips)
    targets = np.concatenate([target for _, target, _ in epoch])
    np.testing.assert_array_equal(targets.argmax(axis=1), clips.astype(int) % 3)
    np.testing.assert_array_equal(targets.sum(axis=1), 1)
    weights = np.concatenate([weight for _, _, weight in epoch])
    np.testing.assert_array_equal(weights, batches.class_weights[clips.astype(int) % 3])


def test_a_training_is_given_epoch_0_first_and_each_once(tmp_path, monkeypatch):
    given = []

    class Told(Batches):
        def __getitem__(self, index):
            given.append((self.epoch, index))
            return super().__getitem__(index)

    monkeypatch.setattr(fitting, "Batches", Told)
    fit(tmp_path, recipe(epochs=3))
    steps = -(-len(TRAIN) // RECIPE.training.batch_size)
    assert given[-3 * steps :] == [(epoch, i) for epoch in range(3) for i in range(steps)]


@pytest.mark.parametrize(("share", "n_extra"), [(0.0, 0), (0.2, 5), (0.5, 20), (0.9, 20)])
def test_an_epoch_draws_its_share_from_extra_corpora(share, n_extra):
    features, extra = Arrays(random_values(n_clips=40)), np.arange(40) % 2 == 1
    labels = np.where(extra, np.arange(40) // 2 % 3, np.arange(40) // 2 % 2)
    part = Part(features, np.arange(40), labels, extra)
    batches = Batches(part, recipe(extra_share=share, batch_size=7), 0)
    drawn = []
    for epoch in range(20):
        batches.start_epoch(epoch)
        assert sorted(batches.order[~extra[batches.order]]) == list(range(0, 40, 2))
        assert extra[batches.order].sum() == n_extra
        assert len(set(batches.order)) == 20 + n_extra
        assert sum(len(batches[i][0]) for i in range(len(batches))) == 20 + n_extra
        drawn.append(frozenset(batches.order[extra[batches.order]]))
    assert len(set(drawn)) == (20 if n_extra == 5 else 1)
    if n_extra == 20:
        labels_of_epoch = labels[batches.order]
        expected = compute_class_weight("balanced", classes=np.arange(3), y=labels_of_epoch)
        np.testing.assert_allclose(batches.class_weights, expected, rtol=1e-6)
    own_clips = reading.statistics(Part(features, part.clips[~extra], labels[~extra]))
    np.testing.assert_array_equal(reading.statistics(part), own_clips)


@pytest.mark.parametrize(("min_steps", "passes"), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_an_epoch_of_a_small_corpus_goes_through_it_several_times(min_steps, passes):
    epoch = epoch_of(batches_of(4, training=recipe(min_steps=min_steps).training), 0)
    assert len(epoch) == -(-40 * passes // 16) >= min_steps
    seen = names_in(epoch)
    clips, counts = np.unique(seen.astype(int), return_counts=True)
    assert sorted(clips) == list(range(5, 45))
    assert set(counts) == {passes}
    assert sorted(seen[:40].astype(int)) == list(range(5, 45))  # one pass after the other
    targets = np.concatenate([target for _, target, _ in epoch])
    np.testing.assert_array_equal(targets.argmax(axis=1), seen.astype(int) % 3)
    assert (len(np.unique(seen)) > 40) == (passes > 1)  # other variants


def test_an_epoch_of_a_large_corpus_draws_other_clips_each_time():
    batches = batches_of(training=recipe(max_steps=2).training)
    epochs = []
    for epoch in range(20):
        steps = epoch_of(batches, epoch)
        assert [len(features) for features, _, _ in steps] == [16, 16]
        epochs.append(frozenset(names_in(steps).astype(int)))
        assert len(epochs[-1]) == 32  # none twice
    assert frozenset.union(*epochs) == set(range(5, 45))
    assert len(set(epochs)) > 10


def test_epochs_follow_from_the_seed_alone():
    masks = MaskingConfig(n_time_masks=1, n_feature_masks=1)
    mixed = dataclasses.replace(RECIPE.training, mixup_alpha=0.4)
    one, other = (batches_of(3, masking=masks, training=mixed) for _ in range(2))
    epoch_of(one, 0)  # has trained before; the other begins with epoch 3
    for epoch in (3, 4):
        for mine, its in zip(epoch_of(one, epoch), epoch_of(other, epoch), strict=True):
            for a, b in zip(mine, its, strict=True):
                np.testing.assert_array_equal(a, b)
    assert np.any(epoch_of(one, 3)[0][0] != epoch_of(one, 4)[0][0])
    assert np.any(epoch_of(one, 3)[0][0] != epoch_of(batches_of(3, 1), 3)[0][0])


def test_each_clip_comes_in_all_its_variants_over_the_epochs():
    batches = batches_of(n_variants=3)
    seen = np.concatenate([names_in(epoch_of(batches, epoch)) for epoch in range(30)])
    assert len(np.unique(seen)) == 3 * 40
    shares = np.bincount(np.rint(seen % 1 * 100).astype(int)) / len(seen)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)


def test_masks_and_mixup_are_applied():
    plain = epoch_of(batches_of(), 0)
    masked = epoch_of(batches_of(masking=MaskingConfig(n_time_masks=2)), 0)
    mixup = dataclasses.replace(RECIPE.training, mixup_alpha=1.0)
    mixed = epoch_of(batches_of(training=mixup), 0)
    assert np.any(plain[0][0] != masked[0][0])
    np.testing.assert_array_equal(plain[0][1], masked[0][1])
    assert 0 < np.sort(mixed[0][1], axis=1)[:, -2].max() <= 0.5


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_uar_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels, guesses = rng.choice([0, 1, 3], 90, p=[0.6, 0.3, 0.1]), rng.integers(4, size=90)
    metric = UnweightedAverageRecall(4)
    for start in range(0, 90, 40):
        metric.update_state(
            np.eye(4)[labels[start : start + 40]], np.eye(4)[guesses[start : start + 40]]
        )
    assert float(metric.result()) == pytest.approx(balanced_accuracy_score(labels, guesses))
    metric.reset_state()
    assert float(metric.result()) == 0
    copy = UnweightedAverageRecall.from_config(metric.get_config())
    assert (copy.name, copy.n_classes) == ("uar", 4)


# A run --------------------------------------------------------------------------------------------


def test_a_tiny_model_learns_something(trained):
    folder, model, history = trained
    assert tuple(history.columns) == HISTORY_COLUMNS
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    assert history["uar"].iloc[-1] > 0.6
    probabilities = fitting.predict(model, CLIPS, VALIDATION.clips)
    assert probabilities.shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == VALIDATION.labels) > 0.5
    written = pd.read_csv(folder / "history.csv")
    np.testing.assert_allclose(written, history, rtol=1e-4)
    assert {file.name for file in folder.iterdir()} == {"history.csv", "state.npz"}


def test_what_is_saved_answers_as_what_was_trained(trained, tmp_path):
    models.save(trained[1], tmp_path / "model.keras", {"classes": list(EMOTIONS)})
    loaded = models.load(tmp_path / "model.keras")
    expected = fitting.predict(trained[1], CLIPS, VALIDATION.clips)
    np.testing.assert_array_equal(fitting.predict(loaded, CLIPS, VALIDATION.clips), expected)


@pytest.mark.slow
def test_a_cosine_after_a_warm_up_keeps_the_last_epoch_of_the_moving_average(tmp_path):
    seen, rate = [], 0.8
    settings = recipe(
        epochs=4,
        schedule="cosine",
        warmup_epochs=1,
        learning_rate=0.008,
        monitor="epoch",
        patience=1,
        reduce_patience=1,
        ema_momentum=rate,
    )

    class Noting(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.get_layer("probabilities").get_weights()[0])

    model, history = fit(tmp_path, settings, callbacks=[Noting()])
    assert len(history) == 4  # patience did not count
    half = 0.004 * (1 + np.cos(np.pi * np.arange(3) / 3))
    np.testing.assert_allclose(history["learning_rate"], [0.004, *half], rtol=1e-4)
    average = seen[0]
    for weights in seen[1:]:
        average = rate * average + (1 - rate) * weights
    kept = model.get_layer("probabilities").get_weights()[0]
    np.testing.assert_allclose(kept, average, atol=1e-5)
    assert np.abs(kept - seen[-1]).max() > 1e-4
    predicted = fitting.predict(model, CLIPS, VALIDATION.clips)  # and what was validated
    correct = np.mean(predicted.argmax(axis=1) == VALIDATION.labels)
    assert correct == pytest.approx(history["val_accuracy"].iloc[-1], abs=1e-4)
    # interrupted after two epochs, it ends the same

    class Interrupting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", settings, callbacks=[Interrupting()])
    resumed, later = fit(tmp_path / "cut", settings)
    pd.testing.assert_frame_equal(later[VALUES], history[VALUES])
    assert_same(resumed, model)


@pytest.mark.slow
def test_a_longer_training_goes_on_where_a_shorter_one_ended(trained, tmp_path, capsys):
    _, short = fit(tmp_path, recipe(epochs=3), every=2, title="tiny fold 1")
    pd.testing.assert_frame_equal(short[VALUES], trained[2][VALUES][:3])  # the same seed
    model, history = fit(tmp_path, every=3)
    np.testing.assert_array_equal(history["seconds"][:3], short["seconds"])  # not again
    pd.testing.assert_frame_equal(history[VALUES], trained[2][VALUES])
    assert_same(model, trained[1])
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("epoch")[1].split("/")[0]) for line in lines] == [1, 2, 3, 6, 8]
    assert all(line.startswith("tiny fold 1 · epoch") for line in lines[:3])


def test_a_refit_trains_on_both_parts_and_watches_nobody(tmp_path, capsys):
    both = TRAIN.joined(VALIDATION)
    assert sorted(both.clips) == list(range(72))
    np.testing.assert_array_equal(both.labels, LABELS[both.clips])
    settings = recipe(epochs=2, monitor="epoch", refit=True, ema_momentum=0.5)
    model, history = fitting.fit(settings, both, None, tmp_path, seed=0, every=1)
    watched = [name for name in HISTORY_COLUMNS if name.startswith("val_")]
    assert len(history) == 2
    assert history[watched].isna().all(axis=None)
    assert history.drop(columns=watched).notna().all(axis=None)
    mean, _ = reading.statistics(both)
    np.testing.assert_allclose(model.get_layer("standardise").mean.numpy(), mean, rtol=1e-5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert not any("validation" in line for line in lines)


def test_a_training_begins_with_the_weights_of_layers_that_are_the_same(trained, tmp_path):
    _, start, _ = trained
    wider = dataclasses.replace(MODEL, options={**MODEL.options, "attention_units": 5})
    still = recipe(epochs=1, learning_rate=1e-9, monitor="epoch")
    few = Part(CLIPS, TRAIN.clips[TRAIN.labels != 1], TRAIN.labels[TRAIN.labels != 1])
    model, _ = fitting.fit(
        dataclasses.replace(still, model=wider),
        few,
        None,
        tmp_path,
        seed=1,
        every=0,
        start=start,
        every_class=False,
    )
    for layer in model.layers:
        given = start.get_layer(layer.name).trainable_weights
        if layer.name != "attention":
            for kept, begun in zip(layer.trainable_weights, given, strict=True):
                np.testing.assert_allclose(kept, begun, atol=1e-6)
    shapes = [weight.shape for weight in model.get_layer("attention").weights]
    assert shapes != [weight.shape for weight in start.get_layer("attention").weights]
    mean, _ = reading.statistics(few)  # not those of the model it began with
    np.testing.assert_allclose(model.get_layer("standardise").mean.numpy(), mean, rtol=1e-5)
    inputs = keras.Input((60, 13))
    other = keras.Model(inputs, keras.layers.Dense(7, name="other")(inputs), name="stranger")
    with one_line("tiny", "stranger, which shares no layer with a cnn_lstm_attention"):
        fit(tmp_path / "strange", start=other)


def test_other_settings_train(tmp_path):
    optimizers = []

    class Noting(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            optimizers.append(self.model.optimizer)

    other = recipe(
        epochs=1, weight_decay=0.01, clip_norm=None, label_smoothing=0.1, monitor="val_uar"
    )
    logs = find_spec("tensorboard") is not None
    _, history = fit(tmp_path, other, callbacks=[Noting()], tensorboard=logs)
    assert np.isfinite(history.to_numpy()).all()
    assert (optimizers[0].weight_decay, optimizers[0].clipnorm) == (0.01, None)
    assert any((tmp_path / "tensorboard").rglob("events.*")) == logs
    if not logs:
        with one_line("pip install tensorboard"):
            fit(tmp_path / "none", tensorboard=True)
        assert not (tmp_path / "none").exists()


# A model of the reader's own ----------------------------------------------------------------------


def recurrent(n_frames, n_features, n_classes):
    inputs = keras.Input((n_frames, n_features))
    x = keras.layers.Normalization()(inputs)
    x = keras.layers.Normalization(mean=0.5, variance=4.0)(x)
    x = keras.layers.Dense(6, activation="relu")(x)
    x = keras.layers.Normalization()(x)
    x = keras.layers.GRU(8, dropout=0.1)(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def test_an_own_model_is_trained_with_statistics_of_training_clips_and_goes_on(tmp_path):
    def make():
        return own.build(recurrent, n_frames=60, n_features=13, n_classes=3)

    settings = recipe(epochs=3, monitor="epoch")
    model, history = fit(tmp_path / "whole", settings, model=make)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    first, fixed, inner = (
        layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)
    )
    mean, deviation = reading.statistics(TRAIN)
    np.testing.assert_allclose(np.ravel(first.mean), mean, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(first.variance), deviation**2, rtol=1e-4)
    assert float(np.ravel(fixed.mean)[0]) == 0.5
    assert np.ptp(np.ravel(inner.variance)) > 0  # measured behind the layers before it
    fit(tmp_path / "halves", recipe(epochs=2, monitor="epoch"), model=make)
    again, _ = fit(tmp_path / "halves", settings, model=make)
    assert_same(again, model)
    models.save(model, tmp_path / "model.keras", {})
    loaded = models.load(tmp_path / "model.keras")
    expected = fitting.predict(model, CLIPS, VALIDATION.clips)
    np.testing.assert_array_equal(fitting.predict(loaded, CLIPS, VALIDATION.clips), expected)

    def over_time(n_frames, n_features, n_classes):
        inputs = keras.Input((n_frames, n_features))
        x = keras.layers.Normalization(axis=(1, 2))(inputs)
        x = keras.layers.Flatten()(x)
        return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))

    with one_line("normalization", "over the last axis (13 features)", "(60, 13)", "axis=-1"):
        fit(tmp_path / "time", model=lambda: over_time(60, 13, 3))


# Kills, damage and errors -------------------------------------------------------------------------

KILLED = """
import sys, time, keras, test_training as t
class Slowly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)
t.fit(t.Path(sys.argv[1]), callbacks=[Slowly()])
"""


def epochs_in(folder):
    if not (folder / "state.npz").exists():
        return 0
    with np.load(folder / "state.npz") as saved:
        return len(json.loads(str(saved["history"])))


def kill(folder, after, delay_s):
    """Train in a process of its own, and kill it some time after so many epochs."""
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parent) as process:
        while process.poll() is None and epochs_in(folder) < after:
            time.sleep(0.002)
        time.sleep(delay_s)
        process.kill()
    return process.returncode


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


@pytest.mark.slow
@needs_kill
def test_killed_while_training_the_same_call_ends_the_same(trained, tmp_path):
    assert kill(tmp_path, 2, np.random.default_rng().uniform(0, 0.1)) == -signal.SIGKILL
    before = epochs_in(tmp_path)
    assert 2 <= before < 8, "the kill came too late to mean anything"
    (tmp_path / ".state-abcd1234.npz").write_bytes(b"half")  # as a kill while writing leaves it
    model, history = fit(tmp_path)
    pd.testing.assert_frame_equal(history[VALUES], trained[2][VALUES])
    assert_same(model, trained[1])
    assert {file.name for file in tmp_path.iterdir()} == {"history.csv", "state.npz"}


@needs_kill
@pytest.mark.slow
def test_killed_again_and_again_it_ends_the_same(trained, tmp_path):
    rng = np.random.default_rng()
    for epoch in range(1, 8):
        kill(tmp_path, epoch, rng.uniform(0, 0.1))
    model, history = fit(tmp_path)
    pd.testing.assert_frame_equal(history[VALUES], trained[2][VALUES])
    assert_same(model, trained[1])


@pytest.fixture
def compiled():
    """A model as training begins with it."""
    keras.utils.set_random_seed(0)
    model = models.build(MODEL, n_frames=60, n_features=13, n_classes=3)
    fitting._compile(model, RECIPE.training, 3)
    return model


def test_a_damaged_state_is_never_gone_on_from(trained, compiled, tmp_path):
    content = (trained[0] / "state.npz").read_bytes()
    state = RunState(tmp_path / "state.npz", RECIPE.training)
    begun = compiled.get_weights()
    rng = np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(content)
        if number < 10:
            del damaged[rng.integers(len(content)) :]
        else:
            damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        state.file.write_bytes(damaged)
        try:
            state.resume(compiled)
        except Exception:
            assert state.history == []
            for one, other in zip(compiled.get_weights(), begun, strict=True):
                np.testing.assert_array_equal(one, other)
        else:  # the damage was where nothing is said
            assert len(state.history) == 8
            assert_same(compiled, trained_state(trained, compiled))
            state.history = []
            compiled.set_weights(begun)


def trained_state(trained, like):
    """The model after the last epoch of a training."""
    copy = keras.models.clone_model(like)
    fitting._compile(copy, RECIPE.training, 3)
    RunState(trained[0] / "state.npz", RECIPE.training).resume(copy)
    return copy


@pytest.mark.parametrize("damage", ["cut", pytest.param("other model", marks=pytest.mark.slow)])
def test_after_damage_training_begins_again_and_says_so(trained, tmp_path, damage, capsys):
    content, settings = (trained[0] / "state.npz").read_bytes(), recipe(epochs=1)
    if damage == "cut":
        (tmp_path / "state.npz").write_bytes(content[: len(content) // 2])
    else:
        (tmp_path / "state.npz").write_bytes(content)
        settings = dataclasses.replace(
            settings, model=ModelConfig(options={**MODEL.options, "lstm_units": 4})
        )
    _, history = fit(tmp_path, settings)
    assert len(history) == 1
    assert "state.npz: damaged; this training begins again." in capsys.readouterr().out
    if damage == "cut":
        pd.testing.assert_frame_equal(history[VALUES], trained[2][VALUES][:1])


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_keeps_the_last_epoch(tiny_disk):
    disk = tiny_disk(4000)
    fit(disk / "run", recipe(epochs=1))
    size = (disk / "run" / "state.npz").stat().st_size
    free = 4000 * 1024 - size
    (disk / "other").write_bytes(bytes(free - size // 2))
    with one_line("disk is full", "Free some space"):
        fit(disk / "run", recipe(epochs=3))
    assert epochs_in(disk / "run") == 1
    (disk / "other").unlink()
    _, history = fit(disk / "run", recipe(epochs=2))
    assert len(history) == 2


def test_training_that_diverges_is_one_line(tmp_path):
    values = random_values()
    values[12:, :, 0] = np.nan
    features, labels = Arrays(values), np.arange(20) % 3
    train, validation = (
        Part(features, clips, labels[clips]) for clips in (np.arange(12), np.arange(12, 20))
    )
    options = {**MODEL.options, "filters": [], "pool_sizes": []}  # max pooling hides NaN
    hopeless = dataclasses.replace(recipe(epochs=1), model=ModelConfig(options=options))
    with one_line("tiny", "diverged", "val_loss", "training.learning_rate"):
        fitting.fit(hopeless, train, validation, tmp_path / "run", seed=0, every=0)


def test_parts_that_cannot_be_trained_on(tmp_path):
    empty = Part(CLIPS, TRAIN.clips[:0], TRAIN.labels[:0])
    with one_line("tiny", "training part", "no clip"):
        fitting.fit(RECIPE, empty, VALIDATION, tmp_path, seed=0)
    with one_line("tiny", "validation part", "no clip"):
        fitting.fit(RECIPE, TRAIN, empty, tmp_path, seed=0)
    few = TRAIN.labels != 1
    lacking = Part(CLIPS, TRAIN.clips[few], TRAIN.labels[few])
    with one_line("no training clip of class 'neutral'", "protocol"):
        fitting.fit(RECIPE, lacking, VALIDATION, tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []
