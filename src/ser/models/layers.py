"""Layers that Keras does not have, registered so that a saved model loads in safe mode.

And what several architectures share: numbered blocks, clip statistics, the head.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("ser")
class Standardise(keras.layers.Layer):
    """Subtract a mean and divide by a standard deviation per feature; leave padding at zero."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the two weights."""
        n_features = input_shape[-1]
        self.mean = self.add_weight(
            name="mean", shape=(n_features,), initializer="zeros", trainable=False
        )
        self.deviation = self.add_weight(
            name="deviation", shape=(n_features,), initializer="ones", trainable=False
        )

    def set_statistics(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Set the statistics."""
        self.mean.assign(np.asarray(mean, np.float32))
        self.deviation.assign(np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32))

    def call(self, features: Any) -> tuple[Any, Any]:
        """Standardise."""
        frames = ops.any(ops.not_equal(features, 0.0), axis=-1, keepdims=True)
        mask = ops.cast(frames, features.dtype)
        return (features - self.mean) / self.deviation * mask, mask


class _Attention(keras.layers.Layer):
    """What both kinds of attention share: a weight for each step and head, none for padding."""

    def __init__(self, heads: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.units = heads, units
        self.hidden = keras.layers.Dense(units, activation="tanh", name="hidden")
        self.score = keras.layers.Dense(heads, use_bias=False, name="score")

    def build(self, sequence_shape: tuple[int | None, ...], frames_shape: Any) -> None:
        """Build the two dense layers."""
        self.hidden.build(sequence_shape)
        self.score.build((*sequence_shape[:-1], self.units))

    def weigh(self, sequence: Any, frames: Any) -> Any:
        """Give weights of shape (n_clips, n_steps, heads) that sum to 1 over the steps."""
        scores = self.score(self.hidden(sequence)) + (frames - 1.0) * 1e4
        return ops.softmax(scores, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Give what `__init__` needs."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("ser")
class AttentionPooling(_Attention):
    """Weigh the steps of a sequence and sum them."""

    def __init__(self, units: int = 64, **kwargs: Any) -> None:
        super().__init__(heads=1, units=units, **kwargs)

    def call(self, sequence: Any, frames: Any) -> tuple[Any, Any]:
        """Pool."""
        weights = self.weigh(sequence, frames)
        return ops.sum(weights * sequence, axis=1), ops.squeeze(weights, axis=-1)


@keras.saving.register_keras_serializable("ser")
class MaskedAverage(keras.layers.Layer):
    """Average a sequence over its unpadded steps."""

    def call(self, sequence: Any, frames: Any) -> Any:
        """Average."""
        return _average(sequence, frames)


@keras.saving.register_keras_serializable("ser")
class ClipNormalise(keras.layers.Layer):
    """Subtract a clip's own mean and divide by its own deviation, per feature, padding left out."""

    def call(self, sequence: Any, frames: Any) -> Any:
        """Normalise."""
        count = ops.maximum(ops.sum(frames, axis=1, keepdims=True), 1.0)
        mean = ops.sum(sequence * frames, axis=1, keepdims=True) / count
        centred = (sequence - mean) * frames
        variance = ops.sum(ops.square(centred), axis=1, keepdims=True) / count
        return centred / ops.sqrt(variance + 1e-3)


@keras.saving.register_keras_serializable("ser")
class ClipStatistics(keras.layers.Layer):
    """Describe each feature of a clip by five numbers, padding left out."""

    def call(self, sequence: Any, frames: Any) -> Any:
        """Describe."""
        mean = _average(sequence, frames)
        deviation = _average(ops.square(sequence - mean[:, None]), frames)
        both = frames[:, 1:] * frames[:, :-1]
        change = _average(ops.square(sequence[:, 1:] - sequence[:, :-1]), both)
        far = (1.0 - frames) * 1e3
        # the constant keeps the root's slope finite for a feature that never changes
        roots = [ops.sqrt(part + 1e-5) for part in (deviation, change)]
        most, least = ops.max(sequence - far, axis=1), ops.min(sequence + far, axis=1)
        return ops.concatenate([mean, *roots, most, least], axis=-1)


def _average(sequence: Any, frames: Any) -> Any:
    return ops.sum(sequence * frames, axis=1) / ops.maximum(ops.sum(frames, axis=1), 1.0)


@keras.saving.register_keras_serializable("ser")
class AttentiveStatistics(_Attention):
    """Weighted mean and deviation of a sequence over its steps, for several heads."""

    def __init__(self, heads: int = 4, units: int = 64, **kwargs: Any) -> None:
        super().__init__(heads=heads, units=units, **kwargs)

    def call(self, sequence: Any, frames: Any) -> tuple[Any, Any]:
        """Pool."""
        weights = self.weigh(sequence, frames)
        turned = ops.transpose(weights, (0, 2, 1))
        mean = ops.matmul(turned, sequence)
        variance = ops.matmul(turned, ops.square(sequence)) - ops.square(mean)
        deviation = ops.sqrt(ops.maximum(variance, 1e-5))
        width = self.heads * sequence.shape[-1]
        pooled = [ops.reshape(part, (-1, width)) for part in (mean, deviation)]
        return ops.concatenate(pooled, axis=-1), ops.mean(weights, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Give what `__init__` needs."""
        return {**super().get_config(), "heads": self.heads}


def numbered_blocks(filters: Sequence[int], pools: Sequence[Any]) -> list[tuple[int, int, Any]]:
    """Pair the filters of each block with its pooling, and count the blocks from 1."""
    if len(filters) != len(pools):
        raise ValueError(
            "filters and pool_sizes need one entry per block, found "
            f"{len(filters)} and {len(pools)}"
        )
    return list(zip(range(1, len(filters) + 1), filters, pools, strict=True))


def clip_statistics(x: Any, mask: Any, n_features: int, dropout: float | None) -> Any:
    """Describe the clip as a whole; where no dropout is given, that is left out."""
    if dropout is None:
        return None
    x = ClipStatistics(name="statistics")(x[..., :n_features], mask)
    x = layers.BatchNormalization(name="normalise_statistics")(x)
    return layers.Dropout(dropout, name="dropout_statistics")(x)


def attentive_head(
    x: Any, mask: Any, beside: Any, n_classes: int, heads: int, units: int, dropout: float
) -> Any:
    """Pool a sequence by attention, set clip statistics beside it if there are any, classify."""
    x, _ = AttentiveStatistics(heads, units, name="attention")(x, mask)
    if beside is not None:
        x = layers.Concatenate(name="beside")([x, beside])
    x = layers.Dropout(dropout, name="dropout_head")(x)
    return layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
