"""The command line as a user meets it: readable help, one-line errors with exit code 2."""

import sys

import pytest
from conftest import ser_command
from typer.testing import CliRunner

import ser as ser_package
from ser import cli
from ser.corpora.download import download
from ser.project import SerError

COMMANDS = (
    "data",
    "metadata",
    "features",
    "train",
    "run",
    "ladder",
    "evaluate",
    "predict",
    "report",
)


def ser(*arguments, root):
    """Run `ser` in this process, the way `main` does."""
    sys.argv = ["ser", *arguments]
    try:
        cli.main()
    except SystemExit as exit_:
        return exit_.code or 0
    return 0


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    monkeypatch.setattr(sys, "argv", ["ser"])
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_reads(command):
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_begins_with_predict_and_there_is_a_version():
    shown = CliRunner().invoke(cli.app, ["--help"]).stdout
    assert set(COMMANDS) <= set(shown.split())
    assert min(COMMANDS, key=lambda name: shown.index(f" {name} ")) == "predict"
    assert CliRunner().invoke(cli.app, ["--version"]).stdout == f"ser {ser_package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "mfcc-atention"], ["Did you mean 'mfcc-attention'", "Known"]),
        (["train"], ["ser metadata"]),
        (["run", "mfcc-attention", "--seeds", "x"], ["--seeds", "0,1,2"]),
        (["run", "mfcc-attention", "-p", "luna"], ["Known", "ravdess-luna5"]),
        (["ladder", "nonsense"], ["Known", "four-corpora", "mfcc-attention", "parallel", "tess"]),
        (["ladder", "tess", "--seeds", "x"], ["--seeds", "0,1,2"]),
        (["ladder", "tess"], ["ser metadata"]),
        (["metadata", "-c", "ravdes"], ["Did you mean 'ravdess'"]),
        (["metadata"], ["ser data download"]),
        (["metadata", "-c", "savee"], ["ser data"]),
        (["data", "add", "ravdess", "/no/such/folder"], ["expected", "found"]),
        (["data", "add", "mine", "."], ["no built-in corpus", "--labels folder"]),
        (["data", "download", "nonsense"], ["Known"]),
        (["evaluate"], ["ser train"]),
        (["evaluate", "/no/such/run"], ["predictions.csv"]),
        (["predict", "x.wav", "-m", "no.keras"], ["no model there"]),
        (["report"], ["ser run"]),
    ],
)
def test_errors_are_one_line_with_a_remedy(root, capsys, arguments, words):
    assert ser(*arguments, root=root) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("ser: ")
    assert all(word in lines[0] for word in words), lines[0]


def test_misspelled_field_of_a_recipe_file(root, capsys):
    file = root / "mine.json"
    file.write_text(
        '{"name": "m", "corpora": ["demo"], "classes": ["a", "b"], "training": {"epoch": 3}}'
    )
    assert ser("train", str(file), root=root) == 2
    assert "Did you mean 'epochs'" in capsys.readouterr().err


def test_debug_shows_the_traceback_wherever_it_stands(root):
    for arguments in (("--debug", "train", "nonsense"), ("train", "nonsense", "--debug")):
        with pytest.raises(SerError):
            ser(*arguments, root=root)
    shown = ser_command("train", "nonsense", "--debug")
    assert "Traceback" in shown.stderr
    assert "No such option" not in shown.stderr


def test_a_fault_of_the_program_is_one_line_too(root, capsys, monkeypatch):
    monkeypatch.setattr("ser.corpora.available", lambda: 1 / 0)
    assert ser("data", "list", root=root) == 1
    line = capsys.readouterr().err.strip()
    assert "ZeroDivisionError" in line
    assert "\n" not in line


def test_main_line_on_the_demo_corpus(root, capsys):
    """Data, metadata, features, two epochs, evaluation and an answer, as a new user would."""
    download("demo", progress=False)
    for arguments in (
        ["data", "list"],
        ["metadata", "-c", "demo"],
        ["features", "mfcc-attention", "-c", "demo", "-j", "1"],
        ["train", "mfcc-attention", "-c", "demo", "--epochs", "2"],
        ["evaluate"],
        ["recipes"],
        ["protocols"],
    ):
        assert ser(*arguments, root=root) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "720 clips" in output
    assert "epoch   2/2" in output
    assert "UAR" in output
    clip = str(next((root / "data" / "raw" / "demo").rglob("*.opus")))
    assert ser("predict", clip, root=root) == 0  # not by the model that was trained last
    shown = capsys.readouterr()
    assert " %)" in shown.out
    assert "model: " in shown.err
    assert "whisper-tiny" in shown.err
    assert ser("predict", clip, "-m", "newest", root=root) == 0
    assert ser("evaluate", "--json", root=root) == 0
    assert '"uar"' in capsys.readouterr().out
