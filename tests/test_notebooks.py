"""The notebooks keep their frame, run from first to last, and answer to what a reader edits.

They run in one kernel, emptied in between, so that TensorFlow starts once; what one leaves for the
next lies in files. ``make run`` and the slow tests give each its own.
"""

import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbclient
import nbformat
import papermill
import pytest
from jupyter_client.manager import KernelManager
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

import ser
from ser import corpora, experiments, models
from ser.config import load_recipe, stable_hash
from ser.corpora import metadata
from ser.corpora.download import download_all
from ser.models import pretrained

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import notebook_outputs  # noqa: E402
import repository  # noqa: E402
import run_notebooks  # noqa: E402

FOLDER = ROOT / "notebooks"
MAIN_LINE = (
    "00_quickstart",
    "01_download",
    "02_metadata",
    "03_features",
    "04_training",
    "05_evaluation",
    "06_inference",
)
STUDIES = (
    "07_leakage_ladder",
    "08_from_scratch",
    "09_tuning",
    "10_pretrained_encoder",
    "11_robustness",
)
NAMES = (*MAIN_LINE, *STUDIES, "12_make_it_yours")
OF_THE_READER = (*MAIN_LINE, "12_make_it_yours")  # written to be edited
PARAMETERS = {  # at the least: what people change, `make run` and papermill's -p
    "00_quickstart": {"PATH", "N_MFCC", "LSTM_UNITS", "EPOCHS", "LEARNING_RATE", "SEED"},
    "01_download": {"CORPORA", "SOURCE", "EMOTIONS"},
    "02_metadata": {"CORPORA"},
    "03_features": {
        *("RECIPE", "CORPORA", "CLASSES", "FEATURES", "N_MFCC", "N_MELS", "N_FRAMES"),
        *("AUGMENTATIONS", "N_VARIANTS", "EMOTIONS", "SEED"),
    },
    "04_training": {
        *("RECIPE", "CORPORA", "CLASSES", "PROTOCOL", "FOLD", "SEED", "EPOCHS", "BATCH_SIZE"),
        *("LEARNING_RATE", "FILTERS", "LSTM_UNITS", "DROPOUT"),
    },
    "05_evaluation": {"RUN"},
    "06_inference": {"PATH", "RECORD", "MODEL", "RUN", "RIGHT"},
    "07_leakage_ladder": {"RECIPE", "CORPORA", "FAST"},
    "08_from_scratch": {"RECIPE", "CORPORA", "EPOCHS", "SPEAKERS", "FOLDS"},
    "09_tuning": {"RECIPE", "CORPORA", "EPOCHS", "TRIALS"},
    "10_pretrained_encoder": {"RECIPE", "CORPORA", "EPOCHS", "VARIANTS", "FOLD", "CLIP"},
    "11_robustness": {"RECIPE", "CORPORA", "EPOCHS", "FOLD", "CLIPS", "CLIP"},
    "12_make_it_yours": {"CORPORA", "CLASSES", "RECIPE", "PROTOCOL", "EPOCHS", "FOLD", "SEED"},
}
MAX_LINES, MAX_LINES_OF_A_DEF = 17, 32
MAX_MEDIAN = 6
DEMO = ("demo corpus", "synthetic")  # beside numbers that are no results

every_notebook = pytest.mark.parametrize("name", NAMES)


def read(name, folder=FOLDER):
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


code_cells = notebook_outputs.code_cells


def parameters_of(name):
    """Give what the parameters cell assigns, by name."""
    cell = code_cells(read(name))[1]
    assigned = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def headings(notebook):
    lines = [cell.source.split("\n") for cell in notebook.cells if cell.cell_type == "markdown"]
    return [line for cell in lines for line in cell if line.startswith("## ")]


def test_no_notebook_is_left_out():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@every_notebook
def test_opening(name):
    first = read(name).cells[0].source
    assert first.startswith(f"# {int(name[:2])}. ")
    assert "**Reads:**" in first
    assert "**Writes:**" in first
    assert repository.badge(name, *repository.declared()) in first
    introduction = first.split("\n\n")[1].replace("\n", " ")
    assert len(re.findall(r"[.?!](?: |$)", introduction)) == 2, "an introduction of two sentences"
    assert "**Takes:**" in first


@every_notebook
def test_set_up_parameters_and_imports_come_first(name):
    notebook = read(name)
    assert [cell.cell_type for cell in notebook.cells[1:7]] == ["markdown", "code"] * 3
    set_up, parameters, imports = code_cells(notebook)[:3]
    assert set_up.source == repository.set_up(name, *repository.declared())
    assert parameters.metadata.tags == ["parameters"]
    names = parameters_of(name)
    assert set(names) >= PARAMETERS[name]
    assert all(word.isupper() for word in names)
    assert len(names) == len([line for line in parameters.source.split("\n") if line.strip()])
    for word in ("CORPORA", "RECIPE", "EPOCHS", "PROTOCOL", "CLASSES"):
        assert names.get(word) not in ("", 0), f"{word}: None means the recipe's own"
    assert "from ser import" in imports.source
    assert "version" in imports.source
    assert "seed" in imports.source
    assert "use_style()" in imports.source


@every_notebook
def test_closing(name):
    notebook = read(name)
    expected = ["## What we found", "## Now you", "## References"]
    expected = [expected[0], expected[2]] if name in STUDIES else expected
    found = headings(notebook)
    assert [heading for heading in found if heading in expected] == expected
    assert found[-1] == expected[-1]
    if "## Now you" in expected:
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        whole = "\n\n".join(texts).split("## Now you")[1].split("## References")[0]
        assert len(re.findall(r"^(?:\d\.|[-*]) ", whole, re.MULTILINE)) >= 2, "two exercises"
    last = notebook.cells[-1].source
    assert "**Files written:**" in last
    position = NAMES.index(name)
    following = f"{NAMES[position + 1]}.ipynb" if position + 1 < len(NAMES) else "../README.md"
    assert f"]({following})" in last or "](../README.md)" in last


@every_notebook
def test_cells(name):
    notebook = read(name)
    cells, imports = notebook.cells, code_cells(notebook)[2]
    for before, cell in pairwise(cells):
        if cell.cell_type != "code":
            continue
        lines = len(cell.source.splitlines())
        longest = MAX_LINES_OF_A_DEF if "def " in cell.source else MAX_LINES
        assert lines <= longest or cell is imports, cell.id
        assert before.cell_type == "markdown", f"{cell.id} needs a sentence before it"
        assert "filterwarnings" not in cell.source, cell.id
        assert not notebook_outputs.absolute_paths(cell.source), cell.id
        marks = re.search(r"\bis_demo\b|mark_demo", cell.source)
        assert not marks, f"{cell.id}: the package marks figures by itself"
    assert len({cell.id for cell in cells}) == len(cells)


@every_notebook
def test_cells_are_short(name):
    sources = [cell.source for cell in code_cells(read(name))[3:]]  # after the imports
    lines = [sum(bool(line.strip()) for line in source.splitlines()) for source in sources]
    assert statistics.median(lines) <= MAX_MEDIAN


@every_notebook
def test_committed_outputs(name):
    notebook = read(name)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not set(notebook.metadata) - {"kernelspec", "language_info", notebook_outputs.KEY}
    assert not notebook_outputs.absolute_paths(json.dumps(notebook.metadata))
    assert notebook_outputs.problems(notebook) == []


# Running them, on three emotions of the demo corpus.

SMALL = {  # what a reader may set, as small as it goes
    "CORPORA": "demo",
    "CLASSES": "angry, neutral, sad",
    "EPOCHS": 2,
    "N_VARIANTS": 1,
    "COMPARE": False,
    "TRIALS": 4,
    "RECORD": True,
    "VARIANTS": 0,
    "SPEAKERS": [2, 4],
    "FOLDS": 1,
    "CLIPS": 20,
}
RECIPES = {"08_from_scratch": "mfcc-attention-augmented", "09_tuning": "mfcc-attention-augmented"}
WRITTEN = {  # by each notebook on the demo corpus, beside what the next one reads
    "02_metadata": ["data/interim/metadata.parquet"],
    "03_features": ["data/processed/*/*", "data/processed/recipe.json"],
    "04_training": ["models/runs/*/*/fold-0-seed-0/run.json"],
    "05_evaluation": ["reports/local/**/metrics.json", "reports/local/**/confusion.png"],
    "07_leakage_ladder": ["reports/local/ladder/tess-demo/predictions-a.csv"],
    "09_tuning": ["reports/tuning/mfcc-attention-augmented-demo/speaker-independent/best.json"],
    "12_make_it_yours": ["reports/local/plain/*/metrics.json", "data/interim/my_voices/*/*.wav"],
}


class Reader:
    """Runs notebooks, edited or not, in one kernel that forgets everything in between."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        paths = [str(Path(ser.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(filter(None, paths))
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": path}, cwd=str(FOLDER))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, name, root, *, edit=(), **given):
        """Run a notebook in the project at `root`; `edit` are pairs of what stands in a cell and
        what the reader writes in its place; `given` are parameters.
        """
        notebook = load_notebook_node(str(FOLDER / f"{name}.ipynb"))
        for old, new in edit:
            cells = [cell for cell in code_cells(notebook) if re.search(old, cell.source)]
            assert cells, f"{name}: no cell has {old!r}"
            cells[0].source = re.sub(old, new, cells[0].source, count=1)
        values = {key: value for key, value in SMALL.items() if key in parameters_of(name)}
        notebook = parameterize_notebook(notebook, {**values, **given})
        new_project = f"%reset -f\nimport os\nos.environ['SER_ROOT'] = {str(root)!r}"
        self.client.execute_interactive(new_project, store_history=False, timeout=60)
        resources = {"metadata": {"path": str(FOLDER)}}
        nbclient.NotebookClient(
            notebook, km=self.manager, timeout=300, resources=resources
        ).execute()
        for count, cell in enumerate(code_cells(notebook), 1):
            cell.execution_count = count
        notebook_outputs.clean(notebook)
        return notebook

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()  # not at once: it writes down what was covered


@pytest.fixture(scope="module")
def reader():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SER_CORPORA", raising=False)
        reader = Reader()
        yield reader
        reader.close()


def check_run(name, notebook, root):
    assert notebook_outputs.problems(notebook, max_bytes=2 * notebook_outputs.MAX_BYTES) == []
    shown = " ".join(text.lower() for _, text in notebook_outputs.texts(notebook))
    assert any(word in shown for word in DEMO)
    for pattern in WRITTEN.get(name, ()):
        assert list(root.glob(pattern)), f"{name} did not write {pattern}"


@pytest.fixture(scope="module")
def new_project(tmp_path_factory):
    """An empty project, which the main line fills from notebook to notebook."""
    return tmp_path_factory.mktemp("main-line")


IN_TIME = [*MAIN_LINE, pytest.param("12_make_it_yours", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", IN_TIME)
def test_the_main_line_runs_on_the_demo_corpus(name, reader, new_project):
    before = OF_THE_READER[: OF_THE_READER.index(name)] if name[:2] in ("04", "05", "06") else ()
    if not all((new_project / f"{earlier}.done").exists() for earlier in before):
        pytest.skip("needs what the notebooks before it write; one of them did not run, or failed")
    notebook = reader.run(name, new_project)
    (new_project / f"{name}.done").touch()
    check_run(name, notebook, new_project)


@pytest.mark.slow
def test_they_run_each_in_a_kernel_of_its_own_twice_alike(tmp_path):
    """As `make run` does it, with no corpus in sight."""
    environment = {k: v for k, v in os.environ.items() if k != "SER_CORPORA"}
    found = []
    again = ("01_download", "02_metadata", "04_training")
    for project, names in (("first", OF_THE_READER), ("second", again)):
        environment["SER_ROOT"] = str(tmp_path / project)
        command = [sys.executable, str(ROOT / "tools" / "run_notebooks.py"), "--corpora", "demo"]
        done = subprocess.run(
            [*command, "--epochs", "3", *names], env=environment, capture_output=True
        )
        assert done.returncode == 0, done.stdout.decode()[-2000:]
        runs = (tmp_path / project).glob("models/runs/*/*/fold-*/predictions.csv")
        found.append({str(f.relative_to(tmp_path / project)): f.read_bytes() for f in runs})
    assert found[1]
    assert all(found[0][name] == predictions for name, predictions in found[1].items())
    assert len(found[0]) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_on_the_demo_corpus(name, tmp_path, monkeypatch):
    if name == "10_pretrained_encoder" and not pretrained.is_here("whisper-tiny.en"):
        pytest.skip("set SER_PRETRAINED to a folder that holds whisper-tiny.en")
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    download_all(["demo"])
    metadata.write_table(metadata.build(("demo",), progress=False).table)
    given = {key: value for key, value in SMALL.items() if key in parameters_of(name)}
    if name in RECIPES:
        given["RECIPE"] = RECIPES[name]
    papermill.execute_notebook(
        FOLDER / f"{name}.ipynb",
        tmp_path / f"{name}.ipynb",
        parameters=given,
        kernel_name="python3",
        progress_bar=False,
    )
    notebook = read(name, tmp_path)
    notebook_outputs.clean(notebook)
    check_run(name, notebook, tmp_path)


# Edited copies: what a reader changes is what 05 opens.


def project_of(main_line, folder):
    """Copy a project, so that what is trained in the copy touches nothing."""
    shutil.copytree(main_line, folder)
    return folder


@pytest.fixture(scope="module")
def trained(reader, tmp_path_factory):
    """A project in which 03 and 04 have run."""
    root = tmp_path_factory.mktemp("trained")
    reader.run("03_features", root)
    for seed in (1, 0):  # the newest is the one as it stands
        reader.run("04_training", root, SEED=seed)
    return root


def newest_run(root, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(root))
    return experiments.open_run()


def layers_of(run):
    """Give the layers of a trained model, those inside wrappers too, by kind."""
    found = {}
    for layer in models.load(run.model_file)._flatten_layers(include_self=False):
        found.setdefault(type(layer).__name__, []).append(layer)
    return found


MODEL_EDITS = {
    "units": (r"LSTM\(\s*(?:units=)?\w+", "LSTM(units=6"),
    "gru": (r"\bLSTM\(", "GRU("),
    "convolution": (
        r"\n(\s+)(x = (?:keras\.)?layers\.Bidirectional\()",
        r"\n\1x = keras.layers.Conv1D(5, 3, padding='same', name='added')(x)\n\1\2",
    ),
}


def check_model(kind, run):
    layers = layers_of(run)
    if kind == "units":
        assert {layer.units for layer in layers["LSTM"]} == {6}
    elif kind == "gru":
        assert "GRU" in layers
        assert "LSTM" not in layers
    else:
        assert [layer.filters for layer in layers["Conv1D"] if layer.name == "added"] == [5]


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) for k in MODEL_EDITS])
def test_an_edited_model_is_what_is_evaluated(kind, reader, trained, tmp_path, monkeypatch):
    root = project_of(trained, tmp_path / "project")
    before = newest_run(root, monkeypatch)
    reader.run("04_training", root, edit=[MODEL_EDITS[kind]])
    run = newest_run(root, monkeypatch)
    assert run.folder != before.folder
    assert not run.predictions["test"].equals(before.predictions["test"])
    check_model(kind, run)
    evaluated = reader.run("05_evaluation", root)
    shown = "\n".join(text for _, text in notebook_outputs.texts(evaluated))
    assert run.folder.parent.name in shown


@pytest.mark.slow
def test_other_features_are_what_is_trained_and_evaluated(reader, trained, tmp_path, monkeypatch):
    root = project_of(trained, tmp_path / "project")
    before = newest_run(root, monkeypatch)
    reader.run("03_features", root, N_MFCC=13)
    reader.run("04_training", root)
    run = newest_run(root, monkeypatch)
    assert (before.recipe.features.n_mfcc, run.recipe.features.n_mfcc) == (40, 13)
    assert models.load(run.model_file).input_shape[-1] == 13
    evaluated = reader.run("05_evaluation", root)
    shown = "\n".join(text for _, text in notebook_outputs.texts(evaluated))
    assert run.folder.parent.name in shown


@pytest.mark.slow
def test_another_augmentation_is_what_is_trained(reader, tmp_path, monkeypatch):
    root = tmp_path / "project"
    reader.run("12_make_it_yours", root)
    (before,) = root.glob("models/runs/mine/*/fold-0-seed-0/predictions.csv")
    plain = set(root.glob("models/runs/plain/*"))
    reader.run(
        "12_make_it_yours", root, edit=[(r"rng\.uniform\(0\.3, 0\.6\)", "rng.uniform(0.8, 1.0)")]
    )
    runs = set(root.glob("models/runs/mine/*/fold-0-seed-0/predictions.csv"))
    (after,) = runs - {before}
    assert after.read_bytes() != before.read_bytes()
    assert set(root.glob("models/runs/plain/*")) == plain
    run = newest_run(root, monkeypatch)
    assert (run.recipe.name, run.folder.parent) == ("mine", after.parents[1])
    evaluated = reader.run("05_evaluation", root)
    shown = "\n".join(text for _, text in notebook_outputs.texts(evaluated))
    assert run.folder.parent.name in shown


# Each advertised parameter: another value, another result.


class Refused(str):
    """A value that is answered by one line about what is allowed."""


def own_corpus(root):
    """Add a corpus of the reader's own to the project at `root`."""
    for path in sorted((root / "data" / "raw" / "demo" / "ravdess").rglob("*.opus")):
        label = {"05": "angry", "01": "neutral", "04": "sad"}.get(path.stem.split("-")[2])
        if label:
            folder = root / "voices" / label
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    return corpora.from_folder(root / "voices", speaker=r"-(\d\d)\.")


def older_run(root):
    """Give another run than the newest."""
    return str(sorted(root.glob("models/runs/*/*/fold-*"), key=lambda f: f.stat().st_mtime)[0])


def some_clip(root):
    return str(next((root / "data" / "raw" / "demo" / "tess").rglob("*.opus")))


OTHER = {  # other values than those of `SMALL`, or than the notebook's own
    "AUGMENTATIONS": {"noise": 1.0},
    "BATCH_SIZE": 16,
    "CLASSES": "angry, sad",
    "CLIPS": 10,
    "COMPARE": True,
    "CORPORA": own_corpus,
    "DROPOUT": 0.1,
    "EMOTIONS": "sad, angry",
    "EPOCHS": 3,
    "FEATURES": ["mfcc", "chroma"],
    "FILTERS": [4, 8],
    "FOLD": 1,
    "LEARNING_RATE": 0.01,
    "LSTM_UNITS": 8,
    "MISTAKES": 2,
    "MODEL": str(ROOT / "models" / "small"),
    "N_FRAMES": 100,
    "N_MELS": 64,
    "N_MFCC": 13,
    "N_VARIANTS": 2,
    "PATH": some_clip,
    "PROTOCOL": Refused("savee-loso"),
    "QUIET_DB": 15,
    "RECIPE": "mfcc-attention-2-augmented",
    "RECORD": False,
    "RIGHT": 0.95,
    "RUN": older_run,
    "SEED": 1,
}
EDITED = ("03_features", "04_training", "05_evaluation", "06_inference")


def result(notebook, root):
    """Give what a run of a notebook made: pictures, texts, the kept recipe, predictions."""
    pictures = [
        output.data[kind]
        for cell in code_cells(notebook)
        for output in cell.outputs
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]
    kept = root / "data" / "processed" / "recipe.json"
    recipe = stable_hash(load_recipe(kept)) if kept.is_file() else ""
    runs = sorted(root.glob("models/runs/*/*/fold-*/run.json"), key=lambda f: f.stat().st_mtime_ns)
    predictions = [(run.parent / "predictions.csv").read_bytes() for run in runs[-1:]]
    texts = [text for _, text in notebook_outputs.texts(notebook)]
    return {"pictures": pictures, "recipe": recipe, "predictions": predictions, "texts": texts}


COUNTS = {  # what must differ; texts alone may differ by the name of a setting
    "03_features": ("recipe", "pictures"),
    "04_training": ("predictions",),
    "05_evaluation": ("pictures", "texts"),
    "06_inference": ("pictures", "texts"),
    "COMPARE": ("pictures",),
}
EACH = [(name, parameter) for name in EDITED for parameter in parameters_of(name)]


@pytest.mark.parametrize(("name", "parameter"), EACH)
def test_every_parameter_has_another_value(name, parameter):
    assert parameter in OTHER


@pytest.fixture(scope="module")
def as_it_stands(reader, trained, tmp_path_factory):
    """Give what a notebook gives with no parameter changed, each computed once."""
    known = {}

    def give(name):
        if name not in known:
            root = project_of(trained, tmp_path_factory.mktemp("as-it-stands") / "project")
            known[name] = result(reader.run(name, root), root)
        return known[name]

    return give


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameter"), EACH)
def test_another_value_another_result(
    name, parameter, reader, trained, as_it_stands, tmp_path, monkeypatch
):
    root = project_of(trained, tmp_path / "project")
    monkeypatch.setenv("SER_ROOT", str(root))
    value = OTHER[parameter](root) if callable(OTHER[parameter]) else OTHER[parameter]
    if isinstance(value, Refused):
        with pytest.raises(nbclient.exceptions.CellExecutionError) as caught:
            reader.run(name, root, **{parameter: str(value)})
        assert caught.value.ename == "SerError"
        assert "\n" not in caught.value.evalue
        return
    found = result(reader.run(name, root, **{parameter: value}), root)
    kinds = COUNTS.get(parameter, COUNTS[name])
    assert any(found[kind] != as_it_stands(name)[kind] for kind in kinds)


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITED)
def test_the_same_values_the_same_result(name, reader, trained, as_it_stands, tmp_path):
    root = project_of(trained, tmp_path / "project")
    found = result(reader.run(name, root), root)
    assert all(found[kind] == as_it_stands(name)[kind] for kind in COUNTS[name] if kind != "texts")


# The tool that runs them for committing


def tiny_notebook(folder, source):
    cells = [nbformat.v4.new_code_cell("import sys"), nbformat.v4.new_code_cell(source)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    cells[1].outputs = [nbformat.v4.new_output("stream", text="of an older run\n")]
    (folder / "tiny.ipynb").write_text(notebook_outputs.as_text(notebook), encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("print('fine')", ""),
        ("1 / 0", "ZeroDivisionError"),
        ("sys.stderr.write('beware')", "wrote on stderr: beware"),
        ("print(sys.executable, '/home/me')", "shows absolute paths"),
    ],
)
def test_what_is_committed_ran_and_is_clean(source, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(run_notebooks, "FOLDER", tmp_path)
    monkeypatch.setattr(run_notebooks.notebook_stats, "main", lambda: 0)
    tiny_notebook(tmp_path, source)
    before = (tmp_path / "tiny.ipynb").read_text(encoding="utf-8")
    said = run_notebooks.commit(["tiny"], tmp_path / "aside")
    after = (tmp_path / "tiny.ipynb").read_text(encoding="utf-8")
    if problem:
        assert problem in said
        assert after == before
        assert (tmp_path / "aside" / "tiny.ipynb").is_file()
    else:
        assert said == ""
        notebook = read("tiny", tmp_path)
        assert [text for _, text in notebook_outputs.texts(notebook)] == ["fine\n"]
        assert [cell.execution_count for cell in notebook.cells] == [1, 2]
        assert notebook_outputs.stale(notebook) == []
