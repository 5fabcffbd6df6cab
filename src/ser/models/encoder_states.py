"""A head over the states of a frozen encoder: project, a bidirectional LSTM, attention.

The encoder itself is not in the model: its states are the features.
"""

import keras
from keras import layers

from ser.models.layers import Standardise, attentive_head, clip_statistics


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
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
    """Build the uncompiled model; with no `heads`, a linear classifier of clip statistics."""
    if n_frames < pool_size:
        raise ValueError(f"pooling by {pool_size} leaves nothing of {n_frames} steps")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    beside = clip_statistics(x, mask, n_features, statistics_dropout)
    if not heads:
        if beside is None:
            raise ValueError("no heads: set statistics_dropout, or nothing is left to classify")
        outputs = layers.Dense(n_classes, activation="softmax", name="probabilities")(beside)
        return keras.Model(inputs, outputs, name="encoder_states")
    x = layers.SpatialDropout1D(input_dropout, name="dropout_input")(x)
    x = layers.Dense(projection, activation="relu", name="projection")(x)
    x = layers.Dropout(projection_dropout, name="dropout_projection")(x)
    x = layers.Multiply(name="hide_padding")([x, mask])
    if pool_size > 1:
        # padding counts as zeros in a clip's last step, which says that the clip ends there
        x = layers.AveragePooling1D(pool_size, name="pool")(x)
        mask = layers.MaxPooling1D(pool_size, name="mask_pool")(mask)
    lstm = layers.LSTM(lstm_units, return_sequences=True)
    x = layers.Bidirectional(lstm, name="lstm")(x)
    outputs = attentive_head(x, mask, beside, n_classes, heads, attention_units, head_dropout)
    return keras.Model(inputs, outputs, name="encoder_states")
