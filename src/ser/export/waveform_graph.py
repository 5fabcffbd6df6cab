"""The front end once more, inside the exported graph: a waveform goes in where features went in.

What `ser.audio` and `ser.features` do for training with NumPy and librosa, these functions do
with tensors, for one clip of any length. That they agree is tested on real clips.
"""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import scipy.fft
from keras import ops

from ser.config import AudioConfig, FeatureConfig
from ser.features.encoders import (
    HOP_LENGTH,
    LONGEST,
    LOUDEST,
    N_FFT,
    N_MELS,
    SAMPLE_RATE_HZ,
    SMALLEST,
    STEP,
    encoder,
)
from ser.project import SerError

KINDS = ("mfcc", "log_mel", "chroma", "rms", "whisper_mel", "whisper")
TRIM_FRAME, TRIM_HOP = 2048, 512  # librosa.effects.trim
SMALLEST_POWER = 1e-10  # librosa.power_to_db
RANGE_DB = 80.0


def prepare(config: FeatureConfig) -> None:
    """Refuse features that a graph cannot compute, and load what the others need."""
    missing = sorted(set(config.kinds) - set(KINDS))
    if missing or config.statistics or config.n_deltas:
        what = missing[0] if missing else "statistics or deltas of features"
        raise SerError(f"{what} cannot be exported. Allowed kinds: {', '.join(KINDS)}.")
    if config.kinds == ("whisper",):
        encoder(config.encoder or "", max(config.states))


def compute(waveform: Any, audio: AudioConfig, config: FeatureConfig, *, n_clips: int = -1) -> Any:
    """Turn a waveform into what a model takes."""
    if audio.trim_db is not None:
        waveform = trim(waveform, audio.trim_db)
    shortfall = ops.maximum(config.n_fft - ops.shape(waveform)[0], 0)
    waveform = ops.concatenate([waveform, _zeros(shortfall)])
    one = ops.cast(ops.shape(waveform)[0] > 0, "float32")
    heard = waveform[: config.n_frames * config.hop_length]
    if config.kinds == ("whisper_mel",):
        rows = _whisper_mel(heard, config.level, one)
    elif config.kinds == ("whisper",):
        rows = _whisper_states(_whisper_mel(heard[:LONGEST], config.level, one), config, n_clips)
    else:
        rows = _librosa(waveform, audio.sample_rate_hz, config, one)
    missing_rows = ops.maximum(config.n_frames - ops.shape(rows)[0], 0)
    padding = ops.reshape(_zeros(missing_rows * rows.shape[1]), (-1, rows.shape[1]))
    padded = ops.concatenate([rows, padding])[: config.n_frames]
    return ops.reshape(padded, (n_clips, config.n_frames, rows.shape[1]))


def trim(waveform: Any, top_db: float) -> Any:
    """Cut silence off both ends, as `librosa.effects.trim` does."""
    n_samples = ops.shape(waveform)[0]
    n_frames = 1 + n_samples // TRIM_HOP
    # a frame is four blocks of one hop, two on each side of its centre
    behind = (n_frames + 3) * TRIM_HOP - TRIM_FRAME // 2 - n_samples
    before = np.zeros(TRIM_FRAME // 2, np.float32)
    padded = ops.concatenate([before, waveform, _zeros(behind)])
    blocks = ops.sum(ops.square(ops.reshape(padded, (-1, TRIM_HOP))), axis=1)
    power = sum(blocks[i : i + n_frames] for i in range(4)) / TRIM_FRAME
    power = ops.maximum(power, SMALLEST_POWER)
    loud = ops.cast(power > ops.max(power) * 10.0 ** (-top_db / 10), "int32")
    numbers = ops.arange(n_frames)
    first = ops.min(ops.where(loud > 0, numbers, n_frames))
    last = ops.max(ops.where(loud > 0, numbers, 0))
    return waveform[first * TRIM_HOP : ops.minimum(n_samples, (last + 1) * TRIM_HOP)]


def power_spectrum(frames: Any, size: int, one: Any = 1.0) -> Any:
    """Compute the power spectrum of frames, in two rounds of small matrix products."""
    first = max(n for n in range(1, int(np.sqrt(size)) + 1) if size % n == 0)
    second = size // first
    small, large = np.arange(first), np.arange(second)
    x = ops.reshape(frames, (-1, first, second))  # sample second * n1 + n2
    cosine, sine = _turns(np.outer(small, small) / first, one)
    real, imaginary = ops.matmul(cosine, x), -ops.matmul(sine, x)
    cosine, sine = _turns(np.outer(small, large) / size, one)
    real, imaginary = real * cosine + imaginary * sine, imaginary * cosine - real * sine
    cosine, sine = _turns(np.outer(large, large) / second, one)
    real, imaginary = (
        ops.matmul(real, cosine) + ops.matmul(imaginary, sine),
        ops.matmul(imaginary, cosine) - ops.matmul(real, sine),
    )
    power = ops.square(real) + ops.square(imaginary)  # at (k1, k2): bin k1 + first * k2
    return ops.reshape(ops.transpose(power, (0, 2, 1)), (-1, size))[:, : size // 2 + 1]


def _turns(turns: np.ndarray, one: Any) -> tuple[Any, Any]:
    angles = 2 * np.pi * (turns % 1.0)
    return np.cos(angles).astype(np.float32) * one, np.sin(angles).astype(np.float32) * one


def _zeros(n: Any) -> Any:
    return ops.cast(ops.arange(n), "float32") * 0.0


def _frames(waveform: Any, n_frames: Any, size: int, hop: int) -> Any:
    """Cut into windowed frames, centred on multiples of the hop; `waveform` is padded already."""
    indices = ops.expand_dims(ops.arange(n_frames) * hop, 1) + np.arange(size)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return ops.take(waveform, indices, axis=0) * window.astype(np.float32)


def _whisper_mel(waveform: Any, level: str, one: Any) -> Any:
    """Do what `ser.features.encoders.log_mel` does."""
    half = N_FFT // 2
    padded = ops.concatenate(
        [ops.flip(waveform[1 : half + 1]), waveform, ops.flip(waveform[-half - 1 : -1])]
    )
    frames = _frames(padded, ops.shape(waveform)[0] // HOP_LENGTH, N_FFT, HOP_LENGTH)
    basis = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)
    mel = ops.matmul(power_spectrum(frames, N_FFT, one), basis.T * one)
    if level == "relative":
        mel = mel * (LOUDEST / ops.maximum(ops.max(mel), SMALLEST))
    log = ops.log(ops.maximum(mel, 1e-10)) / np.float32(np.log(10.0))
    return (ops.maximum(log, ops.max(log) - 8.0) + 4.0) / 4.0


def _whisper_states(log_mel: Any, config: FeatureConfig, n_clips: int) -> Any:
    """Do what `ser.features.encoders.states` does."""
    frames = ops.reshape(log_mel, (n_clips, ops.shape(log_mel)[0], N_MELS))
    found = encoder(config.encoder or "", max(config.states))(frames, training=False)
    chosen = ops.concatenate([found[state] for state in config.states], axis=-1)
    width, size = chosen.shape[-1], config.hop_length // STEP
    steps = ops.reshape(chosen, (-1, width))
    n_steps = ops.shape(steps)[0]
    n_rows = (n_steps + size - 1) // size
    padding = ops.reshape(_zeros((n_rows * size - n_steps) * width), (-1, width))
    whole = ops.reshape(ops.concatenate([steps, padding]), (-1, size, width))
    counts = ops.minimum(n_steps - ops.arange(n_rows) * size, size)
    return ops.sum(whole, axis=1) / ops.cast(ops.reshape(counts, (-1, 1)), "float32")


def _librosa(waveform: Any, sample_rate_hz: int, config: FeatureConfig, one: Any) -> Any:
    """Do what `ser.features.extraction.extract` does."""
    half = np.zeros(config.n_fft // 2, np.float32)
    n_frames = 1 + ops.shape(waveform)[0] // config.hop_length
    padded = ops.concatenate([half, waveform, half])
    power = power_spectrum(
        _frames(padded, n_frames, config.n_fft, config.hop_length), config.n_fft, one
    )
    basis = librosa.filters.mel(
        sr=sample_rate_hz,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin_hz,
        fmax=config.fmax_hz,
    )
    log_mel = _decibels(ops.matmul(power, basis.T * one), config)
    found = {"log_mel": log_mel}
    if "mfcc" in config.kinds:
        cosines = scipy.fft.dct(np.eye(config.n_mels), axis=0, norm="ortho")[: config.n_mfcc]
        found["mfcc"] = ops.matmul(log_mel, cosines.T.astype(np.float32) * one)
    if "chroma" in config.kinds:
        bank = librosa.filters.chroma(
            sr=sample_rate_hz, n_fft=config.n_fft, n_chroma=config.n_chroma, tuning=0.0
        )
        raw = ops.matmul(power, bank.T.astype(np.float32) * one)
        largest = ops.max(raw, axis=1, keepdims=True)
        found["chroma"] = raw / ops.where(largest < np.finfo(np.float32).tiny, 1.0, largest)
    if "rms" in config.kinds:
        starts = ops.expand_dims(ops.arange(n_frames) * config.hop_length, 1)
        squares = ops.square(ops.take(padded, starts + np.arange(config.n_fft), axis=0))
        rms = ops.sqrt(ops.mean(squares, axis=1, keepdims=True))
        if config.level == "relative":
            rms = rms / ops.maximum(ops.max(rms), np.finfo(np.float32).tiny)
        found["rms"] = rms
    return ops.concatenate([found[kind] for kind in config.kinds], axis=1)


def _decibels(power: Any, config: FeatureConfig) -> Any:
    """Do what `librosa.power_to_db` does."""
    log = ops.log(ops.maximum(power, SMALLEST_POWER)) * np.float32(10.0 / np.log(10.0))
    if config.level == "relative":
        log = log - ops.max(log)
    return ops.maximum(log, ops.max(log) - RANGE_DB)
