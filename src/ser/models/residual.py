"""Residual convolutions over time, an LSTM or a Transformer, attentive statistics: `best-scratch`.

Features are channels here: the convolutions run along time only, which costs a tenth of what
two-dimensional ones do.
"""

from typing import Any

import keras
from keras import layers, ops

from ser.models.layers import ClipNormalise, Standardise, attentive_head, clip_statistics

NORMALISATIONS = ("training", "clip", "both")
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
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}, found {normalise}")
    if n_frames < pool_size:
        raise ValueError(f"pooling by {pool_size} leaves nothing of {n_frames} frames")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    if normalise != "training":
        own = ClipNormalise(name="normalise_clip")(x, mask)
        x = own if normalise == "clip" else layers.Concatenate(name="both")([x, own])
    x = layers.SpatialDropout1D(input_dropout, name="dropout_input")(x)
    beside = clip_statistics(x, mask, n_features, statistics_dropout)

    x = _convolution(x, filters, kernel_size, "conv")
    if pool_size > 1:
        x = layers.MaxPooling1D(pool_size, name="pool")(x)
        mask = layers.MaxPooling1D(pool_size, name="mask_pool")(mask)
    x = layers.Dropout(conv_dropout, name="dropout")(x)
    for number in range(1, n_blocks + 1):
        y = layers.Multiply(name=f"hide_padding_{number}")([x, mask])
        y = _convolution(y, filters, 3, f"conv_{number}_1")
        y = layers.Dropout(conv_dropout, name=f"dropout_{number}_1")(y)
        y = _convolution(y, filters, 3, f"conv_{number}_2")
        y = layers.Dropout(conv_dropout, name=f"dropout_{number}_2")(y)
        x = layers.Add(name=f"add_{number}")([x, y])
    x = layers.Multiply(name="hide_padding")([x, mask])

    if sequence == "lstm":
        lstm = layers.LSTM(lstm_units, return_sequences=True)
        x = layers.Bidirectional(lstm, name="lstm_1")(x)
    else:
        x = _transformer(x, mask, transformer_blocks, transformer_heads, transformer_dropout)
    outputs = attentive_head(x, mask, beside, n_classes, heads, attention_units, head_dropout)
    return keras.Model(inputs, outputs, name=f"residual_{sequence}")


def _convolution(x: Any, filters: int, kernel_size: int, name: str) -> Any:
    x = layers.Conv1D(filters, kernel_size, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"normalise_{name}")(x)
    return layers.ReLU(name=f"relu_{name}")(x)


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
