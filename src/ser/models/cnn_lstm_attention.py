"""Convolutions over time and features, a bidirectional LSTM over time, attention over time."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from ser.models.layers import AttentionPooling, MaskedAverage, Standardise


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (8, 16, 32),
    kernel_size: int = 3,
    pool_sizes: Sequence[Sequence[int]] = ((2, 2), (2, 2), (2, 2)),
    conv_dropout: float = 0.2,
    lstm_units: int = 128,
    attention: bool = True,
    attention_units: int = 64,
    head_dropout: float = 0.4,
) -> keras.Model:
    """Build the uncompiled model.

    Parameters
    ----------
    n_frames, n_features, n_classes : int
        Sizes of input and output.
    filters : sequence of int
        Channels of each Conv2D block.
    kernel_size : int
        Of every convolution, in frames and in features.
    pool_sizes : sequence of (int, int)
        Max pooling of each block, over (frames, features).
    conv_dropout, head_dropout : float
        Dropout after each block and before the softmax, 0 to 1.
    lstm_units : int
        Units of the LSTM in each direction.
    attention : bool
        Pool the steps by attention beside their plain average, or by the average alone.
    attention_units : int
        Width of the layer that scores a step.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, n_features)`` to class probabilities ``(n_clips, n_classes)``. The
        layer named ``attention`` has the weights over time as its second output.

    Raises
    ------
    ValueError
        When there are not as many pool sizes as filters, or pooling leaves nothing.
    """
    if len(filters) != len(pool_sizes):
        raise ValueError(
            f"filters and pool_sizes need one entry per block, found {len(filters)} and "
            f"{len(pool_sizes)}"
        )
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    x = layers.Reshape((n_frames, n_features, 1), name="as_image")(x)
    for number, (n_filters, pool_size) in enumerate(zip(filters, pool_sizes, strict=True), 1):
        x = layers.Conv2D(
            n_filters, kernel_size, padding="same", use_bias=False, name=f"conv_{number}"
        )(x)
        x = layers.BatchNormalization(name=f"normalise_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if any(size < pool for size, pool in zip(x.shape[1:3], pool_size, strict=True)):
            raise ValueError(f"pooling by {tuple(pool_size)} in block {number} leaves nothing")
        x = layers.MaxPooling2D(tuple(pool_size), name=f"pool_{number}")(x)
        x = layers.Dropout(conv_dropout, name=f"dropout_{number}")(x)
        mask = layers.MaxPooling1D(pool_size[0], name=f"mask_{number}")(mask)
    # frames stay the sequence; features and channels of a frame become one vector
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="as_sequence")(x)
    x = layers.Multiply(name="hide_padding")([x, mask])
    x = layers.Bidirectional(layers.LSTM(lstm_units, return_sequences=True), name="lstm")(x)
    average = MaskedAverage(name="average")(x, mask)
    if attention:
        attended, _ = AttentionPooling(attention_units, name="attention")(x, mask)
        x = layers.Concatenate(name="summary")([attended, average])
    else:
        x = average
    x = layers.Dropout(head_dropout, name="dropout_head")(x)
    outputs = layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cnn_lstm_attention")
