"""Residual convolutions over time, a Transformer encoder, attentive statistics."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ser.models.blocks import convolutions, way_in, way_out, whole_clip


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    normalise: str = "training",
    input_dropout: float = 0.0,
    filters: int = 96,
    kernel_size: int = 5,
    pool_size: int = 2,
    n_blocks: int = 1,
    conv_dropout: float = 0.2,
    transformer_blocks: int = 2,
    transformer_heads: int = 4,
    transformer_dropout: float = 0.1,
    heads: int = 4,
    attention_units: int = 64,
    head_dropout: float = 0.4,
    statistics_dropout: float | None = None,
) -> keras.Model:
    """Build the uncompiled model.

    Parameters
    ----------
    n_frames, n_features, n_classes : int
        Sizes of input and output.
    normalise : {"training", "clip", "both"}
        See `ser.models.blocks.way_in`.
    input_dropout, conv_dropout, head_dropout : float
        Dropout of whole features, after each convolution, and before the softmax; 0 to 1.
    filters, kernel_size, pool_size, n_blocks
        See `ser.models.blocks.convolutions`.
    transformer_blocks, transformer_heads : int
        Encoder blocks with layer normalisation first (Xiong et al., 2020), and the heads of each;
        `filters` must be a multiple of the heads.
    transformer_dropout : float
        In the blocks, 0 to 1.
    heads, attention_units : int
        See `ser.models.layers.AttentiveStatistics`.
    statistics_dropout : float, optional
        Put statistics of the whole clip beside the sequence, before the softmax, and drop this
        share of them in training, 0 to 1. See `ser.models.layers.ClipStatistics`.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, n_features)`` to class probabilities ``(n_clips, n_classes)``. The
        layer named ``attention`` has the weights over time as its second output.

    Raises
    ------
    ValueError
        When the sizes do not fit together.
    """
    if filters % transformer_heads:
        raise ValueError(f"{filters} filters do not divide into {transformer_heads} heads")
    inputs, x, mask = way_in(n_frames, n_features, normalise, input_dropout)
    beside = None
    if statistics_dropout is not None:
        beside = whole_clip(x, mask, n_features, statistics_dropout)
    x, mask = convolutions(
        x,
        mask,
        filters=filters,
        kernel_size=kernel_size,
        pool_size=pool_size,
        n_blocks=n_blocks,
        dropout=conv_dropout,
    )
    # the convolutions see a few steps of their surroundings; where in the clip a step is, they do
    # not, and neither do we tell: an emotion is not bound to a place
    visible = ops.cast(ops.transpose(mask, (0, 2, 1)), "bool")
    for number in range(1, transformer_blocks + 1):
        x = _encoder(x, visible, transformer_heads, transformer_dropout, number)
    x = layers.LayerNormalization(name="normalise_sequence")(x)
    outputs = way_out(
        x,
        mask,
        n_classes,
        heads=heads,
        attention_units=attention_units,
        dropout=head_dropout,
        beside=beside,
    )
    return keras.Model(inputs, outputs, name="cnn_transformer")


def _encoder(x: Any, visible: Any, heads: int, dropout: float, number: int) -> Any:
    width = x.shape[-1]
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
    return layers.Add(name=f"add_{number}_dense")([x, y])
