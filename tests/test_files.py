"""Files appear whole or not at all, whatever happens in between."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from conftest import not_root, one_line
from hypothesis import given
from hypothesis import strategies as st

from ser.project import SerError, alone, first_line, read_json, write_json, writing


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "deep" / "er" / "Größe.json"
    for value in ({"a": [1, 2.5, None, "…"]}, []):
        write_json(path, value)
        assert read_json(path) == value
    assert [file.name for file in path.parent.iterdir()] == ["Größe.json"]


def test_the_file_aside_has_the_same_suffix_and_is_readable_by_others(tmp_path):
    with writing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path
        temporary.write_text("new")
    if os.name == "posix":
        assert (tmp_path / "model.keras").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SerError])
def test_an_error_in_the_block_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "value.json"
    write_json(path, "old")
    with pytest.raises(error), writing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert read_json(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused_and_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "value.json", 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", float("nan"))
    assert read_json(tmp_path / "value.json") == 1


def test_kill_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, "old")
    script = (
        "import sys, time; from pathlib import Path; from ser.project import writing\n"
        "with writing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('ne'); print('half', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert read_json(path) == "old"
    write_json(path, "new")
    assert read_json(path) == "new"


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "value.json"
    values = [["a"] * 20_000, ["b"] * 10]
    write_json(path, values[0])
    done = threading.Event()

    def write():
        while not done.is_set():
            for value in values:
                write_json(path, value)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            assert read_json(path) in values
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_line_and_leaves_the_old_file(tiny_disk):
    path = tiny_disk(64) / "value.json"
    write_json(path, "old")
    with one_line(str(path), "disk is full", "MB free", "Free some space"):
        write_json(path, "x" * 100_000)
    assert read_json(path) == "old"
    assert list(path.parent.iterdir()) == [path]
    write_json(path, "new")
    assert read_json(path) == "new"


def test_folder_without_permission(open_folder):
    write_json(open_folder / "value.json", "old")
    with (
        not_root(),
        one_line(str(open_folder), "no permission to write", "SER_ROOT"),
    ):
        write_json(open_folder / "value.json", "new")
    assert read_json(open_folder / "value.json") == "old"


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "folder").write_text("")
    with one_line(str(tmp_path / "folder" / "value.json"), "cannot be written"):
        write_json(tmp_path / "folder" / "value.json", 1)


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe\x00", b"1 2", b"NaN,"])
def test_reading_something_else_than_json(tmp_path, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with one_line(str(path), "expected JSON", "found", "run the step"):
        read_json(path)


def test_reading_nothing(tmp_path):
    with one_line(str(tmp_path / "no.json"), "cannot be read", "No such file"):
        read_json(tmp_path / "no.json")
    with one_line(str(tmp_path), "cannot be read"):
        read_json(tmp_path)


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\n one. \ntwo")) == "one."
    assert first_line(OSError("  ")) == "OSError"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # UTF-8 cannot hold a lone surrogate
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.just("ä") | st.text("abc"), inner)
    ),
    max_leaves=10,
)


@given(value=JSON)
def test_json_round_trip(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    write_json(path, value)
    assert read_json(path) == value
    assert json.loads(path.read_text(encoding="utf-8")) == value


def test_who_waits_for_a_lock_is_told_for_whom(tmp_path, capsys):
    lock = tmp_path / "deep" / ".lock"
    script = (
        "import sys, time; from pathlib import Path; from ser.project import alone\n"
        "with alone(Path(sys.argv[1]), 'works'): print('held', flush=True); time.sleep(2)"
    )
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        begun = time.monotonic()
        with alone(lock, "works"):
            assert time.monotonic() - begun > 1.2  # it does not give up after a second
    assert f"process {other.pid} on " in (said := capsys.readouterr().out)
    assert said.endswith("works; waiting for it.\n")
    assert [file.name for file in lock.parent.iterdir()] == [".lock"]
