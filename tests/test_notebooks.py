"""The notebooks keep their rules, and run from first to last on the demo corpus."""

import json
import os
import re
import tempfile
from itertools import pairwise
from pathlib import Path

import nbformat
import papermill
import pytest

from ser.corpora import metadata
from ser.corpora.download import download_all
from ser.models import pretrained
from ser.project import MODEL_FILE

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = (
    "01_download",
    "02_metadata",
    "03_features",
    "04_training",
    "05_evaluation",
    "06_inference",
    "07_leakage_ladder",
    "08_from_scratch",
    "09_tuning",
    "10_pretrained_encoder",
    "11_robustness",
)
COLAB = "https://colab.research.google.com/github/speech-emotion-honest/ser/blob/main/notebooks"
PARAMETERS = {  # what `make run` and users may set with papermill's -p
    "01_download": {"CORPORA", "SOURCE", "EMOTIONS"},
    "02_metadata": {"CORPORA"},
    "03_features": {"CORPORA", "RECIPE", "EMOTIONS", "SEED"},
    "04_training": {"CORPORA", "RECIPE", "PROTOCOL", "FOLD", "SEED", "EPOCHS"},
    "05_evaluation": {"RUN", "MISTAKES", "CLIPS", "QUIET_DB", "SEED"},
    "06_inference": {"PATH", "RECORD", "MODEL", "RUN", "CORPORA", "RIGHT", "SEED"},
    "07_leakage_ladder": {"RECIPE", "CORPORA", "FAST"},
    "08_from_scratch": {"RECIPE", "CORPORA", "EPOCHS", "SPEAKERS", "FOLDS"},
    "09_tuning": {"RECIPE", "CORPORA", "EPOCHS", "TRIALS"},
    "10_pretrained_encoder": {"RECIPE", "CORPORA", "EPOCHS", "VARIANTS", "FOLD", "CLIP"},
    "11_robustness": {"RECIPE", "CORPORA", "EPOCHS", "FOLD", "CLIPS", "CLIP"},
}
MAX_BYTES = 1_000_000
MAX_LINES = 15
RUN = "mfcc-attention-augmented-demo"
WRITTEN = {  # by each notebook on the demo corpus, beside what the next one reads
    "01_download": ["data/raw/demo/ravdess/Actor_01/*.opus"],
    "02_metadata": ["data/interim/metadata.parquet"],
    "03_features": ["data/processed/*/*"],
    "04_training": [
        f"models/runs/{RUN}/*/fold-0-seed-0/{file}" for file in ("run.json", MODEL_FILE)
    ],
    "05_evaluation": [
        f"reports/local/{RUN}/fold-0-seed-0/{file}"
        for file in ("metrics.json", "figures/confusion.png")
    ],
    "07_leakage_ladder": [
        f"reports/local/ladder/{file}" for file in ("tess-demo/predictions-a.csv", "ladder.csv")
    ],
    "09_tuning": [f"reports/tuning/{RUN}/speaker-independent/best.json"],
}

every_notebook = pytest.mark.parametrize("name", NAMES)


def read(name, folder=FOLDER):
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def output_texts(notebook):
    """Everything a reader can read in the outputs: no pictures, no sound."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "stream":
                yield output.text
            elif output.output_type == "error":
                yield "\n".join(output.traceback)
            else:
                for kind, value in output.data.items():
                    if kind.startswith("text/"):
                        yield re.sub(r"base64,[A-Za-z0-9+/=\s]+", "", value)


def absolute_paths(text):
    places = [tempfile.gettempdir(), str(Path.home()), str(FOLDER.parent)]
    places += [place for place in os.environ.get("SER_CORPORA", "").split(os.pathsep) if place]
    return [place for place in [*places, "/home/", "/Users/", "/tmp/"] if place in text]


def test_no_notebook_is_left_out():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb"))[: len(NAMES)] == list(NAMES)


@every_notebook
def test_opening(name):
    first = read(name).cells[0].source
    assert first.startswith(f"# {int(name[:2])}. ")
    assert "**Reads:**" in first
    assert "**Writes:**" in first
    assert f"({COLAB}/{name}.ipynb)" in first
    introduction = first.split("\n\n")[1].replace("\n", " ")
    assert len(re.findall(r"[.?!](?: |$)", introduction)) == 2, "an introduction of two sentences"


@every_notebook
def test_set_up_parameters_and_imports_come_first(name):
    set_up, parameters, imports = code_cells(read(name))[:3]
    assert "google.colab" in set_up.source
    assert "pip install" in set_up.source
    assert parameters.metadata.tags == ["parameters"]
    assigned = set(re.findall(r"^(\w+) = ", parameters.source, flags=re.MULTILINE))
    assert assigned == PARAMETERS[name]
    assert all(word.isupper() for word in assigned)
    assert "from ser import" in imports.source
    assert "version" in imports.source
    assert "seed" in imports.source


@every_notebook
def test_closing(name):
    notebook = read(name)
    headings = [cell.source.split("\n")[0] for cell in notebook.cells if cell.source[:2] == "##"]
    assert headings[-1] == "## What we found"
    last = notebook.cells[-1].source
    assert "**Files written:**" in last
    position = NAMES.index(name)
    following = f"{NAMES[position + 1]}.ipynb" if position + 1 < len(NAMES) else "../README.md"
    assert f"]({following})" in last


@every_notebook
def test_cells(name):
    notebook = read(name)
    cells, imports = notebook.cells, code_cells(notebook)[2]
    for before, cell in pairwise(cells):
        assert len(cell.source.splitlines()) <= MAX_LINES or cell is imports, cell.id
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"{cell.id} needs a sentence before it"
            assert "filterwarnings" not in cell.source, cell.id
            assert not absolute_paths(cell.source), cell.id
    assert len({cell.id for cell in cells}) == len(cells)


@every_notebook
def test_committed_outputs(name):
    path, notebook = FOLDER / f"{name}.ipynb", read(name)
    assert path.stat().st_size < MAX_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts in ([None] * len(counts), list(range(1, len(counts) + 1)))
    check_outputs(notebook)
    assert not absolute_paths(json.dumps(notebook.metadata))


def check_outputs(notebook):
    for cell in code_cells(notebook):
        assert not any(output.get("name") == "stderr" for output in cell.outputs), cell.id
    for text in output_texts(notebook):
        assert "Traceback" not in text
        assert not re.search(r"\w*Warning\b|WARNING", text), text[:500]
        assert not absolute_paths(text), text[:500]


MAIN_LINE, STUDIES = NAMES[:6], NAMES[6:]
SMALL = {  # what a reader may set, as small as it goes
    "CORPORA": "demo",
    "EPOCHS": 2,
    "TRIALS": 4,
    "RECORD": True,
    "VARIANTS": 0,
    "SPEAKERS": [2, 6],
    "FOLDS": 1,
    "CLIPS": 40,
}
RECIPES = {"08_from_scratch": "mfcc-attention-augmented", "09_tuning": "mfcc-attention-augmented"}


def execute(name, executed):
    """Run a notebook as papermill does; the errors of its cells are the test's."""
    given = {key: value for key, value in SMALL.items() if key in PARAMETERS[name]}
    if name in RECIPES:
        given["RECIPE"] = RECIPES[name]
    papermill.execute_notebook(
        FOLDER / f"{name}.ipynb",
        executed / f"unchecked-{name}.ipynb",
        parameters=given,
        kernel_name="python3",
        progress_bar=False,
    )
    path = (executed / f"unchecked-{name}.ipynb").rename(executed / f"{name}.ipynb")
    notebook = read(name, executed)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    check_outputs(notebook)
    assert any("Demo corpus" in text for text in output_texts(notebook))
    assert path.stat().st_size < MAX_BYTES


def check_written(name, root):
    for pattern in WRITTEN.get(name, ()):
        assert list(root.glob(pattern)), f"{name} did not write {pattern}"


@pytest.fixture(scope="module")
def new_project(tmp_path_factory):
    """An empty project, which the main line fills from notebook to notebook."""
    root = tmp_path_factory.mktemp("main-line")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(root))
        patch.delenv("SER_CORPORA", raising=False)
        yield root


@pytest.mark.parametrize("name", MAIN_LINE)
def test_the_main_line_runs_on_the_demo_corpus(name, new_project):
    before = [new_project / f"{earlier}.ipynb" for earlier in MAIN_LINE[: MAIN_LINE.index(name)]]
    if not all(path.exists() for path in before):
        pytest.skip("needs what the notebooks before it write; one of them did not run, or failed")
    execute(name, new_project)
    check_written(name, new_project)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_on_the_demo_corpus(name, tmp_path, monkeypatch):
    if name == "10_pretrained_encoder" and not pretrained.is_here("whisper-tiny.en"):
        pytest.skip("set SER_PRETRAINED to a folder that holds whisper-tiny.en")
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    download_all(["demo"])
    metadata.write_table(metadata.build(("demo",), progress=False).table)
    execute(name, tmp_path)
    check_written(name, tmp_path)


def test_each_plot_of_the_demo_corpus_says_so():
    for name in NAMES:
        for cell in code_cells(read(name)):
            if "plt.show()" in cell.source and "committed, from real corpora" not in cell.source:
                assert "mark_demo" in cell.source, cell.id
