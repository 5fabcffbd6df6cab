"""Waveforms, what a model sees of them, and where it listened."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, ScalarFormatter

from ser.config import FeatureConfig, from_dict
from ser.plots.style import BLUE, COLOURS, legend_outside, new_axes
from ser.project import SerError

_MOST_POINTS = 20_000  # of a waveform in a timeline
_NAMED_FROM = 0.06  # share of the recording that a name needs to fit in


def waveform(samples: np.ndarray, sample_rate_hz: float, ax: Axes | None = None) -> Axes:
    """Draw amplitude over time: `samples` of shape (n_samples,), full scale -1 to 1."""
    ax = new_axes(ax, height=2.5)
    ax.plot(np.arange(len(samples)) / sample_rate_hz, samples, color=BLUE, linewidth=0.5)
    peak = max(0.01, float(np.abs(samples).max(initial=0.0)) * 1.05)
    ax.set(xlim=(0, len(samples) / sample_rate_hz), ylim=(-peak, peak))
    ax.set(xlabel="time (s)", ylabel="amplitude\n(full scale is 1)")
    return ax


def spectrogram(
    samples: np.ndarray,
    sample_rate_hz: int,
    ax: Axes | None = None,
    *,
    config: FeatureConfig = FeatureConfig(),
) -> Axes:
    """Draw the log-mel spectrogram, in decibels below the loudest point.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : int
        Its rate.
    config : FeatureConfig
        Window, step and mel bands, as the model's front end has them.
    """
    import librosa.display

    ax = new_axes(ax, height=3.2)
    values = _features(samples, sample_rate_hz, config, "log_mel").T
    picture = librosa.display.specshow(
        values - values.max(),
        sr=sample_rate_hz,
        hop_length=config.hop_length,
        n_fft=config.n_fft,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
        x_axis="time",
        y_axis="mel",
        cmap="magma",
        vmin=-80,
        vmax=0,
        ax=ax,
    )
    ax.set(xlim=(0, len(samples) / sample_rate_hz), xlabel="time (s)", ylabel="frequency (Hz)")
    ax.xaxis.set_major_locator(AutoLocator())  # librosa's round 1.05 s to 1.1
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.grid(visible=False)
    plt.colorbar(picture, ax=ax, label="level (dB re maximum)", pad=0.02)
    return ax


def _features(
    samples: np.ndarray, sample_rate_hz: int, config: FeatureConfig, kind: str
) -> np.ndarray:
    from ser import features  # brings librosa, which most plots do without

    alone = dataclasses.replace(config, kinds=(kind,), n_deltas=0)
    return features.extract(np.asarray(samples, np.float32), sample_rate_hz, alone)


def feature_map(
    values: np.ndarray,
    sample_rate_hz: int,
    ax: Axes | None = None,
    *,
    config: FeatureConfig = FeatureConfig(),
    label: str = "feature index",
) -> Axes:
    """Draw what a model takes: any features over time.

    Parameters
    ----------
    values : ndarray, shape (n_frames, n_features)
        One row per frame, as `ser.features.extract` gives them.
    sample_rate_hz : int
        Rate of the waveform they came from.
    config : FeatureConfig
        Holds the step between frames.
    label : str
        What the vertical axis counts.

    Returns
    -------
    Axes
        Colours are symmetric about zero and end where 1 % of the values (the first feature left
        out: MFCC 0 is the level, and many times as large) lie beyond.
    """
    ax = new_axes(ax, height=3.2)
    values = np.asarray(values)
    hop_s = config.hop_length / sample_rate_hz
    compared = values[:, 1:] if values.shape[1] > 1 else values
    limit = max(float(np.percentile(np.abs(compared), 99)), 1e-6)
    picture = ax.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(-hop_s / 2, (len(values) - 0.5) * hop_s, -0.5, values.shape[1] - 0.5),
    )
    ax.set(xlim=(0, None), xlabel="time (s)", ylabel=label)
    ax.grid(visible=False)
    plt.colorbar(picture, ax=ax, label="value", extend="both", pad=0.02)
    return ax


def attention_over_spectrogram(
    samples: np.ndarray,
    sample_rate_hz: int,
    weights: np.ndarray,
    weight_times_s: np.ndarray,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a model heard, and over it in white where it looked.

    Takes samples (n_samples,), and attention (n_steps,), which sums to one over the clip, with the
    centre of each step in seconds. Steps that begin after the clip's end (padding) are not drawn.
    """
    n_fft = 2 ** round(np.log2(0.032 * sample_rate_hz))
    config = FeatureConfig(kinds=("log_mel",), n_mels=64, n_fft=n_fft, hop_length=n_fft // 4)
    ax = spectrogram(samples, sample_rate_hz, ax, config=config)
    return attention(weights, weight_times_s, len(samples) / sample_rate_hz, ax)


def attention(weights: np.ndarray, weight_times_s: np.ndarray, duration_s: float, ax: Axes) -> Axes:
    """Draw in white, over a picture of a clip, where a model looked."""
    times_s = np.asarray(weight_times_s, float)
    shares = 100 * np.asarray(weights, float)
    step_s = float(np.diff(times_s).mean()) if len(times_s) > 1 else duration_s
    shown = times_s - step_s / 2 < duration_s
    edges = np.append(times_s[shown] - step_s / 2, times_s[shown][-1] + step_s / 2)
    right = ax.twinx()
    right.stairs(shares[shown], edges, color="white", linewidth=1.5)
    right.set(ylim=(0, max(shares.max() * 1.1, 1e-6)), yticks=[])
    right.grid(visible=False)
    return ax


def timeline(
    samples: np.ndarray,
    sample_rate_hz: float,
    segments: Sequence[Any],
    classes: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a waveform, and behind each stretch of speech the colour of its answer."""
    ax = new_axes(ax, width=10, height=3)
    mono = np.asarray(samples, float).reshape(len(samples), -1).mean(axis=1)
    every = max(1, len(mono) // _MOST_POINTS)
    waveform(mono[::every], sample_rate_hz / every, ax)
    ax.lines[-1].set_color("0.25")
    ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # for the names
    seen = set()
    for segment in segments:
        colour = COLOURS[list(classes).index(segment.label) % len(COLOURS)]
        label = None if segment.label in seen else segment.label
        ax.axvspan(segment.start_s, segment.end_s, color=colour, alpha=0.35, lw=0, label=label)
        seen.add(segment.label)
        if segment.end_s - segment.start_s > _NAMED_FROM * len(mono) / sample_rate_hz:
            middle = (segment.start_s + segment.end_s) / 2
            ax.text(middle, ax.get_ylim()[1], segment.label, ha="center", va="top", fontsize=9)
    if seen:
        legend_outside(ax, "above", min(4, len(seen)))
    return ax


def explanation(model: Any, samples: np.ndarray, sample_rate_hz: float, answer: Any) -> Figure:
    """Draw where a model listened and, if its gradients are at hand, what spoke for its answer.

    Takes a `ser.inference.Model` and what it answered. Of a recording that is longer than the model
    hears at once, the beginning is explained.
    """
    from ser.audio import to_waveform

    hertz = model.audio.sample_rate_hz
    heard = to_waveform(samples, sample_rate_hz, model.audio)[: int(model.longest_s * hertz)]
    where = "listened"
    if answer.in_windows:
        samples, sample_rate_hz, answer = heard, hertz, model.predict(heard, hertz)
        where = f"listened in the first {model.longest_s:.1f} s"
    if answer.attention is None:
        raise SerError("this model has no attention layer to look into.")
    try:
        shares = model.attributions(samples, sample_rate_hz, answer.label) if answer.label else None
    except SerError:
        shares = None
    n_rows = 1 if shares is None else 2
    figure, axes = plt.subplots(
        n_rows, 1, figsize=(9, 3.4 * n_rows), layout="constrained", squeeze=False
    )
    weights, times_s = answer.attention
    attention_over_spectrogram(heard, hertz, weights, times_s, axes[0, 0])
    axes[0, 0].set_title(f"where the model {where}; its answer: {answer.headline}")
    if shares is not None:
        config = from_dict(FeatureConfig, model.card["features"], source="the model's card")
        n_frames = int(np.max(np.flatnonzero(np.any(shares != 0, axis=1)), initial=0)) + 1
        name = "mel band" if config.kinds[0] in ("log_mel", "whisper_mel") else "feature"
        feature_map(shares[:n_frames], hertz, axes[1, 0], config=config, label=name)
        axes[1, 0].set_title(f"what spoke for {answer.label} (red) and against it (blue)")
    return figure
