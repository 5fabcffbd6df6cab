"""The front end once more, inside the exported graph: a waveform goes in where features went in.

What `ser.audio` and `ser.features` do for training with NumPy and librosa, these functions do
with tensors, for one clip of any length. Every window, matrix and constant is theirs. That both
agree is tested on real clips.
"""

from typing import Any

import numpy as np
from keras import ops

from ser.audio import TRIM_FRAME, TRIM_HOP
from ser.config import AudioConfig, FeatureConfig
from ser.features import encoders, extraction
from ser.features.extraction import LEAST_POWER, RANGE_DB
from ser.project import SerError

KINDS = ("mfcc", "log_mel", "chroma", "rms", "whisper_mel", "whisper")
TINY = np.finfo(np.float32).tiny  # what is less is not divided by, as librosa.util.normalize has it


def prepare(config: FeatureConfig) -> None:
    """Refuse features that a graph cannot compute, and load what the others need."""
    missing = sorted(set(config.kinds) - set(KINDS))
    if missing or config.statistics or config.n_deltas:
        what = missing[0] if missing else "statistics or deltas of features"
        raise SerError(f"{what} cannot be exported. Allowed kinds: {', '.join(KINDS)}.")
    if config.kinds == ("whisper",):
        encoders.encoder(config.encoder or "", max(config.states))


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
        log_mel = _whisper_mel(heard[: encoders.LONGEST], config.level, one)
        rows = _whisper_states(log_mel, config, n_clips)
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
    n_blocks = TRIM_FRAME // TRIM_HOP  # of one hop each; half of a frame is before its centre
    behind = (n_frames + n_blocks - 1) * TRIM_HOP - TRIM_FRAME // 2 - n_samples
    before = np.zeros(TRIM_FRAME // 2, np.float32)
    padded = ops.concatenate([before, waveform, _zeros(behind)])
    blocks = ops.sum(ops.square(ops.reshape(padded, (-1, TRIM_HOP))), axis=1)
    power = sum(blocks[i : i + n_frames] for i in range(n_blocks)) / TRIM_FRAME
    power = ops.maximum(power, LEAST_POWER)
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


def _frames(waveform: Any, n_frames: Any, window: np.ndarray, hop: int) -> Any:
    """Cut into windowed frames, centred on multiples of the hop; `waveform` is padded already."""
    indices = ops.expand_dims(ops.arange(n_frames) * hop, 1) + np.arange(len(window))
    return ops.take(waveform, indices, axis=0) * window.astype(np.float32)


def _whisper_mel(waveform: Any, level: str, one: Any) -> Any:
    """Do what `ser.features.encoders.log_mel` does."""
    half, hop = encoders.N_FFT // 2, encoders.HOP_LENGTH
    padded = ops.concatenate(
        [ops.flip(waveform[1 : half + 1]), waveform, ops.flip(waveform[-half - 1 : -1])]
    )
    frames = _frames(padded, ops.shape(waveform)[0] // hop, encoders.window(), hop)
    power = power_spectrum(frames, encoders.N_FFT, one)
    mel = ops.matmul(power, encoders.mel_filters().T * one)
    if level == "relative":
        mel = mel * (encoders.LOUDEST / ops.maximum(ops.max(mel), encoders.SMALLEST))
    log = ops.log(ops.maximum(mel, encoders.LEAST_POWER)) / np.float32(np.log(10.0))
    log = ops.maximum(log, ops.max(log) - encoders.DECADES)
    return (log + encoders.SHIFT) / encoders.SHIFT


def _whisper_states(log_mel: Any, config: FeatureConfig, n_clips: int) -> Any:
    """Do what `ser.features.encoders.states` does."""
    frames = ops.reshape(log_mel, (n_clips, ops.shape(log_mel)[0], log_mel.shape[1]))
    found = encoders.encoder(config.encoder or "", max(config.states))(frames, training=False)
    chosen = ops.concatenate([found[state] for state in config.states], axis=-1)
    width, size = chosen.shape[-1], config.hop_length // encoders.STEP
    steps = ops.reshape(chosen, (-1, width))
    n_steps = ops.shape(steps)[0]
    n_rows = (n_steps + size - 1) // size
    padding = ops.reshape(_zeros((n_rows * size - n_steps) * width), (-1, width))
    whole = ops.reshape(ops.concatenate([steps, padding]), (-1, size, width))
    counts = ops.minimum(n_steps - ops.arange(n_rows) * size, size)
    return ops.sum(whole, axis=1) / ops.cast(ops.reshape(counts, (-1, 1)), "float32")


def _librosa(waveform: Any, sample_rate_hz: int, config: FeatureConfig, one: Any) -> Any:
    """Do what `ser.features.extraction.extract` does."""
    n_fft, hop = config.n_fft, config.hop_length
    half = np.zeros(n_fft // 2, np.float32)
    n_frames = 1 + ops.shape(waveform)[0] // hop
    padded = ops.concatenate([half, waveform, half])
    frames = _frames(padded, n_frames, extraction.window(n_fft), hop)
    power = power_spectrum(frames, n_fft, one)
    filters = extraction.mel_filters(sample_rate_hz, config)
    log_mel = _decibels(ops.matmul(power, filters.T * one), config)
    found = {"log_mel": log_mel}
    if "mfcc" in config.kinds:
        cosines = extraction.mfcc(np.eye(config.n_mels), config)
        found["mfcc"] = ops.matmul(log_mel, cosines.T.astype(np.float32) * one)
    if "chroma" in config.kinds:
        classes = extraction.chroma(np.eye(n_fft // 2 + 1), sample_rate_hz, config, norm=None)
        raw = ops.matmul(power, classes.T.astype(np.float32) * one)
        largest = ops.max(raw, axis=1, keepdims=True)
        found["chroma"] = raw / ops.where(largest < TINY, 1.0, largest)
    if "rms" in config.kinds:
        alone = _frames(padded, n_frames, np.ones(n_fft), hop)
        rms = ops.sqrt(ops.mean(ops.square(alone), axis=1, keepdims=True))
        if config.level == "relative":
            rms = rms / ops.maximum(ops.max(rms), TINY)
        found["rms"] = rms
    return ops.concatenate([found[kind] for kind in config.kinds], axis=1)


def _decibels(power: Any, config: FeatureConfig) -> Any:
    """Do what `librosa.power_to_db` does."""
    log = ops.log(ops.maximum(power, LEAST_POWER)) * np.float32(10.0 / np.log(10.0))
    if config.level == "relative":
        log = log - ops.max(log)
    return ops.maximum(log, ops.max(log) - RANGE_DB)
