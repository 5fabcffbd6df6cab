"""One look for all figures, and the mark that those of the demo corpus carry."""

from contextlib import AbstractContextManager
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import ScaledTranslation

BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, YELLOW, GREY)

# For `Axes.annotate`: a number on top of a bar.
ABOVE: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom"}

STYLE: Any = {
    "figure.facecolor": "white",
    "figure.figsize": (8.0, 4.5),  # inches
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "figure.max_open_warning": 0,  # a notebook draws many
    "axes.titleweight": "bold",
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
}


MARK = "ser.plots.style:mark_figure"  # what Matplotlib calls with each new figure


def use_style(*, demo: bool = False) -> None:
    """Give all figures from here on the style of this package; a notebook calls it once.

    Parameters
    ----------
    demo : bool
        Write "demo corpus" above every figure, for what is drawn from it is no result.
    """
    hooks = [MARK] if demo else []
    plt.rcParams.update({**STYLE, "figure.hooks": hooks})


def mark_figure(figure: Figure) -> None:
    """Write "demo corpus" above a figure, at its right end; `use_style` has it called."""
    style: Any = {"color": VERMILION, "fontweight": "bold", "fontsize": 11}
    figure.text(1.0, 1.0, "demo corpus", ha="right", va="bottom", **style)


def style() -> AbstractContextManager[None]:
    """Give figures the style of this package inside a ``with`` block, and nowhere else."""
    return plt.rc_context(STYLE)


def restyle(ax: Axes) -> None:
    """Give axes that another library drew the look of ours."""
    ax.set_facecolor(STYLE["figure.facecolor"])
    ax.grid(visible=True, color=STYLE["grid.color"], linewidth=STYLE["grid.linewidth"])
    for side, spine in ax.spines.items():
        spine.set_visible(STYLE.get(f"axes.spines.{side}", True))
        spine.set_color("black")
    ax.tick_params(colors="black", labelsize=STYLE["xtick.labelsize"])
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(color="black", fontsize=STYLE["axes.labelsize"])


def new_axes(ax: Axes | None, width: float = 8.0, height: float = 4.5) -> Axes:
    """Take the caller's axes, or make a figure of so many inches with one."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def percent(value: float, digits: int = 0) -> str:
    """Write a fraction in percent, as in "12.5 %"."""
    return f"{value:.{digits}%}".replace("%", " %")


def percent_axis(ax: Axes, which: str = "y") -> None:
    """Label the ticks of fractions in percent; `which` may name both axes, "xy"."""
    for axis in (getattr(ax, f"{name}axis") for name in which):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=None))


def chance_line(ax: Axes, chance: float | None, label: str = "", which: str = "y") -> None:
    """Draw what guessing reaches, if that is known."""
    if chance is not None:
        label = label or f"chance ({percent(chance, 1)})"
        line = ax.axvline if which == "x" else ax.axhline
        line(chance, color=GREY, linestyle="--", linewidth=1.2, label=label)


def legend_outside(ax: Axes, side: str, n_columns: int = 1) -> Legend:
    """Put the legend where it can hide neither data nor labels."""
    places: dict[str, Any] = {
        "above": ("lower center", 1.0, 0.26),
        "below": ("upper center", 0.0, -0.5),
    }
    anchor, y, inches = places[side]
    away = ScaledTranslation(0, inches, ax.figure.dpi_scale_trans)
    return ax.legend(
        loc=anchor,
        bbox_to_anchor=(0.5, y),
        bbox_transform=ax.transAxes + away,
        ncols=n_columns,
        borderaxespad=0.0,
    )
