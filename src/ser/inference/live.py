"""Answers while somebody speaks: blocks of sound come in, a rolling window is heard."""

import dataclasses
import queue
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ser.audio import decode, to_mono
from ser.inference.model import Model
from ser.inference.speech import CHUNK, VAD_RATE_HZ, has_speech
from ser.inference.windows import HOP_S, WINDOW_S, most_probable
from ser.project import SerError

QUIET_AFTER_S = 1.0  # without speech for so long, nothing is answered


@dataclasses.dataclass(frozen=True)
class Tick:
    """What is known at one moment."""

    time_s: float
    probabilities: dict[str, float]
    label: str
    latency_s: float


def blocks_of_file(
    path: Path | str, hop_s: float = HOP_S, *, realtime: bool = True
) -> Iterator[tuple[np.ndarray, int]]:
    """Replay a recording as if it were spoken now."""
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
    """Listen to a microphone, until the iterator is closed."""
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
    """Answer after every block."""
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
        label = most_probable(probabilities)
        yield Tick(round(time_s, 3), probabilities, label, time.monotonic() - came_s)
