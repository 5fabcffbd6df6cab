"""What several architectures share: the input, the residual stem, clip statistics, the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from ser.models.layers import AttentiveStatistics, ClipNormalise, ClipStatistics, Standardise

NORMALISATIONS = ("training", "clip", "both")


def normalised_input(
    n_frames: int, n_features: int, normalise: str, dropout: float
) -> tuple[Any, Any, Any]:
    """Lay the input: features normalised by training clips, by the clip itself, or by both."""
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}, found {normalise}")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    if normalise != "training":
        own = ClipNormalise(name="normalise_clip")(x, mask)
        x = own if normalise == "clip" else layers.Concatenate(name="both")([x, own])
    return inputs, layers.SpatialDropout1D(dropout, name="dropout_input")(x), mask


def numbered_blocks(filters: Sequence[int], pools: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """Pair the filters of each block with its pooling, and count the blocks from 1."""
    if len(filters) != len(pools):
        raise ValueError(
            "filters and pool_sizes need one entry per block, found "
            f"{len(filters)} and {len(pools)}"
        )
    return list(zip(range(1, len(filters) + 1), filters, pools, strict=True))


def residual_stem(
    x: Any,
    mask: Any,
    *,
    filters: int,
    kernel_size: int,
    pool_size: int,
    n_blocks: int,
    dropout: float,
) -> tuple[Any, Any]:
    """Convolve along time: a first layer with pooling, then residual blocks."""
    if x.shape[1] < pool_size:
        raise ValueError(f"pooling by {pool_size} leaves nothing of {x.shape[1]} frames")
    x = _convolution(x, filters, kernel_size, "conv")
    if pool_size > 1:
        x = layers.MaxPooling1D(pool_size, name="pool")(x)
        mask = layers.MaxPooling1D(pool_size, name="mask_pool")(mask)
    x = layers.Dropout(dropout, name="dropout")(x)
    for number in range(1, n_blocks + 1):
        y = layers.Multiply(name=f"hide_padding_{number}")([x, mask])
        y = _convolution(y, filters, 3, f"conv_{number}_1")
        y = layers.Dropout(dropout, name=f"dropout_{number}_1")(y)
        y = _convolution(y, filters, 3, f"conv_{number}_2")
        y = layers.Dropout(dropout, name=f"dropout_{number}_2")(y)
        x = layers.Add(name=f"add_{number}")([x, y])
    return layers.Multiply(name="hide_padding")([x, mask]), mask


def _convolution(x: Any, filters: int, kernel_size: int, name: str) -> Any:
    x = layers.Conv1D(filters, kernel_size, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"normalise_{name}")(x)
    return layers.ReLU(name=f"relu_{name}")(x)


def clip_statistics(x: Any, mask: Any, n_features: int, dropout: float | None) -> Any:
    """Describe the clip as a whole; where no dropout is given, that is left out."""
    if dropout is None:
        return None
    x = ClipStatistics(name="statistics")(x[..., :n_features], mask)
    x = layers.BatchNormalization(name="normalise_statistics")(x)
    return layers.Dropout(dropout, name="dropout_statistics")(x)


def attentive_head(
    x: Any,
    mask: Any,
    n_classes: int,
    *,
    heads: int,
    attention_units: int,
    dropout: float,
    beside: Any = None,
) -> Any:
    """Pool a sequence by attention, set clip statistics beside it, and classify."""
    x, _ = AttentiveStatistics(heads, attention_units, name="attention")(x, mask)
    if beside is not None:
        x = layers.Concatenate(name="beside")([x, beside])
    x = layers.Dropout(dropout, name="dropout_head")(x)
    return layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
