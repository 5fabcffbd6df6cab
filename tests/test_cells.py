"""What a reader writes in a cell is trained, found, and trained anew once a line is edited.

The cells run in a kernel, so that functions are defined in ``__main__`` as a notebook's are.
"""

import json
import shutil
from pathlib import Path

import pytest
from conftest import TINY
from jupyter_client.manager import start_new_kernel

import ser
from ser.config import changed, to_dict
from ser.project import write_json

SET_UP = """
import json
import numpy as np
import pandas as pd
import keras
from pathlib import Path
from ser import corpora, experiments, features, inference
from ser.config import changed, load_recipe
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import augment, dataset
dataset.SERIAL_BELOW_CLIPS = 1  # else so few features are computed in this process
table = pd.read_parquet({table!r})
recipe = load_recipe(Path({recipe!r}))

def tell(folder, fold=0):
    run = Path(folder) / f"fold-{{fold}}-seed-0"
    shares = experiments.predictions_of(run).drop(columns=["clip_id", "speaker", "label"])
    print("TOLD", json.dumps([str(run), float(shares.iloc[:, -1].sum()),
                              (run / "run.json").stat().st_mtime_ns]))
"""


class Notebook:
    """A kernel that runs cells, and gives what they print or raise."""

    def __init__(self, folder: Path) -> None:
        self.manager, self.client = start_new_kernel(cwd=str(folder))

    def cell(self, code: str) -> str:
        printed = []

        def note(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] == "error":
                printed.append("\n".join(content["traceback"]))

        answer = self.client.execute_interactive(code, output_hook=note, timeout=300)
        assert answer["content"]["status"] == "ok", "".join(printed)
        return "".join(printed)

    def told(self, code: str) -> tuple[str, float, int]:
        """Run cells; give the run folder, a sum over its predictions, when it was finished."""
        lines = [line for line in self.cell(code).splitlines() if line.startswith("TOLD")]
        return tuple(json.loads(lines[-1].removeprefix("TOLD ")))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory, demo_shelf, three_speakers):
    """A notebook whose project holds 36 clips, and a recipe of one epoch."""
    root = tmp_path_factory.mktemp("cells")
    three_speakers.to_parquet(root / "table.parquet")
    write_json(root / "recipe.json", to_dict(changed(TINY, {"training.epochs": 1})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(root))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        patch.setenv("PYTHONPATH", str(Path(ser.__file__).parents[1]))
        notebook = Notebook(root)
        names = {"table": str(root / "table.parquet"), "recipe": str(root / "recipe.json")}
        notebook.cell(SET_UP.format(**names))
        yield notebook
        notebook.close()


def check_edited(notebook, cell: str, line: str, edited: str, run: str) -> None:
    """Run a cell twice, then with one line edited, then as it was again."""
    assert cell.count(line) == 1
    first = notebook.told(cell + run)
    same = notebook.told(cell + run)
    assert same == first  # nothing was trained
    other = notebook.told(cell.replace(line, edited) + run)
    assert Path(other[0]).parent != Path(first[0]).parent
    assert other[1] != pytest.approx(first[1], abs=1e-9)
    assert notebook.told(cell + run) == first


MODEL = """
def build(n_frames, n_features, n_classes):
    inputs = keras.Input((n_frames, n_features))
    x = keras.layers.Normalization()(inputs)
    x = keras.layers.Conv1D(4, 5, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))
"""
RUN_MODEL = """
tell(experiments.run(recipe, model=build, seeds=(0,), folds=(0, 1), n_jobs=2, every=0, table=table))
"""


def test_a_model(notebook):
    check_edited(notebook, MODEL, "Conv1D(4, 5", "Conv1D(4, 9", RUN_MODEL)


def test_the_run_of_a_model_is_like_any_other(notebook, tmp_path):
    folder, *_ = notebook.told(
        f"""{MODEL}
plan = experiments.plan(recipe, table=table)
folder = experiments.train_fold(plan, 0, 0, model=build, every=0)
tell(folder.parent)
"""
    )
    said = notebook.cell(
        f"""
assert {folder!r} in [str(run) for run in experiments.runs()]
assert experiments.metrics_of(folder)["n_clips"] == 12
from ser.export.writer import export
clip = metadata.clip_path(table.iloc[0])
answers = [
    inference.load_model(place).predict(clip)
    for place in (folder, export(folder / "model.keras", Path({str(tmp_path)!r}), kinds=("onnx",)))
]
first, second = (np.array(list(answer.probabilities.values())) for answer in answers)
print("apart", np.abs(first - second).max())
report = experiments.run(recipe, model=build, seeds=(0,), every=0, table=table)
print("report", report)
"""
    )
    assert float(said.split("apart")[1].split()[0]) < 1e-4
    local, shared = (f"reports/{kind}tiny/speaker-independent" for kind in ("local/", ""))
    assert f"{local}, not {shared}: the model is your own" in said
    assert said.strip().endswith(local)


def test_what_a_model_refers_to_counts_too(notebook):
    cell = """
WIDTH = 4
"""
    whole = MODEL.replace("Conv1D(4, 5", "Conv1D(WIDTH, 5")
    notebook.cell(f"{cell}{whole}plan = experiments.plan(recipe, table=table).with_model(build)")
    run = "tell(experiments.train_fold(plan, 0, 0, every=0).parent)"  # of a plan made before
    check_edited(notebook, cell, "WIDTH = 4", "WIDTH = 6", run)


def test_a_model_that_is_no_function(notebook):
    cell = MODEL + "\nmine = build(60, 13, 3)\n"
    run = RUN_MODEL.replace("model=build", "model=mine").replace("(0, 1)", "(0,)")
    check_edited(notebook, cell, "Conv1D(4, 5", "Conv1D(4, 7", run)


FEATURE = """
@features.register("loudness")
def loudness(samples, sample_rate_hz, config):
    hop = config.hop_length
    n_frames = 1 + len(samples) // hop
    padded = np.pad(samples, (0, n_frames * hop - len(samples)))
    return np.log(1e-3 + np.abs(padded).reshape(n_frames, hop).max(axis=1))
"""


def test_a_feature(notebook):
    run = """
mine = changed(recipe, {"features.kinds": ["mfcc", "loudness"]})
tell(experiments.run(mine, seeds=(0,), folds=(0, 1), n_jobs=2, every=0, table=table))
"""
    check_edited(notebook, FEATURE, "max(axis=1)", "mean(axis=1)", run)


AUGMENTATION = """
@augment.register("echo")
def echo(samples, sample_rate_hz, rng):
    late = np.zeros_like(samples)
    late[800:] = samples[:-800]
    return samples + 0.5 * late
"""


def test_an_augmentation(notebook):
    run = """
mine = changed(recipe, {"augmentation.custom_p": {"echo": 1.0}})
tell(experiments.run(mine, seeds=(0,), folds=(0, 1), n_jobs=2, every=0, table=table))
"""
    check_edited(notebook, AUGMENTATION, "0.5 * late", "0.9 * late", run)


def test_a_corpus(notebook, tmp_path, demo_shelf, three_speakers):
    for row in three_speakers.itertuples():
        folder = tmp_path / "mine" / row.emotion
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo_shelf / "demo" / row.path, folder / Path(row.path).name)
    cell = f"""
name = corpora.from_folder(
    {str(tmp_path / "mine")!r},
    speaker=r"-(\\d\\d)\\.",
    labels={{"angry": "cross"}},
)
"""
    run = """
mine = recipes.on_corpora(recipe, (name,))
own = metadata.build((name,), progress=False).table
tell(experiments.run(mine, seeds=(0,), folds=(0,), every=0, table=own))
print("classes", mine.classes)
"""
    check_edited(notebook, cell, '{"angry": "cross"}', '{"angry": "sad"}', run)
    assert "classes ('neutral', 'sad', 'cross')" in notebook.cell(cell + run)
