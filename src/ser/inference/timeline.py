"""A long recording becomes a sequence of answers: where somebody speaks, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ser.inference.model import Model, samples_of
from ser.inference.speech import find_speech

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


def timeline(
    model: Model,
    audio: Any,
    sample_rate_hz: float | None = None,
    *,
    window_s: float = WINDOW_S,
    hop_s: float = HOP_S,
) -> list[Segment]:
    """Answer for every stretch of speech in a recording."""
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
        answer = model.hear(samples[within], rate)
        totals[first : first + per_window] += list(answer.values())
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
