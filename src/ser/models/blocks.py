"""What `residual_lstm` and `cnn_transformer` share: everything but the layer over time."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ser.models.layers import (
    AttentiveStatistics,
    ClipNormalise,
    ClipStatistics,
    MaskedAverage,
    Standardise,
)

NORMALISATIONS = ("training", "clip", "both")


def way_in(
    n_frames: int, n_features: int, normalise: str, input_dropout: float
) -> tuple[Any, Any, Any]:
    """Take features in and normalise them.

    Parameters
    ----------
    n_frames, n_features : int
        Size of the input.
    normalise : {"training", "clip", "both"}
        By the statistics of training clips, by those of the clip itself, or both side by side.
    input_dropout : float
        Share of whole features that are hidden in training.

    Returns
    -------
    (tensor, tensor, tensor)
        The input; the normalised features; the mask ``(n_clips, n_frames, 1)``.

    Raises
    ------
    ValueError
        When there is no such normalisation.
    """
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}, found {normalise}")
    inputs = keras.Input((n_frames, n_features), name="features")
    x, mask = Standardise(name="standardise")(inputs)
    if normalise != "training":
        own = ClipNormalise(name="normalise_clip")(x, mask)
        x = own if normalise == "clip" else layers.Concatenate(name="both")([x, own])
    return inputs, layers.SpatialDropout1D(input_dropout, name="dropout_input")(x), mask


def convolutions(
    x: Any,
    mask: Any,
    *,
    filters: int,
    kernel_size: int,
    pool_size: int,
    n_blocks: int,
    dropout: float,
    separable: bool = False,
    squeeze_excite: int = 0,
) -> tuple[Any, Any]:
    """Convolve along time: a first layer with pooling, then residual blocks.

    Parameters
    ----------
    x, mask : tensor
        As `way_in` returns them.
    filters : int
        Channels throughout.
    kernel_size : int
        Of the first layer, in frames; the blocks have 3.
    pool_size : int
        Max pooling after the first layer, in frames.
    n_blocks : int
        Residual blocks of two convolutions (He et al., 2016).
    dropout : float
        After each of them, 0 to 1.
    separable : bool
        Make the blocks' convolutions depthwise separable (Chollet, 2017).
    squeeze_excite : int
        Width of the layer that weighs a block's channels (Hu et al., 2018); 0 for none.

    Returns
    -------
    (tensor, tensor)
        Sequence ``(n_clips, n_steps, filters)``, zero on padding, and its mask.

    Raises
    ------
    ValueError
        When pooling leaves nothing.
    """
    if x.shape[1] < pool_size:
        raise ValueError(f"pooling by {pool_size} leaves nothing of {x.shape[1]} frames")
    convolution = layers.SeparableConv1D if separable else layers.Conv1D
    x = _layer(x, layers.Conv1D, filters, kernel_size, "conv")
    if pool_size > 1:
        x = layers.MaxPooling1D(pool_size, name="pool")(x)
        mask = layers.MaxPooling1D(pool_size, name="mask_pool")(mask)
    x = layers.Dropout(dropout, name="dropout")(x)
    for number in range(1, n_blocks + 1):
        y = layers.Multiply(name=f"hide_padding_{number}")([x, mask])
        y = _layer(y, convolution, filters, 3, f"conv_{number}_1")
        y = layers.Dropout(dropout, name=f"dropout_{number}_1")(y)
        y = _layer(y, convolution, filters, 3, f"conv_{number}_2")
        if squeeze_excite:
            gate = MaskedAverage(name=f"squeeze_{number}")(y, mask)
            gate = layers.Dense(squeeze_excite, activation="relu", name=f"excite_{number}_1")(gate)
            gate = layers.Dense(filters, activation="sigmoid", name=f"excite_{number}_2")(gate)
            gate = layers.Reshape((1, filters), name=f"gate_{number}")(gate)
            y = layers.Multiply(name=f"weigh_{number}")([y, gate])
        y = layers.Dropout(dropout, name=f"dropout_{number}_2")(y)
        x = layers.Add(name=f"add_{number}")([x, y])
    return layers.Multiply(name="hide_padding")([x, mask]), mask


def _layer(x: Any, convolution: Any, filters: int, kernel_size: int, name: str) -> Any:
    x = convolution(filters, kernel_size, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"normalise_{name}")(x)
    return layers.ReLU(name=f"relu_{name}")(x)


def whole_clip(x: Any, mask: Any, n_features: int, dropout: float) -> Any:
    """Describe the clip as a whole.

    Parameters
    ----------
    x, mask : tensor
        As `way_in` returns them.
    n_features : int
        How many of the normalised features to describe, from the first.
    dropout : float
        Of the statistics, 0 to 1.

    Returns
    -------
    tensor
        `ser.models.layers.ClipStatistics`, normalised over clips: ``(n_clips, 5 * n_features)``.
    """
    x = ClipStatistics(name="statistics")(x[..., :n_features], mask)
    x = layers.BatchNormalization(name="normalise_statistics")(x)
    return layers.Dropout(dropout, name="dropout_statistics")(x)


def way_out(
    x: Any,
    mask: Any,
    n_classes: int,
    *,
    heads: int,
    attention_units: int,
    dropout: float,
    beside: Any = None,
) -> Any:
    """Pool a sequence by attention, and classify.

    Parameters
    ----------
    x, mask : tensor
        Sequence and mask.
    n_classes : int
        Number of outputs.
    heads, attention_units : int
        See `ser.models.layers.AttentiveStatistics`.
    dropout : float
        Before the softmax, 0 to 1.
    beside : tensor, optional
        What else is known about the clip, ``(n_clips, any)``.

    Returns
    -------
    tensor
        Class probabilities ``(n_clips, n_classes)``.
    """
    x, _ = AttentiveStatistics(heads, attention_units, name="attention")(x, mask)
    if beside is not None:
        x = layers.Concatenate(name="beside")([x, beside])
    x = layers.Dropout(dropout, name="dropout_head")(x)
    return layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
