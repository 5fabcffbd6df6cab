"""Where a layer of a model puts clips, and which moments of one an answer rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ser.plots.sound import waveform
from ser.plots.style import (
    ABOVE,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    VERMILION,
    legend_outside,
    new_axes,
    percent_axis,
)

_COLOURS = (VERMILION, BLUE, GREEN)
_MARKERS = "o^sDv"  # once all colours are taken, the next marker


def embedding(
    points: np.ndarray,
    names: Sequence[str],
    ax: Axes | None = None,
    *,
    order: Sequence[str] | None = None,
) -> Axes:
    """Draw clips as points of a plane, coloured by what they are.

    Parameters
    ----------
    points : ndarray of float, shape (n_clips, 2)
        What t-SNE or UMAP gives; axes have no unit.
    names : sequence of str
        The group of each clip, such as its emotion or its speaker. More than 40 are not told apart.
    order : sequence of str, optional
        Groups in the order of their colours; alphabetical where left out.
    """
    ax = new_axes(ax, 5.5, 6.0)
    group_of = np.asarray(names, str)
    there = set(group_of.tolist())
    groups = [name for name in (order or sorted(there)) if name in there]
    if len(groups) > len(COLOURS) * len(_MARKERS):
        ax.scatter(points[:, 0], points[:, 1], s=16, color=GREY, linewidths=0)
        groups = []
    for number, group in enumerate(groups):
        marker = _MARKERS[number // len(COLOURS)]
        colour = COLOURS[number % len(COLOURS)]
        chosen = points[group_of == group]
        look: Any = {"s": 22, "marker": marker, "color": colour, "linewidths": 0, "label": group}
        ax.scatter(chosen[:, 0], chosen[:, 1], **look)
    ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    ax.grid(visible=False)
    if groups:
        legend_outside(ax, "below", max(1, min(4, 40 // max(map(len, groups)))))
    return ax


def relevance(
    samples: np.ndarray,
    sample_rate_hz: float,
    measures: Mapping[str, tuple[np.ndarray, np.ndarray]],
    ax: Axes | None = None,
    *,
    speech: Sequence[tuple[float, float]] = (),
) -> Axes:
    """Draw one or more measures of what matters over a waveform, so that they compare.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : float
        Its rate.
    measures : mapping of str to (ndarray, ndarray)
        Name to values and the time at the centre of each in seconds, both of shape (n_steps,) and
        evenly spaced. Negative values count as 0. Each measure is drawn as the share of its sum
        that falls into a tenth of a second, so that steps of different lengths compare.
    speech : sequence of (float, float)
        Stretches to shade, in seconds, as `ser.inference.speech.find_speech` gives them.
    """
    ax = waveform(samples, sample_rate_hz, new_axes(ax, 9.0, 2.8))
    ax.lines[-1].set_color("0.7")
    ax.grid(visible=False)
    duration_s = len(samples) / sample_rate_hz
    for number, (start_s, end_s) in enumerate(speech):
        label = "speech" if number == 0 else None
        ax.axvspan(start_s, end_s, color=GREY, alpha=0.12, linewidth=0, label=label)
    right = ax.twinx()
    for (name, (values, times_s)), colour in zip(measures.items(), _COLOURS, strict=False):
        values, times_s = np.clip(np.asarray(values, float), 0, None), np.asarray(times_s, float)
        step_s = float(np.diff(times_s).mean()) if len(times_s) > 1 else duration_s
        shown = times_s - step_s / 2 < duration_s
        density = values[shown] / max(values.sum(), 1e-12) * 0.1 / step_s
        edges = np.append(times_s[shown] - step_s / 2, times_s[shown][-1] + step_s / 2)
        right.stairs(density, edges, fill=True, color=colour, alpha=0.2)
        right.stairs(density, edges, color=colour, linewidth=1.8, label=name)
    right.set(xlim=(0, duration_s), ylabel="share in 0.1 s (%)")
    right.set_ylim(0, 1.3 * right.get_ylim()[1])  # for the legend
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    percent_axis(right)
    handles = [h for one in (ax, right) for h in one.get_legend_handles_labels()[0]]
    right.legend(handles=handles, loc="upper left", ncols=len(handles))
    return ax


def shares(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how several measures are shared out among the same places.

    Takes shares, 0 to 1: a row for each place, a column for each measure; empty cells stay empty.
    """
    ax = new_axes(ax, 8.0, 3.8)
    width = 0.8 / len(table.columns)
    for number, (name, values) in enumerate(table.items()):
        x = np.arange(len(table)) + (number - (len(table.columns) - 1) / 2) * width
        colour = COLOURS[number % len(COLOURS)]
        ax.bar(x, values.fillna(0.0), width * 0.92, color=colour, label=str(name))
        for position, value in zip(x, values, strict=True):
            if np.isfinite(value):
                ax.annotate(f"{100 * value:.0f}", (position, value), (0, 2), **ABOVE)
    ax.set_xticks(range(len(table)), [str(name) for name in table.index])
    ax.set(ylim=(0, 1.08), ylabel="share (%)")
    ax.grid(axis="x", visible=False)
    percent_axis(ax)
    legend_outside(ax, "above", len(table.columns))
    return ax
