"""Convolutions along one axis, an LSTM along the same axis, its last state: the common hybrid."""

from collections.abc import Sequence

import keras
from keras import layers

from ser.models.layers import Standardise, numbered_blocks

AXES = ("frames", "features")


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    axis: str = "frames",
    filters: Sequence[int] = (64, 128),
    kernel_size: int = 5,
    pool_sizes: Sequence[int] = (2, 2),
    conv_dropout: float = 0.2,
    lstm_units: int = 64,
    dense_units: int = 64,
    head_dropout: float = 0.3,
) -> keras.Model:
    """Build the uncompiled model."""
    if axis not in AXES:
        raise ValueError(f"axis must be one of {', '.join(AXES)}, found {axis!r}")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, _ = Standardise(name="standardise")(inputs)
    if axis == "features":
        x = layers.Reshape((n_frames * n_features, 1), name="as_one_sequence")(x)
    for number, n_filters, pool_size in numbered_blocks(filters, pool_sizes):
        x = layers.Conv1D(
            n_filters, kernel_size, padding="same", use_bias=False, name=f"conv_{number}"
        )(x)
        x = layers.BatchNormalization(name=f"normalise_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if x.shape[1] < pool_size:
            raise ValueError(f"pooling by {pool_size} in block {number} leaves nothing")
        x = layers.MaxPooling1D(pool_size, name=f"pool_{number}")(x)
        x = layers.Dropout(conv_dropout, name=f"dropout_{number}")(x)
    x = layers.LSTM(lstm_units, name="lstm")(x)
    x = layers.Dense(dense_units, activation="relu", name="dense")(x)
    x = layers.Dropout(head_dropout, name="dropout_head")(x)
    outputs = layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cnn_lstm")
