"""What the metadata table holds: clips, classes and speakers of corpora side by side."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ser.plots.style import ABOVE, BLUE, COLOURS, GREY, ORANGE, legend_outside, new_axes

SEXES = {"female": ORANGE, "male": BLUE, "unknown": GREY}
SPREAD = 0.3  # of the rows' distance, over which dots are strewn


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


def class_balance(table: pd.DataFrame, *, column: str = "emotion") -> np.ndarray:
    """Draw the clips of each class, one panel for each corpus, parted by the speakers' sex.

    Parameters
    ----------
    table : DataFrame
        One row per clip, with ``corpus``, ``sex`` and `column`.
    column : str
        ``"emotion"``, or ``"label"`` for the classes of a recipe. Clips where it is empty are
        shown as "other".

    Returns
    -------
    ndarray of Axes, shape (n_corpora,)
        Each panel counts its own clips: corpora of any size compare in shape, not in length.
    """
    label = table[column].replace("", "other")
    sex = table["sex"].replace("", "unknown")
    order = sorted(set(label), key=lambda name: (name == "other", name))
    corpora = sorted(set(table["corpus"]))
    size = (max(5.0, 1.0 + 1.75 * len(corpora)), 1.4 + 0.32 * len(order))
    figure, axes = plt.subplots(
        1, len(corpora), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, corpus in zip(axes[0], corpora, strict=True):
        chosen = table["corpus"] == corpus
        counts = pd.crosstab(label[chosen], sex[chosen]).reindex(order, fill_value=0)
        left = np.zeros(len(order))
        for name in (name for name in SEXES if name in counts):
            ax.barh(order, counts[name], 0.75, left=left, color=SEXES[name])
            left += counts[name].to_numpy()
        for position, total in enumerate(left):
            where = {"textcoords": "offset points", "va": "center", "fontsize": 9}
            ax.annotate(f"{total:,.0f}", (total, position), (3, 0), **where)
        ax.set(title=f"{corpus}\n{chosen.sum():,} clips", xlabel="clips")
        ax.set_xlim(0, 1.35 * max(left.max(), 1))
        ax.locator_params(axis="x", nbins=2)
        ax.grid(axis="y", visible=False)
    axes[0, 0].invert_yaxis()
    there = [name for name in SEXES if (sex == name).any()]
    patches = [plt.Rectangle((0, 0), 1, 1, color=SEXES[name]) for name in there]
    figure.legend(patches, there, loc="outside lower center", ncols=3, title="spoken by")
    return axes[0]


def speaker_levels(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how loud each corpus is: a dot for each speaker, a line for most of the clips.

    Parameters
    ----------
    table : DataFrame
        One row per clip, with ``corpus``, ``speaker``, ``sex`` and ``peak_dbfs``.

    Returns
    -------
    Axes
        Dots are medians of the clips' peaks, in dB relative to full scale; lines go from the 5th to
        the 95th percentile of the clips.
    """
    corpora = sorted(set(table["corpus"]))
    ax = new_axes(ax, height=1.3 + 0.6 * len(corpora))
    rng = np.random.default_rng(0)
    for row, corpus in enumerate(corpora):
        clips = table[table["corpus"] == corpus]
        low, high = np.percentile(clips["peak_dbfs"], [5, 95])
        ax.plot([low, high], [row, row], color="#CCCCCC", linewidth=8, zorder=1)
        speakers = clips.groupby("speaker").agg({"peak_dbfs": "median", "sex": "first"})
        strewn = row + SPREAD * rng.uniform(-1, 1, len(speakers)) * (len(speakers) > 1)
        for name, colour in SEXES.items():
            of_sex = (speakers["sex"].replace("", "unknown") == name).to_numpy()
            ax.scatter(speakers["peak_dbfs"][of_sex], strewn[of_sex], 22, colour, alpha=0.8)
    for name in (name for name in SEXES if name in set(table["sex"].replace("", "unknown"))):
        ax.scatter([], [], 22, SEXES[name], label=f"a speaker ({name}), median of the clips")
    ax.plot([], [], color="#CCCCCC", linewidth=8, label="9 of 10 clips")
    ax.set_yticks(range(len(corpora)), corpora)
    ax.set(ylim=(len(corpora) - 0.5, -0.5), xlabel="highest peak of a clip (dB re full scale)")
    ax.grid(axis="y", visible=False)
    legend_outside(ax, "above", 2)
    return ax
