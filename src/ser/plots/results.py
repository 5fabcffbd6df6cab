"""Decisions and metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

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
    percent,
    percent_axis,
)

METRIC_NAMES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro-F1"}
_SEX_COLOURS = {"female": ORANGE, "male": BLUE}
_MAX_NAMED_SPEAKERS = 40


def confusion_matrix(
    counts: np.ndarray,
    classes: Sequence[str],
    ax: Axes | None = None,
    *,
    show: Literal["percent", "both"] = "percent",
) -> Axes:
    """Draw what each class was taken for, in percent of its clips.

    Parameters
    ----------
    counts : ndarray of int, shape (n_classes, n_classes)
        As `ser.evaluation.confusion` gives it; rows are true classes, and sum to 100 %.
    classes : sequence of str
        Names of rows and columns. The number of decisions stands beside each row's.
    show : {"percent", "both"}
        What a cell holds: percent, or percent and below it the count. Cells without a clip are
        empty, rows without any show a dash.
    """
    counts = np.asarray(counts)
    totals = counts.sum(axis=1)
    side = (2.2 if show == "percent" else 2.6) + 0.62 * len(classes)
    ax = new_axes(ax, side + 0.6, side)
    shares = counts / np.maximum(totals, 1)[:, None]
    texts = {at: _cell(int(n), int(totals[at[0]]), show) for at, n in np.ndenumerate(counts)}
    names = [f"{name} ({total:,})" for name, total in zip(classes, totals, strict=True)]
    _heat_map(ax, shares, texts, names, "share of the true class (%)", bold_diagonal=True)
    ax.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class (number of decisions)")
    return ax


def _cell(count: int, total: int, show: str) -> str:
    if total == 0 or count == 0:
        return "" if total else "–"
    share = "<1" if count < 0.005 * total else f"{100 * count / total:.0f}"
    return share if show == "percent" else f"{share} %\n{count:,}"


def cross_corpus(per_pair: Mapping[str, Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Draw how well a model of one corpus (a row) does on another (a column), as UAR in percent.

    Parameters
    ----------
    per_pair : mapping of str to mapping
        ``per_pair`` of `ser.evaluation.metrics`: ``uar``, 0 to 1, and ``interval_95``. Pairs that
        were not measured show a dash.
    """
    rows, columns = list(per_pair), sorted({name for row in per_pair.values() for name in row})
    side = 2.4 + 0.85 * len(columns)
    ax = new_axes(ax, side + 0.6, side)
    values = np.full((len(rows), len(columns)), np.nan)
    texts = dict.fromkeys(np.ndindex(*values.shape), "–")
    for i, row in enumerate(rows):
        for column, found in per_pair[row].items():
            at = i, columns.index(column)
            values[at], limits = found["uar"], found["interval_95"]
            texts[at] = f"{100 * found['uar']:.0f}"
            texts[at] += f"\n{100 * limits[0]:.0f} to {100 * limits[1]:.0f}" if limits else ""
    _heat_map(ax, values, texts, rows, "UAR (%)")
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax


def _heat_map(
    ax: Axes,
    shares: np.ndarray,
    texts: Mapping[tuple[int, ...], str],
    rows: Sequence[str],
    label: str,
    *,
    bold_diagonal: bool = False,
) -> None:
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), text in texts.items():
        ax.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.65 else "black",
            fontweight="bold" if bold_diagonal and row == column else "normal",
        )
    ax.set_yticks(range(len(rows)), rows)
    ax.grid(visible=False)
    percent_axis(ax.figure.colorbar(picture, ax=ax, label=label, shrink=0.8).ax)


def metric_bars(
    groups: Mapping[str, Mapping[str, Any]],
    ax: Axes | None = None,
    *,
    names: Sequence[str] = ("uar", "accuracy", "macro_f1"),
    chance: float | None = None,
) -> Axes:
    """Compare metrics across parts of the data, corpora or recipes, with their 95 % intervals.

    Parameters
    ----------
    groups : mapping of str to mapping
        What to compare, in order: a name and its metrics. Takes whole ``metrics.json`` contents
        (each metric a dict with ``mean`` and ``interval_95``), their ``per_corpus`` and ``per_sex``
        (plain numbers, with the ``interval_95`` of the UAR), or plain numbers, 0 to 1.
    names : sequence of str
        The metrics; a group may lack some.
    chance : float, optional
        UAR of guessing, 1 / n_classes; drawn as a line.
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
    """Draw the UAR of each speaker, lowest first, with the mean of each sex.

    Parameters
    ----------
    per_speaker : mapping of str to mapping
        ``per_speaker`` of `ser.evaluation.metrics`: ``uar`` and, where known, ``sex``. More than 40
        speakers are counted, not named.
    """
    ax = new_axes(ax)
    order = sorted(per_speaker, key=lambda speaker: per_speaker[speaker]["uar"])
    recalls = np.array([per_speaker[speaker]["uar"] for speaker in order])
    sexes = np.array([per_speaker[speaker].get("sex", "speakers") for speaker in order])
    for sex in sorted(set(sexes)):
        chosen = sexes == sex
        label = f"{sex} (n = {chosen.sum()}, mean {percent(recalls[chosen].mean(), 1)})"
        colour = _SEX_COLOURS.get(sex, GREY)
        ax.bar(np.flatnonzero(chosen), recalls[chosen], 0.8, color=colour, label=label)
    label = f"mean of all ({percent(recalls.mean(), 1)})"
    ax.axhline(recalls.mean(), color="black", linestyle="--", linewidth=1.2, label=label)
    if len(order) <= _MAX_NAMED_SPEAKERS:
        of_one_corpus = len({name.rpartition("/")[0] for name in order}) == 1
        names = [name.rpartition("/")[2] if of_one_corpus else name for name in order]
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
