"""`ser predict`: files, folders, patterns, standard input; terminal, JSON and CSV say the same."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import SMALL, one_line, ser_command
from test_windows import NOT_SPEECH

from ser import audio
from ser.cli import inputs, show
from ser.inference import Prediction, load_model


@pytest.fixture
def shelf(tmp_path):
    """Recordings in nested folders, and files that are none."""
    for name in ("b.wav", "deep/er/a.FLAC", "deep/c.ogg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(1_600), 16_000, format=path.suffix[1:].upper())
    for name in ("notes.txt", "deep/er/list.csv", "deep/.hidden.wav"):
        (tmp_path / name).write_text("no sound")
    return tmp_path


@pytest.fixture
def long(demo_shelf, tmp_path):
    """A recording of some ten seconds with pauses."""
    parts = [soundfile.read(path)[0] for path in sorted(demo_shelf.rglob("*.opus"))[::18]]
    soundfile.write(
        tmp_path / "long.wav", np.concatenate([np.pad(p, 8_000) for p in parts]), 24_000
    )
    return tmp_path / "long.wav"


def test_folders_and_patterns_are_looked_into(shelf):
    def relative(*names):
        found = inputs.expand([str(name) for name in names])
        return [os.path.relpath(name, shelf).replace(os.sep, "/") for name in found]

    every = ["b.wav", "deep/c.ogg", "deep/er/a.FLAC"]
    assert relative(shelf) == relative(shelf / "b.wav", shelf) == every
    assert relative(shelf / "*.wav") == ["b.wav"]
    assert relative(shelf / "**" / "*.*g") == ["deep/c.ogg"]
    assert inputs.expand(["-", "no/such.wav"]) == ["-", "no/such.wav"]
    (shelf / "take [1].wav").write_bytes(b"x")  # looks like a pattern
    assert relative(shelf / "take [1].wav") == ["take [1].wav"]
    (shelf / "empty").mkdir()
    with one_line("empty: no recording in this folder", ".opus", ".wav"):
        relative(shelf / "empty")
    with one_line("no file matches this pattern"):
        relative(shelf / "*.mp3")


def test_bytes_are_decoded_as_their_file_is(shelf):
    data = (shelf / "b.wav").read_bytes()
    assert audio.decode(data).pcm_sha256 == audio.decode(shelf / "b.wav").pcm_sha256
    for wrong, part in ((b"", "no bytes came"), (b"hello there", "cannot be decoded")):
        with one_line("standard input", part, kind=audio.AudioError):
            audio.decode(wrong)


def test_a_recording_through_a_pipe(clips):
    done = ser_command("predict", "-", "--json", "-m", SMALL, stdin=clips[0].read_bytes())
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["file"] == "-"
    expected = load_model(SMALL).predict(clips[0])
    assert answer["probabilities"] == pytest.approx(expected.probabilities)


def test_terminal_json_and_csv_say_the_same(predict, clips, long, tmp_path):
    for kind, samples in NOT_SPEECH.items():
        soundfile.write(tmp_path / f"{kind}.wav", samples, 16_000)
    (tmp_path / "text.wav").write_text("no sound")
    files = [*clips, long, *(tmp_path / f"{kind}.wav" for kind in NOT_SPEECH)]
    code, out, err = predict(*files, tmp_path / "text.wav", "--json")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "text.wav: expected audio" in err
    *answers, bad = json.loads(out)
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    assert "expected audio" in bad["error"]
    assert [answer["no_speech"] for answer in answers] == [False] * 3 + [True] * 3
    code, out, err = predict(*files, tmp_path / "text.wav", "--csv")
    assert (code, len(err.splitlines())) == (2, 1)
    rows = list(csv.DictReader(io.StringIO(out)))
    whole = [row for row in rows if row["part"] == "recording"]
    assert "expected audio" in whole.pop()["error"]
    parts = [row for row in rows if row["part"] == "segment"]
    assert {row["file"] for row in parts} == {str(long)}
    assert len(parts) == len(answers[2]["segments"]) > 1
    classes = load_model(SMALL).classes
    spoken = [(row, answer) for row, answer in zip(whole, answers, strict=True) if row["label"]]
    for row, answer in (*spoken, *zip(parts, answers[2]["segments"], strict=True)):
        assert row["label"] == answer["label"]
        found = {name: float(row[name]) for name in classes}
        assert found == pytest.approx(answer["probabilities"], abs=6e-5)
    for row, answer in zip(whole, answers, strict=True):
        assert row["no_speech"] == str(answer["no_speech"])
        assert row["uncertain"] == str(answer["uncertain"])
        assert row["model"] == answer["model"]
        assert row["label"] == answer["label"]
        code, out, _ = predict(answer["file"])
        assert code == 0
        headline, *lines = out.splitlines()
        assert headline.startswith(f"{answer['file']}: ")
        if answer["no_speech"]:
            assert headline.endswith(": no speech")
            assert row[classes[0]] == ""
            continue
        percent = 100 * answer["probabilities"][answer["label"]]
        assert headline.endswith(f"{answer['label']} ({percent:.0f} %)")
        assert ("uncertain" in headline) == answer["uncertain"]
        lines = [line for line in lines if " %" in line and not line.startswith("  note:")]
        shown = [re.findall(r"(\w+) +([\d.]+) %", line) for line in lines]
        ordered = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
        if row["file"] == str(long):
            ordered = [(s["label"], s["probabilities"][s["label"]]) for s in answer["segments"]]
        assert shown == [[(name, f"{100 * value:.1f}")] for name, value in ordered]


def test_two_formats_at_once_are_refused(predict, clips):
    code, out, err = predict(clips[0], "--json", "--csv")
    assert (code, out) == (2, "")
    assert "choose one" in err


def test_a_folder_of_many_gets_a_line_for_each(predict, clips, tmp_path):
    for number in range(6):
        shutil.copy(clips[0], tmp_path / f"{number}.opus")
    _, out, _ = predict(tmp_path)
    assert re.fullmatch(rf"({re.escape(str(tmp_path))}/\d\.opus: .* \(\d+ %\)\n){{6}}", out)


def test_a_timeline_is_drawn(predict, long, tmp_path):
    code, out, err = predict(long, "--plot", tmp_path / "long.png")
    assert code == 0, err
    assert " to 0:0" in out
    assert (tmp_path / "long.png").read_bytes().startswith(b"\x89PNG")


def test_notes_are_shown(capsys):
    values = {"angry": 0.3, "sad": 0.7}
    answer = Prediction("sad", values, 2.0, warnings=["clipped"], uncertain=True)
    show.show_answer("a [1].wav", answer)
    shown = capsys.readouterr().out
    assert shown.startswith("a [1].wav: uncertain, most likely sad (70 %)\n")
    assert "█" in shown
    assert shown.endswith("note: clipped\n")


def test_an_answer_needs_few_packages(clips):
    """None of what takes seconds to import, and nothing of the training packages."""
    code = (
        "import sys; from ser.cli import main\n"
        f"sys.argv = ['ser', 'predict', {str(clips[0])!r}, '-m', {str(SMALL)!r}]\n"
        "try: main()\n"
        "finally: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert " %)" in done.stdout
    loaded = set(done.stderr.split())
    assert loaded >= {"numpy", "onnxruntime", "soundfile", "soxr"}
    heavy = "tensorflow keras librosa pandas sklearn matplotlib scipy joblib pooch requests av"
    assert loaded.isdisjoint(heavy.split())


def test_a_recording_that_was_cut_short_says_so(predict, long, tmp_path):
    (tmp_path / "cut.wav").write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    code, out, _ = predict(tmp_path / "cut.wav")
    assert code == 0
    assert "note: cut short" in out
    assert "cut short" not in predict(long)[1]
