"""Convolutions along one axis, an LSTM along the same axis, its last state: the common hybrid."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from ser.models.layers import Standardise

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
    """Build the uncompiled model.

    Parameters
    ----------
    n_frames, n_features, n_classes : int
        Sizes of input and output.
    axis : {"frames", "features"}
        What convolutions and LSTM run along. ``frames`` is time. ``features`` strings all values
        of a clip into one sequence of scalars, as much published code does with vectors of
        statistics: neighbours are then neighbouring coefficients, and there is no time in it.
    filters : sequence of int
        Channels of each Conv1D block.
    kernel_size : int
        Of every convolution, in steps.
    pool_sizes : sequence of int
        Max pooling of each block, in steps.
    conv_dropout, head_dropout : float
        Dropout after each block and before the softmax, 0 to 1.
    lstm_units, dense_units : int
        Widths of the LSTM and of the layer after it.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, n_features)`` to class probabilities ``(n_clips, n_classes)``.

    Raises
    ------
    ValueError
        When the axis is unknown, there are not as many pool sizes as filters, or pooling leaves
        nothing.
    """
    if axis not in AXES:
        raise ValueError(f"axis must be one of {', '.join(AXES)}, found {axis!r}")
    if len(filters) != len(pool_sizes):
        raise ValueError(
            f"filters and pool_sizes need one entry per block, found {len(filters)} and "
            f"{len(pool_sizes)}"
        )
    inputs = keras.Input((n_frames, n_features), name="features")
    x, _ = Standardise(name="standardise")(inputs)
    if axis == "features":
        x = layers.Reshape((n_frames * n_features, 1), name="as_one_sequence")(x)
    for number, (n_filters, pool_size) in enumerate(zip(filters, pool_sizes, strict=True), 1):
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
