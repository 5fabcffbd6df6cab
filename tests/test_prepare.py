"""What a notebook calls: parameters become a plan, a fit of one's own a run, a run is opened."""

import dataclasses
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ser import corpora, experiments, models, plots, training
from ser.config import CUSTOM, changed
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import augment
from ser.models import backend
from ser.project import SerError, paths

keras = backend.load()


@pytest.fixture
def project(tmp_path, monkeypatch, demo_shelf, demo_table):
    """A project whose only corpus is a small demo corpus."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    metadata.write_table(demo_table)
    return tmp_path


def prepare(recipe="mfcc-attention", **options):
    return experiments.prepare(recipe, corpora="demo", classes="angry, neutral, sad", **options)


@pytest.fixture(autouse=True)
def plain_style():
    yield
    plots.use_style()


def test_none_is_the_recipes_own(project):
    plan = prepare(changes={"features.n_mfcc": None, "training.epochs": 3})
    own = recipes.get("mfcc-attention")
    assert plan.recipe.features == own.features
    assert plan.recipe.training == dataclasses.replace(own.training, epochs=3)
    assert plan.recipe.classes == ("angry", "neutral", "sad")
    assert len(plan.table) == 72


def test_without_any_corpus_the_demo_corpus_is_used_and_that_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    plan = experiments.prepare()
    said = capsys.readouterr().out
    assert plan.recipe.corpora == ("demo",)
    assert plan.recipe.name == "mfcc-attention-augmented-demo"
    assert "None of ravdess is on this machine" in said
    assert "No number is a result" in said
    assert paths().metadata.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corpora": "ravdess"}, r"ravdess not on this machine \(here: demo\)"),
        ({"corpora": " , "}, "corpora none: nothing not on this machine"),
        ({"corpora": "ravdes"}, "no corpus named 'ravdes'. Did you mean 'ravdess'"),
        ({"classes": "angry"}, "at least two names"),
        ({"classes": ["angry", "bored"]}, "no clip of class 'bored'.*Allowed: angry, neutral, sad"),
        ({"protocol": "speakers"}, "no protocol named 'speakers'"),
        ({"changes": {"training.epochs": -1}}, "training.epochs: .*greater than or equal to 1"),
        ({"changes": {"training.epoch": 1}}, "no field 'training.epoch'.*Did you mean 'epochs'"),
    ],
)
def test_what_is_not_allowed_is_answered_in_one_line(project, options, message):
    options = {"corpora": "demo", "classes": "angry,sad", **options}
    with pytest.raises(SerError, match=message) as caught:
        experiments.prepare("mfcc-attention", **options)
    assert "\n" not in str(caught.value)


def test_an_own_corpus_that_was_edited_is_read_anew(project, tmp_path, demo_shelf):
    for clip in sorted((demo_shelf / "demo").rglob("*.opus")):
        folder = tmp_path / "mine" / ("loud" if "-05-" in clip.name else "soft")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder)
    speaker = {"speaker": r"-(\d\d)\."}
    for labels, classes in ({}, ("loud", "soft")), ({"soft": "quiet"}, ("loud", "quiet")):
        name = corpora.from_folder(tmp_path / "mine", labels=labels, **speaker)
        plan = experiments.prepare("mfcc-attention", corpora=name)
        assert plan.recipe.classes == classes
        assert set(plan.table["label"]) == set(classes)


def test_extra_corpora_that_are_not_here_are_left_out_and_named(project, capsys):
    plan = experiments.prepare("best-scratch-all", corpora="demo", classes="angry, neutral, sad")
    assert plan.recipe.extra_corpora == ()
    assert "not on this machine, and left out: " in capsys.readouterr().out
    assert set(plan.table["corpus"]) == {"demo"}


def test_the_kept_recipe_is_gone_on_from(project):
    experiments.keep(prepare(changes={"features.n_mfcc": 13}))
    assert experiments.prepare().recipe.features.n_mfcc == 13
    assert (
        experiments.prepare("mfcc-attention", corpora="demo", classes="angry,sad").front_end.shape[
            1
        ]
        == 40
    )


def test_figures_of_the_demo_corpus_say_so(project):
    prepare()
    assert [text.get_text() for text in plt.figure().texts] == ["demo corpus"]
    plots.use_style()
    assert not plt.figure().texts


def build(n_frames, n_features, n_classes):
    inputs = keras.Input((n_frames, n_features))
    x = keras.layers.Normalization(name="normalise")(inputs)
    x = keras.layers.GRU(4)(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def fit(plan, seed=0):
    """Fit as a notebook does."""
    n_classes = len(plan.recipe.classes)
    _, parts = experiments.load_parts(plan, 0, progress=False)
    keras.utils.set_random_seed(seed)
    network = build(**plan.sizes)
    mean, deviation = training.statistics(parts["train"])
    layer = network.get_layer("normalise")
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(deviation**2)
    layer.finalize_state()
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3, clipnorm=1.0),
        loss="categorical_crossentropy",
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            training.UnweightedAverageRecall(n_classes),
        ],
    )
    weights = training.class_weights(parts["train"].labels, n_classes, plan.recipe.training)
    batches = training.Batches(parts["train"], plan.recipe, seed, weigh=False)
    history = network.fit(
        batches,
        validation_data=training.whole(parts["validation"], n_classes),
        epochs=plan.recipe.training.epochs,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=batches.start_epoch),
            keras.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True),
        ],
        class_weight=dict(enumerate(weights)),
        shuffle=False,
        verbose=0,
    )
    return network, history


@pytest.mark.slow
def test_a_fit_in_a_cell_gives_the_run_that_the_package_gives(project):
    plan = prepare(changes={"training.epochs": 3, "augmentation.n_variants": 1})
    network, history = fit(plan)
    ours = experiments.open_run(experiments.record(plan, 0, 0, network, history))
    theirs = experiments.open_run(experiments.train_fold(plan, 0, 0, model=build, every=0))
    assert ours.folder != theirs.folder
    for column in ("loss", "val_loss", "val_uar"):
        np.testing.assert_allclose(ours.history[column], theirs.history[column], rtol=1e-6)
    for part in ("train", "validation", "test"):
        pd.testing.assert_frame_equal(ours.predictions[part], theirs.predictions[part])
    assert ours.card["best_epoch"] == theirs.card["best_epoch"]
    assert ours.recipe == plan.recipe
    assert set(ours.table["clip_id"]) == set(plan.table["clip_id"])
    assert models.load(ours.model_file).count_params() == network.count_params()


def test_a_recorded_run_is_the_newest_and_replaces_its_like(project):
    plan = prepare(changes={"training.epochs": 1})
    first = experiments.record(plan, 0, 0, *fit(plan))
    before = experiments.open_run().predictions["test"]
    again = experiments.record(plan, 0, 0, *fit(plan, seed=1))
    assert first == again == experiments.open_run().folder
    assert not before.equals(experiments.open_run().predictions["test"])
    assert experiments.open_run("mfcc-attention-demo").folder == first
    # and `run` does not take it for its own
    assert not plan.with_model(build).run_folder(0, 0).exists()


def test_a_run_of_an_own_augmentation_is_opened_where_that_is_not(project):
    @augment.register("quieter")
    def quieter(samples, sample_rate_hz, rng):
        return samples / 2

    settings = {"training.epochs": 1, "augmentation.custom_p": {"quieter": 1.0}}
    plan = prepare(changes={**settings, "augmentation.n_variants": 1})
    folder = experiments.train_fold(plan, 0, 0, model=build, every=0)
    del CUSTOM["augmentations"]["quieter"]  # as in another process
    run = experiments.open_run()
    assert run.folder == folder
    assert run.recipe.augmentation.custom_p == {"quieter": 1.0}
    assert experiments.metrics_of(folder)["n_clips"] > 0
    with pytest.raises(SerError, match="no augmentation named 'quieter'"):
        changed(run.recipe, {"training.epochs": 2})


def test_a_run_that_trained_on_everything_has_nothing_to_evaluate(project):
    plan = prepare(changes={"training.epochs": 1, "training.monitor": "epoch"})
    folder = experiments.train_fold(plan.on_everything(), 0, 0, every=0)
    with pytest.raises(SerError, match="not one that trained on everything"):
        experiments.open_run(folder)
    with pytest.raises(SerError, match="newest: no finished run"):
        experiments.open_run()


def test_a_run_that_is_not_there(project):
    with pytest.raises(SerError, match=r"newest: no finished run.*Notebook 04 trains one"):
        experiments.open_run()
