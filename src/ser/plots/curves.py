"""What any threshold would give: ROC and precision-recall curves of each class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from ser.plots.style import COLOURS, GREY, legend_outside, new_axes, percent_axis

Curve = tuple[np.ndarray, np.ndarray, float]


def roc(curves: Mapping[str, Curve], ax: Axes | None = None) -> Axes:
    """Draw how many clips of a class are found, against how many others are taken for it.

    Parameters
    ----------
    curves : mapping of str to (ndarray, ndarray, float)
        Class to false positive rate, true positive rate, each 0 to 1 and of shape (n_thresholds,),
        and the area under the curve: what `sklearn.metrics.roc_curve` and ``auc`` give.
    """
    ax = _curves(curves, ax, "AUC {:.2f}")
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
    ax.set(xlabel="clips of other classes taken for it (%)", ylabel="clips of the class found (%)")
    return ax


def precision_recall(curves: Mapping[str, Curve], ax: Axes | None = None) -> Axes:
    """Draw how many of the clips called so are of the class, against how many of them are found.

    Parameters
    ----------
    curves : mapping of str to (ndarray, ndarray, float)
        Class to recall, precision, each 0 to 1 and of shape (n_thresholds,), and the average
        precision: what `sklearn.metrics.precision_recall_curve` and ``average_precision_score``
        give.
    """
    ax = _curves(curves, ax, "AP {:.2f}", drawstyle="steps-post")
    ax.set(xlabel="recall: clips of the class found (%)", ylabel="precision of the answer (%)")
    return ax


def _curves(
    curves: Mapping[str, Curve], ax: Axes | None, area: str, drawstyle: str = "default"
) -> Axes:
    ax = new_axes(ax, 5.5, 5.5)
    for number, (name, (x, y, value)) in enumerate(curves.items()):
        colour, dashes = COLOURS[number % len(COLOURS)], "-" if number < len(COLOURS) else "--"
        label = f"{name} ({area.format(value)})"
        ax.plot(x, y, dashes, color=colour, drawstyle=drawstyle, label=label)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    percent_axis(ax, "xy")
    legend_outside(ax, "below", 2)
    return ax
