"""A drawing of what the CNN-LSTM with attention does to the features of a clip."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ser.plots.style import BLUE, GREEN, GREY, VERMILION

_LEAST_PICTURE = 20  # frames and features


def cnn_lstm_attention(values: np.ndarray, n_pooled: int = 2) -> Figure:
    """Draw what convolutions, LSTM and attention do to a clip's features, step by step.

    Parameters
    ----------
    values : ndarray, shape (n_frames, n_features)
        Features of one clip without padding, from which the pictures are made; their sizes are
        not those of a certain model. Of so few values that they are no picture, chance is drawn.
    n_pooled : int
        How many blocks halve both axes.
    """
    if min(values.shape) < _LEAST_PICTURE:  # statistics of a clip are no picture
        values = np.random.default_rng(0).normal(size=(80, 40)).cumsum(axis=0)
    figure = plt.figure(figsize=(11, 4.6))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 22), ylim=(0, 10.4))
    ax.axis("off")
    picture = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    _image(figure, picture.T, (0.5, 4.0, 4.6, 3.4))
    ax.text(2.8, 3.5, "time →", ha="center", fontsize=10)
    ax.text(0.25, 5.7, "features →", ha="center", va="center", rotation=90, fontsize=10)
    maps = _feature_maps(picture, n_pooled)
    for i, one in enumerate(maps):
        _image(figure, one.T, (6.2 + 0.35 * i, 4.0 + 0.5 * i, 2.5, 1.7))
    sequence = np.concatenate(maps, axis=1)[:10]
    for i, vector in enumerate(sequence):
        _image(figure, vector[:, None], (10.75 + 0.42 * i, 3.7, 0.3, 3.9))
    for y, turn, colour in ((8.1, 1, BLUE), (3.2, -1, GREEN)):
        ends = [(10.8, y), (14.95, y)][::turn]
        _arrow(ax, ends[0], ends[1], colour)
    ax.text(12.9, 8.4, "one LSTM reads forwards", ha="center", color=BLUE, fontsize=10)
    ax.text(12.9, 2.6, "one reads backwards", ha="center", color=GREEN, fontsize=10)
    strength = np.exp(1.6 * np.abs(sequence).mean(axis=1) / np.abs(sequence).mean())
    shares = strength / strength.sum()
    for i, share in enumerate(shares):
        height = 3.4 * share / shares.max()
        ax.add_patch(Rectangle((16.1 + 0.27 * i, 4.0), 0.2, height, color=VERMILION, alpha=0.8))
    ax.text(17.4, 3.5, "a weight for each step", ha="center", fontsize=10, color=VERMILION)
    for i, (name, share) in enumerate((("angry", 0.7), ("sad", 0.1), ("…", 0.2))):
        ax.add_patch(Rectangle((20.0, 6.6 - 1.1 * i), 1.7 * share, 0.55, color=BLUE))
        ax.text(20.0, 6.4 - 1.1 * i, name, va="top", fontsize=10)
    for start, end in ((5.25, 6.05), (9.85, 10.6), (15.15, 15.95), (18.95, 19.8)):
        _arrow(ax, (start, 5.6), (end, 5.6), GREY)
    titles = (
        (2.8, "1  what comes in", "a picture of the clip:\nframes × features"),
        (7.8, "2  convolutions", "small patterns, in many\nmaps, ever coarser"),
        (12.9, "3  a sequence", "each step: what all maps\nfound at that time"),
        (17.4, "4  attention", "the sum of the steps,\neach times its weight"),
        (20.9, "5  answer", "probabilities\nthat sum to 1"),
    )
    for x, title, meaning in titles:
        ax.text(x, 9.6, title, ha="center", fontsize=12, fontweight="bold")
        ax.text(x, 0.9, meaning, ha="center", va="center", fontsize=10.5, linespacing=1.4)
    return figure


def _feature_maps(picture: np.ndarray, n_pooled: int) -> list[np.ndarray]:
    """Convolve with four small kernels and pool, as an untrained network with hand-made ones."""
    kernels = ([[1, 1, 1]] * 3, [[-1, 0, 1]] * 3, np.transpose([[-1, 0, 1]] * 3), np.eye(3))
    maps = []
    for kernel in kernels:
        windows = np.lib.stride_tricks.sliding_window_view(picture, (3, 3))
        found = np.maximum(np.einsum("ijkl,kl->ij", windows, np.asarray(kernel, float)), 0)
        for _ in range(n_pooled):
            rows, columns = (max(2, 2 * (n // 2)) for n in found.shape)
            if min(found.shape) < 2:
                break
            found = found[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3))
        maps.append(found)
    return maps


def _image(figure: Figure, values: np.ndarray, place: tuple[float, float, float, float]) -> None:
    """Put a picture at (left, bottom, width, height) in units of the drawing."""
    x, y, width, height = place
    inset = figure.add_axes((x / 22, y / 10.4, width / 22, height / 10.4))
    limit = float(np.percentile(np.abs(values), 98)) or 1.0
    inset.imshow(values, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit)
    inset.set(xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set(visible=True, color="white", linewidth=0.8)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style: Any = {"arrowstyle": "-|>", "mutation_scale": 15, "linewidth": 1.6, "color": colour}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **style))
