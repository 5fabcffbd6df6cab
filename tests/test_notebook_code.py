"""What notebook 04 defines in its cells is what the package trains."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ser import experiments, models, plots, training
from ser.config import TrainingConfig, changed
from ser.corpora import metadata
from ser.experiments import recipes
from ser.models import backend
from ser.project import SerError, paths

keras = backend.load()

from ser.models import layers as own_layers  # noqa: E402
from ser.training import callbacks as own_callbacks  # noqa: E402

RATE = 22_050
SOUND = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "04_training.ipynb"
SIZES = {"n_frames": 174, "n_features": 40, "n_classes": 8}


def cells():
    """Sources of the code cells."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def run_cells(recipe, *marks, **given):
    """Execute the cells that hold these lines, in the order of the notebook; give their names."""
    names = {
        "keras": keras,
        "layers": keras.layers,
        "experiments": experiments,
        "training": training,
        "TrainingConfig": TrainingConfig,
        "recipe": recipe,
        "n_classes": len(recipe.classes),
        "Markdown": str,
        "display": lambda text: None,
        "paths": paths,
        **{name: getattr(own_layers, name) for name in own_layers.__dict__ if name[0].isupper()},
        **given,
    }
    for mark in marks:
        (source,) = [cell for cell in cells() if mark in cell]
        exec(compile(source, mark, "exec"), names)
    return names


MODEL = ("lstm_units = options.get", "def convolution(", "def build_model(")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mfcc-attention", {}),
        ("mfcc-attention-4-attention", {}),
        ("mfcc-attention-augmented", {"lstm_units": 16, "head_dropout": 0.1}),
        ("mfcc-attention", {"filters": [4, 8], "pool_sizes": [[2, 2], [4, 2]]}),
    ],
)
def test_the_model_in_the_cell_is_the_packages(name, options):
    changes = {f"model.options.{option}": value for option, value in options.items()}
    recipe = changed(recipes.get(name), changes)
    keras.utils.clear_session()  # else the layers' automatic names count on
    in_cell = run_cells(recipe, *MODEL)["build_model"](**SIZES)
    keras.utils.clear_session()
    own = models.build(recipe.model, **SIZES)
    assert in_cell.get_config() == own.get_config()
    assert in_cell.count_params() == own.count_params()
    shapes = [[tuple(weight.shape) for weight in model.weights] for model in (in_cell, own)]
    assert shapes[0] == shapes[1]


def test_the_cell_knows_which_recipes_its_model_is():
    mark = "in_the_cell = "
    found = [
        name
        for name, recipe in recipes.RECIPES.items()
        if run_cells(recipe, MODEL[0], mark)["in_the_cell"]
    ]
    assert found == ["mfcc-attention", "mfcc-attention-augmented", "mfcc-attention-4-attention"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, demo_shelf, demo_table):
    """A project whose only corpus is a small demo corpus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(tmp_path_factory.mktemp("project")))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        metadata.write_table(demo_table)
        yield


@pytest.fixture(scope="module")
def plan(project):
    """A plan that trains in seconds, with every setting that the cells read."""
    changes = {
        "training.epochs": 4,
        "training.patience": 2,
        "training.reduce_patience": 1,
        "training.label_smoothing": 0.1,
        "features.n_mfcc": 13,
        "features.n_frames": 64,
        "augmentation.n_variants": 0,
        "model.options.filters": [4, 4],
        "model.options.pool_sizes": [[2, 2], [2, 2]],
        "model.options.lstm_units": 4,
    }
    return experiments.prepare(
        "mfcc-attention", corpora="demo", classes="angry, neutral, sad", changes=changes
    )


def fit_in_cells(plan, fold=0, seed=0):
    """Run the cells from the model to the function that trains."""
    loop = ("def compile_model(", "def callbacks(", "def fit_model(", "def train_run(")
    return run_cells(plan.recipe, *MODEL, "in_the_cell = ", *loop, plan=plan, FOLD=fold, SEED=seed)


def test_the_three_callbacks_are_the_packages(plan):
    stopping, plateau, checkpoint, _ = fit_in_cells(plan)["callbacks"](plan.recipe.training)
    own_stopping, own_plateau = own_callbacks.watchers(plan.recipe.training)
    for field in ("monitor", "patience"):
        assert getattr(stopping, field) == getattr(own_stopping, field)
    for field in ("monitor", "patience", "factor", "min_lr"):
        assert getattr(plateau, field) == getattr(own_plateau, field)
    assert checkpoint.save_best_only
    assert checkpoint.monitor == "val_loss"


def test_the_fit_in_the_cells_is_the_packages(plan):
    by_cells = fit_in_cells(plan)["train_run"](plan)
    by_package = experiments.train_fold(plan, 0, 0, every=0)
    assert by_cells != by_package
    histories = [pd.read_csv(folder / "history.csv") for folder in (by_cells, by_package)]
    columns = ["loss", "accuracy", "uar", "val_loss", "val_accuracy", "val_uar"]
    pd.testing.assert_frame_equal(histories[0][columns], histories[1][columns])
    answers = [pd.read_csv(folder / "predictions.csv") for folder in (by_cells, by_package)]
    classes = list(plan.recipe.classes)
    assert answers[0]["clip_id"].equals(answers[1]["clip_id"])
    np.testing.assert_allclose(answers[0][classes], answers[1][classes], atol=2e-6)
    assert (
        experiments.open_run(by_cells).card["best_epoch"]
        == (experiments.open_run(by_package).card["best_epoch"])
    )


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_is_not_there_is_said_in_one_line(plan, fold):
    for ask in (plan.fold, lambda index: experiments.load_parts(plan, index)):
        with pytest.raises(SerError, match=rf"has folds 0 to \d+, found {fold}\.$"):
            ask(fold)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


def test_a_change_is_drawn_on_shared_axes_without_the_first_coefficient():
    figure = plots.change(SOUND, 0.5 * SOUND[: RATE // 2], RATE, title="gain: -6 dB")
    pictures = figure.axes[:6]
    assert figure.get_suptitle() == "gain: -6 dB"
    assert {ax.get_xlim() for ax in pictures} == {(0.0, 1.0)}
    lower = next(ax for ax in figure.axes if ax.get_ylabel() == "MFCC index")
    assert lower.get_ylim()[0] == 0.5
    difference = pictures[2].images[0].get_array()
    assert np.median(np.asarray(difference)) == pytest.approx(-6.02, abs=0.05)


def test_the_grid_has_a_place_for_every_emotion_and_speaker():
    figure = plots.spectrogram_grid({("angry", "01"): SOUND, ("sad", "02"): 0.1 * SOUND}, RATE)
    pictures = [ax.images for ax in figure.axes[:4]]
    assert [len(found) for found in pictures] == [1, 0, 0, 1]
    loudest = [float(found[0].get_array().max()) for found in pictures if found]
    assert loudest[0] == pytest.approx(0)
    assert loudest[1] == pytest.approx(-20, abs=0.1)


def test_who_is_where_colours_each_speaker_by_its_part(plan):
    ax = plots.who_is_where(plan.table, plan.folds)
    grid = ax.collections[0].get_array().reshape(len(plan.folds), -1)
    assert not np.isnan(np.asarray(grid, float)).any()
    assert ax.get_xlabel() == f"speaker ({plan.table['speaker'].nunique()})"
    for fold, row in zip(plan.folds, grid, strict=True):
        tested = plan.table[plan.table["clip_id"].isin(fold.test)]["speaker"].nunique()
        assert (row == 2).sum() == tested


@pytest.mark.parametrize("n_epochs", [1, 2, 30])
def test_trainings_are_drawn_however_short(n_epochs):
    falling = np.linspace(2, 1, n_epochs)
    columns = ("loss", "val_loss", "accuracy", "val_accuracy", "uar", "val_uar")
    history = pd.DataFrame(dict.fromkeys(columns, falling / 4))
    for axes in (plots.trends(history), plots.compare_trainings({"one": history, "two": history})):
        assert [ax.get_xlabel() for ax in axes] == ["epoch", "epoch"]
    fitted = [line for line in plots.trends(history)[0].lines if len(line.get_xdata())]
    assert len(fitted) == (2 if n_epochs > 2 else 0)


@pytest.mark.parametrize("shape", [(120, 40), (4, 40), (40, 3)])
def test_the_drawings_are_drawn(shape):
    plots.cnn_lstm_attention(np.random.default_rng(0).normal(size=shape)).canvas.draw()
    plots.speaker_independent_split().canvas.draw()
