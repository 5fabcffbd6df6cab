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
    """Share a probability out among the features of a clip.

    Parameters
    ----------
    network : keras.Model
        Features to probabilities.
    rows : ndarray, shape (n_frames, n_features)
        One clip, padded at the end with rows of zeros.
    position : int
        Whose probability, as a position among the classes.
    n_steps : int
        How many points between the baseline and the clip the gradient is taken at.

    Returns
    -------
    ndarray, shape (n_frames, n_features)
        Positive where a feature speaks for the class, negative where against it; zero on padding.
        They sum to the probability of the clip less that of the baseline, to within the error of
        the sum: every frame of the baseline is the clip's mean frame.

    Raises
    ------
    SerError
        When Keras does not run on TensorFlow.

    References
    ----------
    Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 3, by
    the midpoint rule.
    """
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
