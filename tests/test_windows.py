"""Recordings of any length: speech is found, nothing else is answered for, one answer for all."""

import itertools

import numpy as np
import pytest
import soxr
from conftest import one_line

from ser.audio import decode, to_waveform
from ser.config import AudioConfig, to_dict
from ser.inference import speech as detection
from ser.inference.model import Model
from ser.inference.speech import AROUND_S, BEGINS, find_speech, has_speech, speech_probability
from ser.project import AudioError

RATE = 16_000
AUDIO = AudioConfig(sample_rate_hz=RATE)
CARD = {"classes": ("quiet", "loud"), "audio": to_dict(AUDIO)}
NOT_SPEECH = {  # five seconds of each
    "silence": np.zeros(5 * RATE, np.float32),
    "noise": np.random.default_rng(0).normal(size=5 * RATE).astype(np.float32) / 20,
    "sine": (0.2 * np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE)).astype(np.float32),
}


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


def test_margins_meet_in_the_middle_of_a_pause():
    speaking = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], [20, 20, 12, 20, 20])  # every 32 ms
    near = detection.stretches(speaking, 2.944)
    assert near == [pytest.approx((0.54, 1.38)), pytest.approx((1.564, 2.404))]
    around = detection.stretches(speaking, 2.944, 0.3)
    assert around == [pytest.approx((0.34, 1.472)), pytest.approx((1.472, 2.604))]
    assert detection.stretches(speaking, 2.4, 0.7)[0][0] == 0
    assert detection.stretches(speaking, 2.4, 0.7)[-1][1] == 2.4
    assert detection.stretches(np.zeros(9), 0.288, 0.3) == []


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_any_rate_and_two_channels_do(speech, rate):
    other = soxr.resample(speech, RATE, rate)
    found = find_speech(np.stack([other, other], axis=1), rate)
    assert sum(end - start for start, end in found) > 0.7 * len(speech) / RATE
    assert found[-1][1] <= len(other) / rate


@pytest.mark.parametrize("kind", NOT_SPEECH)
def test_what_is_no_speech_gets_no_answer(model, kind):
    for samples in (NOT_SPEECH[kind], NOT_SPEECH[kind][: 3 * RATE]):  # in windows, and as one
        answer = model.predict(samples, RATE)
        assert (answer.label, answer.probabilities, answer.segments) == ("", {}, ())
        assert answer.no_speech
        assert not answer.mixed
        assert len(answer.warnings) == 1
    assert not has_speech(samples, RATE)
    assert speech_probability(samples, RATE).max() < BEGINS


@pytest.mark.parametrize("shape", [(0,), (0, 2)])
def test_nothing_at_all_is_an_error(model, shape):
    with one_line(kind=AudioError):
        model.predict(np.zeros(shape), RATE)


def test_a_long_recording_is_heard_in_pieces_as_in_one(speech, monkeypatch):
    recording = np.concatenate([silence(1), speech, silence(1)])
    found = speech_probability(recording, RATE)
    assert len(found) == -(-len(recording) // detection.CHUNK) and found.max() > 0.9
    monkeypatch.setattr(detection, "AT_ONCE", 7)
    np.testing.assert_allclose(speech_probability(recording, RATE), found, atol=1e-6)


def test_a_change_of_voice_is_a_change_of_segment(model, speech):
    answer = model.predict(np.concatenate([speech, silence(1), speech / 10]), RATE)
    border_s = len(speech) / RATE
    assert {segment.label for segment in answer.segments} == {"quiet", "loud"}
    for segment in answer.segments:
        assert segment.label == ("loud" if segment.start_s < border_s else "quiet")
        assert sum(segment.probabilities.values()) == pytest.approx(1)
        assert max(segment.probabilities, key=segment.probabilities.get) == segment.label
    times = [edge for segment in answer.segments for edge in (segment.start_s, segment.end_s)]
    assert times == sorted(times)
    assert answer.in_windows
    assert answer.mixed
    assert any(warning.startswith("mixed") for warning in answer.warnings)


def test_the_longer_emotion_names_the_recording_whatever_comes_first(model, speech):
    first, after = np.resize(speech, int(7.6 * RATE)) / 10, np.resize(speech, 30 * RATE)
    answer = model.predict(np.concatenate([first, silence(1), after]), RATE)
    assert answer.label == "loud"
    assert answer.segments[0].label == "quiet"
    assert not answer.mixed
    lengths = np.array([segment.duration_s for segment in answer.segments])
    for name in model.classes:  # the headline is made of the segments
        values = np.array([segment.probabilities[name] for segment in answer.segments])
        expected = float(lengths @ values / lengths.sum())
        assert answer.probabilities[name] == pytest.approx(expected, abs=1e-12)


def test_a_short_recording_is_one_segment_and_its_answer(model, speech):
    answer = model.predict(speech[: 3 * RATE], RATE)
    (segment,) = answer.segments
    assert (segment.start_s, segment.end_s) == (0.0, answer.duration_s)
    assert segment.probabilities == answer.probabilities
    assert not answer.in_windows


def test_neighbours_with_one_answer_are_one_segment(model, speech):
    found, stretches = model.predict(speech, RATE).segments, find_speech(speech, RATE, AROUND_S)
    edges = [(segment.start_s, segment.end_s) for segment in found]
    np.testing.assert_allclose(edges, stretches, atol=1e-3)


def test_windows_are_no_longer_than_the_model_hears(speech):
    heard = []

    def listen(samples, rate):
        heard.append(len(samples) / rate)
        return np.array([0.5, 0.5]), None

    Model(listen, 2.0, CARD).predict(speech, RATE)
    assert max(heard) <= 2.3
