"""A long recording with the answer for every stretch of speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ser.plots.sound import waveform
from ser.plots.style import COLOURS, legend_outside, new_axes

MOST_POINTS = 20_000
NAMED_FROM = 0.06  # share of the recording that a name needs to fit in


def timeline(
    samples: np.ndarray,
    sample_rate_hz: float,
    segments: Sequence[Any],
    classes: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a waveform, and behind each stretch of speech the colour of its answer."""
    ax = new_axes(ax, width=10, height=3)
    mono = np.asarray(samples, float).reshape(len(samples), -1).mean(axis=1)
    every = max(1, len(mono) // MOST_POINTS)
    waveform(mono[::every], sample_rate_hz / every, ax)
    ax.lines[-1].set_color("0.25")
    seen = set()
    for segment in segments:
        colour = COLOURS[list(classes).index(segment.label) % len(COLOURS)]
        label = None if segment.label in seen else segment.label
        ax.axvspan(segment.start_s, segment.end_s, color=colour, alpha=0.35, lw=0, label=label)
        seen.add(segment.label)
        if segment.end_s - segment.start_s > NAMED_FROM * len(mono) / sample_rate_hz:
            middle = (segment.start_s + segment.end_s) / 2
            ax.text(middle, ax.get_ylim()[1], segment.label, ha="center", va="top", fontsize=9)
    if seen:
        legend_outside(ax, "above", min(4, len(seen)))
    return ax
