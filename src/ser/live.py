"""Answers while somebody speaks: blocks of sound come in, a rolling window is heard."""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ser.audio import decode, to_mono
from ser.errors import SerError
from ser.inference import Model
from ser.speech import CHUNK, VAD_RATE_HZ, has_speech
from ser.timeline import HOP_S, WINDOW_S

QUIET_AFTER_S = 1.0  # without speech for so long, nothing is answered


@dataclasses.dataclass(frozen=True)
class Tick:
    """What is known at one moment.

    Attributes
    ----------
    time_s : float
        Sound heard so far, in seconds.
    probabilities : dict of str to float
        Of each class, for the window that ends here; empty while nobody speaks.
    label : str
        The most probable class; empty while nobody speaks.
    latency_s : float
        From the end of the window to this answer, in seconds.
    """

    time_s: float
    probabilities: dict[str, float]
    label: str
    latency_s: float


def blocks_of_file(
    path: Path | str, hop_s: float = HOP_S, *, realtime: bool = True
) -> Iterator[tuple[np.ndarray, int]]:
    """Replay a recording as if it were spoken now.

    Parameters
    ----------
    path : path
        Anything libsndfile reads.
    hop_s : float
        Length of a block, in seconds.
    realtime : bool
        Wait as long as speaking takes.

    Yields
    ------
    (ndarray of float32, shape (n_samples,); int)
        Blocks of sound, the last one shorter, and their rate.

    Raises
    ------
    AudioError
        When the file cannot be read.
    """
    recording = decode(path)
    mono, rate = to_mono(recording.samples), recording.sample_rate_hz
    size, started_s = max(1, round(hop_s * rate)), time.monotonic()
    for first in range(0, len(mono), size):
        block = mono[first : first + size]
        if realtime:
            due_s = started_s + (first + len(block)) / rate
            time.sleep(max(0.0, due_s - time.monotonic()))
        yield block, rate


def blocks_of_microphone(
    hop_s: float = HOP_S, *, device: int | str | None = None
) -> Iterator[tuple[np.ndarray, int]]:
    """Listen to a microphone, until the iterator is closed.

    Parameters
    ----------
    hop_s : float
        Length of a block, in seconds.
    device : int or str, optional
        As `sounddevice` numbers and names them; the system's own choice where left out.

    Yields
    ------
    (ndarray of float32, shape (n_samples,); int)
        Blocks of sound and their rate.

    Raises
    ------
    SerError
        When there is no microphone, or no PortAudio to reach it with.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise SerError(
            "listening needs sounddevice and PortAudio: pip install sounddevice (on Debian and "
            "Ubuntu also: apt install libportaudio2). Or replay a file with --file."
        ) from error
    heard: queue.Queue[np.ndarray] = queue.Queue()

    def keep(block: np.ndarray, frames: int, when: object, status: object) -> None:
        heard.put(block[:, 0].copy())

    try:
        rate = int(sounddevice.query_devices(device, "input")["default_samplerate"])
        stream = sounddevice.InputStream(
            samplerate=rate,
            blocksize=round(hop_s * rate),
            device=device,
            channels=1,
            dtype="float32",
            callback=keep,
        )
        with stream:
            while True:
                yield heard.get(), rate
    except (sounddevice.PortAudioError, ValueError) as error:
        raise SerError(
            f"no microphone can be opened ({error}). `python -m sounddevice` lists what there is; "
            "name one with --device, or replay a file with --file."
        ) from error


def listen(
    model: Model, blocks: Iterable[tuple[np.ndarray, int]], *, window_s: float = WINDOW_S
) -> Iterator[Tick]:
    """Answer after every block.

    Parameters
    ----------
    model : Model
        As `ser.inference.load_model` gives it.
    blocks : iterable of (ndarray, int)
        Sound and its rate, as `blocks_of_file` and `blocks_of_microphone` give it.
    window_s : float
        How much of the past is heard, at most what the model hears, in seconds.

    Yields
    ------
    Tick
        One for each block.
    """
    window_s = min(window_s, model.longest_s)
    window, time_s, last_speech_s = np.zeros(0, np.float32), 0.0, -np.inf
    for block, rate in blocks:
        came_s = time.monotonic()
        time_s += len(block) / rate
        window = np.concatenate([window, block])[-round(window_s * rate) :]
        # the detector needs a little of what came before to find its way into a sentence
        recent = window[-(len(block) + round(8 * CHUNK / VAD_RATE_HZ * rate)) :]
        if has_speech(recent, rate):
            last_speech_s = time_s
        probabilities: dict[str, float] = {}
        if time_s - last_speech_s < QUIET_AFTER_S:
            probabilities = model.hear(window, rate)
        label = max(probabilities, key=lambda name: probabilities[name], default="")
        yield Tick(round(time_s, 3), probabilities, label, time.monotonic() - came_s)
