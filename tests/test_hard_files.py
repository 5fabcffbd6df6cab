"""Small files that cost a batch or gigabytes: refused by name, or heard in blocks."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from conftest import SMALL, one_line, ser_command
from odd_files import encoded, speech_like

from ser import formats
from ser.audio import AudioError, decode, to_mono, to_waveform
from ser.config import AudioConfig
from ser.formats import Limits
from ser.inference import load_model, sandbox

HOUR = 3_599


def claiming(path, rate, channels, seconds):
    """Write a FLAC of a moment whose header claims so much."""
    data = bytearray(encoded(np.zeros((5_000, channels)), rate, "FLAC"))
    frames = int(rate * seconds)
    data[21] = data[21] & 0xF0 | frames >> 32  # the number of frames has 36 bits
    data[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def silence(path, rate, channels, seconds):
    """Write a FLAC of silence, block by block."""
    with soundfile.SoundFile(path, "w", rate, channels, format="FLAC") as file:
        for _ in range(seconds):
            file.write(np.zeros((rate, channels), np.int16))
    return path


def test_what_claims_gigabytes_is_named_and_the_others_are_answered(tmp_path, demo_shelf):
    clips = sorted(demo_shelf.rglob("*.opus"))[3:5]
    bad = claiming(tmp_path / "claims.flac", 655_350, 8, HOUR)
    assert soundfile.info(bad).frames == 655_350 * HOUR
    done = ser_command("predict", clips[0], bad, clips[1], "-m", SMALL, "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert ["error" in answer for answer in found] == [False, True, False]
    assert done.stderr.splitlines() == [f"ser: {found[1]['error']}"]
    with one_line(f"{bad}: 3,599 s of 655,350 Hz in 8 channels", "Mix it down", kind=AudioError):
        decode(bad)
    with one_line("the recording: 119 s of 655,350 Hz in 8 channels", kind=AudioError):
        sandbox.decode_aside(claiming(bad, 655_350, 8, 119))


def test_memory_that_ends_ends_one_file(tmp_path, demo_shelf, predict, monkeypatch):
    clip = sorted(demo_shelf.rglob("*.opus"))[3]
    bad = tmp_path / "bad.wav"
    bad.write_bytes(encoded(speech_like()))
    whole = decode(clip)

    def decode_some(path, *_):
        if path == bad:
            raise MemoryError
        return whole

    monkeypatch.setattr("ser.audio.decode", decode_some)
    code, out, said = predict(bad, clip, "--json")
    assert code == 2
    assert [answer.get("error") for answer in json.loads(out)] == [said[5:-1], None]
    assert said == f"ser: {bad}: there is not enough memory for it.\n"


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 96_000, 8), ("a.flac", 44_100, 2), ("a.mp3", 48_000, 1), ("a.wav", 8_000, 2)],
)
@pytest.mark.parametrize("block", [1 << 20, 5_001])
def test_a_large_recording_is_heard_as_if_it_were_whole(
    tmp_path, monkeypatch, name, rate, channels, block
):
    path = tmp_path / name
    kind, subtype = path.suffix[1:].upper(), "MPEG_LAYER_III" if name == "a.mp3" else "PCM_16"
    path.write_bytes(encoded(speech_like(3.3, rate, channels), rate, kind, subtype))
    before = decode(path)
    monkeypatch.setattr(formats, "LARGE_BYTES", 100_000)
    monkeypatch.setattr("ser.audio.AT_ONCE", block)
    found = decode(path, Limits(heard_hz=16_000))
    expected = to_mono(before.samples)
    if rate > 16_000:
        expected = soxr.resample(expected, rate, 16_000, quality="HQ")
    np.testing.assert_allclose(found.samples[:, 0], expected, atol=1e-6)
    assert found.samples.shape[1] == 1
    assert (found.pcm_sha256, found.truncated) == (before.pcm_sha256, before.truncated)
    assert (found.file_rate_hz, found.n_channels) == (rate, channels)
    assert found.sample_rate_hz == min(rate, 16_000)
    assert (before.file_rate_hz, before.n_channels) == (rate, channels)
    wanted = AudioConfig(sample_rate_hz=16_000)
    heard = [to_waveform(r.samples, r.sample_rate_hz, wanted) for r in (found, before)]
    np.testing.assert_allclose(*heard, atol=1e-6)


PEAK = """
import resource, sys, threading, time
from pathlib import Path
{work}
status = Path("/proc/self/status").read_text()  # rusage would begin with the peak of pytest
own = int(status.partition("VmHWM:")[2].split()[0]) // 1024
theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(own, theirs, time.monotonic() - began)
"""


def measured(work, path):
    """Peak memory in MB, of a process and of its children, and seconds."""
    if sys.platform != "linux":
        pytest.skip("peak memory is read from /proc")
    code = PEAK.format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(SMALL)], capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return [float(value) for value in done.stdout.split()]


DECODE = """
from ser.audio import decode
began = time.monotonic()
assert decode(sys.argv[1]).duration_s > 1
"""
ASIDE = DECODE.replace("ser.audio", "ser.inference.sandbox").replace("decode", "decode_aside")


@pytest.mark.slow
def test_an_hour_in_six_channels_takes_less_than_a_gigabyte(tmp_path):
    own, _, _ = measured(DECODE, silence(tmp_path / "hour.flac", 48_000, 6, HOUR))
    assert own < 1_000


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "channels"), [(655_350, 1), (96_000, 8)])
def test_an_upload_takes_little_memory(tmp_path, rate, channels):
    own, theirs, _ = measured(ASIDE, silence(tmp_path / "up.flac", rate, channels, 119))
    assert max(own, theirs) < 300


def test_samples_far_outside_full_scale_are_refused(tmp_path):
    samples = speech_like()
    samples[8_000] = 1e30
    soundfile.write(tmp_path / "spike.wav", samples, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "loud.wav", 3 * speech_like(), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "integers.wav", 32_767 * speech_like(), 16_000, subtype="FLOAT")
    model = load_model(SMALL)
    for name, found in (("spike", "1e+30"), ("integers", "3.22e+04")):
        with one_line(f"{name}.wav: expected samples of -1 to 1, found {found}", "Divide"):
            model.predict(tmp_path / f"{name}.wav")
    assert model.predict(tmp_path / "loud.wav").duration_s == 1
    with one_line("huge values", "divide by the full scale", kind=AudioError):
        model.predict(samples[:, 0], 16_000)


def test_what_is_too_short_is_named(tmp_path, predict):
    path = tmp_path / "short.wav"
    path.write_bytes(encoded(speech_like(0.02)))
    said = f"{path}: the recording is 0.020 s long; at least 0.05 s are needed to hear an emotion."
    with one_line(said, kind=AudioError):
        load_model(SMALL).predict(path)
    assert predict(path)[2] == f"ser: {said}\n"


def id3(body=b"", footer=False):
    size = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + bytes([16 * footer]) + size + body + bytes(10 * footer)


def test_a_chain_of_tags_is_passed_over_in_silence(tmp_path, capfd):
    sound = encoded(speech_like(), kind="MP3", subtype="MPEG_LAYER_III")
    path = tmp_path / "a.mp3"
    path.write_bytes(sound)
    expected = decode(path).pcm_sha256
    capfd.readouterr()
    for tags in (id3() * 1_000, id3(b"\xff" * 20) * 50, id3(bytes(300)), id3(bytes(9), True)):
        path.write_bytes(tags + sound)
        assert decode(path).pcm_sha256 == decode(tags + sound).pcm_sha256 == expected
    assert len(capfd.readouterr().err.splitlines()) < 20
    path.write_bytes(id3() * 1_000)
    with one_line("a.mp3: ", kind=AudioError):
        decode(path)


def test_what_libraries_write_is_bounded():
    code = (
        "import os, sys\nfrom ser import cli\n"
        "def noisy(*_, **__):\n"
        "    for _ in range(20_000): os.write(2, b'x' * 99 + b'\\n')\n"
        "    print('own words', file=sys.stderr)\n"
        "cli.app = noisy\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert "own words" in done.stderr
    assert 0 < done.stderr.count("x") <= 10_000


def test_a_pipe_without_end_is_ended(predict, monkeypatch):
    monkeypatch.setattr("ser.cli.inputs.MOST_BYTES", 100)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(10_000))))
    code, _, said = predict("-")
    assert code == 2
    assert said == "ser: standard input: more than 0 MB came. Save it to a file first.\n"
