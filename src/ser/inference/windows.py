"""Stretches of speech become answers: windows that overlap, averaged where they do."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

Heard = tuple[np.ndarray, "np.ndarray | None"]  # probabilities, weights of attention
Hear = Callable[[np.ndarray, float], Heard]  # samples and their rate
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

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.start_s


def segments_of(
    hear: Hear,
    classes: Sequence[str],
    samples: np.ndarray,
    sample_rate_hz: float,
    stretches: Sequence[tuple[float, float]],
    window_s: float,
) -> list[Segment]:
    """Answer for stretches of speech, given in seconds; neighbours of one label are joined."""
    found: list[Segment] = []
    for start_s, end_s in stretches:
        n_cells = max(1, round((end_s - start_s) / HOP_S))
        edges = np.linspace(start_s, end_s, n_cells + 1)
        per_window = max(1, min(n_cells, round(window_s / HOP_S)))
        totals, counts = np.zeros((n_cells, len(classes))), np.zeros(n_cells)
        for first in range(n_cells - per_window + 1):
            begin, end = edges[first] * sample_rate_hz, edges[first + per_window] * sample_rate_hz
            answer, _ = hear(samples[int(begin) : int(end)], sample_rate_hz)
            totals[first : first + per_window] += answer
            counts[first : first + per_window] += 1
        found += _joined(classes, edges, totals / counts[:, None])
    return found


def _joined(classes: Sequence[str], edges: np.ndarray, cells: np.ndarray) -> Iterator[Segment]:
    labels = cells.argmax(axis=1)
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    for first, after in zip(starts, [*starts[1:], len(labels)], strict=True):
        yield Segment(
            start_s=round(float(edges[first]), 3),
            end_s=round(float(edges[after]), 3),
            label=classes[labels[first]],
            probabilities=named(classes, cells[first:after].mean(axis=0)),
        )


def mean_of(segments: Sequence[Segment], classes: Sequence[str]) -> dict[str, float]:
    """Average segments, each weighing as much as it lasts: the answer about the whole recording."""
    lengths = np.array([segment.duration_s for segment in segments])
    values = np.array([[s.probabilities[name] for name in classes] for s in segments])
    return named(classes, lengths @ values / lengths.sum())


def named(classes: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Put class names to probabilities."""
    return {name: float(value) for name, value in zip(classes, values, strict=True)}


def most_probable(probabilities: dict[str, float]) -> str:
    """Name the most probable class, the first of equals; nothing where there is none."""
    return max(probabilities, key=lambda name: probabilities[name], default="")


def clock(seconds: float) -> str:
    """Write a time as minutes, seconds and tenths.

    >>> clock(62.49)
    '1:02.5'
    """
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"
