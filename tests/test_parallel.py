"""`ParallelModel` and its three functions: what their authors named, without the leaks."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import one_line

from ser.corpora import EMOTIONS, demo, synthesis
from ser.experiments import recipes
from ser.models.layers import Standardise
from ser.studies.published import Data, ParallelModel, evaluate_model, preprocess_data, train_model

SMALL = {"filters": [4, 6], "lstm_units": 4, "attention_units": 3, "lstm_pool": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An empty project."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def parts(root, tmp_path_factory) -> tuple[Data, Data, Data]:
    """40 clips of the demo corpus, 5 speakers in all 8 emotions, from a folder given by path."""
    folder = tmp_path_factory.mktemp("speech") / "somewhere"
    actors = {f"Actor_{number:02d}" for number in range(1, 6)}
    few = [
        take
        for take in demo.takes()
        if take.path.split("/")[1] in actors and "-01-01-" in take.path[-15:] and not take.strong
    ]
    synthesis.synthesise(few, folder, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(root))
        patch.delenv("SER_CORPORA", raising=False)
        return preprocess_data(folder, corpus="demo")


@pytest.fixture(scope="module")
def trained(parts):
    """A model after two epochs, and its history; tests do not change it."""
    keras.utils.set_random_seed(0)
    model = ParallelModel(num_emotions=8, **SMALL)
    return model, train_model(model, parts[0], parts[1], epochs=2, seed=3)


def test_parts_share_no_speaker_and_hold_spectrograms(parts):
    settings = recipes.get("parallel").features
    speakers = [set(part.speakers) for part in parts]
    assert all(speakers)
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 5
    clip_ids = [clip for part in parts for clip in part.clip_ids]
    assert len(clip_ids) == len(set(clip_ids)) == 40
    for part in parts:
        assert part.features.shape == (len(part.labels), settings.n_frames, settings.n_mels)
        assert part.features.dtype == np.float32
        assert part.classes == EMOTIONS
        assert len(part.speakers) == len(part.clip_ids) == len(part.labels)
        for label, clip_id in zip(part.labels, part.clip_ids, strict=True):
            code = clip_id.split("-01-")[1].split("-")[0]  # the third number of a RAVDESS name
            assert demo.ravdess.EMOTION_CODES[code] == EMOTIONS[label]
        assert np.bincount(part.labels, minlength=8).min() == len(set(part.speakers))


def test_folds_test_each_clip_once(root, parts, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(root))  # which knows the folder by now
    monkeypatch.delenv("SER_CORPORA", raising=False)
    tested = [*parts[2].clip_ids]
    fold = 1
    while len(tested) < 40:
        tested += preprocess_data(corpus="demo", fold=fold)[2].clip_ids
        fold += 1
    assert len(set(tested)) == len(tested) == 40
    for wrong in (fold, -1):
        with one_line("speaker-independent", f"folds 0 to {fold - 1}"):
            preprocess_data(corpus="demo", fold=wrong)


def test_training_gives_a_row_per_epoch_and_keeps_the_best(trained, parts):
    model, history = trained
    assert history.index.tolist() == [1, 2]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(history)
    assert np.isfinite(history.to_numpy()).all()
    probabilities = model.predict(parts[1].features, verbose=0)
    of_truth = probabilities[np.arange(len(parts[1].labels)), parts[1].labels]
    assert -np.log(of_truth).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)


def test_statistics_are_those_of_training_clips_only(trained, parts):
    layers = [layer for layer in trained[0].layers if isinstance(layer, Standardise)]
    assert len(layers) == 1
    frames, others = (
        part.features[np.any(part.features != 0, axis=-1)].astype(np.float64)
        for part in (parts[0], parts[2])
    )
    np.testing.assert_allclose(layers[0].mean, frames.mean(axis=0), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(layers[0].deviation, frames.std(axis=0), rtol=1e-3)
    assert np.abs(others.mean(axis=0) - frames.mean(axis=0)).max() > 0.1


def test_evaluation_is_that_of_the_test_clips(trained, parts):
    model, test = trained[0], parts[2]
    metrics = evaluate_model(model, test)
    guesses = model.predict(test.features, verbose=0).argmax(axis=1)
    assert metrics["accuracy"]["mean"] == pytest.approx(np.mean(guesses == test.labels))
    assert metrics["n_clips"] == len(test.labels)
    assert metrics["n_speakers"] == len(set(test.speakers))
    recalls = [np.mean(guesses[test.labels == k] == k) for k in range(8)]
    assert metrics["uar"]["mean"] == pytest.approx(np.mean(recalls))
    assert list(metrics["per_class"]) == list(EMOTIONS)


def test_another_number_of_classes_is_one_line(parts):
    model = ParallelModel(num_emotions=3, **SMALL)
    before = [np.array(weight) for weight in model.weights]
    for call in (
        lambda: train_model(model, parts[0], parts[1], epochs=1),
        lambda: evaluate_model(model, parts[2]),
    ):
        with one_line("3 classes, the data 8", "neutral", "ParallelModel(num_emotions=8)"):
            call()
    for weight, was in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_shared_speakers_are_one_line(trained, parts):
    train, validation, _ = parts
    stranger = train.speakers[0]
    mixed = dataclasses.replace(validation, speakers=(stranger, *validation.speakers[1:]))
    for shared in (train, mixed):
        with one_line("training and validation share the speaker", "demo/"):
            train_model(trained[0], train, shared, epochs=1)
    with one_line(stranger):
        train_model(trained[0], train, mixed, epochs=1)


def test_the_model_is_that_of_the_recipe():
    settings = recipes.get("parallel")
    model = ParallelModel()
    assert model.name == settings.model.architecture
    shape = (None, settings.features.n_frames, settings.features.n_mels)
    assert (model.input_shape, model.output_shape) == (shape, (None, len(settings.classes)))
    assert not model.compiled
    with one_line("'filter'", "Did you mean 'filters'?"):
        ParallelModel(filter=[4])
    with one_line("8 frames of 8 features"):
        ParallelModel(n_frames=4)


def test_a_wrong_folder_is_one_line(project, tmp_path):
    with one_line("no/such", "expected"):
        preprocess_data(tmp_path / "no" / "such", corpus="demo")
    with one_line("no clip of class 'calm'"):  # the small demo corpus has three emotions
        preprocess_data(corpus="demo")
