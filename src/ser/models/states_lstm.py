"""A head over the states of a frozen encoder: weigh, project, a bidirectional LSTM, attention.

The encoder itself is not in the model: its states are the features.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ser.models.blocks import way_out, whole_clip
from ser.models.layers import Standardise, WeighStates


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    n_states: int = 1,
    join: str = "weigh",
    input_dropout: float = 0.1,
    projection: int = 128,
    projection_dropout: float = 0.3,
    pool_size: int = 2,
    lstm_units: int = 64,
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
    n_states : int
        How many states lie side by side in the features.
    join : {"weigh", "concatenate"}
        Sum the states with weights that are learnt, or keep them side by side.
    input_dropout, projection_dropout, head_dropout : float
        Dropout of whole features, after the projection, and before the softmax; 0 to 1.
    projection : int
        Width of the dense layer that every step goes through; 0 leaves it out.
    pool_size : int
        Average so many steps after it.
    lstm_units : int
        Units in each direction; 0 leaves the LSTM out.
    heads, attention_units : int
        See `ser.models.layers.AttentiveStatistics`; no heads leave the sequence out, so that a
        linear classifier of the statistics remains.
    statistics_dropout : float, optional
        Put statistics of the whole clip beside the sequence, before the softmax, and drop this
        share of them in training, 0 to 1. See `ser.models.layers.ClipStatistics`.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, n_features)`` to class probabilities ``(n_clips, n_classes)``. With
        heads, the layer named ``attention`` has the weights over time as its second output.

    Raises
    ------
    ValueError
        When the sizes do not fit together.
    """
    if n_features % n_states:
        raise ValueError(f"{n_features} features are not {n_states} states of one width")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    outputs = head(
        x,
        mask,
        n_classes,
        n_states=n_states,
        join=join,
        input_dropout=input_dropout,
        projection=projection,
        projection_dropout=projection_dropout,
        pool_size=pool_size,
        lstm_units=lstm_units,
        heads=heads,
        attention_units=attention_units,
        head_dropout=head_dropout,
        statistics_dropout=statistics_dropout,
    )
    return keras.Model(inputs, outputs, name="states_lstm")


def head(
    x: Any,
    mask: Any,
    n_classes: int,
    *,
    n_states: int,
    join: str,
    input_dropout: float,
    projection: int,
    projection_dropout: float,
    pool_size: int,
    lstm_units: int,
    heads: int,
    attention_units: int,
    head_dropout: float,
    statistics_dropout: float | None,
) -> Any:
    """Lay the head behind states."""
    if join not in ("weigh", "concatenate"):
        raise ValueError(f"join must be weigh or concatenate, found {join}")
    if x.shape[1] < pool_size:
        raise ValueError(f"pooling by {pool_size} leaves nothing of {x.shape[1]} steps")
    if join == "weigh" and n_states > 1:
        x = WeighStates(n_states, name="weigh_states")(x)
    beside = None
    if statistics_dropout is not None:
        beside = whole_clip(x, mask, x.shape[2], statistics_dropout)
    if not heads:
        if beside is None:
            raise ValueError("no heads: set statistics_dropout, or nothing is left to classify")
        return layers.Dense(n_classes, activation="softmax", name="probabilities")(beside)
    x = layers.SpatialDropout1D(input_dropout, name="dropout_input")(x)
    if projection:
        x = layers.Dense(projection, activation="relu", name="projection")(x)
        x = layers.Dropout(projection_dropout, name="dropout_projection")(x)
    x = layers.Multiply(name="hide_padding")([x, mask])
    if pool_size > 1:
        # padding counts as zeros in a clip's last step, which says that the clip ends there
        x = layers.AveragePooling1D(pool_size, name="pool")(x)
        mask = layers.MaxPooling1D(pool_size, name="mask_pool")(mask)
    if lstm_units:
        lstm = layers.LSTM(lstm_units, return_sequences=True)
        x = layers.Bidirectional(lstm, name="lstm")(x)
    return way_out(
        x,
        mask,
        n_classes,
        heads=heads,
        attention_units=attention_units,
        dropout=head_dropout,
        beside=beside,
    )
