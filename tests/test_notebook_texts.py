"""What notebooks say is true: outputs are of this code, numbers of these reports, one address."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ser.experiments import protocols, recipes
from ser.project import read_json

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import colab  # noqa: E402
import notebook_outputs  # noqa: E402
import notebook_stats  # noqa: E402
import repository  # noqa: E402

FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says what is committed")


def read(file):
    return nbformat.read(file, as_version=4)


@needs_git
@every_notebook
def test_outputs_are_of_this_code_and_these_reports(file):
    """Else: python tools/run_notebooks.py --commit NAME."""
    assert notebook_outputs.stale(read(file)) == []


def made(*sources, **metadata):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    notebook_outputs.stamp(notebook)
    return notebook


@needs_git
def test_an_edited_cell_makes_outputs_stale():
    notebook = made("EPOCHS = 3", "print(EPOCHS)")
    assert notebook_outputs.stale(notebook) == []
    notebook.cells[0].source = "EPOCHS = 4"
    assert notebook_outputs.stale(notebook) == [
        "a code cell or a parameter is newer than the outputs"
    ]
    assert notebook_outputs.stale(nbformat.v4.new_notebook()) != []


@needs_git
@pytest.mark.parametrize(
    ("source", "file", "matters"),
    [
        ("leaderboard.collect()", "reports/best-scratch/savee-loso/metrics.json", True),
        ('paths().reports / "ladder"', "reports/ladder/ladder.csv", True),
        ("tuning.tune(recipe)", "reports/tuning/whisper-tiny/cost.csv", True),
        ('paths().reports / "ladder"', "reports/best-scratch/savee-loso/metrics.json", False),
        ("print(3)", "reports/ladder/ladder.csv", False),
    ],
)
def test_a_changed_report_makes_outputs_stale(source, file, matters, tmp_path, monkeypatch):
    notebook = made(source)
    assert (ROOT / file).is_file()
    shutil.copytree(ROOT / "reports", tmp_path / "reports", copy_function=lambda a, b: None)
    names = notebook_outputs.committed_reports()
    for name in names:
        (tmp_path / "reports" / name).symlink_to(ROOT / "reports" / name)
    monkeypatch.setattr(notebook_outputs, "ROOT", tmp_path)
    monkeypatch.setattr(notebook_outputs, "committed_reports", lambda: names)
    assert notebook_outputs.stale(notebook) == []
    (tmp_path / file).unlink()
    (tmp_path / file).write_text("other")
    assert bool(notebook_outputs.stale(notebook)) == matters


def test_outputs_are_cleaned():
    notebook = made("a", "b")
    first, second = notebook.cells
    new = nbformat.v4.new_output
    first.metadata = {"papermill": {"duration": 1}, "tags": ["parameters"]}
    bar = "features:  50%|#####     | 1/2 [00:01<00:01,  1.0clip/s]"
    first.outputs = [
        new("stream", name="stderr", text=f"\r{bar}\r{bar}\n"),
        new("stream", name="stdout", text="one\n"),
        new("stream", name="stdout", text="half\rwhole\n"),
    ]
    widget = {notebook_outputs.WIDGET: {}, "text/plain": "  0%|          | 0/2"}
    styled = {"text/html": '<table id="T_0f1e2"></table>', "text/plain": "<Styler at 0x7f00aa11>"}
    second.outputs = [new("display_data", data=widget), new("display_data", data=styled)]
    notebook_outputs.clean(notebook)
    assert [output.text for output in first.outputs] == ["one\nwhole\n"]
    assert first.metadata == {"tags": ["parameters"]}
    (left,) = second.outputs
    assert "T_0f1e2" not in left.data["text/html"]
    assert left.data["text/plain"] == "<Styler>"
    assert notebook_outputs.problems(notebook) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("UserWarning: look", "shows a warning"),
        (f"{ROOT}/models", "shows absolute paths"),
        ("x" * notebook_outputs.MAX_BYTES, "less than 1 MB"),
    ],
)
def test_what_must_not_be_committed_is_named(text, problem):
    notebook = made("a")
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text=text)]
    assert any(problem in line for line in notebook_outputs.problems(notebook))


# Numbers in prose that no cell computes. Each is a fact, and this is where it stands.
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?\s?%|(?<![\w./-])\d+\.\d+(?![\w.])")
EVERYWHERE = {"95 %": "the level of all intervals", "100 %": "arithmetic"}
FACTS = {
    "00_quickstart": {
        "80 %": "what calibrated means, by an example",
        "4.1": "128 frames of 512 samples at 16 kHz, in seconds",
    },
    "01_download": {"99 %": "published for TESS; rungs a to c of tess in the README's ladder"},
    "02_metadata": {
        "0.1 %": "what clipping is here: ser.corpora.facts",
        "4.04": "174 frames of 512 samples at 22,050 Hz, in seconds",
    },
    "05_evaluation": {
        "0.02": "a setting to try",
        "0.5": "the area under the ROC curve of guessing: Fawcett (2006)",
        "70 %": "what calibrated means, by an example",
    },
    "07_leakage_ladder": {
        "62 %": "the ladder in the README, rung a of four-corpora",
        "98 %": "predictions of rung a of four-corpora, TESS alone",
        "39 %": "predictions of rung d of four-corpora, TESS alone",
        "41 %": "predictions of rung d of four-corpora, CREMA-D alone",
    },
    "08_from_scratch": {
        "61 %": "predictions of best-scratch-all, savee-loso, speaker KL",
        "38 %": "predictions of best-scratch-all, savee-loso, speaker JE",
        "1 %": "predictions of best-scratch-all, savee-loso, speaker JK",
    },
    "12_make_it_yours": {"50 %": "arithmetic"},
}


def prose(notebook):
    """Give the static text: no code, no addresses, no lists of references."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    whole = "\n\n".join(texts).split("## References")[0]
    without = r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+|doi:\S+|arXiv[:\s]\S+|^\d+\. "
    return re.sub(without, " ", whole, flags=re.DOTALL | re.MULTILINE)


@every_notebook
def test_numbers_in_prose_are_computed_or_facts(file):
    notebook = read(file)
    computed = "".join(text for _, text in notebook_outputs.texts(notebook))
    computed = re.sub(r"\s+%", "%", computed)
    facts = {**EVERYWHERE, **FACTS.get(file.stem, {})}
    found = {re.sub(r"\s*%", " %", match[0]) for match in NUMBER.finditer(prose(notebook))}
    unknown = {number for number in found - set(facts) if number.replace(" ", "") not in computed}
    assert not unknown, "computed nowhere; add the source to FACTS, or let a cell compute it"


REPORTS = {
    file.parts[-3:-1]: read_json(file)
    for file in (ROOT / "reports").glob("*/*/metrics.json")
    if file.parts[-3] in recipes.RECIPES and file.parts[-2] in protocols.names()
}


def tables(notebook):
    """Give each table of the outputs as rows of texts, the header first."""
    for cell in notebook_outputs.code_cells(notebook):
        for output in cell.outputs:
            html = output.get("data", {}).get("text/html", "")
            for table in re.findall(r"<table.*?</table>", html, flags=re.DOTALL):
                rows = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)
                cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows)
                texts = ([re.sub(r"<[^>]+>|&nbsp;", "", c).strip() for c in row] for row in cells)
                yield cell.id, [row for row in texts if any(row)]


def percent(text):
    found = re.match(r"[-+]?\d+\.\d+", text)
    return (
        float(found[0]) * (100 if float(found[0]) <= 1 and "%" not in text else 1)
        if found
        else None
    )


@every_notebook
def test_tables_of_reports_agree_with_them(file):
    """A row that names a recipe and a protocol shows the UAR that is committed for the two."""
    checked = 0
    for cell_id, (header, *rows) in tables(read(file)):
        columns = [i for i, name in enumerate(header) if re.match(r"UAR\b", name)]
        for row in rows:
            key = next(((r, p) for r in row for p in row if (r, p) in REPORTS), None)
            if key is None or not columns or len(row) != len(header):
                continue
            shown = percent(row[columns[0]])
            committed = 100 * REPORTS[key]["uar"]["mean"]
            assert shown == pytest.approx(committed, abs=0.0501), f"{cell_id}: {key}"
            checked += 1
    if file.stem in ("08_from_scratch", "10_pretrained_encoder"):
        assert checked > 5


@needs_git
def test_the_ladder_is_the_committed_one():
    notebook = read(ROOT / "notebooks" / "07_leakage_ladder.ipynb")
    shown = " ".join(text for _, text in notebook_outputs.texts(notebook))
    for folder in (ROOT / "reports" / "ladder").glob("*/metrics.json"):
        found = read_json(folder)
        for rung in "abcd":
            accuracy = found[rung]["accuracy"]["mean"]
            rounded = {f"{100 * value:.1f}" for value in (accuracy, round(accuracy, 4))}
            assert any(text in shown for text in rounded), (folder, rung)


# One address


def test_badges_and_set_up_cells_follow_pyproject():
    assert repository.disagreements() == []


@pytest.mark.parametrize(
    "address",
    [
        "me/my-ser",
        "https://github.com/me/my-ser.git",
        "https://github.com/me/my-ser/",
        "git@github.com:me/my-ser.git\n",
    ],
)
def test_addresses(address):
    assert repository.split(address) == ("me", "my-ser")


@needs_git
def test_a_fork_is_rewritten_in_one_go(tmp_path):
    for name in ("pyproject.toml", "README.md", "notebooks"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    owner, name = repository.declared()
    before = {file.name: read(file) for file in (tmp_path / "notebooks").glob("*.ipynb")}
    changed = repository.rewrite(tmp_path, "me", "my-ser")
    assert repository.declared(tmp_path) == ("me", "my-ser")
    assert repository.disagreements(tmp_path) == []
    assert len(changed) >= len(before) + 1
    for file in (tmp_path / "notebooks").glob("*.ipynb"):
        assert f"{owner}/{name}" not in file.read_text(encoding="utf-8")
        digests = [notebook_outputs.code_digest(nb) for nb in (before[file.name], read(file))]
        assert digests[0] == digests[1], "the set-up cell is no code of the notebook"
    repository.rewrite(tmp_path, owner, name)
    for file in FILES:
        assert (tmp_path / "notebooks" / file.name).read_bytes() == file.read_bytes()


# Counts


def test_counts_are_committed():
    """Else: python tools/notebook_stats.py."""
    rows = [{"notebook": file.stem, **notebook_stats.count(read(file))} for file in FILES]
    text = (ROOT / "reports" / "notebooks.csv").read_text(encoding="utf-8")
    assert text == notebook_stats.as_csv(rows)


def test_counting():
    notebook = made("%pip x\nif 'google.colab': pass", "def f():\n\n    return 1", "x = 1")
    notebook.cells[2].outputs = [nbformat.v4.new_output("display_data", data={"image/png": ""})]
    notebook.cells.append(nbformat.v4.new_markdown_cell("Two words, [a link](https://x.y/z) `c`"))
    found = notebook_stats.count(notebook)
    assert found == {
        "code cells": 2,
        "median lines": "1.5",
        "longest cell": 2,
        "words": 4,
        "figures": 1,
        "definitions": 1,
    }


@every_notebook
def test_files_are_as_jupyter_writes_them(file):
    text = file.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" == text


@pytest.mark.slow
def test_colab_keeps_its_tensorflow_and_numpy():
    """Asks the package index, and installs nothing."""
    assert set(colab.replaced()) <= {"keras"}
