"""What outlives a kill: no worker, no half file, no damaged run that stands for a finished one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import one_line

from ser import project
from ser.experiments import units
from ser.project import digest, read_json, write_json, writing

psutil = pytest.importorskip("psutil")

WORKING = """
import time
from joblib import delayed
from ser.project import processes
def work(_):
    time.sleep(60)
with processes(2) as workers:
    workers(delayed(work)(i) for i in range(4))
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_workers_end_with_the_process_that_started_them(how):
    with subprocess.Popen([sys.executable, "-c", WORKING]) as process:
        parent, deadline_s = psutil.Process(process.pid), time.monotonic() + 60
        while len(started := parent.children(recursive=True)) < 4:  # two, and their trackers
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(getattr(signal, how))
    _, left = psutil.wait_procs(started, timeout=30)
    assert left == []


def unit(folder):
    """A finished unit, written by hand."""
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"weights")
    (folder / "predictions.csv").write_text("a,b\n1,2\n")
    files = {name: digest(folder / name) for name in ("model.keras", "predictions.csv")}
    write_json(folder / units.RUN_FILE, {"seed": 0, "sha256": files})
    return folder


@pytest.mark.parametrize("file", ["model.keras", "predictions.csv", "run.json"])
@pytest.mark.parametrize("how", ["cut", "gone", "changed"])
def test_a_damaged_unit_is_named_and_made_again(tmp_path, file, how, capsys):
    folder = unit(tmp_path / "fold-0-seed-0")
    assert units.is_done(folder)
    whole = (folder / file).read_bytes()
    if how == "gone":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(whole[:-5] if how == "cut" else b"{" + whole[1:] + b"x")
    assert not units.is_done(folder)
    with units.claimed(folder) as done:
        assert not done
        assert not (folder / units.RUN_FILE).exists()
    said = capsys.readouterr().out
    if (file, how) != ("run.json", "gone"):  # which is not finished, and not damaged
        assert said.endswith(f"fold-0-seed-0: {file} is damaged; this is trained again.\n")


def test_a_run_of_an_earlier_version_is_done_where_its_model_is_whole(finished_project, tmp_path):
    run = min((finished_project / "models" / "runs").rglob("fold-0-seed-0"))
    old = shutil.copytree(run, tmp_path / "fold-0-seed-0")
    assert units.is_done(old)
    card = read_json(old / units.RUN_FILE)
    assert set(card.pop("sha256")) == {f.name for f in old.iterdir()} - {"run.json"}
    write_json(old / units.RUN_FILE, card)
    assert units.is_done(old)
    (old / "model.keras").write_bytes((old / "model.keras").read_bytes()[:-100])
    assert not units.is_done(old)


@pytest.mark.slow
def test_training_mends_a_damaged_run(finished_project, three_speakers, tmp_path, monkeypatch):
    from conftest import TINY

    from ser import experiments

    monkeypatch.setenv("SER_ROOT", str(shutil.copytree(finished_project, tmp_path / "copy")))
    plan = experiments.plan(TINY, table=three_speakers)
    folder = plan.run_folder(0, 0)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "model.keras").write_bytes(b"half")
    assert experiments.train_fold(plan, 0, 0, every=0) == folder
    assert units.is_done(folder)
    assert (folder / "predictions.csv").read_bytes() == before["predictions.csv"]
    assert {file.name for file in folder.iterdir()} == set(before)


HOLDING = """
import sys, time
from pathlib import Path
from ser.experiments.units import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3)
"""


def test_two_trainings_of_one_fold_wait_for_each_other(tmp_path, capsys):
    folder = tmp_path / "fold-0-seed-0"
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with units.claimed(folder) as done:
            assert other.poll() is not None or other.wait(5) == 0
            assert not done
    said = capsys.readouterr().out
    assert f"process {other.pid} on " in said
    assert "trains fold-0-seed-0; waiting for it." in said


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path):
    old = time.time() - 60
    left, others = tmp_path / ".model-abcd1234.keras", tmp_path / ".model-x.keras"
    for file in (left, others):
        file.write_bytes(b"half")
        os.utime(file, (old, old))
    with writing(tmp_path / "model.keras") as first:
        os.utime(first, (old, old))
        if sys.platform != "win32":
            with writing(tmp_path / "model.keras") as second:
                second.write_bytes(b"second")
            assert first.exists()  # somebody writes it
        first.write_bytes(b"first")
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    expected = {"model.keras": b"first", ".model-x.keras": b"half"}
    if sys.platform == "win32":  # there, an hour must pass
        expected[left.name] = b"half"
    assert found == expected


def test_json_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(project, "MOST_JSON_BYTES", 1_000)
    (tmp_path / "a.json").write_text(json.dumps("x" * 1_000))
    with one_line("a.json: expected JSON of at most 0 MB"):
        read_json(tmp_path / "a.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    monkeypatch.undo()
    with one_line("deep.json: expected JSON, found something else"):
        read_json(tmp_path / "deep.json")
