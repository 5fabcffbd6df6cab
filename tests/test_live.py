"""Live answers: a replayed file is heard in time, silence gets none, no microphone is one line."""

import csv
import io
import sys
import time
import types

import numpy as np
import pytest
import soundfile
from conftest import SMALL, one_line
from test_windows import CARD, RATE, hear, silence, speech  # noqa: F401  fixtures among them

from ser.cli import app, show
from ser.inference import Model, live, load_model


@pytest.fixture
def said(tmp_path, speech):  # noqa: F811
    """A file: a second of silence, three seconds of speech, three of silence."""
    path = tmp_path / "said.wav"
    parts = [silence(1), np.clip(speech[: 3 * RATE], -1, 1), silence(3)]
    soundfile.write(path, np.concatenate(parts), RATE)
    return path


def test_a_file_comes_in_blocks_and_whole(said):
    blocks = list(live.blocks_of_file(said, 0.4, realtime=False))
    assert {rate for _, rate in blocks} == {RATE}
    assert [len(block) for block, _ in blocks[:-1]] == [6_400] * (len(blocks) - 1)
    expected, _ = soundfile.read(said, dtype="float32")
    np.testing.assert_array_equal(np.concatenate([block for block, _ in blocks]), expected)


def test_a_file_is_replayed_at_the_speed_of_speech(said):
    started_s = time.monotonic()
    times = []
    for _ in zip(live.blocks_of_file(said, 0.1), range(10), strict=False):
        times.append(time.monotonic() - started_s)
    late_s = np.array(times) - 0.1 * (1 + np.arange(10))
    assert min(late_s) > -0.02
    assert np.median(late_s) < 0.09  # a busy machine may miss a moment, and catches up


def test_who_speaks_is_answered_and_silence_is_not(said):
    heard = []

    def listen(samples, rate):
        heard.append(len(samples) / rate)
        return hear(samples, rate)

    model = Model(listen, 2.0, CARD)
    ticks = list(live.listen(model, live.blocks_of_file(said, realtime=False)))
    assert [tick.time_s for tick in ticks] == pytest.approx(0.5 * (1 + np.arange(14)))
    assert max(heard) == 2.0
    answered = [tick.time_s for tick in ticks if tick.label]
    assert min(answered) > 1.0
    assert 3.5 <= max(answered) <= 5.6
    for tick in ticks:
        assert tick.latency_s >= 0
        if tick.label:
            assert tick.label == max(tick.probabilities, key=tick.probabilities.get)
        else:
            assert tick.probabilities == {}


def test_a_bundle_answers_in_time(said):
    model = load_model(SMALL)
    medians_s = []
    for _ in range(3):  # other processes only ever add to a time, so the best round counts
        ticks = list(live.listen(model, live.blocks_of_file(said, realtime=False)))
        medians_s.append(np.median([tick.latency_s for tick in ticks]))
    assert min(medians_s) < 0.15


def test_the_command_replays_a_file(said, tmp_path, monkeypatch, capsys):
    saved = tmp_path / "out" / "said.csv"
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    app(
        ["listen", "--file", str(said), "-m", str(SMALL), "--save", str(saved)],
        standalone_mode=False,
    )
    shown = capsys.readouterr().out
    assert "0:07.0 heard" in shown
    assert "(nobody speaks)" in shown
    rows = list(csv.DictReader(saved.open()))
    assert len(rows) == 14
    assert rows[0]["label"] == ""
    spoken = [row for row in rows if row["label"]]
    total = sum(float(spoken[0][name]) for name in load_model(SMALL).classes)
    assert total == pytest.approx(1, abs=1e-3)


def test_ctrl_c_ends_with_a_summary(capsys):
    def ticks():
        yield live.Tick(0.5, {}, "", 0.01)
        yield live.Tick(1.0, {"quiet": 0.2, "loud": 0.8}, "loud", 0.02)
        raise KeyboardInterrupt

    seen = show.show_live(ticks(), ("quiet", "loud"))
    assert len(seen) == 2
    show.show_heard(seen)
    shown = capsys.readouterr().out
    assert "1 of 2 answers; the slowest took 20 ms" in shown
    assert "loud     100.0 %" in shown
    rows = list(csv.DictReader(io.StringIO(show.live_csv(seen, ("quiet", "loud")))))
    assert rows[1]["loud"] == "0.8"
    show.show_heard([])
    assert "nothing was heard" in capsys.readouterr().out


def test_without_sounddevice_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with one_line("pip install sounddevice", "--file"):
        next(live.blocks_of_microphone())


def test_without_a_microphone_one_line_says_so():
    pytest.importorskip("sounddevice", reason="needs sounddevice and PortAudio", exc_type=OSError)
    with one_line("no microphone can be opened", "python -m sounddevice", "--file"):
        next(live.blocks_of_microphone(device="no such microphone"))


def test_a_microphone_gives_blocks(monkeypatch):
    """PortAudio's part is played here: a thread of its own would call back the same way."""

    class Stream:
        def __init__(self, *, samplerate, blocksize, callback, **_):
            self.size, self.callback = blocksize, callback

        def __enter__(self):
            for level in (0.1, 0.2):
                block = np.full((self.size, 1), level, np.float32)
                self.callback(block, self.size, None, None)

        def __exit__(self, *_):
            pass

    stand_in = types.SimpleNamespace(
        query_devices=lambda device, kind: {"default_samplerate": 8_000.0},
        InputStream=Stream,
        PortAudioError=RuntimeError,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", stand_in)
    blocks = live.blocks_of_microphone(0.5)
    for level in (0.1, 0.2):
        block, rate = next(blocks)
        assert rate == 8_000
        np.testing.assert_array_equal(block, np.full(4_000, level, np.float32))
    blocks.close()
