"""Clips as points: where a layer of a model puts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ser.plots.style import COLOURS, GREY, legend_outside, new_axes

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
