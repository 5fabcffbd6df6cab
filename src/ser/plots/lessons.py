"""What notebooks 03 and 04 explain: features side by side, a split, a network, two trainings."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from ser.config import FeatureConfig
from ser.evaluation import polynomial_trend
from ser.plots.sound import _features
from ser.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    legend_outside,
    new_axes,
    percent_axis,
)

PART_COLOURS = {"train": BLUE, "validation": ORANGE, "test": VERMILION}
_PART_NAMES = {"train": "training", "validation": "validation", "test": "test"}
_DYNAMIC_RANGE_DB = 80


def spectrogram_grid(
    clips: Mapping[tuple[str, str], np.ndarray],
    sample_rate_hz: int,
    *,
    config: FeatureConfig = FeatureConfig(),
) -> Figure:
    """Draw log-mel spectrograms in a grid, all on one scale of time, frequency and level.

    Parameters
    ----------
    clips : dict of (str, str) to ndarray of float, shape (n_samples,)
        The names of row and column, to the waveform; a place without a clip stays empty.
    sample_rate_hz : int
        Rate of all of them.
    config : FeatureConfig
        Window, step and mel bands.
    """
    rows = list(dict.fromkeys(row for row, _ in clips))
    columns = list(dict.fromkeys(column for _, column in clips))
    values = {
        place: _features(samples, sample_rate_hz, config, "log_mel")
        for place, samples in clips.items()
    }
    loudest = max(float(found.max()) for found in values.values())
    hop_s = config.hop_length / sample_rate_hz
    longest_s = hop_s * max(len(found) for found in values.values())
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(9, 0.8 + 1.25 * len(rows)),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for (row, column), ax in np.ndenumerate(axes):
        ax.grid(visible=False)
        ax.set_facecolor("black")
        found = values.get((rows[row], columns[column]))
        if found is not None:
            picture = ax.imshow(
                found.T - loudest,
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=-_DYNAMIC_RANGE_DB,
                vmax=0,
                extent=(0, len(found) * hop_s, 0, found.shape[1]),
            )
        ax.set(xlim=(0, longest_s), ylim=(0, config.n_mels))
        if row == 0:
            ax.set_title(columns[column])
        if column == 0:
            ax.set_ylabel(f"{rows[row]}\nmel band")
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    figure.colorbar(picture, ax=axes, label="level (dB re the loudest of all)", aspect=40, pad=0.02)
    return figure


def change(
    before: np.ndarray,
    after: np.ndarray,
    sample_rate_hz: int,
    *,
    config: FeatureConfig = FeatureConfig(),
    title: str = "",
) -> Figure:
    """Draw a waveform's features before and after a change, and the difference, on shared axes.

    Parameters
    ----------
    before, after : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1; the lengths may differ, and the difference ends with the shorter.
    sample_rate_hz : int
        Rate of both.
    config : FeatureConfig
        How log-mel spectrogram and MFCC are computed. MFCC 0, the level, is left out of the lower
        row: it is many times as large as all others.
    title : str
        What was changed, and how much.
    """
    figure, axes = plt.subplots(
        2, 3, figsize=(10.5, 3.8), layout="constrained", sharex=True, sharey="row"
    )
    hop_s = config.hop_length / sample_rate_hz
    kinds = (("log_mel", "mel band", "dB", 0), ("mfcc", "MFCC index", "value", 1))
    for row, (kind, counted, unit, first) in zip(axes, kinds, strict=True):
        pair = [_features(s, sample_rate_hz, config, kind)[:, first:] for s in (before, after)]
        n_both = min(map(len, pair))
        difference = pair[1][:n_both] - pair[0][:n_both]
        widest = max(float(np.percentile(np.abs(difference), 99)), 1e-6)
        if kind == "log_mel":
            top = float(max(values.max() for values in pair))
            look = {"cmap": "magma", "vmin": top - _DYNAMIC_RANGE_DB, "vmax": top}
        else:
            limit = float(np.percentile(np.abs(np.concatenate(pair)), 97))
            look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
            widest = max(widest, limit / 4)  # else noise of the last digit looks like a change
        apart = {"cmap": "PuOr_r", "vmin": -widest, "vmax": widest}
        for ax, values, style in zip(row, (*pair, difference), (look, look, apart), strict=True):
            n_frames, n_rows = values.shape
            extent = (0, n_frames * hop_s, first - 0.5, first + n_rows - 0.5)
            picture = ax.imshow(
                values.T,
                origin="lower",
                aspect="auto",
                extent=extent,
                interpolation="nearest",
                **style,
            )
            ax.grid(visible=False)
            if ax is not row[0]:
                label = f"change ({unit})" if ax is row[2] else unit
                figure.colorbar(picture, ax=ax, label=label, pad=0.02, extend="both")
        row[0].set_ylabel(counted)
    longest_s = max(len(before), len(after)) / sample_rate_hz
    for ax, name in zip(axes[0], ("original", "changed", "changed − original"), strict=True):
        ax.set_title(name)
        ax.set_xlim(0, longest_s)
    for ax in axes[1]:
        ax.set_xlabel("time (s)")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def speaker_independent_split(n_speakers: int = 10, n_clips: int = 8, seed: int = 1) -> Figure:
    """Draw what a speaker-independent split is, beside the split over clips that leaks."""
    rng = np.random.default_rng(seed)
    parts = list(PART_COLOURS)
    n_test, n_validation = round(0.3 * n_speakers), round(0.2 * n_speakers)
    of_speaker = np.zeros(n_speakers, int)
    of_speaker[-n_test:], of_speaker[-n_test - n_validation : -n_test] = 2, 1
    over_speakers = np.repeat(of_speaker[:, None], n_clips, axis=1)
    over_clips = rng.permutation(over_speakers.ravel()).reshape(over_speakers.shape)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.3), layout="constrained", sharey=True)
    panels = (
        (over_clips, "clips are dealt out: it leaks", "every voice is learned and then tested"),
        (over_speakers, "speakers are dealt out: it cannot", "who is tested was never heard"),
    )
    for ax, (dealt, title, meaning) in zip(axes, panels, strict=True):
        for (speaker, clip), part in np.ndenumerate(dealt):
            ax.add_patch(
                Rectangle((speaker + 0.1, clip + 0.1), 0.8, 0.8, color=PART_COLOURS[parts[part]])
            )
        ax.set(xlim=(0, n_speakers), ylim=(0, n_clips), title=title)
        ax.set_xticks(np.arange(n_speakers) + 0.5, [str(i + 1) for i in range(n_speakers)])
        ax.set_yticks([])
        ax.set_xlabel(f"speaker\n{meaning}")
        ax.grid(visible=False)
        ax.spines["left"].set_visible(False)
    axes[0].set_ylabel("clips of each speaker")
    _part_legend(figure)
    return figure


def who_is_where(table: pd.DataFrame, folds: Sequence[Any], ax: Axes | None = None) -> Axes:
    """Draw folds against speakers, coloured by the part that a speaker is in.

    Parameters
    ----------
    table : DataFrame
        Columns ``clip_id`` and ``speaker``.
    folds : sequence of Fold
        As a plan has them.
    """
    speakers = sorted(table["speaker"].unique())
    place = {speaker: number for number, speaker in enumerate(speakers)}
    speaker_of = table.set_index("clip_id")["speaker"]
    grid = np.full((len(folds), len(speakers)), np.nan)
    for row, fold in enumerate(folds):
        for code, part in enumerate(PART_COLOURS):
            clips = list(getattr(fold, part))
            grid[row, [place[name] for name in speaker_of[clips].unique()]] = code
    ax = new_axes(ax, width=9, height=1.6 + 0.32 * min(len(folds), 30))
    colours = ListedColormap(list(PART_COLOURS.values()))
    ax.pcolormesh(grid, cmap=colours, vmin=0, vmax=2, edgecolors="white", linewidth=1)
    ax.invert_yaxis()
    ax.grid(visible=False)
    every = -(-len(folds) // 30)
    ax.set_yticks(np.arange(0, len(folds), every) + 0.5, [fold.name for fold in folds][::every])
    names = [speaker.split("/")[-1] for speaker in speakers]
    if len(names) <= 40:
        turned = 90 if max(map(len, names)) > 2 else 0
        ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=turned, fontsize=9)
    else:
        ax.set_xticks([])
    ax.set_xlabel(f"speaker ({len(names)})")
    _part_legend(ax.figure)
    return ax


def _part_legend(figure: Any) -> None:
    handles = [Patch(color=PART_COLOURS[part], label=_PART_NAMES[part]) for part in PART_COLOURS]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, fontsize=11)


_CURVES = (("loss", "loss (nats)"), ("uar", "UAR (%)"))


def compare_trainings(
    histories: Mapping[str, pd.DataFrame], axes: np.ndarray | None = None
) -> np.ndarray:
    """Draw loss and UAR of several trainings: validation as lines, training as thin dashes.

    Parameters
    ----------
    histories : dict of str to DataFrame
        A name for each, and its rows: ``loss``, ``uar``, ``val_loss``, ``val_uar``.
    axes : ndarray of two Axes, optional
        A new figure where left out.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for ax, (column, label) in zip(axes, _CURVES, strict=True):
        for colour, (name, history) in zip(
            (BLUE, VERMILION, GREEN), histories.items(), strict=False
        ):
            epochs = np.arange(1, len(history) + 1)
            ax.plot(epochs, history[column], color=colour, ls="--", lw=1, label=f"{name}: training")
            ax.plot(epochs, history[f"val_{column}"], color=colour, label=f"{name}: validation")
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_outside(ax, "below")
    axes[0].set_ylim(bottom=0)
    axes[1].set_ylim(0, 1)
    percent_axis(axes[1])
    return axes


def trends(history: pd.DataFrame, axes: np.ndarray | None = None, *, degree: int = 2) -> np.ndarray:
    """Draw polynomials through loss and accuracy of training and validation, epochs as dots.

    Parameters
    ----------
    history : DataFrame
        ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy``, one row for each epoch.
    axes : ndarray of two Axes, optional
        A new figure where left out.
    degree : int
        Of the polynomials; with no more epochs than that there are only dots.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    panels = (("loss", "loss (nats)"), ("accuracy", "accuracy (%)"))
    for ax, (quantity, label) in zip(axes, panels, strict=True):
        curves = ((quantity, "training", BLUE), (f"val_{quantity}", "validation", VERMILION))
        for column, name, colour in curves:
            ax.scatter(epochs, history[column], s=14, color=colour, alpha=0.45)
            ax.plot([], [], color=colour, label=name)
            if len(history) > degree:
                fitted = np.polyval(polynomial_trend(history, column, degree), epochs)
                ax.plot(epochs, fitted, color=colour)
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
    axes[0].set_ylim(bottom=0)
    axes[1].set_ylim(0, 1)
    percent_axis(axes[1])
    return axes
