"""How sure a model is, whether it should be, and what any threshold would give."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ser.plots.style import (
    BLUE,
    COLOURS,
    GREY,
    VERMILION,
    legend_outside,
    new_axes,
    percent,
    percent_axis,
)

Curve = tuple[np.ndarray, np.ndarray, float]


def probabilities(labels: Sequence[str], values: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the probability, 0 to 1, of each class for one clip; the largest stands out."""
    values = np.asarray(values, float)
    ax = new_axes(ax, 6.0, 1.2 + 0.32 * len(labels))
    colours = [BLUE if i == values.argmax() else "#BBBBBB" for i in range(len(values))]
    bars = ax.barh(list(labels), values, 0.75, color=colours)
    ax.bar_label(bars, [f"{100 * value:.1f}" for value in values], padding=3)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.08), xlabel="probability (%)")
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.grid(axis="y", visible=False)
    percent_axis(ax, "x")
    return ax


def reliability_diagram(bins: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw accuracy against confidence, with the gap that calibration error averages.

    Takes what `ser.evaluation.reliability` gives; one bar per bin that holds a clip, after Guo et
    al. (2017), fig. 1.
    """
    ax = new_axes(ax, 5.5, 5.5)
    held = bins[bins["n_clips"] > 0]
    middle = (held["bin_low"] + held["bin_high"]) / 2
    width = held["bin_high"] - held["bin_low"]
    ax.bar(middle, held["accuracy"], width, color=BLUE, edgecolor="white", label="accuracy")
    gap = held["confidence"] - held["accuracy"]
    ax.bar(
        middle,
        gap,
        width * 0.55,
        bottom=held["accuracy"],
        facecolor="none",
        edgecolor=VERMILION,
        hatch="////",
        linewidth=1.2,
        label="gap to confidence",
    )
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfect calibration")
    error = float(np.average(gap.abs(), weights=held["n_clips"]))
    ax.plot([], [], " ", label=f"calibration error {percent(error, 1)}")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence (%)", ylabel="accuracy (%)", aspect="equal")
    percent_axis(ax, "xy")
    ax.legend(loc="upper left")
    return ax


def confidence_histogram(
    confidence: np.ndarray, correct: np.ndarray, ax: Axes | None = None, *, n_bins: int = 20
) -> Axes:
    """Draw how sure the model was where it was right, and where it was wrong.

    Parameters
    ----------
    confidence : ndarray of float, shape (n_clips,)
        Probability of the decision, 0 to 1; `ser.evaluation.decisions` gives it.
    correct : ndarray of bool, shape (n_clips,)
        Whether the decision was right.
    n_bins : int
        Bins between 0 and 1.
    """
    ax = new_axes(ax)
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, bool)
    edges = np.linspace(0, 1, n_bins + 1).tolist()
    for chosen, name, colour in ((correct, "right", BLUE), (~correct, "wrong", VERMILION)):
        values = confidence[chosen]
        label = f"{name}: {len(values)} decisions"
        if len(values):
            median = float(np.median(values))
            ax.axvline(median, color=colour, linestyle="--", linewidth=1.5)
            label += f", median {percent(median)}"
        ax.hist(values, edges, histtype="stepfilled", color=colour, alpha=0.3)
        ax.hist(values, edges, histtype="step", color=colour, linewidth=1.8, label=label)
    ax.set(xlim=(0, 1), xlabel="confidence of the decision (%)", ylabel="number of decisions")
    percent_axis(ax, "x")
    legend_outside(ax, "above", 2)
    return ax


def confidence_by_class(
    truth: np.ndarray,
    confidence: np.ndarray,
    correct: np.ndarray,
    classes: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw how sure the model was about the clips of each class, right and wrong decisions apart.

    Parameters
    ----------
    truth : ndarray of int, shape (n_clips,)
        True class of each clip, as its position in `classes`.
    confidence, correct : ndarray, shape (n_clips,)
        As `confidence_histogram` takes them.
    classes : sequence of str
        Names of the classes.
    """
    import seaborn as sns

    ax = new_axes(ax, 8.0, 0.55 * len(classes) + 1.2)
    table = pd.DataFrame(
        {
            "class": np.asarray(classes)[np.asarray(truth, int)],
            "confidence": np.asarray(confidence, float),
            "decision": np.where(np.asarray(correct, bool), "right", "wrong"),
        }
    )
    sns.violinplot(
        table,
        x="confidence",
        y="class",
        hue="decision",
        order=list(classes),
        hue_order=["right", "wrong"],
        palette={"right": BLUE, "wrong": VERMILION},
        split=True,
        cut=0,
        inner="quart",
        density_norm="width",
        linewidth=1.0,
        ax=ax,
    )
    ax.set(xlim=(0, 1), xlabel="confidence of the decision (%)", ylabel="")
    percent_axis(ax, "x")
    legend_outside(ax, "above", 2)  # takes the place of seaborn's
    return ax


def risk_coverage(
    curve: pd.DataFrame, ax: Axes | None = None, *, threshold: float | None = None
) -> Axes:
    """Draw how right the answers are, against how many are given: the surest on the left.

    Takes what `ser.evaluation.risk_coverage` gives, and a confidence, 0 to 1, to mark.
    """
    ax = new_axes(ax)
    ax.plot(curve["coverage"], curve["accuracy"], color=BLUE, label="answers that are given")
    everything = curve["accuracy"].iloc[-1]
    label = f"all answers: {percent(everything)} right"
    ax.axhline(everything, color=GREY, linestyle="--", label=label)
    if threshold is not None:
        share, right = curve.loc[curve["threshold"] >= threshold, ["coverage", "accuracy"]].iloc[-1]
        label = f"confidence from {percent(threshold)}: {percent(share)} of the clips, "
        label += f"{percent(right)} right"
        ax.plot(share, right, "o", color=VERMILION, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="clips that get an answer (%)")
    ax.set_ylabel("accuracy of the answers (%)")
    percent_axis(ax, "xy")
    ax.legend(loc="lower left")
    return ax


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
