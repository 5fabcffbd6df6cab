"""Waveforms, and what a model sees of them."""

from __future__ import annotations

import dataclasses

import librosa.display
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ser.config import FeatureConfig
from ser.features import extraction
from ser.plots.style import BLUE, GREY, VERMILION, new_axes


def waveform(samples: np.ndarray, sample_rate_hz: float, ax: Axes | None = None) -> Axes:
    """Draw amplitude over time.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : float
        Its rate.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        Seconds from left to right, symmetric about zero.
    """
    ax = new_axes(ax, height=2.5)
    times_s = np.arange(len(samples)) / sample_rate_hz
    ax.plot(times_s, samples, color=BLUE, linewidth=0.5)
    peak = max(0.01, float(np.abs(samples).max(initial=0.0)) * 1.05)
    ax.set(
        xlim=(0, len(samples) / sample_rate_hz),
        ylim=(-peak, peak),
        xlabel="time (s)",
        ylabel="amplitude\n(full scale is 1)",
    )
    return ax


def spectrogram(
    samples: np.ndarray,
    sample_rate_hz: int,
    ax: Axes | None = None,
    *,
    config: FeatureConfig = FeatureConfig(),
) -> Axes:
    """Draw the log-mel spectrogram.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : int
        Its rate.
    ax : Axes, optional
        Where to draw; a new figure where not given.
    config : FeatureConfig
        Window, step and mel bands, as the model's front end has them.

    Returns
    -------
    Axes
        Seconds, hertz on the mel scale, and a colour bar in decibels below the loudest point.
    """
    ax = new_axes(ax, height=3.2)
    only_mel = dataclasses.replace(config, kinds=("log_mel",), n_deltas=0)
    values = extraction.extract(np.asarray(samples, np.float32), sample_rate_hz, only_mel).T
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
    ax.grid(visible=False)
    plt.colorbar(picture, ax=ax, label="level (dB re maximum)", pad=0.02)
    return ax


def mfcc(
    samples: np.ndarray,
    sample_rate_hz: int,
    ax: Axes | None = None,
    *,
    config: FeatureConfig = FeatureConfig(),
) -> Axes:
    """Draw the mel-frequency cepstral coefficients.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : int
        Its rate.
    ax : Axes, optional
        Where to draw; a new figure where not given.
    config : FeatureConfig
        Window, step and number of coefficients, as the model's front end has them.

    Returns
    -------
    Axes
        See `feature_map`.
    """
    only_mfcc = dataclasses.replace(config, kinds=("mfcc",), n_deltas=0)
    values = extraction.extract(np.asarray(samples, np.float32), sample_rate_hz, only_mfcc)
    ax = feature_map(values, sample_rate_hz, ax, config=config, label="MFCC index")
    ax.set_xlim(0, len(samples) / sample_rate_hz)
    return ax


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
        One row per frame, as `ser.features.extraction.extract` or the store gives them.
    sample_rate_hz : int
        Rate of the waveform they came from.
    ax : Axes, optional
        Where to draw; a new figure where not given.
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


def attention_over_waveform(
    samples: np.ndarray,
    sample_rate_hz: float,
    weights: np.ndarray,
    weight_times_s: np.ndarray,
    ax: Axes | None = None,
) -> Axes:
    """Draw where in a clip the model looked.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : float
        Its rate.
    weights : ndarray of float, shape (n_steps,)
        Attention; sums to one over the clip.
    weight_times_s : ndarray of float, shape (n_steps,)
        The centre of each step, in seconds from the start of the clip. Steps that begin after its
        end (padding) are not drawn.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes
        The waveform's axes; attention has a second vertical axis, at the right.
    """
    ax = waveform(samples, sample_rate_hz, new_axes(ax, height=2.8))
    ax.lines[-1].set_color(GREY)
    ax.grid(visible=False)
    _attention(ax, len(samples) / sample_rate_hz, weights, weight_times_s)
    return ax


def attention_over_spectrogram(
    samples: np.ndarray,
    sample_rate_hz: int,
    weights: np.ndarray,
    weight_times_s: np.ndarray,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a model heard, and over it where it looked."""
    n_fft = 2 ** round(np.log2(0.032 * sample_rate_hz))
    config = FeatureConfig(kinds=("log_mel",), n_mels=64, n_fft=n_fft, hop_length=n_fft // 4)
    ax = spectrogram(samples, sample_rate_hz, ax, config=config)
    right = _attention(ax, len(samples) / sample_rate_hz, weights, weight_times_s)
    area, line = right.patches
    area.remove()
    line.set_edgecolor("white")
    right.set_yticks([])
    right.set_ylabel("")
    return ax


def _attention(ax: Axes, duration_s: float, weights: np.ndarray, of_times_s: np.ndarray) -> Axes:
    times_s, shares = np.asarray(of_times_s, float), 100 * np.asarray(weights, float)
    step_s = float(np.diff(times_s).mean()) if len(times_s) > 1 else duration_s
    shown = times_s - step_s / 2 < duration_s
    edges = np.append(times_s[shown] - step_s / 2, times_s[shown][-1] + step_s / 2)
    right = ax.twinx()
    right.stairs(shares[shown], edges, fill=True, color=VERMILION, alpha=0.3)
    right.stairs(shares[shown], edges, color=VERMILION, linewidth=1.5)
    right.set(ylim=(0, max(shares.max() * 1.1, 1e-6)))
    right.set_ylabel("attention (% of clip)", color=VERMILION)
    right.tick_params(axis="y", colors=VERMILION)
    right.spines["right"].set_visible(True)
    right.grid(visible=False)
    return right
