"""From recipe to report: every clip tested once by a model that never heard it or its speaker."""

import contextlib
import dataclasses
import itertools
import json
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from conftest import EMOTIONS, TINY, one_line
from joblib.externals.loky import get_reusable_executor

from ser import experiments
from ser.config import TrainingConfig, changed
from ser.corpora import metadata
from ser.experiments import recipes
from ser.project import CacheError, read_json

RECIPE, SEEDS = TINY, (0, 1)


@pytest.fixture
def root(finished_project):
    """A project with a finished cross-validation; tests leave it as it is."""
    return finished_project


@pytest.fixture
def plan(root, three_speakers, monkeypatch, demo_shelf) -> experiments.Plan:
    """The plan of that cross-validation."""
    monkeypatch.setenv("SER_ROOT", str(root))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    return experiments.plan(RECIPE, table=three_speakers)


def test_no_clip_and_no_speaker_is_in_two_parts(plan):
    speaker_of = dict(zip(plan.table["clip_id"], plan.table["speaker"], strict=True))
    assert len(plan.folds) == 3
    for fold in plan.folds:
        parts = [set(fold.train), set(fold.validation), set(fold.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 36
        speakers = [{speaker_of[clip] for clip in part} for part in parts]
        assert sum(map(len, speakers)) == len(set().union(*speakers)) == 3


def other_corpus(demo_table) -> pd.DataFrame:
    """Two other speakers of the demo corpus, as if of another corpus that has no sad clip."""
    others = demo_table[demo_table["speaker"].str[-2:].isin(["04", "05"])]
    renamed = {
        "corpus": "savee",
        "clip_id": others["clip_id"].str.replace("demo", "savee"),
        "speaker": others["speaker"].str.replace("demo", "savee"),
        "emotion": others["emotion"].replace("sad", "happy"),  # not a class of the recipe
    }
    return others.assign(**renamed)


def test_extra_corpora_are_only_trained_on(plan, three_speakers, demo_table):
    others = demo_table[demo_table["speaker"].str[-2:].isin(["04", "05"])]
    table = pd.concat([three_speakers, other_corpus(demo_table)], ignore_index=True)
    table.loc[len(table) - 1, "pcm_sha256"] = three_speakers["pcm_sha256"].iloc[0]  # a copy
    recipe = dataclasses.replace(RECIPE, extra_corpora=("savee",))
    found = experiments.plan(recipe, table=table)
    more = {clip for clip in found.table["clip_id"] if clip.startswith("savee/")}
    left_out = others["emotion"] == "sad"
    left_out.iloc[-1] = True
    assert 0 < left_out.sum() < len(others)
    assert len(more) == (~left_out).sum()
    for fold, without in zip(found.folds, plan.folds, strict=True):
        assert set(fold.train) == {*without.train, *more}
        assert (fold.validation, fold.test) == (without.validation, without.test)
    assert found.runs_folder != plan.runs_folder


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_fold_begins_with_what_extra_corpora_taught(
    project, demo_shelf, three_speakers, demo_table, tmp_path, monkeypatch, capsys, n_jobs
):
    from ser import models

    shelf = tmp_path / "shelf"
    for name in ("demo", "savee"):
        shutil.copytree(demo_shelf / "demo", shelf / name)
    monkeypatch.setenv("SER_CORPORA", str(shelf))
    get_reusable_executor().shutdown(wait=True)  # its processes know the old variables
    table = pd.concat([three_speakers, other_corpus(demo_table)], ignore_index=True)
    still = TrainingConfig(
        epochs=1, extra_epochs=3, extra_share=0.0, batch_size=8, learning_rate=1e-9, monitor="epoch"
    )
    recipe = dataclasses.replace(RECIPE, extra_corpora=("savee",), training=still)
    whole = experiments.plan(recipe, table=table)
    experiments.run(recipe, seeds=(0,), n_jobs=n_jobs, table=table)
    first = whole.runs_folder / "extra-seed-0"
    assert len(pd.read_csv(first / "history.csv")) == 3
    taught = models.load(first / "model.keras")
    extra = whole.table["corpus"].eq("savee").to_numpy()
    feature_set, parts = experiments.load_parts(whole, 0, ["train"])
    own = [clip for clip in parts["train"].clips if not extra[clip]]
    for clips, model in ((np.flatnonzero(extra), taught), (own, None)):
        model = model or models.load(whole.run_folder(0, 0) / "model.keras")
        frames = feature_set.take(np.array(clips))
        frames = frames[np.any(frames != 0, axis=-1)]
        mean = model.get_layer("standardise").mean.numpy()
        np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-3, atol=1e-3)
    for fold in range(3):
        model = models.load(whole.run_folder(fold, 0) / "model.keras")
        for kept, given in zip(model.trainable_weights, taught.trainable_weights, strict=True):
            np.testing.assert_allclose(kept, given, atol=1e-6)
    assert first not in [folder.parent for folder in experiments.runs()]
    if n_jobs == 1:
        assert capsys.readouterr().out.count("extra corpora seed 0") == 2  # epochs 1 and 3, once
    assert experiments.pretrain(experiments.plan(RECIPE, table=three_speakers), 0) is None


def test_training_hears_fewer_speakers(demo_table):
    whole = experiments.plan(RECIPE, table=demo_table)
    speaker_of = dict(zip(whole.table["clip_id"], whole.table["speaker"], strict=True))
    few, more = whole.with_speakers(1), whole.with_speakers(2)
    for fold, smaller, larger in zip(whole.folds, few.folds, more.folds, strict=True):
        heard = [{speaker_of[clip] for clip in one.train} for one in (smaller, larger, fold)]
        assert heard[0] < heard[1] < heard[2]
        assert (len(heard[0]), len(heard[1])) == (1, 2)
        for one in (smaller, larger):
            assert (one.validation, one.test) == (fold.validation, fold.test)
            speakers = {speaker_of[clip] for clip in one.train}
            assert set(one.train) == {clip for clip in fold.train if speaker_of[clip] in speakers}
    assert len({one.runs_folder for one in (whole, few, more)}) == 3
    other = whole.with_speakers(1, seed=1)
    assert [fold.train for fold in other.folds] != [fold.train for fold in few.folds]
    assert whole.with_speakers(1).fingerprint == few.fingerprint
    with one_line("cannot keep 99 of them"):
        whole.with_speakers(99)


def test_predictions_cover_each_clip_once_per_seed(plan):
    predictions = pd.read_csv(plan.report_folder / "predictions.csv")
    assert list(predictions) == ["clip_id", "speaker", "fold", "seed", "label", *EMOTIONS]
    for _, of_seed in predictions.groupby("seed"):
        assert sorted(of_seed["clip_id"]) == sorted(plan.table["clip_id"])
    assert sorted(predictions["seed"].unique()) == list(SEEDS)
    np.testing.assert_allclose(predictions[list(EMOTIONS)].sum(axis=1), 1, atol=1e-5)
    for row in predictions.itertuples():
        assert row.clip_id in plan.folds[row.fold].test
    truth = plan.table.set_index("clip_id")["label"]
    assert (predictions["label"] == predictions["clip_id"].map(truth)).all()


def test_report_folder(plan):
    folder = plan.report_folder
    assert folder.parts[-3:] == ("reports", "tiny", "speaker-independent")
    names = {file.name for file in folder.iterdir()}
    assert names == {"predictions.csv", "metrics.json", "history.csv", "recipe.json"}
    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = pd.read_csv(folder / "predictions.csv")
    guesses = predictions[list(EMOTIONS)].idxmax(axis=1)
    hits = (guesses == predictions["label"]).groupby(predictions["seed"]).mean()
    assert metrics["accuracy"]["mean"] == pytest.approx(hits.mean())
    assert metrics["n_clips"] == 36
    assert set(metrics["parts"]) == {"train", "validation", "test"}
    assert metrics["parts"]["test"]["accuracy"] == pytest.approx(hits.mean())
    history = pd.read_csv(folder / "history.csv")
    assert len(history) == 3 * len(SEEDS) * 2
    assert experiments.recipe_of(folder) == RECIPE
    assert experiments.metrics_of(folder)["uar"] == metrics["uar"]


def test_a_run_folder_explains_itself(plan):
    folder = plan.run_folder(1, 0)
    names = {file.name for file in folder.iterdir()}
    predictions = {f"predictions{part}.csv" for part in ("", "-train", "-validation")}
    assert names == {"model.keras", "history.csv", "run.json", *predictions}
    card = json.loads((folder / "run.json").read_text())
    assert (card["fold"], card["seed"], card["epochs"]) == (1, 0, 2)
    assert card["classes"] == list(EMOTIONS)
    assert card["data_fingerprint"] == plan.fingerprint
    assert {"keras", "librosa", "audiomentations"} <= set(card["packages"])
    assert experiments.recipe_of(folder) == RECIPE
    for part in ("train", "validation"):
        clips = pd.read_csv(folder / f"predictions-{part}.csv")["clip_id"]
        assert sorted(clips) == list(getattr(plan.folds[1], part))
    history = pd.read_csv(folder / "history.csv")
    assert card["best_epoch"] == 1 + history["val_uar"].argmax()
    assert experiments.runs()[0].parent == plan.runs_folder
    assert len(experiments.runs()) == 6


@pytest.mark.slow
def test_a_refit_leaves_no_validation_part(plan, three_speakers):
    settings = TrainingConfig(epochs=1, batch_size=8, monitor="epoch", refit=True)
    recipe = dataclasses.replace(RECIPE, name="tiny-refit", training=settings)
    folder = experiments.run(recipe, seeds=(0,), every=0, table=three_speakers)
    again = experiments.plan(recipe, table=three_speakers)
    for number, fold in enumerate(plan.folds):
        run = again.run_folder(number, 0)
        assert not (run / "predictions-validation.csv").exists()
        trained = pd.read_csv(run / "predictions-train.csv")["clip_id"]
        assert sorted(trained) == sorted((*fold.train, *fold.validation))
        assert sorted(pd.read_csv(run / "predictions.csv")["clip_id"]) == sorted(fold.test)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["parts"]) == {"train", "test"}


def test_a_model_to_give_away_trains_on_everything(plan, three_speakers):
    settings = TrainingConfig(epochs=1, batch_size=8, monitor="epoch")
    recipe = dataclasses.replace(RECIPE, name="tiny-everything", training=settings)
    whole = experiments.plan(recipe, table=three_speakers).on_everything()
    run = experiments.train_fold(whole, 0, 0, every=0)
    trained = pd.read_csv(run / "predictions-train.csv")["clip_id"]
    assert sorted(trained) == sorted(three_speakers["clip_id"])
    assert not (run / "predictions.csv").exists()
    assert json.loads((run / "run.json").read_text())["test"] == "nobody"
    with one_line("no predictions.csv", "not one that trained on everything"):
        experiments.predictions_of(run)
    with one_line("tiny", "chooses its epoch by val_", "training.monitor to epoch"):
        plan.on_everything()


def test_a_finished_run_is_not_trained_again(plan, three_speakers, capsys):
    before = {file: file.stat().st_mtime_ns for file in plan.runs_folder.rglob("*.*")}
    folder = experiments.run(RECIPE, seeds=SEEDS, every=0, table=three_speakers)
    assert folder == plan.report_folder
    assert {file: file.stat().st_mtime_ns for file in plan.runs_folder.rglob("*.*")} == before
    assert "36 clips, 6 trainings, 6 of them done before" in capsys.readouterr().out


def test_other_recipe_data_or_folds_are_other_runs(plan, three_speakers):
    changed = dataclasses.replace(RECIPE, training=TrainingConfig(epochs=3))
    renamed = dataclasses.replace(RECIPE, description="the same")
    relabelled = three_speakers.copy()
    relabelled.loc[0, "pcm_sha256"] = "0" * 64
    folders = {
        experiments.plan(RECIPE, table=three_speakers.sample(frac=1, random_state=0)).runs_folder,
        experiments.plan(renamed, table=three_speakers).runs_folder,
    }
    assert folders == {plan.runs_folder}
    folders |= {
        experiments.plan(changed, table=three_speakers).runs_folder,
        experiments.plan(RECIPE, table=relabelled).runs_folder,
        experiments.plan(RECIPE, table=three_speakers.iloc[1:]).runs_folder,
    }
    assert len(folders) == 4


@pytest.mark.slow
def test_deleted_runs_are_made_again_the_same_by_two_processes(
    plan, root, three_speakers, tmp_path, monkeypatch
):
    expected = pd.read_csv(plan.report_folder / "predictions.csv")
    copy = shutil.copytree(root, tmp_path / "copy")
    monkeypatch.setenv("SER_ROOT", str(copy))
    shutil.rmtree(plan.run_folder(0, 1))
    shutil.rmtree(plan.run_folder(2, 0))
    shutil.rmtree(plan.report_folder)
    kept = (plan.run_folder(1, 1) / "run.json").stat().st_mtime_ns
    with one_line("2 of 6 runs are missing", "fold-2-seed-0", "ser run tiny"):
        experiments.report(plan, SEEDS)
    get_reusable_executor().shutdown(wait=True)  # workers of other tests know another SER_ROOT
    folder = experiments.run(RECIPE, seeds=SEEDS, every=0, table=three_speakers, n_jobs=2)
    get_reusable_executor().shutdown(wait=True)
    assert folder == copy / "reports" / "tiny" / "speaker-independent"
    assert (plan.run_folder(1, 1) / "run.json").stat().st_mtime_ns == kept
    found = pd.read_csv(folder / "predictions.csv")
    pd.testing.assert_frame_equal(found, expected, atol=1e-3)


def test_seeds_join_a_report_whose_runs_are_gone(plan, root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_ROOT", str(shutil.copytree(root, tmp_path / "copy")))
    folder = plan.report_folder
    whole, table = read_json(folder / "metrics.json"), experiments.predictions_of(folder)
    histories = pd.read_csv(folder / "history.csv")
    shutil.rmtree(folder)
    experiments.report(plan, (0,))
    for fold in range(3):
        shutil.rmtree(plan.run_folder(fold, 0))
    assert experiments.report(plan, (1,)) == folder
    found = read_json(folder / "metrics.json")
    pd.testing.assert_frame_equal(experiments.predictions_of(folder), table)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), histories)
    assert found.pop("training_seconds") == pytest.approx(whole.pop("training_seconds"), abs=0.2)
    parts = [metrics.pop("parts") for metrics in (found, whole)]
    for name, metric in itertools.product(parts[1], ("uar", "accuracy")):
        assert parts[0][name][metric] == pytest.approx(parts[1][name][metric])
    assert found == whole
    other_folds = table[table["seed"] == 0].assign(fold=lambda rows: (rows["fold"] + 1) % 3)
    other_folds.to_csv(folder / "predictions.csv", index=False)
    local = experiments.report(plan, (1,))
    assert local == plan.local_folder
    assert "a report of other clips or folds lies there" in capsys.readouterr().out
    pd.testing.assert_frame_equal(
        experiments.predictions_of(folder), other_folds.reset_index(drop=True)
    )
    assert experiments.report(plan, (1,), force=True) == folder
    assert experiments.predictions_of(folder)["seed"].unique().tolist() == [1]


def copy_runs(plan, other):
    """Let runs of one plan stand for those of another, which would take long to train."""
    shutil.copytree(plan.runs_folder, other.runs_folder)


def test_a_report_is_replaced_only_by_the_same_recipe(plan, root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_ROOT", str(shutil.copytree(root, tmp_path / "copy")))
    before = {file.name: file.read_bytes() for file in plan.shared_folder.iterdir()}
    others = {
        "the settings are not those of tiny": dataclasses.replace(
            plan, recipe=changed(RECIPE, {"training.epochs": 1})
        ),
        "training hears 1 speakers": plan.with_speakers(1),
    }
    for why, other in others.items():
        copy_runs(plan, other)
        assert other.report_folder == plan.local_folder
        assert experiments.report(other, (0,)) == plan.local_folder
        assert why in capsys.readouterr().out.splitlines()[0]
        assert {file.name: file.read_bytes() for file in plan.shared_folder.iterdir()} == before
    assert experiments.report(other, (0,), force=True) == plan.shared_folder
    assert experiments.predictions_of(plan.shared_folder)["seed"].unique().tolist() == [0]


def test_a_named_recipe_with_other_settings_is_local_from_the_start(plan):
    known = recipes.get("mfcc-attention-4-attention")
    on_protocol = recipes.on_protocol(known, "emodb-loso")
    for recipe, protocol, local in (
        (known, "combined-6", False),
        (on_protocol, "emodb-loso", False),
        (changed(known, {"training.epochs": 3}), "combined-6", True),
        (dataclasses.replace(known, corpora=("demo",)), "combined-6", True),
        (recipes.on_corpora(known, ("demo",)), "speaker-independent", False),
    ):
        other = dataclasses.replace(plan, recipe=recipe, protocol=protocol)
        assert ("local" in other.report_folder.parts) == local


def test_missing_runs_and_folds_are_one_line(plan, monkeypatch, three_speakers):
    with one_line("3 of 9 runs are missing", "fold-0-seed-2", "ser run tiny"):
        experiments.report(plan, (0, 1, 2))
    with one_line("folds 0 to 2, found 3"):
        experiments.train_fold(plan, 3, 0)
    with one_line("no protocol named 'speaker-independant'", "Did you mean"):
        experiments.plan(RECIPE, "speaker-independant", three_speakers)
    with one_line("no metadata table yet", "ser metadata"):
        experiments.plan(RECIPE)
    with one_line("recipe.json"):
        experiments.recipe_of(plan.runs_folder)


def test_a_damaged_cache_never_becomes_a_result(plan, root, tmp_path, monkeypatch):
    shutil.copytree(root / "data", tmp_path / "data")
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    file = plan.front_end.folder / "features.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE entries SET value = zeroblob(length(value)) WHERE id = 1")
    with one_line("damaged", "ser features --repair", kind=CacheError):
        experiments.train_fold(plan, 0, 0, every=0)
    assert not plan.run_folder(0, 0).exists()


def test_a_clip_that_cannot_be_read_costs_only_itself(
    project, three_speakers, demo_shelf, tmp_path, monkeypatch
):
    shutil.copytree(demo_shelf, tmp_path / "own")
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "own"))
    plan = experiments.plan(RECIPE, table=three_speakers)
    bad = plan.folds[0].test[0]
    row = three_speakers.set_index("clip_id").loc[bad]
    metadata.clip_path(row).write_bytes(b"")
    folder = experiments.train_fold(plan, 0, 0, every=0, n_jobs=1)
    predictions = pd.read_csv(folder / "predictions.csv")
    assert sorted(predictions["clip_id"]) == list(plan.folds[0].test[1:])
