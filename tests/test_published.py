"""`ParallelModel` and its three functions: what their authors named, without the leaks."""

import zipfile
from pathlib import PurePosixPath

import keras
import numpy as np
import pytest
from conftest import one_line

from ser.corpora import EMOTIONS, demo
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
    """Clips of the demo corpus, 5 speakers in all 8 emotions, from a folder given by path."""
    folder = tmp_path_factory.mktemp("speech") / "somewhere"
    actors = {f"ravdess-{number:02d}" for number in range(1, 6)}
    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name in clips.namelist():
            clip = demo.parse(PurePosixPath(name))
            if clip.speaker in actors and clip.intensity != "strong":
                clips.extract(name, folder)
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


def arrays(data):
    return data.part.features.take(data.part.clips), data.part.labels


def test_parts_share_no_speaker_and_hold_spectrograms(parts):
    settings = recipes.get("parallel").features
    speakers = [set(part.table["speaker"]) for part in parts]
    assert all(speakers)
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 5
    for part in parts:
        features, labels = arrays(part)
        assert features.shape == (len(part.table), settings.n_frames, settings.n_mels)
        assert part.recipe.classes == EMOTIONS
        assert [EMOTIONS[label] for label in labels] == part.table["label"].tolist()
        assert np.bincount(labels, minlength=8).min() > 0


def test_folds_test_each_clip_once(root, parts, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(root))  # which knows the folder by now
    monkeypatch.delenv("SER_CORPORA", raising=False)
    tested = [parts[2], *(preprocess_data(corpus="demo", fold=fold)[2] for fold in range(1, 5))]
    clips = [clip for part in tested for clip in part.table["clip_id"]]
    assert len(clips) == len(set(clips)) == sum(len(part.table) for part in parts)
    for wrong in (5, -1):
        with one_line("speaker-independent", "folds 0 to 4"):
            preprocess_data(corpus="demo", fold=wrong)


def test_training_keeps_the_best_and_hears_training_clips_only(trained, parts):
    model, history = trained
    assert history["epoch"].tolist() == [1, 2]
    features, labels = arrays(parts[1])
    of_truth = model.predict(features, verbose=0)[np.arange(len(labels)), labels]
    assert -np.log(of_truth).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)
    (layer,) = [layer for layer in model.layers if isinstance(layer, Standardise)]
    heard = arrays(parts[0])[0]
    frames = heard[np.any(heard != 0, axis=-1)].astype(np.float64)
    np.testing.assert_allclose(layer.mean, frames.mean(axis=0), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(layer.deviation, frames.std(axis=0), rtol=1e-3)


def test_evaluation_is_that_of_the_test_clips(trained, parts):
    metrics = evaluate_model(trained[0], parts[2])
    features, labels = arrays(parts[2])
    guesses = trained[0].predict(features, verbose=0).argmax(axis=1)
    assert metrics["accuracy"]["mean"] == pytest.approx(np.mean(guesses == labels))
    assert metrics["n_clips"] == len(labels)
    recalls = [np.mean(guesses[labels == k] == k) for k in range(8)]
    assert metrics["uar"]["mean"] == pytest.approx(np.mean(recalls))


def test_what_does_not_fit_is_one_line(trained, parts, project, tmp_path):
    train, validation, test = parts
    model = ParallelModel(num_emotions=3, **SMALL)
    for call in (
        lambda: train_model(model, train, validation, epochs=1),
        lambda: evaluate_model(model, test),
    ):
        with one_line("3 classes, the data 8", "neutral", "ParallelModel(num_emotions=8)"):
            call()
    with one_line("training and validation share the speaker", "demo/"):
        train_model(trained[0], train, train, epochs=1)
    with one_line("no/such", "expected"):
        preprocess_data(tmp_path / "no" / "such", corpus="demo")
    with one_line("'filter'", "Did you mean 'filters'?"):
        ParallelModel(filter=[4])


def test_the_model_is_that_of_the_recipe():
    settings = recipes.get("parallel")
    model = ParallelModel()
    assert model.name == settings.model.architecture
    shape = (None, settings.features.n_frames, settings.features.n_mels)
    assert (model.input_shape, model.output_shape) == (shape, (None, len(settings.classes)))
    assert not model.compiled
