"""How training went, epoch by epoch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ser.evaluation import polynomial_trend
from ser.plots.style import BLUE, GREEN, GREY, VERMILION, legend_outside, percent_axis

_PANELS = (
    ("loss", "loss (cross-entropy, nats)", ("loss", "val_loss")),
    ("accuracy", "accuracy and UAR (%)", ("accuracy", "val_accuracy", "val_uar")),
)
_LINES = {
    "loss": ("training", BLUE),
    "val_loss": ("validation", VERMILION),
    "accuracy": ("training accuracy", BLUE),
    "val_accuracy": ("validation accuracy", VERMILION),
    "val_uar": ("validation UAR", GREEN),
}


def training_curves(
    history: pd.DataFrame,
    axes: np.ndarray | None = None,
    *,
    monitor: str = "val_loss",
    trend_degree: int | None = 2,
) -> np.ndarray:
    """Draw loss, accuracy and UAR over epochs, with their polynomial trends.

    Parameters
    ----------
    history : DataFrame
        One row per epoch, as `ser.training.fitting.fit` returns it: ``epoch`` (from 1), ``loss``,
        ``accuracy``, ``val_loss``, ``val_accuracy`` and ``val_uar``; a column without a number is
        not drawn.
    axes : ndarray of two Axes, optional
        Where to draw; a new figure where not given.
    monitor : str
        The column that chose the model; its best epoch is marked.
    trend_degree : int or None
        Degree of the dashed fits of loss and accuracy (`ser.evaluation.polynomial_trend`), whose
        coefficients stand in the legend; ``e`` is the epoch and accuracy a fraction. None for no
        fit. There is none either where the history has too few epochs.

    Returns
    -------
    ndarray of two Axes
        Loss, and accuracy with UAR.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    watched = history[monitor].to_numpy(float)
    best = np.nanargmin(watched) if monitor == "val_loss" else np.nanargmax(watched)
    epoch = history["epoch"].tolist()[best]
    for ax, (trended, label, columns) in zip(axes, _PANELS, strict=True):
        for column in (name for name in columns if history[name].notna().any()):
            name, colour = _LINES[column]
            marker = "o" if len(history) < 10 else None
            ax.plot(history["epoch"], history[column], color=colour, label=name, marker=marker)
            if column.endswith(trended) and trend_degree is not None:
                _draw_trend(ax, history, column, trend_degree)
        why = "the last" if monitor == "epoch" else f"best {monitor}"
        label_of_best = f"epoch kept: {epoch:.0f} ({why})"
        ax.axvline(epoch, color=GREY, linestyle=":", label=label_of_best)
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_outside(ax, "below")
    axes[0].set_ylim(0, 1.05 * np.nanmax(history[["loss", "val_loss"]].to_numpy(float)))
    axes[1].set_ylim(0, 1)
    percent_axis(axes[1])
    return axes


def _draw_trend(ax: Axes, history: pd.DataFrame, column: str, degree: int) -> None:
    if len(history) <= degree:
        return
    coefficients = polynomial_trend(history, column, degree)
    fitted = np.polyval(coefficients, np.arange(1, len(history) + 1))
    colour = _LINES[column][1]
    label = "   fit: " + _formula(coefficients)
    ax.plot(history["epoch"], fitted, color=colour, linestyle="--", linewidth=1.2, label=label)


def _formula(coefficients: np.ndarray) -> str:
    text = ""  # for example "−0.02 e² + 1.5 e + 0.3"
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        sign = "−" if value < 0 else "+"
        variable = {0: "", 1: " e"}.get(power, f" e$^{power}$")
        text += f" {sign} {_number(abs(value))}{variable}"
    text = text.removeprefix(" + ")
    return "−" + text.removeprefix(" − ") if text.startswith(" − ") else text


def _number(value: float) -> str:
    if value and not 0.9995e-3 <= value < 1e4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}·10$^{{{int(exponent)}}}$"
    return f"{value:.3g}"
