"""What is trained, and how that went."""

from collections import Counter
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from ser.evaluation import polynomial_trend
from ser.plots.style import BLUE, GREEN, GREY, VERMILION, legend_outside, new_axes, percent_axis

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
        One row per epoch, as `ser.training.fit` returns it: ``epoch`` (from 1), ``loss``,
        ``accuracy``, ``val_loss``, ``val_accuracy`` and ``val_uar``; a column without a number is
        not drawn.
    axes : ndarray of two Axes, optional
        For loss, and for accuracy with UAR; a new figure where left out.
    monitor : str
        The column that chose the model; its best epoch is marked.
    trend_degree : int or None
        Degree of the dashed fits of loss and accuracy (`ser.evaluation.polynomial_trend`), whose
        coefficients stand in the legend; ``e`` is the epoch and accuracy a fraction. None for no
        fit. There is none either where the history has too few epochs.
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
            if column.endswith(trended) and trend_degree and len(history) > trend_degree:
                coefficients = polynomial_trend(history, column, trend_degree)
                fitted = np.polyval(coefficients, np.arange(1, len(history) + 1))
                name = f"   fit: {_formula(coefficients)}"
                ax.plot(history["epoch"], fitted, color=colour, ls="--", lw=1.2, label=name)
        why = "the last" if monitor == "epoch" else f"best {monitor}"
        ax.axvline(epoch, color=GREY, linestyle=":", label=f"epoch kept: {epoch:.0f} ({why})")
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_outside(ax, "below")
    axes[0].set_ylim(0, 1.05 * np.nanmax(history[["loss", "val_loss"]].to_numpy(float)))
    axes[1].set_ylim(0, 1)
    percent_axis(axes[1])
    return axes


def _formula(coefficients: np.ndarray) -> str:
    """Write a polynomial, for example "−0.02 e² + 1.5 e + 0.3"."""
    terms = []
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        variable = {0: "", 1: " e"}.get(power, f" e$^{power}$")
        terms.append(f"{'−' if value < 0 else '+'} {_number(abs(value))}{variable}")
    text = " ".join(terms).removeprefix("+ ")
    return f"−{text[2:]}" if text.startswith("− ") else text


def _number(value: float) -> str:
    if value and not 0.9995e-3 <= value < 1e4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}·10$^{{{int(exponent)}}}$"
    return f"{value:.3g}"


_BLOCK_HEIGHT, _ROW_HEIGHT, _LANE_GAP = 0.46, 0.68, 0.35  # inches


def architecture(model: Any, ax: Axes | None = None) -> Axes:
    """Draw the layers of a Keras model from top to bottom, without Graphviz.

    Each block has the layer's name, output shape (clips left out) and number of parameters; blue
    ones hold parameters. Normalisation, and layers without parameters, share the block of the layer
    before them where they keep its shape. A new figure is as large as it needs to be.
    """
    blocks, arrows = _blocks(model.layers)
    rows, lanes = _places(blocks, arrows)
    texts = [_describe(block) for block in blocks]
    width = 0.3 + 0.083 * max(len(text) for pair in texts for text in pair)
    pitch, n_lanes, height = width + _LANE_GAP, 1 + max(lanes), (1 + max(rows)) * _ROW_HEIGHT
    ax = new_axes(ax, n_lanes * pitch + 0.2, height + 0.6)
    ax.set(xlim=(-_LANE_GAP / 2, n_lanes * pitch - _LANE_GAP / 2), ylim=(0.1 - height, 0.15))
    ax.axis("off")
    for start, end in sorted(arrows):
        between = range(rows[start] + 1, rows[end])
        passed = {lane for row, lane in zip(rows, lanes, strict=True) if row in between}
        detour = bool(passed & {lanes[start], lanes[end]})
        _draw_arrow(ax, (rows[start], lanes[start]), (rows[end], lanes[end]), width, detour)
    for row, lane, (title, detail) in zip(rows, lanes, texts, strict=True):
        _draw_block(ax, lane * pitch, -row * _ROW_HEIGHT, width, title, detail)
    total = sum(layer.count_params() for layer in model.layers)
    ax.set_title(f"{model.name}: {total:,} parameters")
    return ax


def _blocks(layers: list[Any]) -> tuple[list[list[Any]], list[tuple[int, int]]]:
    """Join chains of one shape to blocks, and say which block feeds which."""
    makers = {id(tensor): layer for layer in layers for tensor in _tensors(layer, "output")}
    sources: dict[Any, list[Any]] = {}
    for previous, layer in zip([None, *layers[:-1]], layers, strict=True):
        found = [makers.get(id(tensor)) for tensor in _tensors(layer, "input")]
        known = list(dict.fromkeys(one for one in found if one not in (None, layer)))
        if not known and previous is not None and type(layer).__name__ != "InputLayer":
            known = [previous]  # of a layer that is called twice, or a Sequential's first
        sources[layer] = known
    n_uses = Counter(source for known in sources.values() for source in known)
    blocks: list[list[Any]] = []
    arrows: list[tuple[int, int]] = []
    place: dict[Any, int] = {}
    for layer, before in sources.items():
        minor = layer.count_params() == 0 or "Normalization" in type(layer).__name__
        alone = len(before) == 1 and n_uses[before[0]] == 1
        if minor and alone and _shapes(before[0]) == _shapes(layer):
            place[layer] = place[before[0]]
            blocks[place[layer]].append(layer)
        else:
            place[layer] = len(blocks)
            blocks.append([layer])
            arrows += [(place[source], place[layer]) for source in before]
    return blocks, arrows


def _places(blocks: list[list[Any]], arrows: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Give each block a row, as far down as what it feeds allows, and a lane, largest first."""
    steps = [0] * len(blocks)  # to the end
    for start, end in sorted(arrows, reverse=True):
        steps[start] = max(steps[start], steps[end] + 1)
    sizes = [sum(np.prod([n or 1 for n in s]) for s in _shapes(block[-1])) for block in blocks]
    taken: Counter[int] = Counter()
    lanes = [0] * len(blocks)
    for i in sorted(range(len(blocks)), key=lambda i: -sizes[i]):
        lanes[i] = taken[steps[i]]
        taken[steps[i]] += 1
    return [max(steps) - n for n in steps], lanes


def _tensors(layer: Any, which: str) -> list[Any]:
    tensors = getattr(layer, which)  # of a layer that is called twice: those of its first call
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def _shapes(layer: Any) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape[1:]) for tensor in _tensors(layer, "output")]


def _describe(block: list[Any]) -> tuple[str, str]:
    title = ", ".join(layer.name for layer in block)
    shapes = " and ".join("×".join(map(str, shape)) for shape in _shapes(block[-1]))
    n_parameters = sum(layer.count_params() for layer in block)
    return title, f"{shapes} · {n_parameters:,} parameters" if n_parameters else shapes


def _draw_block(ax: Axes, x: float, top: float, width: float, title: str, detail: str) -> None:
    face, edge = ("#CFE5F3", BLUE) if "parameters" in detail else ("#F2F2F2", GREY)
    box = FancyBboxPatch((x, top - _BLOCK_HEIGHT), width, _BLOCK_HEIGHT, fc=face, ec=edge)
    box.set_boxstyle("round", pad=0, rounding_size=0.06)
    ax.add_patch(box)
    middle = x + width / 2
    ax.text(middle, top - 0.16, title, ha="center", va="center", fontsize=9, weight="bold")
    ax.text(middle, top - 0.33, detail, ha="center", va="center", fontsize=8.5)


def _draw_arrow(
    ax: Axes, start: tuple[int, int], end: tuple[int, int], width: float, detour: bool
) -> None:
    """Go straight down, or along the gap between the lanes where blocks are in the way."""
    (start_row, start_lane), (end_row, end_lane) = start, end
    pitch, turn = width + _LANE_GAP, 0.5 * (_ROW_HEIGHT - _BLOCK_HEIGHT)
    start_y, end_y = -start_row * _ROW_HEIGHT - _BLOCK_HEIGHT, -end_row * _ROW_HEIGHT
    aside = 0.4 * width * np.sign(start_lane - end_lane)
    path = [(start_lane * pitch + width / 2 - aside, start_y)]
    if detour:
        gap = min(start_lane, end_lane) * pitch + width + _LANE_GAP / 2
        path += [(gap, start_y - turn), (gap, end_y + turn)]
    ax.plot(*zip(*path, strict=True), color=GREY, linewidth=1.0, zorder=0)
    ax.annotate(
        "",
        xy=(end_lane * pitch + width / 2 + aside, end_y),
        xytext=path[-1],
        arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0},
        zorder=0,
    )
