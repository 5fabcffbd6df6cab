"""The command line as a user meets it: readable help, one-line errors with exit code 2."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from conftest import ser_command
from typer.testing import CliRunner

import ser as ser_package
from ser import cli
from ser.cli import show
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


def test_the_version_and_help_are_wherever_one_asks(root, capsys):
    for words in (["--version"], ["predict", "--version"], ["data", "list", "--version"]):
        assert ser(*words, root=root) == 0
        assert capsys.readouterr().out == f"ser {ser_package.__version__}\n"
    for words in ([], ["data"], ["pretrained"], ["run", "-h"]):
        assert ser(*words, root=root) == 0
        assert f"Usage: {' '.join(['ser', *words[:1]])} " in capsys.readouterr().out


def every_command(group, name="ser"):
    for word, command in group.commands.items():
        here = f"{name} {word}"
        yield from (
            every_command(command, here) if hasattr(command, "commands") else [(here, command)]
        )


def test_every_command_has_an_example_that_can_be_typed():
    commands = dict(every_command(typer.main.get_command(cli.app)))
    assert len(commands) == 20
    for name, command in commands.items():
        word, _, examples = command.epilog.partition(": ")
        assert word in ("Example", "Examples")
        for example in examples.split("; "):
            assert example == name or example.startswith(f"{name} ")
            command.make_context(name, shlex.split(example.removeprefix(name)))


@pytest.mark.skipif(os.name != "posix", reason="asks Bash's completion")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ser run mfcc-attention-2", "mfcc-attention-2-augmented"),
        ("ser run tess -p tess-", "tess-cross"),
    ],
)
def test_names_are_completed(typed, offered):
    asked = {"_SER_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    asked["COMP_CWORD"] = str(len(typed.split()) - 1)
    command = [sys.executable, "-m", "ser"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stdout.split() == [offered], done.stderr


def test_tables_wrap_by_words_at_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    facts = pd.DataFrame(np.full((6, 16), 7442.0), list("abcdef")).rename(index="corpus_{}".format)
    show.show_corpora(facts)
    words = [f"word{n}" for n in range(30)]
    show.table(("", ""), [("name", " ".join(words))])
    out = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.splitlines())) == 80
    assert [word for word in plain.split() if word.startswith("word")] == words
    assert "\x1b[1m" in out
    assert "\x1b[3" not in out  # bold, but no colour
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name)
    show.table(("", ""), [("name", " ".join(words))])
    assert len(capsys.readouterr().out.splitlines()) == 1  # in a pipe, lines stay whole


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
        (["predct"], ["No such command 'predct'", "See `ser --help`."]),
        (["predict"], ["Missing argument", "See `ser predict --help`."]),
        (["predict", "--nope", "x"], ["--nope", "See `ser predict --help`."]),
        (["data", "nope"], ["nope", "See `ser data --help`."]),
        (["run", "tess", "--epochs", "abc"], ["--epochs", "integer"]),
        (["predict", ""], ["an argument is empty", "not set"]),
        (["metadata", "-c", ","], ["no corpus is named", "ravdess"]),
        (["data", "download", "demo", "ravdes"], ["Did you mean 'ravdess'"]),
        (["data", "add", "tess", ".", "--speakers", "x"], ["add --labels"]),
        (["data", "add", "mine", "x.csv", "--labels", "folder"], ["columns", "leave --labels"]),
        (["train", "tess", "--everything", "--fold", "1"], ["--everything and --fold"]),
        (["ladder", "tess", "--fast", "--seeds", "1"], ["--fast and --seeds"]),
        (["listen", "--file", "x.wav", "--device", "1"], ["--file and --device"]),
        (["predict", "x.wav", "--json", "--csv"], ["--json and --csv"]),
        (["predict", "x.wav", "--plot", "a.png", "--explain", "a.png"], ["another file"]),
        (["export", "x", "--to", "y", "--right", "0.5"], ["--calibrate"]),
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
