"""Decisions and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ser.plots.style import (
    ABOVE,
    BLUE,
    COLOURS,
    GREY,
    ORANGE,
    chance_line,
    legend_outside,
    new_axes,
    percent_axis,
    short_names,
)

METRIC_NAMES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro-F1"}
_SEX_COLOURS = {"female": ORANGE, "male": BLUE}
_MAX_NAMED_SPEAKERS = 40


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw what each class was taken for, in percent of its clips.

    Parameters
    ----------
    counts : ndarray of int, shape (n_classes, n_classes)
        As `ser.evaluation.confusion` gives it; rows are true classes.
    classes : sequence of str
        Names of rows and columns.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        Rows sum to 100 %; the number of decisions stands beside each row's name. Cells without a
        clip are empty, rows without any show a dash.
    """
    counts = np.asarray(counts)
    side = 2.2 + 0.62 * len(classes)
    ax = new_axes(ax, side + 0.6, side)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        ax.text(
            column,
            row,
            _cell(int(counts[row, column]), int(totals[row])),
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.65 else "black",
            fontweight="bold" if row == column else "normal",
        )
    names = [f"{name} ({total:,})" for name, total in zip(classes, totals, strict=True)]
    ax.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(classes)), names)
    ax.set(xlabel="predicted class", ylabel="true class (number of decisions)")
    ax.grid(visible=False)
    bar = ax.figure.colorbar(picture, ax=ax, label="share of the true class (%)", shrink=0.8)
    percent_axis(bar.ax)
    return ax


def _cell(count: int, total: int) -> str:
    if total == 0:
        return "–"
    if count == 0:
        return ""
    percent = 100 * count / total
    return "<1" if percent < 0.5 else f"{percent:.0f}"


def metric_bars(
    groups: Mapping[str, Mapping[str, Any]],
    ax: Axes | None = None,
    *,
    names: Sequence[str] = ("uar", "accuracy", "macro_f1"),
    chance: float | None = None,
) -> Axes:
    """Compare metrics across parts of the data, corpora or recipes.

    Parameters
    ----------
    groups : mapping of str to mapping
        What to compare, in order: a name and its metrics. Takes whole ``metrics.json`` contents
        (each metric a dict with ``mean`` and ``interval_95``), their ``per_corpus`` and ``per_sex``
        (plain numbers, with the ``interval_95`` of the UAR), or plain numbers, 0 to 1.
    ax : Axes, optional
        Where to draw; a new figure where not given.
    names : sequence of str
        The metrics; a group may lack some.
    chance : float, optional
        UAR of guessing, 1 / n_classes; drawn as a line.

    Returns
    -------
    Axes
        A bar per group and metric; whiskers are 95 % intervals.
    """
    ax = new_axes(ax)
    width = 0.8 / len(names)
    for i, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        label = METRIC_NAMES.get(name, name)
        for position, group in enumerate(groups.values()):
            if name not in group:
                continue
            value, interval = _value(group, name)
            x = position + (i - (len(names) - 1) / 2) * width
            ax.bar(x, value, width * 0.92, color=colour, label=label)
            label = "_"  # one legend entry per metric
            low, high = interval or (value, value)
            if interval:
                ax.vlines(x, low, high, color="black", linewidth=1.5)
            above = ax.annotate(f"{100 * value:.1f}", (x, high), (0, 3), **ABOVE)
            above.set_fontsize(10 if len(groups) * len(names) <= 15 else 8)
    if chance is not None:
        chance_line(ax, chance)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set(xlim=(-0.6, len(groups) - 0.4), ylim=(0, 1), ylabel="score (%)")
    ax.grid(axis="x", visible=False)
    percent_axis(ax)
    legend_outside(ax, "above", 4)
    return ax


def _value(group: Mapping[str, Any], name: str) -> tuple[float, Sequence[float] | None]:
    entry = group[name]
    if isinstance(entry, Mapping):
        return float(entry["mean"]), entry.get("interval_95")
    return float(entry), group.get("interval_95") if name == "uar" else None


def per_speaker_recall(
    per_speaker: Mapping[str, Mapping[str, Any]], ax: Axes | None = None
) -> Axes:
    """Draw the UAR of each speaker, lowest first.

    Parameters
    ----------
    per_speaker : mapping of str to mapping
        ``per_speaker`` of `ser.evaluation.metrics`: ``uar`` and, where known, ``sex``.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        Bars coloured by sex, with the mean of each sex in the legend. More than 40 speakers are
        counted, not named.
    """
    ax = new_axes(ax)
    order = sorted(per_speaker, key=lambda speaker: per_speaker[speaker]["uar"])
    recalls = np.array([per_speaker[speaker]["uar"] for speaker in order])
    sexes = np.array([per_speaker[speaker].get("sex", "speakers") for speaker in order])
    for sex in sorted(set(sexes)):
        chosen = sexes == sex
        label = f"{sex} (n = {chosen.sum()}, mean {100 * recalls[chosen].mean():.1f} %)"
        colour = _SEX_COLOURS.get(sex, GREY)
        ax.bar(np.flatnonzero(chosen), recalls[chosen], 0.8, color=colour, label=label)
    label = f"mean of all ({100 * recalls.mean():.1f} %)"
    ax.axhline(recalls.mean(), color="black", linestyle="--", linewidth=1.2, label=label)
    if len(order) <= _MAX_NAMED_SPEAKERS:
        names = short_names(order)
        steep = len(names) * max(map(len, names)) > 70
        ax.set_xticks(range(len(names)), names, rotation=90 if steep else 0)
        ax.set_xlabel("speaker")
    else:
        ax.set_xlabel(f"{len(order)} speakers, lowest first")
    ax.set(xlim=(-0.7, len(order) - 0.3), ylim=(0, 1), ylabel="UAR of the speaker (%)")
    ax.grid(axis="x", visible=False)
    percent_axis(ax)
    legend_outside(ax, "above", 3)
    return ax


def probabilities(labels: Sequence[str], values: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the probability of each class for one clip.

    Parameters
    ----------
    labels : sequence of str
        The classes; drawn from top to bottom.
    values : ndarray of float, shape (n_classes,)
        Their probabilities, 0 to 1.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        Horizontal bars; the most probable class stands out.
    """
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


def cross_corpus(per_pair: Mapping[str, Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Draw how well a model of one corpus does on another.

    Parameters
    ----------
    per_pair : mapping of str to mapping
        ``per_pair`` of `ser.evaluation.metrics`: ``uar``, 0 to 1, and ``interval_95``.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        A row per corpus trained on, a column per corpus tested, UAR in percent; dashes where a
        pair was not measured.
    """
    rows, columns = list(per_pair), sorted({name for row in per_pair.values() for name in row})
    values = np.array(
        [[per_pair[row].get(column, {}).get("uar", np.nan) for column in columns] for row in rows]
    )
    side = 2.4 + 0.85 * len(columns)
    ax = new_axes(ax, side + 0.6, side)
    picture = ax.imshow(values, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*values.shape):
        text = "–"
        if np.isfinite(values[i, j]):
            limits = per_pair[rows[i]][columns[j]]["interval_95"]
            text = f"{100 * values[i, j]:.0f}"
            text += f"\n{100 * limits[0]:.0f} to {100 * limits[1]:.0f}" if limits else ""
        dark = values[i, j] > 0.65
        ax.text(j, i, text, ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="tested on", ylabel="trained on")
    ax.grid(visible=False)
    percent_axis(ax.figure.colorbar(picture, ax=ax, shrink=0.8, label="UAR (%)").ax)
    return ax
