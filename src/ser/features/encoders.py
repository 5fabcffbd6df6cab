"""What pretrained encoders hear and answer, for one waveform at a time."""

import functools
from typing import Any

import librosa
import numpy as np

from ser.config import FeatureConfig
from ser.features import ssl
from ser.models import backend, pretrained
from ser.models.pretrained import N_MELS
from ser.project import SerError

SAMPLE_RATE_HZ = 16_000
N_FFT = 400
HOP_LENGTH = 160
STEP = 2 * HOP_LENGTH  # samples between two states: Whisper's and wav2vec 2.0's alike
LONGEST = 30 * SAMPLE_RATE_HZ  # samples; what is beyond is not heard
TRACED_FRAMES = 100
LOUDEST = np.float32(10**1.5)  # as in close speech that is not overdriven
SMALLEST = 1e-30
LEAST_POWER = 1e-10  # whose logarithm is taken
DECADES = 8.0  # of power below the clip's greatest; what is less is raised to there
SHIFT = 4.0  # half of it, which brings what is heard to about -1 to 1


def log_mel(waveform: np.ndarray, level: str = "absolute") -> np.ndarray:
    """Compute the log-mel spectrogram that Whisper hears.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        At 16 kHz, at least 400 samples.
    level : {"absolute", "relative"}
        As recorded, or turned up or down until the loudest band has a power of ``LOUDEST``.

    Returns
    -------
    ndarray of float32, shape (n_samples // 160, 80)
        One row every 10 ms; decimal logarithm of power, at most 8 below the clip's greatest,
        scaled to about -1 to 1.

    References
    ----------
    Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023, and
    the authors' code, whisper/audio.py.
    """
    spectrum = librosa.stft(
        waveform, n_fft=N_FFT, hop_length=HOP_LENGTH, window=window(), pad_mode="reflect"
    )
    power = np.abs(spectrum[:, : len(waveform) // HOP_LENGTH]) ** 2
    mel = mel_filters() @ power
    if level == "relative":
        mel *= LOUDEST / max(float(mel.max()), SMALLEST)
    log = np.log10(np.maximum(mel, LEAST_POWER))
    log = np.maximum(log, log.max() - DECADES)
    return np.ascontiguousarray(((log + SHIFT) / SHIFT).T, dtype=np.float32)


@functools.cache
def window() -> np.ndarray:
    """Give what a frame is multiplied by before its spectrum is taken."""
    return librosa.filters.get_window("hann", N_FFT)


@functools.cache
def mel_filters() -> np.ndarray:
    """Give the matrix from power to the mel bands that Whisper hears."""
    return librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)


def compute(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Compute what a pretrained encoder hears or answers."""
    if config.kinds == ("whisper_mel",):
        return log_mel(waveform, config.level)
    heard = waveform[:LONGEST]
    if config.kinds == ("whisper",):
        found = states(heard, config)
    else:
        found = ssl.states(heard, SAMPLE_RATE_HZ, config.encoder or "", config.states)
    return pool(np.concatenate(found, axis=1), config.hop_length // STEP)


def states(waveform: np.ndarray, config: FeatureConfig) -> list[np.ndarray]:
    """Compute states of a Whisper encoder, each of shape (n_steps, width)."""
    known = pretrained.get(config.encoder or "")
    if max(config.states) > known.blocks:
        raise SerError(
            f"{config.encoder} has states 0 to {known.blocks}, found {max(config.states)} in "
            "features.states."
        )
    model = encoder(config.encoder or "", max(config.states))
    frames = log_mel(waveform, config.level)
    n_steps = -(-len(frames) // 2)
    # padding changes nothing, and a graph is traced for each whole second, not for each length
    padded = np.pad(frames, ((0, -len(frames) % TRACED_FRAMES), (0, 0)))
    found = model.predict_on_batch(padded[None])
    return [found[number][0][:n_steps] for number in config.states]


def pool(sequence: np.ndarray, size: int) -> np.ndarray:
    """Average neighbouring steps."""
    starts = np.arange(0, len(sequence), size)
    counts = np.diff(np.append(starts, len(sequence)))
    return (np.add.reduceat(sequence, starts, axis=0) / counts[:, None]).astype(np.float32)


def width_of(config: FeatureConfig) -> int:
    """Tell the width of one state of the encoder that a configuration names."""
    if config.kinds == ("ssl",):
        return ssl.width(config.encoder or "")
    return pretrained.get(config.encoder or "").width


@functools.lru_cache(maxsize=2)
def encoder(name: str, blocks: int) -> Any:
    """Build the first blocks of a Whisper encoder, with its released weights."""
    backend.load()
    from ser.models import whisper

    model = whisper.encoder(None, **pretrained.get(name).sizes(blocks))
    whisper.set_weights(model, pretrained.weights(name))
    return model
