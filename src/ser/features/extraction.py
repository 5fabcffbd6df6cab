"""A waveform becomes an array of shape ``(n_frames, n_features)``; librosa does the computing.

The same functions serve training and inference, so what a model hears is the same in both.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import librosa
import numpy as np
from threadpoolctl import ThreadpoolController

from ser.audio import to_waveform
from ser.config import CUSTOM, AudioConfig, FeatureConfig
from ser.features import custom, encoders
from ser.project import SerError

# Part of every cache key. Raise it when a change here or in `ser.audio` changes any value.
FRONT_END_VERSION = f"1-librosa-{version('librosa')}"
LEAST_POWER = 1e-10  # power below this counts as this, before the logarithm
RANGE_DB = 80.0  # values further than this below the loudest band are raised to that floor


def compute(
    samples: Any, sample_rate_hz: float, audio: AudioConfig, features: FeatureConfig
) -> np.ndarray:
    """Turn samples of any rate and channel count into what a model takes."""
    waveform = to_waveform(samples, sample_rate_hz, audio)
    return to_rows(extract(waveform, audio.sample_rate_hz, features), features)


def extract(waveform: np.ndarray, sample_rate_hz: int, config: FeatureConfig) -> np.ndarray:
    """Compute the features of a whole waveform.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        Full scale is -1 to 1.
    sample_rate_hz : int
        Its rate.
    config : FeatureConfig
        What to compute, stacked along the feature axis in the order of ``config.kinds``.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop_length, n_features)
        One row per frame; frame ``t`` is centred on sample ``t * hop_length``. A waveform shorter
        than one window is first padded with silence to the window's length. Of pretrained encoders
        at most ``config.n_frames`` rows, from what lies within them.

    Raises
    ------
    SerError
        When the sample rate cannot carry a feature (spectral contrast needs over 12.8 kHz, a
        pretrained encoder exactly 16 kHz) or the window cannot resolve it, the mel range reaches
        over half the sample rate, or an encoder's weights are not on this machine.

    Examples
    --------
    >>> import numpy as np
    >>> extract(np.zeros(22_050, np.float32), 22_050, FeatureConfig()).shape
    (44, 40)
    """
    _check_rate(sample_rate_hz, config)
    if len(waveform) < config.n_fft:
        waveform = np.pad(waveform, (0, config.n_fft - len(waveform)))
    if config.is_pretrained:
        return encoders.compute(waveform[: config.n_frames * config.hop_length], config)
    spectrum = _Spectrum(waveform, sample_rate_hz, config)
    with _blas().limit(limits=1, user_api="blas"):  # else the last digits follow the core count
        parts = [
            _KINDS[kind](spectrum)
            if kind in _KINDS
            else custom.compute(kind, waveform, sample_rate_hz, config)
            for kind in config.kinds
        ]
        stacked = np.concatenate(parts, axis=0)
    layers = [stacked]
    for order in range(1, config.n_deltas + 1):
        layers.append(librosa.feature.delta(stacked, order=order, mode="nearest"))
    return np.ascontiguousarray(np.concatenate(layers, axis=0).T, dtype=np.float32)


def fit_length(features: np.ndarray, n_frames: int) -> np.ndarray:
    """Cut the end off, or pad it with zeros."""
    features = features[:n_frames]
    return np.pad(features, ((0, n_frames - len(features)), (0, 0)))


def to_rows(features: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Give frames the number of rows that a model takes, or reduce them to statistics."""
    if not config.statistics:
        return fit_length(features, config.n_frames)
    frames = features[: config.n_frames]
    return np.stack([getattr(np, name)(frames, axis=0) for name in config.statistics])


def feature_names(config: FeatureConfig) -> list[str]:
    """Name every column."""
    if config.kinds[0] in ("whisper", "ssl"):
        width = encoders.width_of(config)
        return [f"state {state} channel {i}" for state in config.states for i in range(width)]
    sizes = {"mfcc": config.n_mfcc, "log_mel": config.n_mels, "chroma": config.n_chroma}
    sizes |= {"spectral_contrast": 7, "whisper_mel": encoders.N_MELS}
    own = [kind for kind in config.kinds if kind in CUSTOM["features"]]
    sizes |= {kind: size for kind in own if (size := custom.width(kind, config)) > 1}
    names = []
    for kind in config.kinds:
        names += [f"{kind} {i}" for i in range(sizes[kind])] if kind in sizes else [kind]
    prefixes = ["", "delta ", "delta2 "][: config.n_deltas + 1]
    return [prefix + name for prefix in prefixes for name in names]


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class _Spectrum:
    """What several features share, computed once: the short-time Fourier transform and its kin."""

    def __init__(self, waveform: np.ndarray, sample_rate_hz: int, config: FeatureConfig) -> None:
        self.waveform, self.sample_rate_hz, self.config = waveform, sample_rate_hz, config

    @functools.cached_property
    def magnitude(self) -> np.ndarray:
        n_fft, hop = self.config.n_fft, self.config.hop_length
        return np.abs(
            librosa.stft(self.waveform, n_fft=n_fft, hop_length=hop, window=window(n_fft))
        )

    @functools.cached_property
    def log_mel(self) -> np.ndarray:
        mel = mel_filters(self.sample_rate_hz, self.config) @ (self.magnitude**2)
        ref = np.max if self.config.level == "relative" else 1.0
        return librosa.power_to_db(mel, ref=ref, amin=LEAST_POWER, top_db=RANGE_DB)


# `ser.export.waveform_graph` takes the matrices of its graph from the next four functions: it calls
# those that are linear with the identity matrix.


@functools.lru_cache(maxsize=8)
def window(n_fft: int) -> np.ndarray:
    """Give what a frame is multiplied by before its spectrum is taken."""
    return librosa.filters.get_window("hann", n_fft)


@functools.lru_cache(maxsize=8)
def mel_filters(sample_rate_hz: int, config: FeatureConfig) -> np.ndarray:
    """Give the matrix from power to mel bands; librosa makes it anew for every clip."""
    return librosa.filters.mel(
        sr=sample_rate_hz,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
    )


def mfcc(log_mel: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Transform decibels of mel bands to cepstral coefficients (MFCC)."""
    return librosa.feature.mfcc(S=log_mel, n_mfcc=config.n_mfcc)


def chroma(
    power: np.ndarray, sample_rate_hz: int, config: FeatureConfig, norm: float | None = np.inf
) -> np.ndarray:
    """Gather power in pitch classes, and divide each frame by its largest."""
    return librosa.feature.chroma_stft(
        S=power,
        sr=sample_rate_hz,
        n_fft=config.n_fft,
        n_chroma=config.n_chroma,
        norm=norm,
        tuning=0.0,  # speech has no concert pitch; estimating one is slow and adds noise
    )


def _spectral_contrast(spectrum: _Spectrum) -> np.ndarray:
    return librosa.feature.spectral_contrast(
        S=spectrum.magnitude, sr=spectrum.sample_rate_hz, n_fft=spectrum.config.n_fft
    )


def _zero_crossing_rate(spectrum: _Spectrum) -> np.ndarray:
    n_fft, hop = spectrum.config.n_fft, spectrum.config.hop_length
    return librosa.feature.zero_crossing_rate(spectrum.waveform, frame_length=n_fft, hop_length=hop)


def _rms(spectrum: _Spectrum) -> np.ndarray:
    n_fft, hop = spectrum.config.n_fft, spectrum.config.hop_length
    rms = librosa.feature.rms(y=spectrum.waveform, frame_length=n_fft, hop_length=hop)
    return librosa.util.normalize(rms, axis=1) if spectrum.config.level == "relative" else rms


_KINDS: dict[str, Callable[[_Spectrum], np.ndarray]] = {
    "mfcc": lambda spectrum: mfcc(spectrum.log_mel, spectrum.config),
    "log_mel": lambda spectrum: spectrum.log_mel,
    "chroma": lambda s: chroma(s.magnitude**2, s.sample_rate_hz, s.config),
    "spectral_contrast": _spectral_contrast,
    "zero_crossing_rate": _zero_crossing_rate,
    "rms": _rms,
}


def _check_rate(sample_rate_hz: int, config: FeatureConfig) -> None:
    if config.is_pretrained:
        if sample_rate_hz != encoders.SAMPLE_RATE_HZ:
            raise SerError(
                f"{config.kinds[0]} needs a sample rate of 16,000 Hz, found {sample_rate_hz}. Set "
                "audio.sample_rate_hz."
            )
        return
    if "spectral_contrast" in config.kinds and sample_rate_hz <= 12_800:
        raise SerError(
            "spectral_contrast looks up to 6.4 kHz and needs a sample rate over 12,800 Hz, "
            f"found {sample_rate_hz}. Raise audio.sample_rate_hz or leave it out of features.kinds."
        )
    if "spectral_contrast" in config.kinds and config.n_fft * 200 < sample_rate_hz:
        raise SerError(
            "spectral_contrast has bands of 200 Hz and needs a window of at least "
            f"{-(-sample_rate_hz // 200)} samples at {sample_rate_hz} Hz, found {config.n_fft}. "
            "Raise features.n_fft or leave it out of features.kinds."
        )
    top = config.fmax_hz or sample_rate_hz / 2
    if not config.fmin_hz < top <= sample_rate_hz / 2:
        raise SerError(
            f"features.fmin_hz to fmax_hz must lie within 0 to {sample_rate_hz / 2:.0f} Hz (half "
            f"the sample rate), found {config.fmin_hz:g} to {top:g}."
        )
