"""What pretrained encoders hear and answer, for one waveform at a time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import librosa
import numpy as np

from ser import backend, pretrained
from ser.config import FeatureConfig
from ser.errors import SerError

SAMPLE_RATE_HZ = 16_000
N_FFT = 400
HOP_LENGTH = 160
N_MELS = 80
STEP = 2 * HOP_LENGTH  # samples between two states: Whisper's and wav2vec 2.0's alike
LONGEST = 30 * SAMPLE_RATE_HZ  # samples; what is beyond is not heard
TRACED_FRAMES = 100
LOUDEST = np.float32(10**1.5)  # as in close speech that is not overdriven
SMALLEST = 1e-30


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
    spectrum = librosa.stft(waveform, n_fft=N_FFT, hop_length=HOP_LENGTH, pad_mode="reflect")
    power = np.abs(spectrum[:, : len(waveform) // HOP_LENGTH]) ** 2
    mel = _mel_basis() @ power
    if level == "relative":
        mel *= LOUDEST / max(float(mel.max()), SMALLEST)
    log = np.log10(np.maximum(mel, 1e-10))
    log = np.maximum(log, log.max() - 8.0)
    return np.ascontiguousarray(((log + 4.0) / 4.0).T, dtype=np.float32)


def states(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Compute states of a Whisper encoder.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        At 16 kHz; what is beyond 30 s is not heard.
    config : FeatureConfig
        ``encoder``, ``states`` (0 is the input of the first block, 1 its output, and so on) and
        ``hop_length``, a multiple of 320 samples: as many steps are averaged.

    Returns
    -------
    ndarray of float32, shape (n_steps, n_states * width)
        The chosen states side by side.

    Raises
    ------
    SerError
        When there is no such encoder, it has fewer states, or its weights are not here.
    """
    known = pretrained.get(config.encoder or "")
    if max(config.states) > known.blocks:
        raise SerError(
            f"{config.encoder} has states 0 to {known.blocks}, found {max(config.states)} in "
            "features.states."
        )
    model = encoder(config.encoder or "", max(config.states))
    frames = log_mel(waveform[:LONGEST], config.level)
    n_steps = -(-len(frames) // 2)
    # padding changes nothing, and a graph is traced for each whole second, not for each length
    padded = np.pad(frames, ((0, -len(frames) % TRACED_FRAMES), (0, 0)))
    found = model.predict_on_batch(padded[None])
    return side_by_side([found[number][0][:n_steps] for number in config.states], config)


def side_by_side(chosen: Sequence[np.ndarray], config: FeatureConfig) -> np.ndarray:
    """Make one table of the chosen states of a clip, with the steps that the hop asks for.

    Parameters
    ----------
    chosen : sequence of ndarray, each of shape (n_steps, width)
        States, one every 320 samples.
    config : FeatureConfig
        Its ``hop_length``.

    Returns
    -------
    ndarray of float32, shape (ceil(n_steps * 320 / hop_length), n_states * width)
        See `pool`.
    """
    return pool(np.concatenate(chosen, axis=1), config.hop_length // STEP)


def pool(sequence: np.ndarray, size: int) -> np.ndarray:
    """Average neighbouring steps.

    Parameters
    ----------
    sequence : ndarray, shape (n_steps, width)
        At least one step.
    size : int
        How many steps become one; the last one may be of fewer.

    Returns
    -------
    ndarray of float32, shape (ceil(n_steps / size), width)
        The averages.

    Examples
    --------
    >>> pool(np.array([[1.0], [3.0], [5.0]]), 2).tolist()
    [[2.0], [5.0]]
    """
    starts = np.arange(0, len(sequence), size)
    counts = np.diff(np.append(starts, len(sequence)))
    return (np.add.reduceat(sequence, starts, axis=0) / counts[:, None]).astype(np.float32)


def width_of(config: FeatureConfig) -> int:
    """Tell the width of one state of the encoder that a configuration names.

    Parameters
    ----------
    config : FeatureConfig
        Of kind ``whisper`` or ``ssl``.

    Returns
    -------
    int
        Features of one state.

    Raises
    ------
    SerError
        When there is no such encoder.
    """
    if config.kinds == ("ssl",):
        from ser.pretrained import ssl

        return ssl.width(config.encoder or "")
    return pretrained.get(config.encoder or "").width


@functools.lru_cache(maxsize=1)
def _mel_basis() -> np.ndarray:
    return librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)


@functools.lru_cache(maxsize=2)
def encoder(name: str, blocks: int) -> Any:
    """Build the first blocks of a Whisper encoder, with its released weights.

    Parameters
    ----------
    name : str
        Of `ser.pretrained.ENCODERS`.
    blocks : int
        How many of its blocks.

    Returns
    -------
    keras.Model
        See `ser.pretrained.whisper.encoder`; for any number of frames, and the same one each time.

    Raises
    ------
    SerError
        When there is no such encoder, or its weights are not here.
    """
    backend.load()
    from ser.pretrained import whisper

    known = pretrained.get(name)
    model = whisper.encoder(
        None,
        width=known.width,
        heads=known.heads,
        blocks=blocks,
        last_norm=blocks == known.blocks,
    )
    whisper.set_weights(model, pretrained.weights(name))
    return model
