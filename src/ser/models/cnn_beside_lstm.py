"""Convolutions beside a bidirectional LSTM with attention; both summaries meet in the softmax."""

from collections.abc import Sequence

import keras
from keras import layers

from ser.models.layers import AttentionPooling, Standardise


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (8, 16, 32),
    kernel_size: int = 3,
    conv_dropout: float = 0.2,
    lstm_pool: int = 2,
    lstm_units: int = 64,
    attention_units: int = 64,
    head_dropout: float = 0.4,
) -> keras.Model:
    """Build the uncompiled model; each block halves frames and features."""
    smallest = 2 ** len(filters)
    if n_frames < max(smallest, lstm_pool) or n_features < smallest:
        raise ValueError(
            f"{len(filters)} blocks and a pooling by {lstm_pool} need at least "
            f"{max(smallest, lstm_pool)} frames of {smallest} features"
        )
    inputs = keras.Input((n_frames, n_features), name="features")
    standardised, mask = Standardise(name="standardise")(inputs)

    x = layers.Reshape((n_frames, n_features, 1), name="as_image")(standardised)
    for number, n_filters in enumerate(filters, 1):
        strides = 2 if number == 1 else 1  # the first block would cost more than all others
        x = layers.Conv2D(
            n_filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            name=f"conv_{number}",
        )(x)
        x = layers.BatchNormalization(name=f"normalise_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if strides == 1:
            x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
        x = layers.Dropout(conv_dropout, name=f"dropout_{number}")(x)
    image = layers.GlobalAveragePooling2D(name="image_summary")(x)

    x = layers.AveragePooling1D(lstm_pool, name="fewer_steps")(standardised)
    mask = layers.MaxPooling1D(lstm_pool, name="mask")(mask)
    x = layers.Bidirectional(layers.LSTM(lstm_units, return_sequences=True), name="lstm")(x)
    sequence, _ = AttentionPooling(attention_units, name="attention")(x, mask)

    x = layers.Concatenate(name="fused")([image, sequence])
    x = layers.Dropout(head_dropout, name="dropout_head")(x)
    outputs = layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cnn_beside_lstm")
