"""Residual convolutions over time, an LSTM or a Transformer, attentive statistics: `best-scratch`.

Features are channels here: the convolutions run along time only, which costs a tenth of what
two-dimensional ones do.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ser.models.heads import attentive_head, clip_statistics, normalised_input, residual_stem

SEQUENCES = ("lstm", "transformer")


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    sequence: str = "lstm",
    normalise: str = "training",
    input_dropout: float = 0.0,
    filters: int = 96,
    kernel_size: int = 5,
    pool_size: int = 2,
    n_blocks: int = 1,
    conv_dropout: float = 0.2,
    lstm_units: int = 64,
    transformer_blocks: int = 2,
    transformer_heads: int = 4,
    transformer_dropout: float = 0.1,
    heads: int = 4,
    attention_units: int = 64,
    head_dropout: float = 0.4,
    statistics_dropout: float | None = None,
) -> keras.Model:
    """Build the uncompiled model; `statistics_dropout` sets statistics of the clip beside it."""
    if sequence not in SEQUENCES:
        raise ValueError(f"sequence must be one of {', '.join(SEQUENCES)}, found {sequence}")
    inputs, x, mask = normalised_input(n_frames, n_features, normalise, input_dropout)
    beside = clip_statistics(x, mask, n_features, statistics_dropout)
    x, mask = residual_stem(
        x,
        mask,
        filters=filters,
        kernel_size=kernel_size,
        pool_size=pool_size,
        n_blocks=n_blocks,
        dropout=conv_dropout,
    )
    if sequence == "lstm":
        lstm = layers.LSTM(lstm_units, return_sequences=True)
        x = layers.Bidirectional(lstm, name="lstm_1")(x)
    else:
        x = _transformer(x, mask, transformer_blocks, transformer_heads, transformer_dropout)
    outputs = attentive_head(
        x,
        mask,
        n_classes,
        heads=heads,
        attention_units=attention_units,
        dropout=head_dropout,
        beside=beside,
    )
    return keras.Model(inputs, outputs, name=f"residual_{sequence}")


def _transformer(x: Any, mask: Any, n_blocks: int, heads: int, dropout: float) -> Any:
    """Lay Transformer encoder blocks (pre-normalised) that do not see padding.

    The convolutions see a few steps of their surroundings; where in the clip a step is, they do
    not, and no positions are added: an emotion is not bound to a place.
    """
    width = x.shape[-1]
    if width % heads:
        raise ValueError(f"{width} filters do not divide into {heads} heads")
    visible = ops.cast(ops.transpose(mask, (0, 2, 1)), "bool")
    for number in range(1, n_blocks + 1):
        y = layers.LayerNormalization(name=f"normalise_{number}_1")(x)
        attention = layers.MultiHeadAttention(
            heads, width // heads, dropout=dropout, name=f"self_attention_{number}"
        )
        y = attention(y, y, attention_mask=visible)
        y = layers.Dropout(dropout, name=f"dropout_{number}_attention")(y)
        x = layers.Add(name=f"add_{number}_attention")([x, y])
        y = layers.LayerNormalization(name=f"normalise_{number}_2")(x)
        y = layers.Dense(2 * width, activation="gelu", name=f"wide_{number}")(y)
        y = layers.Dense(width, name=f"narrow_{number}")(y)
        y = layers.Dropout(dropout, name=f"dropout_{number}_dense")(y)
        x = layers.Add(name=f"add_{number}_dense")([x, y])
    return layers.LayerNormalization(name="normalise_sequence")(x)
