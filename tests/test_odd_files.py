"""Two hundred malformed and odd files: an answer or one clear line, never a crash, never a wait."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import SMALL, ser_command
from odd_files import EITHER, GOOD, write_all

from ser.inference import load_model
from ser.project import SerError

LIMIT_S = 5.0
FUZZING_S = 10


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    expected = write_all(folder)
    assert len(expected) >= 200
    return folder, expected


def fits(outcome, error):
    """Whether what happened is what must happen."""
    if error is not None:
        assert "\n" not in error
        assert "Traceback" not in error
        assert len(error) > 30
    return outcome == EITHER or (error is None) == (outcome == GOOD)


def plausible(probabilities):
    values = list(probabilities.values())
    if not values:  # nobody speaks
        return True
    return np.isfinite(values).all() and min(values) >= 0 and abs(sum(values) - 1) < 1e-3


def by_command(paths):
    done = ser_command("predict", *paths, "--json", "-m", SMALL, timeout_s=LIMIT_S * 60)
    assert done.returncode == 2
    answers = json.loads(done.stdout)
    assert [answer["file"] for answer in answers] == [str(path) for path in paths]
    return [(answer.get("error"), answer.get("probabilities", {})) for answer in answers]


def by_python(paths):
    model = load_model(SMALL)
    for path in paths:
        started_s = time.monotonic()
        try:
            yield None, model.predict(path).probabilities
        except SerError as problem:
            yield str(problem), {}
        assert time.monotonic() - started_s < LIMIT_S, path


def by_page(paths):
    pytest.importorskip("gradio", reason="needs the extra `app`")
    from ser.inference import page

    model = load_model(SMALL)
    for path in paths:
        started_s = time.monotonic()
        message, probabilities, _ = page.answer(model, str(path))
        assert time.monotonic() - started_s < 2 * LIMIT_S, path
        assert str(path.parent) not in message
        yield None if message.startswith("### ") else message, probabilities or {}


@pytest.mark.parametrize("way", [by_command, by_python, by_page])
@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_every_file_is_answered_or_refused_in_one_line(files, way, step):
    folder, expected = files
    names = list(expected)[::step]
    found = list(way([folder / name for name in names]))
    wrong = [
        (name, error)
        for name, (error, probabilities) in zip(names, found, strict=True)
        if not fits(expected[name], error) or not plausible(probabilities)
    ]
    assert wrong == []


@pytest.mark.slow
def test_fuzzing_the_decoder(files):
    """In a process of its own: a fault in a library would take it down."""
    folder, _ = files
    code = f"""
import pathlib, random, sys, tempfile, time
from ser.audio import decode, to_waveform
from ser.config import AudioConfig
from ser.project import AudioError
rng, n = random.Random(0), 0
seeds = [p.read_bytes() for p in sorted(pathlib.Path({str(folder)!r}).glob("whole-*"))]
end = time.monotonic() + {FUZZING_S}
while time.monotonic() < end:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 3, 30))):
        at = rng.randrange(min(len(data), rng.choice((48, 400, 10**9))))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 60)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 60))
        else:
            data[at] ^= 1 << rng.randrange(8)
        if not data:
            break
    started = time.monotonic()
    try:
        found = decode(bytes(data))
        to_waveform(found.samples, found.sample_rate_hz, AudioConfig(sample_rate_hz=16_000))
    except AudioError as error:
        assert "\\n" not in str(error)
    assert time.monotonic() - started < {LIMIT_S}, bytes(data)[:200]
    n += 1
print(n)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=120
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert int(shown.stdout) > 100
