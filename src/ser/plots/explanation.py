"""Why a model answered as it did."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ser.audio import to_waveform
from ser.config import FeatureConfig, from_dict
from ser.plots.sound import attention_over_spectrogram, feature_map
from ser.project import SerError


def explanation(model: Any, samples: np.ndarray, sample_rate_hz: float) -> Figure:
    """Draw where a model listened and, if its gradients are at hand, what spoke for its answer."""
    hertz = model.audio.sample_rate_hz
    heard = to_waveform(samples, sample_rate_hz, model.audio)[: int(model.longest_s * hertz)]
    weights, times_s = model.attention(samples, sample_rate_hz)
    answer = model.hear(samples, sample_rate_hz)
    label = max(answer, key=lambda name: answer[name])
    try:
        shares = model.attributions(samples, sample_rate_hz, label)
    except SerError:
        shares = None
    n_rows = 1 if shares is None else 2
    figure, axes = plt.subplots(
        n_rows, 1, figsize=(9, 3.4 * n_rows), layout="constrained", squeeze=False
    )
    attention_over_spectrogram(heard, hertz, weights, times_s, axes[0, 0])
    axes[0, 0].set_title(
        f"where the model listened; its answer: {label} ({100 * answer[label]:.0f} %)"
    )
    if shares is not None:
        config = from_dict(FeatureConfig, model.card["features"], source="the model's card")
        n_frames = int(np.max(np.flatnonzero(np.any(shares != 0, axis=1)), initial=0)) + 1
        name = "mel band" if config.kinds[0] in ("log_mel", "whisper_mel") else "feature"
        feature_map(shares[:n_frames], hertz, axes[1, 0], config=config, label=name)
        axes[1, 0].set_title(f"what spoke for {label} (red) and against it (blue)")
    return figure
