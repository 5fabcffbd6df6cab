"""Searching for settings: on validation speakers only, resumable, in words a user understands."""

import json
import warnings

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
import pytest
from conftest import one_line
from test_experiment import RECIPE

from ser import experiments
from ser.config import Recipe, changed, from_dict
from ser.studies import tuning as tune
from ser.training import fitting as training

SPACE = {
    "training.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "training.batch_size": [8, 16],
    "masking.n_time_masks": {"low": 0, "high": 2},
}


@pytest.fixture(scope="module")
def search(tmp_path_factory, demo_shelf, demo_table):
    """A project with a finished search of three trials, and what was asked of the features."""
    root = tmp_path_factory.mktemp("project")
    few = demo_table[demo_table["speaker"].str[-2:].isin(["01", "02", "03"])]
    table = few.reset_index(drop=True)
    asked = []
    fit = training.fit

    def noting(recipe, train, validation, *rest, **options):
        clips = [train.features.table["clip_id"].iloc[part.clips] for part in (train, validation)]
        asked.append([set(part) for part in clips])
        return fit(recipe, train, validation, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(root))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        patch.setattr(training, "fit", noting)
        study = tune.tune(RECIPE, space=SPACE, n_trials=3, folds=(0, 1), table=table)
        plan = experiments.plan(RECIPE, table=table)
    return root, table, study, plan, asked


@pytest.fixture
def table(search, monkeypatch, demo_shelf) -> pd.DataFrame:
    """The clips, with the project's folders set."""
    monkeypatch.setenv("SER_ROOT", str(search[0]))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    return search[1]


def test_no_test_clip_takes_part(search):
    *_, plan, asked = search
    assert len(asked) == 6
    for number, (train, validation) in enumerate(asked):
        fold = plan.folds[number % 2]
        assert train == set(fold.train)
        assert validation == set(fold.validation)
        assert not (train | validation) & set(fold.test)


def test_trials_and_best_recipe_are_on_disk(search):
    root, _, study, *_ = search
    folder = root / "reports" / "tuning" / "tiny" / "speaker-independent"
    trials = pd.read_csv(folder / "trials.csv")
    assert list(trials["number"]) == [0, 1, 2]
    assert trials["validation_uar"].between(0, 1).all()
    assert trials["params_training.learning_rate"].between(1e-3, 1e-1).all()
    assert trials["params_training.learning_rate"].nunique() == 3
    best = from_dict(Recipe, json.loads((folder / "best.json").read_text()))
    first = trials.loc[trials["validation_uar"].idxmax()]
    assert best.name == "tiny-tuned"
    assert best.training.learning_rate == pytest.approx(
        first["params_training.learning_rate"], rel=1e-4
    )
    assert study.best_value == pytest.approx(trials["validation_uar"].max(), abs=1e-5)


def test_a_value_is_the_mean_over_the_folds(search, table):
    root, _, study, *_ = search
    trial = study.trials[0]
    plan = experiments.plan(changed(RECIPE, trial.params), table=table)
    values = []
    for fold in (0, 1):
        _, parts = experiments.load_parts(plan, fold, names=("train", "validation"))
        assert set(parts) == {"train", "validation"}
        folder = root / "by-hand" / str(fold)
        _, history = training.fit(plan.recipe, *parts.values(), folder, seed=0, every=0)
        values.append(history["val_uar"].max())  # the recipe keeps the epoch of the best
    assert trial.value == pytest.approx(np.mean(values), abs=1e-3)


@pytest.mark.parametrize("name", tune.VIEWS)
def test_views_of_a_search(search, name):
    study = search[2]
    before = dict(plt.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = np.ravel(tune.view(study, name))
    assert dict(plt.rcParams) == before
    assert len(axes) == (3 if name == "slices" else 1)
    values = [trial.value for trial in study.trials]
    if name == "history":
        points = axes[0].collections[0].get_offsets()
        np.testing.assert_allclose(points[:, 1], values)
    elif name == "slices":
        names = {ax.get_xlabel() for ax in axes}
        assert names == {setting.split(".")[-1] for setting in SPACE}
        for ax in axes:
            assert sorted(ax.collections[0].get_offsets()[:, 1]) == pytest.approx(sorted(values))
    elif name == "epochs":
        assert len(axes[0].get_lines()) == 3
    plt.close("all")


def test_views_that_cannot_be_drawn(search):
    with one_line("'slice'", "Did you mean 'slices'?"):
        tune.view(search[2], "slice")
    nothing = optuna.create_study(direction="maximize")
    with one_line("0 trials", "importances needs two"):
        tune.view(nothing, "importances")


def test_more_trials_go_on_and_none_is_done_again(search, table, monkeypatch, capsys):
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained again"))
    options = {"space": SPACE, "folds": (0, 1), "table": table}
    study = tune.tune(RECIPE, n_trials=3, **options)
    assert len(study.trials) == 3
    assert "3 of 3 trials done before" in capsys.readouterr().out
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        tune.tune(RECIPE, n_trials=4, **options)
    monkeypatch.undo()


@pytest.mark.slow
def test_a_killed_trial_is_taken_up_again(search, table, monkeypatch):
    options = {"space": SPACE, "folds": (0, 1), "table": table}
    fit, seen = training.fit, []

    def killed(recipe, *rest, **more):
        seen.append(recipe.training)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        tune.tune(RECIPE, n_trials=4, **options)

    def again(recipe, *rest, **more):
        seen.append(recipe.training)
        return fit(recipe, *rest, **more)

    monkeypatch.setattr(training, "fit", again)
    study = tune.tune(RECIPE, n_trials=4, **options)
    assert seen[0] == seen[1] == seen[2]  # the same settings, on both folds
    assert sum(trial.value is not None for trial in study.trials) == 4


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_stopped(search, table, monkeypatch, capsys):
    asked = []

    class Behind(optuna.pruners.MedianPruner):
        """Stops the second trial in its second epoch, whatever was drawn."""

        def prune(self, study, trial):
            asked.append((trial.number, trial.last_step))
            return trial.number == 1 and trial.last_step == 1

    monkeypatch.setattr(optuna.pruners, "MedianPruner", Behind)
    space = {"training.learning_rate": {"low": 1e-3, "high": 1e-2}}
    study = tune.tune(RECIPE, space=space, n_trials=3, folds=(0, 1), table=table)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert [step for number, step in asked if number == 1] == [0, 1]
    assert [step for number, step in asked if number == 2] == [0, 1, 2, 3]  # two folds, two epochs
    said = capsys.readouterr().out
    assert "trial 2/3: stopped early; best" in said
    trials = pd.read_csv(search[0] / "reports/tuning/tiny/speaker-independent/trials.csv")
    assert list(trials["state"]) == ["COMPLETE", "PRUNED", "COMPLETE"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"space": {"training.rate": [1, 2]}}, ("no field 'training.rate'", "learning_rate")),
        ({"space": {"training.epochs": [0]}}, ("training.epochs", "greater than or equal to 1")),
        ({"space": {"training.epochs": 3}}, ("training.epochs", "list of choices", "3")),
        ({"space": {"training.epochs": {"low": 5, "high": 1}}}, ("training.epochs", "'low': 5")),
        ({"space": {"name.x": [1]}}, ("'name.x'", "no group")),
        ({"folds": (9,)}, ("folds 0 to 2",)),
        ({"folds": ()}, ("folds 0 to 2",)),
    ],
)
def test_wrong_questions_are_one_line(table, options, parts):
    with one_line(*parts):
        tune.tune(RECIPE, n_trials=1, table=table, **options)
