"""How a score follows what it costs, or what it was learnt from."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from ser.plots.style import COLOURS, chance_line, legend_outside, new_axes, percent_axis

_ROOM = 1.6  # the horizontal axis goes beyond the points by this factor


def score_against(
    table: pd.DataFrame,
    x: str,
    ax: Axes | None = None,
    *,
    label: str = "",
    chance: float | None = None,
) -> Axes:
    """Draw UAR against a size that spans orders of magnitude, with intervals.

    Parameters
    ----------
    table : DataFrame
        ``name``, the column `x` (over 0), ``uar``, ``low`` and ``high`` (0 to 1; NaN for no
        interval). Rows of the same name are joined by a line.
    x : str
        Which column: parameters, milliseconds per clip, speakers.
    ax : Axes, optional
        Where to draw; a new figure where not given.
    label : str
        Of the horizontal axis; `x` where left out.
    chance : float, optional
        UAR of guessing, 0 to 1; drawn as a line.

    Returns
    -------
    Axes
        A logarithmic horizontal axis, UAR in percent on the vertical one.
    """
    ax = new_axes(ax)
    for (name, rows), colour in zip(table.groupby("name", sort=False), COLOURS, strict=False):
        rows = rows.sort_values(x)
        known = rows.dropna(subset=["low", "high"])
        if len(known):
            ax.vlines(known[x], known["low"], known["high"], color=colour, linewidth=1.5)
        ax.plot(rows[x], rows["uar"], "o-", color=colour, label=name)
    if chance is not None:
        chance_line(ax, chance)
    ax.set_xscale("log")
    ax.set(
        xlim=(table[x].min() / _ROOM, table[x].max() * _ROOM),
        xlabel=label or x,
        ylabel="UAR (%)",
    )
    if table[x].max() / table[x].min() < 100:
        ax.set_xticks(*_ticks(table[x]))
        ax.minorticks_off()
    percent_axis(ax)
    legend_outside(ax, "above", 2)
    return ax


def _ticks(values: pd.Series) -> tuple[list[float], list[str]]:
    """Name the values themselves, unless two are too close to each other."""
    kept: list[float] = []
    for value in sorted(set(values)):
        if not kept or value / kept[-1] > 1.15:
            kept.append(value)
    engineering = EngFormatter(sep="\N{THIN SPACE}")
    names = [engineering(float(f"{value:.2g}")) for value in kept]
    return kept, names
