"""A model as blocks and arrows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ser.plots.style import BLUE, GREY, new_axes

_BLOCK_HEIGHT, _ROW_HEIGHT, _LANE_GAP = 0.46, 0.68, 0.35  # inches


@dataclasses.dataclass
class _Block:
    """Layers in a row that keep the shape, drawn as one."""

    layers: list[Any]
    consumers: list[_Block] = dataclasses.field(default_factory=list)
    row: int = 0
    lane: int = 0

    @property
    def title(self) -> str:
        return ", ".join(layer.name for layer in self.layers)

    @property
    def detail(self) -> str:
        n_parameters = sum(layer.count_params() for layer in self.layers)
        shapes = " and ".join(_shapes(self.layers[-1]))
        return f"{shapes} · {n_parameters:,} parameters" if n_parameters else shapes


def architecture(model: Any, ax: Axes | None = None) -> Axes:
    """Draw the layers of a Keras model from top to bottom, without Graphviz.

    Parameters
    ----------
    model : keras.Model
        Built, so that every layer knows its shapes.
    ax : Axes, optional
        Where to draw; a new figure, as large as it needs to be, where not given.

    Returns
    -------
    Axes
        One block per layer with its name, output shape (clips left out) and number of parameters.
        Normalisation, and layers without parameters, share the block of the layer before them
        where they keep its shape. Blue blocks hold parameters.
    """
    blocks = _arrange(_blocks(list(model.layers)))
    n_rows = 1 + max(block.row for block in blocks)
    n_lanes = 1 + max(block.lane for block in blocks)
    n_letters = max(len(text) for block in blocks for text in (block.title, block.detail))
    width = 0.3 + 0.083 * n_letters
    ax = new_axes(ax, n_lanes * (width + _LANE_GAP) + 0.2, n_rows * _ROW_HEIGHT + 0.6)
    ax.set(
        xlim=(-_LANE_GAP / 2, n_lanes * (width + _LANE_GAP) - _LANE_GAP / 2),
        ylim=(-n_rows * _ROW_HEIGHT + 0.1, 0.15),
    )
    ax.axis("off")
    for block in blocks:
        for consumer in block.consumers:
            between = range(block.row + 1, consumer.row)
            passed = {one.lane for one in blocks if one.row in between}
            detour = bool(passed & {block.lane, consumer.lane})
            _draw_arrow(ax, block, consumer, width, detour)
    for block in blocks:
        _draw_block(ax, block, width)
    total = sum(layer.count_params() for layer in model.layers)
    ax.set_title(f"{model.name}: {total:,} parameters")
    return ax


def _blocks(layers: list[Any]) -> list[_Block]:
    """Find who feeds whom, and join chains of one shape."""
    producers = {id(tensor): layer for layer in layers for tensor in _tensors(layer, "output")}
    feeds: dict[int, list[Any]] = {id(layer): [] for layer in layers}
    sources: dict[int, list[Any]] = {}
    for previous, layer in zip([None, *layers[:-1]], layers, strict=True):
        found = [producers.get(id(tensor)) for tensor in _tensors(layer, "input")]
        known = {id(one): one for one in found if one is not None and one is not layer}
        if not known and previous is not None and not _is_input(layer):
            known = {id(previous): previous}
        sources[id(layer)] = list(known.values())
        for source in known.values():
            feeds[id(source)].append(layer)
    of_layer: dict[int, _Block] = {}
    blocks: list[_Block] = []
    for layer in layers:
        before = sources[id(layer)]
        alone = len(before) == 1 and len(feeds[id(before[0])]) == 1
        minor = layer.count_params() == 0 or "Normalization" in type(layer).__name__
        if alone and minor and _shapes(before[0]) == _shapes(layer):
            of_layer[id(layer)] = of_layer[id(before[0])]
            of_layer[id(layer)].layers.append(layer)
            continue
        of_layer[id(layer)] = _Block([layer])
        blocks.append(of_layer[id(layer)])
        for source in before:
            of_layer[id(source)].consumers.append(of_layer[id(layer)])
    return blocks


def _arrange(blocks: list[_Block]) -> list[_Block]:
    """Give each block a row, as far down as its consumers allow, and a lane, largest first."""
    heights: dict[int, int] = {}
    for block in reversed(blocks):
        above = [heights[id(consumer)] for consumer in block.consumers]
        heights[id(block)] = 1 + max(above, default=-1)
    top = max(heights.values())
    rows: dict[int, list[_Block]] = {}
    for block in blocks:
        block.row = top - heights[id(block)]
        rows.setdefault(block.row, []).append(block)
    for row in rows.values():
        for lane, block in enumerate(sorted(row, key=lambda one: -_size(one.layers[-1]))):
            block.lane = lane
    return blocks


def _tensors(layer: Any, which: str) -> list[Any]:
    try:
        tensors = getattr(layer, which)
    except (AttributeError, RuntimeError, ValueError):  # called twice, or never
        return []
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def _shapes(layer: Any) -> list[str]:
    return ["×".join(map(str, tensor.shape[1:])) for tensor in _tensors(layer, "output")]


def _size(layer: Any) -> int:
    return sum(
        int(np.prod([n or 1 for n in tensor.shape[1:]])) for tensor in _tensors(layer, "output")
    )


def _draw_block(ax: Axes, block: _Block, width: float) -> None:
    x, y = block.lane * (width + _LANE_GAP), -block.row * _ROW_HEIGHT
    holds = any(layer.count_params() for layer in block.layers)
    ax.add_patch(
        FancyBboxPatch(
            (x, y - _BLOCK_HEIGHT),
            width,
            _BLOCK_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor="#CFE5F3" if holds else "#F2F2F2",
            edgecolor=BLUE if holds else GREY,
        )
    )
    middle = x + width / 2
    ax.text(middle, y - 0.16, block.title, ha="center", va="center", fontsize=9, weight="bold")
    ax.text(middle, y - 0.33, block.detail, ha="center", va="center", fontsize=8.5)


def _draw_arrow(ax: Axes, block: _Block, consumer: _Block, width: float, detour: bool) -> None:
    """Go straight down, or along the gap between the lanes where blocks are in the way."""
    pitch = width + _LANE_GAP
    start_y = -block.row * _ROW_HEIGHT - _BLOCK_HEIGHT
    end_y = -consumer.row * _ROW_HEIGHT
    turn = 0.5 * (_ROW_HEIGHT - _BLOCK_HEIGHT)
    aside = 0.4 * width * np.sign(block.lane - consumer.lane)
    start_x = block.lane * pitch + width / 2 - aside
    end_x = consumer.lane * pitch + width / 2 + aside
    path = [(start_x, start_y)]
    if detour:
        gap = min(block.lane, consumer.lane) * pitch + width + _LANE_GAP / 2
        path += [(gap, start_y - turn), (gap, end_y + turn)]
    ax.plot(*zip(*path, strict=True), color=GREY, linewidth=1.0, zorder=0)
    ax.annotate(
        "",
        xy=(end_x, end_y),
        xytext=path[-1],
        arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0},
        zorder=0,
    )
