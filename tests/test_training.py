"""Training: nothing but training clips decides, and a kill at any moment loses nothing."""

import dataclasses
import shutil
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

from ser.cache import Bank
from ser.config import FeatureConfig, MaskingConfig, ModelConfig, Recipe, TrainingConfig
from ser.features import dataset as store
from ser.features.dataset import FeatureSet, FrontEnd
from ser.training import batches as reading
from ser.training import fitting as training
from ser.training.batches import Batches, Part
from ser.training.callbacks import HISTORY_COLUMNS, UnweightedAverageRecall, WholeCheckpoint

FEATURES = FeatureConfig(n_mfcc=13, n_mels=40, hop_length=1024, n_frames=60)
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
    features=FEATURES,
    model=MODEL,
    training=TrainingConfig(epochs=8, batch_size=16, learning_rate=0.01, patience=50),
)
VALUES = [column for column in HISTORY_COLUMNS if column != "seconds"]


def recipe(**training):
    changed = dataclasses.replace(RECIPE.training, **training)
    return dataclasses.replace(RECIPE, training=changed)


@pytest.fixture(scope="module")
def speech(demo_table, demo_shelf, tmp_path_factory) -> FeatureSet:
    """Features of the small demo corpus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(tmp_path_factory.mktemp("features")))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        return store.build(demo_table, FrontEnd(features=FEATURES), n_jobs=1, progress=False)


def parts(speech) -> tuple[Part, Part]:
    """Four speakers to train, two to validate."""
    labels = speech.table["emotion"].map({name: i for i, name in enumerate(EMOTIONS)}).to_numpy()
    later = speech.table["speaker"].str[-2:].isin(["05", "06"]).to_numpy()
    return tuple(
        Part(speech, clips, labels[clips])
        for clips in (np.flatnonzero(~later), np.flatnonzero(later))
    )


def fit(speech, folder, recipe=RECIPE, seed=0, **options):
    return training.fit(recipe, *parts(speech), folder, seed=seed, **{"every": 0, **options})


def made_of(folder, values, n_variants=1) -> FeatureSet:
    """A feature set of given values, shape (n_clips, n_variants, n_frames, n_features)."""
    banks = []
    for variant in range(n_variants):
        bank = Bank(folder / f"variant-{variant}", values.shape[2:])
        bank.append([(f"{i:064x}", clip) for i, clip in enumerate(values[:, variant])])
        bank.refresh()
        banks.append(bank)
    table = pd.DataFrame({"clip_id": [str(i) for i in range(len(values))]})
    rows = np.repeat(np.arange(len(values))[:, None], n_variants, axis=1)
    return FeatureSet(table, pd.DataFrame(), 0, banks, rows)


def random_values(n_clips=20, n_variants=1, n_frames=60, n_features=13, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 2, (n_clips, n_variants, n_frames, n_features)).astype(np.float32)
    for clip, n in zip(values, rng.integers(1, n_frames + 1, n_clips), strict=True):
        clip[:, n:] = 0
    return values


@pytest.fixture(scope="module")
def trained(speech, tmp_path_factory):
    """One undisturbed training: folder, model, history."""
    folder = tmp_path_factory.mktemp("run")
    return folder, *fit(speech, folder)


# What training clips decide, and only they --------------------------------------------------------


def test_statistics_are_numpys_over_unpadded_frames(tmp_path):
    values = random_values(n_clips=150, n_variants=2)
    features = made_of(tmp_path, values, 2)
    clips = np.arange(5, 140)
    mean, deviation = reading.statistics(Part(features, clips, np.zeros(len(clips), int)))
    frames = values[clips, 0].astype(np.float64)
    frames = frames[np.any(frames != 0, axis=2)]
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-6)


def test_the_model_holds_statistics_of_training_clips_only(trained, speech, tmp_path):
    train, _ = parts(speech)
    frames = speech.take(train.clips).reshape(-1, 13)
    frames = frames[np.any(frames != 0, axis=1)]
    layer = trained[1].get_layer("standardise")
    np.testing.assert_allclose(layer.mean, frames.mean(axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(layer.deviation, frames.std(axis=0), rtol=1e-3)
    # other values in validation and test clips change no weight that training begins with
    values = random_values()
    changed = values.copy()
    changed[12:] *= 1000
    weights = []
    for name, given in (("as it is", values), ("changed", changed)):
        part = Part(made_of(tmp_path / name, given), np.arange(12), np.arange(12) % 3)
        model, _ = training._start_or_resume(RECIPE, part, tmp_path, 0, 1)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_class_weights_are_scikit_learns():
    labels = np.random.default_rng(0).choice(5, 200, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=labels)
    found = reading.class_weights(labels, 5, TrainingConfig())
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[labels].sum() == pytest.approx(200, rel=1e-5)
    ones = reading.class_weights(labels, 5, TrainingConfig(class_weights=False))
    np.testing.assert_array_equal(ones, np.ones(5))


def test_early_stopping_and_rate_follow_validation_only(speech, tmp_path):
    # Validation labels say nothing: its loss rises while the training loss falls.
    train, validation = parts(speech)
    shuffled = np.random.default_rng(0).permutation(validation.labels)
    validation = dataclasses.replace(validation, labels=shuffled)
    settings = recipe(epochs=40, patience=6, reduce_patience=2, reduce_factor=0.5)
    model, history = training.fit(settings, train, validation, tmp_path, seed=0, every=0)
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
    probabilities = training.predict(model, speech, validation.clips)
    kept = -np.log(probabilities[np.arange(len(shuffled)), shuffled]).mean()
    assert kept == pytest.approx(losses[best], rel=1e-3)
    # a second call trains no more
    before = (tmp_path / "history.csv").stat().st_mtime_ns
    _, again = training.fit(settings, train, validation, tmp_path, seed=0, every=0)
    assert len(again) == len(history)
    assert (tmp_path / "history.csv").stat().st_mtime_ns == before


# Batches ------------------------------------------------------------------------------------------


def test_half_a_cosine_after_a_warm_up(speech, tmp_path):
    settings = recipe(epochs=6, schedule="cosine", warmup_epochs=2, learning_rate=0.008)
    _, history = fit(speech, tmp_path, settings)
    half = 0.004 * (1 + np.cos(np.pi * np.arange(4) / 4))
    expected = [0.008 / 3, 0.016 / 3, *half]
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-4)


def test_the_last_epoch_is_kept_where_the_epoch_is_monitored(speech, tmp_path):
    settings = recipe(epochs=4, monitor="epoch", patience=1, reduce_patience=1)
    model, history = fit(speech, tmp_path, settings)
    last = keras.saving.load_model(tmp_path / "last.keras")
    assert len(history) == 4  # patience did not count
    np.testing.assert_allclose(history["learning_rate"], 0.01, rtol=1e-6)
    for kept, weight in zip(model.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


def test_a_refit_trains_on_both_parts_and_watches_nobody(speech, tmp_path, capsys):
    settings = recipe(epochs=3, monitor="epoch", refit=True, ema_momentum=0.5)
    both = parts(speech)[0].joined(parts(speech)[1])
    assert sorted(both.clips) == list(range(len(speech.table)))
    truth = speech.table["emotion"].iloc[both.clips]
    assert [EMOTIONS[label] for label in both.labels] == truth.tolist()
    whole, first = (
        training.fit(
            recipe(**{**dataclasses.asdict(settings.training), "epochs": epochs}),
            both,
            None,
            tmp_path / folder,
            seed=0,
            every=1,
        )
        for folder, epochs in (("whole", 3), ("halves", 2))
    )
    second = training.fit(settings, both, None, tmp_path / "halves", seed=0, every=1)
    watched = [name for name in HISTORY_COLUMNS if name.startswith("val_")]
    for (_, history), length in ((whole, 3), (first, 2), (second, 3)):
        assert len(history) == length
        assert history[watched].isna().all(axis=None)
        assert history.drop(columns=watched).notna().all(axis=None)
    for one, other in zip(whole[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    mean, _ = reading.statistics(both)
    np.testing.assert_allclose(whole[0].get_layer("standardise").mean.numpy(), mean, rtol=1e-5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert not any("validation" in line for line in lines)


def test_a_training_begins_with_the_weights_it_is_given(trained, speech, tmp_path):
    _, start, _ = trained
    train, _ = parts(speech)
    few = train.clips[train.labels != 1]
    lacking = Part(speech, few, train.labels[train.labels != 1])
    model, _ = training.fit(
        recipe(epochs=1, learning_rate=1e-9, monitor="epoch"),
        lacking,
        None,
        tmp_path,
        seed=1,
        every=0,
        start=start,
        every_class=False,
    )
    for kept, given in zip(model.trainable_weights, start.trainable_weights, strict=True):
        np.testing.assert_allclose(kept, given, atol=1e-6)
    mean, _ = reading.statistics(lacking)  # not those of the model it began with
    np.testing.assert_allclose(model.get_layer("standardise").mean.numpy(), mean, rtol=1e-5)
    assert abs(start.get_layer("standardise").mean.numpy() - mean).max() > 1e-3


def test_weights_are_taken_over_where_layers_are_the_same(trained, speech, tmp_path):
    _, start, _ = trained
    wider = dataclasses.replace(MODEL, options={**MODEL.options, "attention_units": 5})
    still = dataclasses.replace(recipe(epochs=1, learning_rate=1e-9), model=wider)
    model, _ = fit(speech, tmp_path / "wider", still, start=start)
    for layer in model.layers:
        if layer.name != "attention":
            for kept, given in zip(
                layer.trainable_weights, start.get_layer(layer.name).trainable_weights, strict=True
            ):
                np.testing.assert_allclose(kept, given, atol=1e-6)
    shapes = [weight.shape for weight in model.get_layer("attention").weights]
    assert shapes != [weight.shape for weight in start.get_layer("attention").weights]
    inputs = keras.Input((60, 13))
    other = keras.Model(inputs, keras.layers.Dense(7, name="other")(inputs), name="stranger")
    with one_line("tiny", "stranger, which shares no layer with a cnn_lstm_attention"):
        fit(speech, tmp_path / "strange", start=other)


def test_the_moving_average_is_what_is_kept(speech, tmp_path, monkeypatch):
    seen, rate = [], 0.8

    class Noting(training.NextEpoch):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.get_layer("probabilities").get_weights()[0])

    monkeypatch.setattr(training, "NextEpoch", Noting)
    settings = recipe(epochs=2, monitor="epoch", ema_momentum=rate)
    model, history = fit(speech, tmp_path, settings)
    average = seen[0]
    for weights in seen[1:]:
        average = rate * average + (1 - rate) * weights
    kept = model.get_layer("probabilities").get_weights()[0]
    np.testing.assert_allclose(kept, average, atol=1e-5)
    assert np.abs(kept - seen[-1]).max() > 1e-4
    _, validation = parts(speech)  # and what was validated
    predicted = training.predict(model, speech, validation.clips)
    correct = np.mean(predicted.argmax(axis=1) == validation.labels)
    assert correct == pytest.approx(history["val_accuracy"].iloc[-1], abs=1e-4)


def batches_of(folder, n_variants=1, seed=0, **changes):
    values = random_values(n_clips=50, n_variants=n_variants)
    values[..., 0, 0] = np.arange(50)[:, None] + np.arange(n_variants) / 100  # who am I
    features = made_of(folder, values, n_variants)
    part = Part(features, np.arange(5, 45), np.arange(5, 45) % 3)
    return Batches(part, dataclasses.replace(RECIPE, **changes), seed)


def epoch_of(batches, epoch):
    batches.start_epoch(epoch)
    return [batches[i] for i in range(len(batches))]


def test_an_epoch_holds_every_clip_once_with_its_label_and_weight(tmp_path):
    batches = batches_of(tmp_path)
    epoch = epoch_of(batches, 0)
    assert [len(features) for features, _, _ in epoch] == [16, 16, 8]
    clips = np.concatenate([features[:, 0, 0] for features, _, _ in epoch])
    assert sorted(clips) == list(range(5, 45))
    assert list(clips) != sorted(clips)
    targets = np.concatenate([target for _, target, _ in epoch])
    np.testing.assert_array_equal(targets.argmax(axis=1), clips.astype(int) % 3)
    np.testing.assert_array_equal(targets.sum(axis=1), 1)
    weights = np.concatenate([weight for _, _, weight in epoch])
    np.testing.assert_array_equal(weights, batches.class_weights[clips.astype(int) % 3])


@pytest.mark.parametrize(("share", "n_extra"), [(0.0, 0), (0.2, 5), (0.5, 20), (0.9, 20)])
def test_an_epoch_draws_its_share_from_extra_corpora(tmp_path, share, n_extra):
    features = made_of(tmp_path, random_values(n_clips=40))
    extra = np.arange(40) % 2 == 1
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
    own = reading.statistics(Part(features, part.clips[~extra], labels[~extra]))
    np.testing.assert_array_equal(reading.statistics(part), own)


@pytest.mark.parametrize(("min_steps", "passes"), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_an_epoch_of_a_small_corpus_goes_through_it_several_times(tmp_path, min_steps, passes):
    settings = recipe(min_steps=min_steps).training
    batches = batches_of(tmp_path, n_variants=4, training=settings)
    epoch = epoch_of(batches, 0)
    assert len(epoch) == -(-40 * passes // 16) >= min_steps
    seen = np.concatenate([features[:, 0, 0] for features, _, _ in epoch])
    clips, counts = np.unique(seen.astype(int), return_counts=True)
    assert sorted(clips) == list(range(5, 45))
    assert set(counts) == {passes}
    assert sorted(seen[:40].astype(int)) == list(range(5, 45))  # one pass after the other
    targets = np.concatenate([target for _, target, _ in epoch])
    np.testing.assert_array_equal(targets.argmax(axis=1), seen.astype(int) % 3)
    if passes > 1:
        assert len(np.unique(seen)) > 40  # other variants
    else:
        plain = batches_of(tmp_path / "plain", n_variants=4)
        for (one, *_), (other, *_) in zip(epoch, epoch_of(plain, 0), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_epoch_of_a_large_corpus_draws_other_clips_each_time(tmp_path):
    batches = batches_of(tmp_path, training=recipe(max_steps=2).training)
    epochs = []
    for epoch in range(20):
        steps = epoch_of(batches, epoch)
        assert [len(features) for features, _, _ in steps] == [16, 16]
        epochs.append(frozenset(np.concatenate([x[:, 0, 0] for x, _, _ in steps]).astype(int)))
        assert len(epochs[-1]) == 32  # none twice
    assert frozenset.union(*epochs) == set(range(5, 45))
    assert len(set(epochs)) > 10


def test_epochs_follow_from_the_seed_alone(tmp_path):
    masks = MaskingConfig(n_time_masks=1, n_feature_masks=1)
    mixed = dataclasses.replace(RECIPE.training, mixup_alpha=0.4)
    one = batches_of(tmp_path / "1", 3, masking=masks, training=mixed)
    other = batches_of(tmp_path / "2", 3, masking=masks, training=mixed)
    epoch_of(one, 0)  # has trained before; the other begins with epoch 3
    for epoch in (3, 4):
        for mine, its in zip(epoch_of(one, epoch), epoch_of(other, epoch), strict=True):
            for a, b in zip(mine, its, strict=True):
                np.testing.assert_array_equal(a, b)
    assert np.any(epoch_of(one, 3)[0][0] != epoch_of(one, 4)[0][0])
    assert np.any(epoch_of(one, 3)[0][0] != epoch_of(batches_of(tmp_path / "3", 3, 1), 3)[0][0])


def test_each_clip_comes_in_all_its_variants_over_the_epochs(tmp_path):
    batches = batches_of(tmp_path, n_variants=3)
    seen = np.concatenate([b[0][:, 0, 0] for epoch in range(30) for b in epoch_of(batches, epoch)])
    assert len(np.unique(seen)) == 3 * 40
    shares = np.bincount(np.rint(seen % 1 * 100).astype(int)) / len(seen)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)


def test_masks_and_mixup_are_applied(tmp_path):
    plain = epoch_of(batches_of(tmp_path / "0"), 0)
    masked = epoch_of(batches_of(tmp_path / "1", masking=MaskingConfig(n_time_masks=2)), 0)
    mixup = dataclasses.replace(RECIPE.training, mixup_alpha=1.0)
    mixed = epoch_of(batches_of(tmp_path / "2", training=mixup), 0)
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


def test_a_tiny_model_learns_something(trained, speech):
    folder, model, history = trained
    assert tuple(history.columns) == HISTORY_COLUMNS
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    assert history["uar"].iloc[-1] > 0.6
    _, validation = parts(speech)
    probabilities = training.predict(model, speech, validation.clips)
    assert probabilities.shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == validation.labels) > 0.5
    written = pd.read_csv(folder / "history.csv")
    np.testing.assert_allclose(written, history, rtol=1e-4)
    assert {file.name for file in folder.iterdir()} == {"history.csv", "last.keras", "model.keras"}


def test_a_run_begins_with_its_seed(speech, tmp_path):
    first, same, other = (
        training._start_or_resume(RECIPE, parts(speech)[0], tmp_path, seed, 3)[0]
        for seed in (0, 0, 1)
    )
    kernels = [model.get_layer("conv_1").get_weights()[0] for model in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).min() > 0


def test_a_longer_training_goes_on_where_a_shorter_one_ended(trained, speech, tmp_path, capsys):
    _, short = fit(speech, tmp_path, recipe(epochs=3), every=2, title="tiny fold 1")
    np.testing.assert_allclose(short[VALUES], trained[2][VALUES][:3], atol=1e-3)  # the same seed
    last = (tmp_path / "last.keras").read_bytes()
    _, history = fit(speech, tmp_path, every=3)
    np.testing.assert_allclose(history["seconds"][:3], short["seconds"], rtol=1e-4)  # not again
    np.testing.assert_allclose(history[VALUES], trained[2][VALUES], atol=1e-3)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("epoch")[1].split("/")[0]) for line in lines] == [1, 2, 3, 6, 8]
    assert all(line.startswith("tiny fold 1 · epoch") for line in lines[:3])
    # Killed between writing the history and the model: the model says where training stands.
    (tmp_path / "last.keras").write_bytes(last)
    _, known = training._start_or_resume(RECIPE, parts(speech)[0], tmp_path, 0, 3)
    assert [row["epoch"] for row in known] == [1, 2, 3]


def test_schedule_and_average_go_on_where_they_were(speech, tmp_path):
    settings = {"schedule": "cosine", "warmup_epochs": 1, "ema_momentum": 0.9, "monitor": "epoch"}
    whole, history = fit(speech, tmp_path / "whole", recipe(epochs=4, **settings))

    class Interrupted(training.RunState):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "RunState", Interrupted)
        fit(speech, tmp_path / "cut", recipe(epochs=4, **settings))
    resumed, later = fit(speech, tmp_path / "cut", recipe(epochs=4, **settings))
    np.testing.assert_allclose(later[VALUES], history[VALUES], atol=1e-3)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_logs_for_tensorboard(speech, tmp_path):
    if find_spec("tensorboard") is None:
        with one_line("pip install tensorboard"):
            fit(speech, tmp_path, tensorboard=True)
        assert list(tmp_path.iterdir()) == []
    else:
        fit(speech, tmp_path, recipe(epochs=1), tensorboard=True)
        assert any((tmp_path / "tensorboard").rglob("events.*"))


KILLED = """
import sys, pandas as pd
import test_training as t
from ser.features import dataset as store
from ser.features.dataset import FrontEnd
from pathlib import Path
front_end = FrontEnd(features=t.FEATURES)
speech = store.build(pd.read_pickle(sys.argv[1]), front_end, n_jobs=1, progress=False)
t.fit(speech, Path(sys.argv[2]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_while_training_the_same_call_ends_the_same(
    trained, speech, demo_table, project, tmp_path
):
    demo_table.to_pickle(tmp_path / "table.pickle")
    run, log = tmp_path / "run", tmp_path / "run" / "history.csv"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "table.pickle"), str(run)]
    with subprocess.Popen(command, cwd=Path(__file__).parent) as process:
        while process.poll() is None:
            if log.exists() and len(log.read_text().splitlines()) > 2:
                break
            time.sleep(0.002)
        time.sleep(np.random.default_rng().uniform(0, 0.1))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = pd.read_csv(log)
    assert 2 <= len(before) < 8, "the kill came too late to mean anything"
    model, history = fit(speech, run)
    assert len(history) == 8
    kept = len(before) - 1  # the model of the last row may not have been written
    np.testing.assert_allclose(history["seconds"][:kept], before["seconds"][:kept], rtol=1e-4)
    np.testing.assert_allclose(history[VALUES], trained[2][VALUES], atol=1e-3)
    clips = parts(speech)[1].clips
    undisturbed = training.predict(trained[1], speech, clips)
    np.testing.assert_allclose(training.predict(model, speech, clips), undisturbed, atol=1e-3)


# Damage and errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "flipped", "history", "model"])
def test_a_damaged_state_begins_again(trained, speech, tmp_path, damage, capsys):
    run = shutil.copytree(trained[0], tmp_path / "run")
    content = bytearray((run / "last.keras").read_bytes())
    if damage == "history":
        (run / "history.csv").write_bytes(b"\0" * 100)
    elif damage == "model":  # as an error about a damaged one says
        (run / "model.keras").unlink()
    else:
        content[len(content) // 2] ^= 0xFF
        (run / "last.keras").write_bytes(content[: 1_000 if damage == "cut" else None])
    model, known = training._start_or_resume(RECIPE, parts(speech)[0], run, 0, 3)
    assert known == []
    assert int(model.optimizer.iterations) == 0
    assert ("begins again" in capsys.readouterr().out) == (damage != "model")


def test_a_checkpoint_cut_short_never_replaces_the_model(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"good")
    (tmp_path / ".aside-model.keras").write_bytes(b"half")  # left by a kill
    checkpoint = WholeCheckpoint(
        tmp_path / "model.keras",
        monitor="val_loss",
        mode="min",
        save_best_only=True,
        initial_value_threshold=0.5,
    )
    inputs = keras.Input((2,))
    checkpoint.set_model(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    checkpoint.on_train_begin()
    checkpoint.on_epoch_end(0, {"val_loss": 0.6})
    assert (tmp_path / "model.keras").read_bytes() == b"good"
    checkpoint.on_epoch_end(1, {"val_loss": 0.4})
    keras.saving.load_model(tmp_path / "model.keras")
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_a_full_disk_is_one_line_and_keeps_the_last_epoch(trained, speech, tiny_disk):
    size = sum(file.stat().st_size for file in trained[0].iterdir())
    run = shutil.copytree(trained[0], tiny_disk(size // 1024 + 40) / "run")
    with one_line("disk is full", "Free some space"):
        fit(speech, run, recipe(epochs=9))
    _, known = training._start_or_resume(RECIPE, parts(speech)[0], run, 0, 3)
    assert len(known) == 8
    keras.saving.load_model(run / "model.keras")


def test_training_that_diverges_is_one_line(tmp_path):
    values = random_values()
    values[12:, :, 0] = np.nan
    features, labels = made_of(tmp_path, values), np.arange(20) % 3
    train, validation = (
        Part(features, clips, labels[clips]) for clips in (np.arange(12), np.arange(12, 20))
    )
    options = {**MODEL.options, "filters": [], "pool_sizes": []}  # max pooling hides NaN
    hopeless = dataclasses.replace(recipe(epochs=1), model=ModelConfig(options=options))
    with one_line("tiny", "diverged", "val_loss", "training.learning_rate"):
        training.fit(hopeless, train, validation, tmp_path / "run", seed=0, every=0)


def test_parts_that_cannot_be_trained_on(speech, tmp_path):
    train, validation = parts(speech)
    empty = Part(speech, train.clips[:0], train.labels[:0])
    with one_line("tiny", "training part", "no clip"):
        training.fit(RECIPE, empty, validation, tmp_path, seed=0)
    with one_line("tiny", "validation part", "no clip"):
        training.fit(RECIPE, train, empty, tmp_path, seed=0)
    few = train.labels != 1
    lacking = Part(speech, train.clips[few], train.labels[few])
    with one_line("no training clip of class 'neutral'", "protocol"):
        training.fit(RECIPE, lacking, validation, tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_other_settings_train(speech, tmp_path):
    other = recipe(
        epochs=1, weight_decay=0.01, clip_norm=None, label_smoothing=0.1, monitor="val_uar"
    )
    _, history = fit(speech, tmp_path, other)
    assert np.isfinite(history.to_numpy()).all()
    optimizer = keras.saving.load_model(tmp_path / "last.keras").optimizer
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.01, None)
