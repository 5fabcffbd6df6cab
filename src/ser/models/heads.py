"""What several architectures share: numbered blocks, clip statistics, the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers

from ser.models.layers import AttentiveStatistics, ClipStatistics


def numbered_blocks(filters: Sequence[int], pools: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """Pair the filters of each block with its pooling, and count the blocks from 1."""
    if len(filters) != len(pools):
        raise ValueError(
            "filters and pool_sizes need one entry per block, found "
            f"{len(filters)} and {len(pools)}"
        )
    return list(zip(range(1, len(filters) + 1), filters, pools, strict=True))


def clip_statistics(x: Any, mask: Any, n_features: int, dropout: float | None) -> Any:
    """Describe the clip as a whole; where no dropout is given, that is left out."""
    if dropout is None:
        return None
    x = ClipStatistics(name="statistics")(x[..., :n_features], mask)
    x = layers.BatchNormalization(name="normalise_statistics")(x)
    return layers.Dropout(dropout, name="dropout_statistics")(x)


def attentive_head(
    x: Any, mask: Any, beside: Any, n_classes: int, heads: int, units: int, dropout: float
) -> Any:
    """Pool a sequence by attention, set clip statistics beside it if there are any, classify."""
    x, _ = AttentiveStatistics(heads, units, name="attention")(x, mask)
    if beside is not None:
        x = layers.Concatenate(name="beside")([x, beside])
    x = layers.Dropout(dropout, name="dropout_head")(x)
    return layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
