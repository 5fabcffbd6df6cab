"""The first blocks of a Whisper encoder, fine-tuned, under the head of `states_lstm`."""

from __future__ import annotations

import keras
from keras import layers

from ser.models import pretrained, states_lstm, whisper
from ser.models.layers import Standardise


def build(
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    encoder: str = "whisper-tiny.en",
    blocks: int = 3,
    states: tuple[int, ...] | list[int] = (2, 3),
    trainable_blocks: int = 3,
    train_stem: bool = False,
    step_pool: int = 2,
    join: str = "concatenate",
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
    """Build the uncompiled model, with the encoder's released weights.

    Parameters
    ----------
    n_frames, n_features, n_classes : int
        Sizes of input and output; the features are those of kind ``whisper_mel``.
    encoder : str
        A name from `ser.models.pretrained.ENCODERS`.
    blocks : int
        How many of its blocks, from the first.
    states : sequence of int
        Which states the head hears: 0 is the input of the first block, 1 its output.
    trainable_blocks : int
        How many blocks are trained, from the last.
    train_stem : bool
        Train the convolutions before the blocks too.
    step_pool : int
        Average so many steps of 20 ms before the head.
    join, input_dropout, projection, projection_dropout, pool_size, lstm_units, heads, \
attention_units, head_dropout, statistics_dropout
        See `ser.models.states_lstm.build`.

    Returns
    -------
    keras.Model
        ``(n_clips, n_frames, 80)`` to class probabilities ``(n_clips, n_classes)``. The layer named
        ``attention`` has the weights over time as its second output.

    Raises
    ------
    SerError
        When there is no such encoder, or its weights are not on this machine.
    ValueError
        When the sizes do not fit together.
    """
    known = pretrained.get(encoder)
    if n_features != whisper.N_MELS:
        raise ValueError(
            f"Whisper hears {whisper.N_MELS} mel bands: set features.kinds whisper_mel"
        )
    if not 1 <= blocks <= known.blocks or not 0 <= min(states) <= max(states) <= blocks:
        raise ValueError(f"{encoder} has 1 to {known.blocks} blocks, states 0 to as many")
    inputs = keras.Input((n_frames, n_features), name="features")
    found, mask = whisper.encode(
        inputs,
        width=known.width,
        heads=known.heads,
        blocks=blocks,
        last_norm=blocks == known.blocks,
    )
    chosen = []
    for state in states:
        hidden = layers.Multiply(name=f"hide_padding_state_{state}")([found[state], mask])
        chosen.append(hidden)
    x = layers.Concatenate(name="states")(chosen) if len(chosen) > 1 else chosen[0]
    if step_pool > 1:
        x = layers.AveragePooling1D(step_pool, name="step_pool")(x)
    x, mask = Standardise(name="standardise_states")(x)
    outputs = states_lstm.head(
        x,
        mask,
        n_classes,
        n_states=len(chosen),
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
    model = keras.Model(inputs, outputs, name="whisper_lstm")
    whisper.set_weights(model, pretrained.weights(encoder))
    for layer in model.layers:
        if layer.name in ("conv_1", "conv_2"):
            layer.trainable = train_stem
        elif layer.name.startswith("block_") or layer.name == "norm":
            number = blocks if layer.name == "norm" else int(layer.name.split("_")[1])
            layer.trainable = number > blocks - trainable_blocks
    return model
