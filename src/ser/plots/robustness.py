"""What is left of a result when the recording gets worse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ser.plots.style import COLOURS, chance_line, legend_outside, new_axes, percent_axis


def robustness(
    tables: Mapping[str, pd.DataFrame], ax: Axes | None = None, *, chance: float | None = None
) -> Axes:
    """Draw UAR under each condition, with intervals.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Name of each model to its table, as `ser.studies.robustness.measure` gives it; with the same
        conditions in the same order.
    ax : Axes, optional
        Where to draw; a new figure where not given.
    chance : float, optional
        UAR of guessing, 0 to 1; drawn as a line.

    Returns
    -------
    Axes
        Conditions from top to bottom, UAR in percent on the horizontal axis.
    """
    ax = new_axes(ax, height=5.5)
    conditions = next(iter(tables.values()))["condition"].tolist()
    y = np.arange(len(conditions))
    shifts = (np.arange(len(tables)) - (len(tables) - 1) / 2) * 0.22
    for (name, table), shift, colour in zip(tables.items(), shifts, COLOURS, strict=False):
        ax.hlines(y + shift, table["low"], table["high"], color=colour, linewidth=1.5)
        ax.plot(table["uar"], y + shift, "o", color=colour, label=name)
    if chance is not None:
        chance_line(ax, chance, which="x")
    ax.set_yticks(y, conditions)
    ax.invert_yaxis()
    ax.set_xlabel("UAR (%)")
    percent_axis(ax, "x")
    legend_outside(ax, "above", 2)
    return ax
