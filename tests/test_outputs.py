"""Where a command writes is checked before it works, and what it answers is kept as it comes."""

import csv
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest
from conftest import SMALL, not_root, one_line
from test_cli import ser

from ser import corpora
from ser.corpora import metadata
from ser.inference import Model, load_model
from ser.project import SerError


@pytest.fixture
def no_work(monkeypatch):
    """Fail where a model is loaded."""
    monkeypatch.setattr("ser.inference.load_model", lambda *_: 1 / 0)
    monkeypatch.setattr("ser.inference.load_model", lambda *_: 1 / 0)
    monkeypatch.setattr("ser.inference.find_model", lambda *_: 1 / 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "x.wav", "--plot", "/nowhere/x.png"], "there is no folder /nowhere"),
        (["predict", "x.wav", "--plot", "x.zzz"], ".png, .pdf, .svg"),
        (["predict", "x.wav", "--plot", "."], ".png"),
        (["predict", "x.wav", "--explain", "/nowhere/x.png"], "there is no folder"),
        (["predict", "x.wav", "--explain", "x"], ".png"),
        (["predict", "x.wav", "--output", "/nowhere/x.csv"], "there is no folder"),
        (["predict", "x.wav", "--output", "x.txt"], ".csv, .json"),
        (["predict", "x.wav", "--json", "--output", "x.csv"], "ends in .json"),
        (["predict", "x.wav", "--csv", "-o", "x" * 300 + ".csv"], "cannot be written"),
        (["listen", "--save", f"{sys.executable}/x.csv"], "found the file"),
        (["listen", "--save", "."], "found a folder"),
        (["app", "--port", "80000"], "1 to 65535"),
        (["app", "--port", "-1"], "1 to 65535"),
        (["export", "run", "--to", sys.executable], "expected a folder, found the file"),
        (["export", "run", "--to", f"{sys.executable}/deep"], "expected a folder, found the file"),
        (["export", "run", "--to", "x", "--calibrate", "y", "--right", "2"], "--right 2"),
        (["export", "run", "--to", "x", "--formats", "onx"], "Did you mean 'onnx'"),
        (["metadata", "-j", "0"], "--jobs: expected -1 or more, and not 0; found 0"),
        (["run", "tiny", "--epochs", "-3"], "--epochs: expected 0 or more; found -3"),
        (["run", "tiny", "--seeds", "-1"], "--seeds: expected numbers like 0,1,2"),
        (["train", "tiny", "--seed", "-1"], "--seed: expected 0 or more"),
        (["tune", "tiny", "--trials", "0"], "--trials: expected 1 or more"),
        (["robustness", "tiny", "--clips", "-1"], "--clips: expected 0 or more"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_work(
    project,
    no_work,
    capsys,
    arguments,
    words,
):
    assert ser(*arguments, root=project) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("ser: ")
    assert words in line


@pytest.mark.parametrize("command", ["metadata", "features", "train", "run", "tune", "ladder"])
def test_a_project_that_cannot_be_written_is_said_first(
    project, demo_shelf, capsys, monkeypatch, command
):
    monkeypatch.setattr("ser.corpora.metadata.build", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("ser.corpora.metadata.read_table", lambda *_, **__: 1 / 0)
    monkeypatch.setenv("SER_ROOT", f"{sys.executable}/project")
    recipe = [] if command == "metadata" else ["mfcc-attention"]
    assert ser(command, *recipe, "-c", "demo", root=project) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "SER_ROOT" in line
    assert f"found the file {sys.executable}" in line


def test_closed_folders_are_one_line_too(project, no_work, capsys, open_folder):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o500)
    (open_folder / "kept.csv").write_text("mine")
    (open_folder / "kept.csv").chmod(0o400)
    with not_root():
        for arguments in (
            ["predict", "x.wav", "--plot", str(closed / "x.png")],
            ["predict", "x.wav", "-o", str(open_folder / "kept.csv")],
            ["export", "run", "--to", str(closed / "bundle" / "deep")],
        ):
            assert ser(*arguments, root=project) == 2
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert "no permission" in line


@pytest.mark.filterwarnings("error")
def test_of_a_folder_only_the_last_answer_is_drawn(predict, clips, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    for number in range(3):
        shutil.copy(clips[0], tmp_path / f"{number}.opus")
    drawn = []
    monkeypatch.setattr("ser.plots.timeline", lambda *_: drawn.append(1) or plt.figure().gca())
    before = plt.get_fignums()
    code, _, err = predict(tmp_path, "--plot", tmp_path / "a.png")
    assert (code, len(drawn)) == (0, 1), err
    assert plt.get_fignums() == before
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_that_cannot_explain_says_so_first(predict, tmp_path, monkeypatch):
    model = load_model(SMALL)
    assert model.has_attention
    hear = model._hear
    model = Model(lambda *heard: (hear(*heard)[0], None), model.longest_s, model.card, "deaf")
    monkeypatch.setattr("ser.inference.load_model", lambda _: model)
    code, out, err = predict("none.wav", "--explain", tmp_path / "a.png")
    assert (code, out) == (2, "")
    assert err == "ser: --explain: deaf has no attention layer that could be drawn.\n"


def test_every_file_of_a_folder_is_answered_failed_or_named(predict, clips, tmp_path):
    shutil.copy(clips[0], tmp_path / "good.opus")
    for name in ("bad.wav", "phone.m4a", "notes.txt", "._good.opus", "clip.xyz"):
        (tmp_path / name).write_text("no sound")
    code, out, err = predict(tmp_path)
    assert code == 2
    said, *failed = err.strip().splitlines()
    assert said == (
        "6 files: 1 answered, 2 failed, 3 no recordings (._good.opus, clip.xyz, notes.txt)"
    )
    assert [line.split(": ")[1].rpartition("/")[2] for line in failed] == ["bad.wav", "phone.m4a"]
    assert len(out.splitlines()[0].split(": ")) == 2
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("x")
    _, _, err = predict(tmp_path / "none")
    assert "no recording in this folder among 1 files" in err


def test_answers_of_a_folder_stand_below_one_another(predict, clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for length in range(1, 13, 2):
        shutil.copy(clips[0], f"{length * 'x'}.opus")
    _, out, _ = predict(".")
    found = {line.partition(":")[2].strip(): len(line) for line in out.splitlines()}
    assert len(out.splitlines()) == 6
    assert len(found) == 1
    assert {len(line) for line in out.splitlines()} == set(found.values())


def test_answers_go_into_a_file(predict, clips, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    _, rows, _ = predict(*clips, bad, "--csv")
    code, out, _ = predict(*clips, bad, "--output", tmp_path / "a.csv")
    assert (code, out) == (2, "")
    assert (tmp_path / "a.csv").read_text() == rows
    assert len(list(csv.DictReader(rows.splitlines()))) == 3
    code, out, _ = predict(*clips, "--output", tmp_path / "a.json")
    assert (code, out) == (0, "")
    assert [row["file"] for row in json.loads((tmp_path / "a.json").read_text())] == [
        str(clip) for clip in clips
    ]


def test_rows_come_one_by_one(predict, clips, tmp_path, monkeypatch):
    """Whoever stops it after two answers has two rows."""
    from ser.inference.model import Model

    answer, seen, file = Model.predict, [], tmp_path / "a.csv"

    def stop_at_third(self, audio, rate=None):
        seen.append(len(file.read_text().splitlines()))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return answer(self, audio, rate)

    monkeypatch.setattr(Model, "predict", stop_at_third)
    for number in range(3):
        shutil.copy(clips[0], tmp_path / f"{number}.opus")
    code, _, err = predict(tmp_path, "-o", file)
    assert code == 130
    assert err == "ser: stopped; what was finished is kept.\n"
    assert seen[1:] == [2, 3]
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.skipif(os.name != "posix", reason="a terminal needs POSIX")
def test_who_watches_sees_how_long_it_will_take(clips, tmp_path):
    for number in range(7):
        shutil.copy(clips[0], tmp_path / f"{number}.opus")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ser", "predict", str(tmp_path), "--csv", "-m", str(SMALL)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"},
        check=True,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "7/7" in shown
    assert "0:00:0" in shown
    assert len(done.stdout.splitlines()) == 8  # a file gets rows, and no bar
    assert b"\x1b" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names as bytes need Linux")
def test_a_folder_whose_name_is_not_utf_8(predict, clips, project, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(folder)  # noqa: PTH102
    shutil.copy(clips[0], f"{folder}/a.opus")
    for kind in ("a.csv", "a.json"):
        code, _, err = predict(folder, "-o", tmp_path / kind)
        assert (code, err) == (0, "1 file: 1 answered\n")
        assert r"caf\udce9/a.opus" in (tmp_path / kind).read_text()
    assert json.loads((tmp_path / "a.json").read_text())[0]["file"] == f"{folder}/a.opus"
    with one_line("caf", "is a name that is not UTF-8. Rename it."):
        corpora.from_folder(folder, name="mine", label=r"(a)\.")
    assert corpora.from_folder(tmp_path, name="mine", label=r"(a)\.") == "mine"
    (problem,) = metadata.build(("mine",), progress=False).problems
    assert problem.reason == "its name, or that of its folder, is not UTF-8: rename it"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("kind", ["--json", "--csv"])
def test_what_the_system_refuses_is_no_fault_of_ours(clips, kind):
    command = f"{sys.executable} -m ser predict {clips[0]} {kind} -m {SMALL}"
    for more, said in (
        (">/dev/full", "the output: No space left on device."),
        (f"- <&- >/dev/null {clips[0]}", "standard input: no bytes came."),
        (f"{'x' * 300}.wav", f"{'x' * 300}.wav: File name too long."),
    ):
        done = subprocess.run(
            f"{command} {more}", shell=True, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(f"ser: {said}")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="such names need POSIX")
def test_a_terminal_obeys_no_name_from_outside(predict, clips, project, tmp_path, capsys):
    (shelf := tmp_path / "s\x1b[31m").mkdir()
    odd = "\x1b[2J[bold]new\nline\x9b.opus"
    seen = r"\x1b[2J[bold]new\nline\x9b.opus"
    shutil.copy(clips[0], shelf / odd)
    (shelf / f"bad{odd}").write_text("no sound")
    code, out, err = predict(shelf)
    assert code == 2
    assert f"{seen}: " in out
    assert sum(f"/bad{seen}: expected audio" in line for line in err.splitlines()) == 1
    _, rows, more = predict(shelf / odd, "--csv")
    assert [row["file"] for row in csv.DictReader(rows.splitlines(keepends=True))] == [
        str(shelf / odd)
    ]
    assert ser("data", "add", "mine", str(shelf), "--labels", "(new)", root=project) == 0
    assert ser("metadata", "-c", "mine", root=project) == 0
    assert ser("data", "list", root=project) == 0
    assert ser("predict", f"{shelf}/none{odd}", root=project) == 2
    assert ser("predict", f"--{odd}", root=project) == 2
    said = out + err + more + "".join(capsys.readouterr())
    assert f"none{seen}: no file matches this pattern" in said
    assert not {"\x1b", "\x9b"} & set(said)
    with one_line(r"a\nb\u202ec"):
        raise SerError("a\nb\u202ec")
