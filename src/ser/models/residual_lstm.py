"""Residual convolutions over time, a bidirectional LSTM, attentive statistics: `best-scratch`.

Features are channels here: the convolutions run along time only, which costs a tenth of what
two-dimensional ones do.
"""

from __future__ import annotations

import keras
from keras import layers

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
    separable: bool = False,
    squeeze_excite: int = 0,
    lstm_units: int = 64,
    lstm_layers: int = 1,
    lstm_dropout: float = 0.0,
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
    input_dropout, conv_dropout, lstm_dropout, head_dropout : float
        Dropout of whole features, after each convolution, after each LSTM but the last, and
        before the softmax; 0 to 1.
    filters, kernel_size, pool_size, n_blocks, separable, squeeze_excite
        See `ser.models.blocks.convolutions`.
    lstm_units, lstm_layers : int
        Units in each direction, and bidirectional layers on top of one another.
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
        separable=separable,
        squeeze_excite=squeeze_excite,
    )
    for number in range(1, lstm_layers + 1):
        lstm = layers.LSTM(lstm_units, return_sequences=True)
        x = layers.Bidirectional(lstm, name=f"lstm_{number}")(x)
        if number < lstm_layers:
            x = layers.Dropout(lstm_dropout, name=f"dropout_lstm_{number}")(x)
    outputs = way_out(
        x,
        mask,
        n_classes,
        heads=heads,
        attention_units=attention_units,
        dropout=head_dropout,
        beside=beside,
    )
    return keras.Model(inputs, outputs, name="residual_lstm")
