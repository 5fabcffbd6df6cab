"""The encoder of Whisper in Keras: log-mel spectrogram in, the states after each block out.

Nothing is padded to 30 s, which is what makes the original slow on short clips, and the first
blocks can be taken alone. Clips of a batch may differ in length: where a frame is zero throughout,
it is padding, and every clip is answered as if it were alone.

References
----------
Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from ser.models.pretrained import N_MELS

MAX_STEPS = 1500  # 30 s, a step of 20 ms


def positions(n_steps: int, width: int) -> np.ndarray:
    """Compute Whisper's sinusoidal positions."""
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(n_steps)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


@keras.saving.register_keras_serializable("ser")
class Positions(layers.Layer):
    """Add positions to a sequence ``(n_clips, n_steps, width)``; sinusoidal unless set."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the table, which is not trained."""
        n_steps, width = input_shape[1] or MAX_STEPS, int(input_shape[2] or 0)
        self.table = self.add_weight(name="table", shape=(n_steps, width), trainable=False)
        self.table.assign(positions(n_steps, width))

    def call(self, sequence: Any) -> Any:
        """Add."""
        table = ops.convert_to_tensor(self.table)
        return sequence + table[: ops.shape(sequence)[1]]


@keras.saving.register_keras_serializable("ser")
class Frames(layers.Layer):
    """Tell frames from padding: 1 where any value differs from zero, ``(n_clips, n_frames, 1)``."""

    def call(self, features: Any) -> Any:
        """Tell."""
        found = ops.any(ops.not_equal(features, 0.0), axis=-1, keepdims=True)
        return ops.cast(found, features.dtype)


@keras.saving.register_keras_serializable("ser")
def exact_gelu(x: Any) -> Any:
    """Compute Whisper's activation, the Gaussian error linear unit without approximation."""
    # spelled out: no converter knows the complementary error function that Keras takes
    return 0.5 * x * (1.0 + ops.erf(x * np.float32(np.sqrt(0.5))))


def encode(
    log_mel: Any, *, width: int, heads: int, blocks: int, last_norm: bool = True
) -> tuple[list[Any], Any]:
    """Lay the encoder behind a tensor: its states, and the mask of their steps."""
    mask = Frames(name="frames")(log_mel)
    x = layers.ZeroPadding1D(1, name="pad_1")(log_mel)
    x = layers.Conv1D(width, 3, activation=exact_gelu, name="conv_1")(x)
    x = layers.Multiply(name="hide_padding_1")([x, mask])
    x = layers.ZeroPadding1D(1, name="pad_2")(x)
    x = layers.Conv1D(width, 3, strides=2, activation=exact_gelu, name="conv_2")(x)
    x = Positions(name="positions")(x)
    mask = mask[:, ::2]
    visible = ops.cast(ops.expand_dims(ops.squeeze(mask, -1), 1), "bool")
    states = [x]
    for number in range(1, blocks + 1):
        x = _block(x, visible, width, heads, f"block_{number}")
        states.append(x)
    if last_norm:
        states[-1] = layers.LayerNormalization(epsilon=1e-5, name="norm")(x)
    return states, mask


def _block(x: Any, visible: Any, width: int, heads: int, name: str) -> Any:
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_attention_norm")(x)
    attention = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")
    x = layers.Add(name=f"{name}_attention_add")([x, attention(y, y, attention_mask=visible)])
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_dense_norm")(x)
    y = layers.Dense(4 * width, activation=exact_gelu, name=f"{name}_wide")(y)
    y = layers.Dense(width, name=f"{name}_narrow")(y)
    return layers.Add(name=f"{name}_dense_add")([x, y])


def encoder(n_frames: int | None, **sizes: Any) -> keras.Model:
    """Build the encoder as a model of its own, without weights; `sizes` are those of `encode`."""
    if n_frames is not None and not 1 <= n_frames <= 2 * MAX_STEPS:
        raise ValueError(f"Whisper takes 1 to {2 * MAX_STEPS} frames of 10 ms, found {n_frames}")
    inputs = keras.Input((n_frames, N_MELS), name="log_mel")
    states, _ = encode(inputs, **sizes)
    return keras.Model(inputs, states, name="whisper_encoder")


def set_weights(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Put released weights into a model that `encode` was used in."""
    for number in (1, 2):
        kernel = np.transpose(tensors[f"conv{number}.weight"], (2, 1, 0))
        model.get_layer(f"conv_{number}").set_weights([kernel, tensors[f"conv{number}.bias"]])
    table = model.get_layer("positions").table
    table.assign(tensors["embed_positions.weight"][: table.shape[0]])
    names = {layer.name for layer in model.layers}
    number = 1
    while (ours := f"block_{number}") + "_attention" in names:
        theirs = f"layers.{number - 1}"
        _norm(model, f"{ours}_attention_norm", tensors, f"{theirs}.self_attn_layer_norm")
        attention = model.get_layer(f"{ours}_attention")
        attention.set_weights(_attention(tensors, f"{theirs}.self_attn", attention.num_heads))
        _norm(model, f"{ours}_dense_norm", tensors, f"{theirs}.final_layer_norm")
        for dense, name in (("wide", "fc1"), ("narrow", "fc2")):
            kernel, bias = (tensors[f"{theirs}.{name}.{part}"] for part in ("weight", "bias"))
            model.get_layer(f"{ours}_{dense}").set_weights([kernel.T, bias])
        number += 1
    if "norm" in names:
        _norm(model, "norm", tensors, "layer_norm")


def _norm(model: keras.Model, ours: str, tensors: Mapping[str, np.ndarray], theirs: str) -> None:
    model.get_layer(ours).set_weights([tensors[f"{theirs}.{part}"] for part in ("weight", "bias")])


def _attention(tensors: Mapping[str, np.ndarray], name: str, heads: int) -> list[np.ndarray]:
    """Order the projections as Keras does: query, key, value, output, each kernel then bias."""
    values = []
    for part in ("q_proj", "k_proj", "v_proj"):
        kernel = tensors[f"{name}.{part}.weight"].T
        width = kernel.shape[0]
        # Whisper's keys have no bias
        bias = tensors.get(f"{name}.{part}.bias", np.zeros(width, kernel.dtype))
        values += [kernel.reshape(width, heads, -1), bias.reshape(heads, -1)]
    kernel = tensors[f"{name}.out_proj.weight"].T
    return [*values, kernel.reshape(heads, -1, kernel.shape[1]), tensors[f"{name}.out_proj.bias"]]
