"""What is left of a score: rung by rung, recording by recording, and for what it costs."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from ser.plots.style import (
    ABOVE,
    BLUE,
    COLOURS,
    GREY,
    PURPLE,
    STYLE,
    VERMILION,
    chance_line,
    legend_outside,
    new_axes,
    percent_axis,
)

_N_COLUMNS = 3
_RUNGS = ("claim", "a", "b", "c", "d")
_ROOM = 1.6  # the horizontal axis of `score_against` goes beyond the points by this factor


def ladder(
    table: pd.DataFrame, human: float | None = None, axes: np.ndarray | None = None
) -> np.ndarray:
    """Draw one panel per recipe: the claim, then the accuracy on every rung with its interval.

    Parameters
    ----------
    table : DataFrame
        As `ser.studies.ladder.write_table` makes it; accuracies 0 to 1.
    human : float, optional
        Accuracy of human listeners, 0 to 1, for a line across the panels.
    axes : ndarray of Axes, optional
        One per recipe, in the order of the table; a new figure where left out.
    """
    names = list(dict.fromkeys(table["recipe"]))
    axes = _panels(len(names)) if axes is None else axes
    known: dict[str, Any] = {}
    for ax, name in zip(axes, names, strict=True):
        _panel(ax, table[table["recipe"] == name], human)
        ax.set_title(name, fontsize=STYLE["axes.labelsize"])
        handles, labels = ax.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    for ax in axes[::_N_COLUMNS]:
        ax.set_ylabel("test accuracy (%)")
    axes[0].figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=2)
    return axes


def _panels(n_panels: int) -> np.ndarray:
    n_rows, n_columns = -(-n_panels // _N_COLUMNS), min(_N_COLUMNS, n_panels)
    size = (max(7.0, 3.6 * n_columns), 0.6 + 3.6 * n_rows)
    _, axes = plt.subplots(
        n_rows, n_columns, figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for ax in axes.flat[n_panels:]:
        ax.set_axis_off()
    return np.asarray(axes.flat[:n_panels])


def _panel(ax: Axes, rows: pd.DataFrame, human: float | None) -> None:
    above: dict[str, Any] = {**ABOVE, "fontsize": 9}
    low, high = rows["claim_low"].iloc[0], rows["claim_high"].iloc[0]
    if pd.notna(low):
        ax.plot([0, 0], [low, high], color=VERMILION, linewidth=6, solid_capstyle="round")
        ax.plot(0, (low + high) / 2, "s", color=VERMILION, markersize=8, label="published claim")
        claim = f"{100 * low:.0f}" if low == high else f"{100 * low:.0f}-{100 * high:.0f}"
        ax.annotate(claim, (0, high), xytext=(0, 7), **above)
    else:
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        place: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "bbox": behind}
        ax.text(0, 0.5, "no number", color=GREY, **place)
    x = [_RUNGS.index(rung) for rung in rows["rung"]]
    values = rows["accuracy"].to_numpy(float)
    limits = rows[["accuracy_low", "accuracy_high"]].to_numpy(float)
    spread = np.nan_to_num(np.abs(limits.T - values))
    ax.errorbar(x, values, spread, fmt="o-", color=BLUE, capsize=3, label="measured, 95 % interval")
    for position, value, top in zip(x, values, values + spread[1], strict=True):
        aside = 9 if position == max(x) else 0  # where the line comes down steeply
        ax.annotate(f"{100 * value:.0f}", (position, top), xytext=(aside, 4), **above)
    chance_line(ax, rows["chance"].iloc[0], "chance")
    if human is not None:
        label = "listeners, CREMA-D voices"
        ax.axhline(human, color=PURPLE, linestyle=":", linewidth=1.6, label=label)
    ax.set_xticks(range(len(_RUNGS)), _RUNGS)
    ax.set(xlim=(-0.6, 4.6), ylim=(0, 1.08))
    percent_axis(ax)
    ax.grid(axis="x", visible=False)


def robustness(
    tables: Mapping[str, pd.DataFrame], ax: Axes | None = None, *, chance: float | None = None
) -> Axes:
    """Draw UAR under each condition, from top to bottom, with intervals.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Name of each model to its table, as `ser.studies.robustness.measure` gives it; one that was
        not asked under some condition has no point there.
    chance : float, optional
        UAR of guessing, 0 to 1; drawn as a line.
    """
    ax = new_axes(ax, height=5.5)
    conditions = list(pd.concat(list(tables.values()))["condition"].unique())
    y = np.arange(len(conditions))
    shifts = (np.arange(len(tables)) - (len(tables) - 1) / 2) * 0.22
    for (name, asked), shift, colour in zip(tables.items(), shifts, COLOURS, strict=False):
        table = asked.set_index("condition").reindex(conditions)
        ax.hlines(y + shift, table["low"], table["high"], color=colour, linewidth=1.5)
        ax.plot(table["uar"], y + shift, "o", color=colour, label=name)
    chance_line(ax, chance, which="x")
    ax.set_yticks(y, conditions)
    ax.invert_yaxis()
    ax.set_xlabel("UAR (%)")
    percent_axis(ax, "x")
    legend_outside(ax, "above", 2)
    return ax


def score_against(
    table: pd.DataFrame,
    x: str,
    ax: Axes | None = None,
    *,
    label: str = "",
    chance: float | None = None,
) -> Axes:
    """Draw UAR, with intervals, against a size that spans orders of magnitude.

    Parameters
    ----------
    table : DataFrame
        ``name``, the column `x` (over 0), ``uar``, ``low`` and ``high`` (0 to 1; NaN for no
        interval). Rows of the same name are joined by a line.
    x : str
        Which column: parameters, milliseconds per clip, speakers.
    label : str
        Of the horizontal axis, which is logarithmic; `x` where left out.
    chance : float, optional
        UAR of guessing, 0 to 1; drawn as a line.
    """
    ax = new_axes(ax)
    for (name, rows), colour in zip(table.groupby("name", sort=False), COLOURS, strict=False):
        rows = rows.sort_values(x)
        known = rows.dropna(subset=["low", "high"])
        if len(known):
            ax.vlines(known[x], known["low"], known["high"], color=colour, linewidth=1.5)
        ax.plot(rows[x], rows["uar"], "o-", color=colour, label=name)
    chance_line(ax, chance)
    low, high = table[x].min(), table[x].max()
    ax.set_xscale("log")
    ax.set(xlim=(low / _ROOM, high * _ROOM), xlabel=label or x, ylabel="UAR (%)")
    if high / low < 100:
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
    return kept, [engineering(float(f"{value:.2g}")) for value in kept]
