"""Files, folders, patterns and standard input on the command line, and what is answered."""

import csv
import io
import json
import os

import numpy as np
import pytest
import soundfile
from conftest import one_line, ser_command
from test_export import speech

from ser import audio
from ser.cli import inputs as recordings
from ser.cli import show as terminal
from ser.inference import model as inference


@pytest.fixture
def shelf(tmp_path):
    """Recordings in nested folders, and files that are none."""
    for name in ("b.wav", "deep/er/a.FLAC", "deep/c.ogg", "notes.txt", "deep/er/list.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".txt", ".csv"):
            path.write_text("no sound")
        else:
            kind = path.suffix[1:].upper()
            soundfile.write(path, np.zeros(1_600), 16_000, format=kind)
    return tmp_path


def test_folders_and_patterns_are_looked_into(shelf):
    def relative(names):
        return [os.path.relpath(name, shelf).replace(os.sep, "/") for name in names]

    assert relative(recordings.expand([str(shelf)])) == ["b.wav", "deep/c.ogg", "deep/er/a.FLAC"]
    assert relative(recordings.expand([str(shelf / "*.wav")])) == ["b.wav"]
    assert relative(recordings.expand([str(shelf / "**" / "*.*g")])) == ["deep/c.ogg"]
    twice = recordings.expand([str(shelf / "b.wav"), str(shelf)])
    assert relative(twice) == ["b.wav", "deep/c.ogg", "deep/er/a.FLAC"]
    assert recordings.expand(["-", "no/such.wav"]) == ["-", "no/such.wav"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    path = tmp_path / "take [1].wav"
    path.write_bytes(b"x")
    assert recordings.expand([str(path)]) == [str(path)]


def test_nothing_to_hear_is_one_line(shelf):
    (shelf / "empty").mkdir()
    with one_line("empty: no recording in this folder", ".wav"):
        recordings.expand([str(shelf / "empty")])
    with one_line("no file matches this pattern"):
        recordings.expand([str(shelf / "*.mp3")])


def test_bytes_are_decoded_as_their_file_is(shelf):
    data = (shelf / "b.wav").read_bytes()
    assert audio.decode(data).pcm_sha256 == audio.decode(shelf / "b.wav").pcm_sha256
    for wrong, part in ((b"", "no bytes came"), (b"hello there", "cannot be decoded")):
        with one_line("standard input", part, kind=audio.AudioError):
            audio.decode(wrong)


def test_a_recording_through_a_pipe(one_bundle, demo_shelf):
    clip = sorted(demo_shelf.rglob("*.opus"))[3]
    done = ser_command(
        "predict", "-", "--json", "-m", one_bundle / "bundle", stdin=clip.read_bytes()
    )
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    expected = inference.load_model(one_bundle / "bundle").predict(clip)
    assert answer["file"] == "-"
    assert answer["probabilities"] == pytest.approx(expected.probabilities)


def test_a_folder_as_a_table_and_one_bad_file_in_it(one_bundle, demo_shelf, tmp_path):
    clips = sorted(demo_shelf.rglob("*.opus"))[:2]
    for clip in clips:
        (tmp_path / clip.name).write_bytes(clip.read_bytes())
    (tmp_path / "z.wav").write_text("no sound")
    done = ser_command("predict", tmp_path, "--csv", "-m", one_bundle / "bundle")
    assert done.returncode == 2
    assert "z.wav: expected audio" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    rows = [row for row in rows if row["part"] == "recording"]
    assert [row["file"] for row in rows] == [
        str(tmp_path / n) for n in (*[c.name for c in clips], "z.wav")
    ]
    assert sum(float(rows[0][name]) for name in ("angry", "neutral", "sad")) == pytest.approx(
        1, abs=1e-3
    )
    assert "expected audio" in rows[2]["error"]


def test_a_long_recording_is_answered_stretch_by_stretch(one_bundle, demo_shelf, tmp_path):
    waveform = np.concatenate([np.pad(w, (16_000, 8_000)) for w in speech(demo_shelf, 4)])
    soundfile.write(tmp_path / "long.wav", waveform, 16_000)
    image = tmp_path / "long.png"
    done = ser_command(
        "predict", tmp_path / "long.wav", "-m", one_bundle / "bundle", "--plot", image
    )
    assert done.returncode == 0, done.stderr
    assert " to 0:0" in done.stdout
    assert image.read_bytes().startswith(b"\x89PNG")
    done = ser_command("predict", tmp_path / "long.wav", "-m", one_bundle / "bundle", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["part"] for row in rows] == ["recording", *["segment"] * (len(rows) - 1)]
    assert float(rows[0]["end_s"]) == pytest.approx(len(waveform) / 16_000, abs=0.01)
    starts = [float(row["start_s"]) for row in rows[1:]]
    assert len(rows) > 2
    assert starts == sorted(starts)
    assert starts[0] > 0.5


def test_terminal_shows_short_and_long(capsys):
    answer = inference.Prediction(
        label="sad",
        probabilities={"angry": 0.3, "sad": 0.7},
        warnings=["clipped"],
        duration_s=2.0,
    )
    terminal.show_answer("a.wav", answer)
    shown = capsys.readouterr().out
    assert "a.wav: sad (70 %)" in shown
    assert "█" in shown
    assert "note: clipped" in shown
    terminal.show_answer("a.wav", answer, short=True)
    assert capsys.readouterr().out.splitlines() == ["a.wav: sad (70 %)"]
    nobody = inference.Prediction(label="", probabilities={}, duration_s=2.0, no_speech=True)
    terminal.show_answer("a.wav", nobody)
    assert "a.wav: no speech" in capsys.readouterr().out
