"""What the metadata table holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ser.plots.style import ABOVE, COLOURS, legend_outside, new_axes


def class_counts(table: pd.DataFrame, ax: Axes | None = None, *, column: str = "emotion") -> Axes:
    """Draw the number of clips of each emotion, stacked by corpus.

    Parameters
    ----------
    table : DataFrame
        One row per clip, with ``corpus`` and `column`.
    column : str
        ``"emotion"``, or ``"label"`` for the classes of a recipe. Clips where it is empty are
        shown as "other".
    """
    ax = new_axes(ax)
    counts = pd.crosstab(table[column].replace("", "other"), table["corpus"])
    counts = counts.loc[sorted(counts.index, key=lambda name: (name == "other", name))]
    bottom = np.zeros(len(counts))
    for corpus, colour in zip(counts.columns, COLOURS, strict=False):
        label = f"{corpus} ({counts[corpus].sum():,} clips)"
        ax.bar(counts.index, counts[corpus], 0.75, bottom=bottom, color=colour, label=label)
        bottom += counts[corpus].to_numpy()
    for position, total in enumerate(bottom):
        ax.annotate(f"{total:,.0f}", (position, total), (0, 2), **ABOVE)
    ax.margins(y=0.1)
    ax.grid(axis="x", visible=False)
    ax.tick_params(axis="x", labelrotation=25)
    ax.set(xlabel=column, ylabel="number of clips")
    legend_outside(ax, "above", 3)
    return ax


def duration_histogram(table: pd.DataFrame, ax: Axes | None = None, *, n_bins: int = 40) -> Axes:
    """Draw how long the clips of each corpus are, so that corpora of any size compare.

    Parameters
    ----------
    table : DataFrame
        One row per clip, with ``corpus`` and ``duration_s``.
    n_bins : int
        Bins between the shortest and the longest clip.
    """
    ax = new_axes(ax)
    edges = np.histogram_bin_edges(table["duration_s"], n_bins)
    for (corpus, of_corpus), colour in zip(table.groupby("corpus"), COLOURS, strict=False):
        durations_s = of_corpus["duration_s"]
        share = np.full(len(durations_s), 100 / len(durations_s))
        label = f"{corpus} (median {durations_s.median():.1f} s)"
        options: dict[str, Any] = {"bins": edges, "weights": share, "color": colour}
        ax.hist(durations_s, histtype="stepfilled", alpha=0.15, **options)
        ax.hist(durations_s, histtype="step", linewidth=1.8, label=label, **options)
    ax.set(xlabel="duration (s)", ylabel="clips of the corpus (%)")
    ax.set_xlim(left=0)
    legend_outside(ax, "above", 3)
    return ax
