"""Convolutions over time and features, a bidirectional LSTM over time, attention over time."""

from collections.abc import Sequence

import keras
from keras import layers

from ser.models.layers import AttentionPooling, MaskedAverage, Standardise, numbered_blocks


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
    """Build the uncompiled model; pools are (frames, features); without `attention`, an average."""
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    x = layers.Reshape((n_frames, n_features, 1), name="as_image")(x)
    for number, n_filters, pool_size in numbered_blocks(filters, pool_sizes):
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
