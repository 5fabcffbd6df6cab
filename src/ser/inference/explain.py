"""Which parts of its input a network's answer rests on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ser.models import backend
from ser.project import SerError

N_STEPS = 64


def integrated_gradients(
    network: Any, rows: np.ndarray, position: int, *, n_steps: int = N_STEPS
) -> np.ndarray:
    """Share a probability out among the features of a clip."""
    if backend.load().config.backend() != "tensorflow":
        raise SerError("integrated gradients need TensorFlow: leave KERAS_BACKEND unset.")
    import tensorflow as tf

    valid = np.any(rows != 0, axis=1)
    baseline = np.zeros_like(rows)
    baseline[valid] = rows[valid].mean(axis=0)
    shares = (np.arange(n_steps) + 0.5) / n_steps
    path = baseline + shares[:, None, None].astype(np.float32) * (rows - baseline)
    batch = tf.convert_to_tensor(path)
    with tf.GradientTape() as tape:
        tape.watch(batch)
        probability = network(batch, training=False)[:, position]
    gradients = tape.gradient(probability, batch).numpy()
    return (rows - baseline) * gradients.mean(axis=0)
