"""What is left of a published accuracy, rung by rung."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ser.plots.style import ABOVE, BLUE, GREY, PURPLE, STYLE, VERMILION, chance_line, percent_axis

N_COLUMNS = 3
POSITIONS = {"claim": 0, "a": 1, "b": 2, "c": 3, "d": 4}


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
        One per recipe; a new figure where left out.

    Returns
    -------
    ndarray of Axes
        One per recipe, in the order of the table.
    """
    names = list(dict.fromkeys(table["recipe"]))
    if axes is None:
        axes = _new_figure(len(names))
    for ax, name in zip(axes, names, strict=True):
        _panel(ax, table[table["recipe"] == name], human)
        ax.set_title(name, fontsize=STYLE["axes.labelsize"])
    for ax in axes[::N_COLUMNS]:
        ax.set_ylabel("test accuracy (%)")
    known: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    figure = axes[0].get_figure()
    if isinstance(figure, Figure):
        figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=2)
    return axes


def _new_figure(n_panels: int) -> np.ndarray:
    n_rows = -(-n_panels // N_COLUMNS)
    n_columns = min(N_COLUMNS, n_panels)
    size = (max(7.0, 3.6 * n_columns), 0.6 + 3.6 * n_rows)
    _, axes = plt.subplots(
        n_rows, n_columns, figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for ax in axes.flat[n_panels:]:
        ax.set_axis_off()
    return np.asarray(axes.flat[:n_panels])


def _panel(ax: Axes, rows: pd.DataFrame, human: float | None) -> None:
    low, high = rows["claim_low"].iloc[0], rows["claim_high"].iloc[0]
    if pd.notna(low):
        ax.plot([0, 0], [low, high], color=VERMILION, linewidth=6, solid_capstyle="round")
        ax.plot(0, (low + high) / 2, "s", color=VERMILION, markersize=8, label="published claim")
        ax.annotate(_percent(low, high), (0, high), xytext=(0, 7), **_ABOVE)
    else:
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        place: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "bbox": behind}
        ax.text(0, 0.5, "no number", color=GREY, **place)
    x = [POSITIONS[rung] for rung in rows["rung"]]
    values = rows["accuracy"].to_numpy(float)
    limits = rows[["accuracy_low", "accuracy_high"]].to_numpy(float)
    spread = np.nan_to_num(np.abs(limits.T - values))
    ax.errorbar(x, values, spread, fmt="o-", color=BLUE, capsize=3, label="measured, 95 % interval")
    for position, value, top in zip(x, values, values + spread[1], strict=True):
        aside = 9 if position == max(x) else 0  # where the line comes down steeply
        ax.annotate(f"{100 * value:.0f}", (position, top), xytext=(aside, 4), **_ABOVE)
    chance_line(ax, rows["chance"].iloc[0], "chance")
    if human is not None:
        label = "listeners, CREMA-D voices"
        ax.axhline(human, color=PURPLE, linestyle=":", linewidth=1.6, label=label)
    ax.set_xticks(list(POSITIONS.values()), list(POSITIONS))
    ax.set_xlim(-0.6, 4.6)
    ax.set_ylim(0, 1.08)
    percent_axis(ax)
    ax.grid(axis="x", visible=False)


_ABOVE: dict[str, Any] = {**ABOVE, "fontsize": 9}


def _percent(low: float, high: float) -> str:
    return f"{100 * low:.0f}" if low == high else f"{100 * low:.0f}-{100 * high:.0f}"
