"""What a newcomer sees first is short, true and of one version."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import SMALL, one_line, ser_command

import ser

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import hub_folder  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = "03-01-03-02-01-01-12"  # the recording of RAVDESS that the README shows


def test_the_readme_is_short_and_has_one_table_of_results():
    assert len(README.split()) <= 900
    tables = re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)
    assert len([table for table in tables if "UAR" in table]) == 1
    [results] = [table for table in tables if "UAR" in table]
    assert 3 <= len(results.splitlines()) - 2 <= 10
    shown = [re.sub(r"\]\([^)]*\)|[*`\[]", "", line) for line in results.splitlines()]
    assert max(map(len, shown)) <= 95  # what fits GitHub's 774 pixels


def test_files_that_the_readme_names_are_there():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert len(links) > 15
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_there_is_one_version():
    """In CHANGELOG.md, what is not released yet stands above it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [h for h in re.findall(r"^## (.+)$", changes, re.MULTILINE) if h != "Unreleased"]
    found = {
        project["version"],
        ser.__version__,
        re.search(r"^version: (.+)$", citation, re.MULTILINE)[1],
        headings[0].split()[0],
    }
    assert found == {ser.__version__}


def test_the_package_answers_without_a_checkout(monkeypatch, tmp_path):
    from ser import inference

    shutil.copytree(SMALL, tmp_path / "released" / "small")
    monkeypatch.setattr(inference.loading, "PACKAGED", tmp_path / "released")
    monkeypatch.setattr(inference.loading, "__file__", str(tmp_path / "a" / "b" / "c" / "model.py"))
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "elsewhere"))
    assert inference.find_model() == tmp_path / "released" / "small"
    assert inference.load_model().name == "small"


def test_the_readme_shows_what_predict_prints(real_speech):
    file = next(real_speech.rglob(f"{EXAMPLE}.*"))
    done = ser_command("predict", file, "--model", "small")
    assert done.returncode == 0, done.stderr
    printed = done.stdout.replace(str(file), f"{EXAMPLE}.wav").strip()
    console = re.search(r"```console\n(.*?)```", README, re.DOTALL)[1]
    assert console.split("model: small\n")[1].strip() == printed


# A folder for the Hub


def test_a_folder_for_the_hub(tmp_path):
    from huggingface_hub import ModelCard

    files = {file.name for file in hub_folder.make(SMALL, tmp_path / "hub")}
    assert files == {"model.onnx", "bundle.json", "README.md", ".gitattributes"}
    header = ModelCard.load(tmp_path / "hub" / "README.md").data
    assert header.license_link.startswith("https://")
    assert 'load_model(".")' in (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    with one_line("not empty", "does not exist yet"):
        hub_folder.make(SMALL, tmp_path / "hub")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("README.md", None, ("no card", "--calibrate")),
        ("README.md", "---\nlicense: other\n---\n# x\n", ("lacks license_name",)),
        ("model.onnx", "not a graph", ("damaged",)),
    ],
)
def test_what_the_hub_should_not_get_is_refused(tmp_path, name, change, words):
    source = shutil.copytree(SMALL, tmp_path / "small")
    if change is None:
        (source / name).unlink()
    else:
        (source / name).write_text(change, encoding="utf-8")
    with one_line(*words):
        hub_folder.make(source, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()
