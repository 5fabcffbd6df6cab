"""Where in a recording somebody speaks.

Found by Silero's voice activity detector, version 6.2.3
(https://github.com/snakers4/silero-vad): ``silero_vad.onnx`` beside this file is
``silero_vad_16k_sequence.onnx`` of its release on PyPI, unchanged; ``silero_vad.LICENSE`` (MIT)
goes with it. Its own package needs PyTorch.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from ser.audio import to_mono

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

VAD_RATE_HZ = 16_000
CHUNK = 512  # samples that one probability is about
CONTEXT = 64  # samples of the chunk before that the detector takes along
AT_ONCE = 2_048  # chunks, about a minute
BEGINS, ENDS = 0.5, 0.35  # probabilities, as Silero's own script has them
SHORTEST_SPEECH_S = 0.25
SHORTEST_PAUSE_S = 0.3
MARGIN_S = 0.1
AROUND_S = 0.3  # the same on a timeline: less, and answers differ from those to a clip alone


@functools.cache
def _detector() -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    file = Path(__file__).with_name("silero_vad.onnx")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def speech_probability(samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Tell how probable speech is, every 32 ms."""
    mono = soxr.resample(to_mono(samples), sample_rate_hz, VAD_RATE_HZ)
    state = cell = np.zeros((1, 1, 128), np.float32)
    found = [np.zeros(0, np.float32)]
    for first in range(0, len(mono), AT_ONCE * CHUNK):
        part = mono[max(0, first - CONTEXT) : first + AT_ONCE * CHUNK]
        part = np.pad(part, (0 if first else CONTEXT, -len(mono[first:]) % CHUNK)).clip(-1, 1)
        part = part[: CONTEXT + AT_ONCE * CHUNK]
        frames = np.lib.stride_tricks.sliding_window_view(part, CONTEXT + CHUNK)[::CHUNK]
        taken = {"input": np.ascontiguousarray(frames), "h": state, "c": cell}
        probabilities, state, cell = _detector().run(["speech_probs", "hn", "cn"], taken)
        found.append(probabilities)
    return np.concatenate(found)


def has_speech(samples: np.ndarray, sample_rate_hz: float) -> bool:
    """Tell whether anybody speaks."""
    return bool((speech_probability(samples, sample_rate_hz) >= BEGINS).any())


def find_speech(
    samples: np.ndarray, sample_rate_hz: float, margin_s: float = MARGIN_S
) -> list[tuple[float, float]]:
    """Find where somebody speaks."""
    probabilities = speech_probability(samples, sample_rate_hz)
    return stretches(probabilities, len(samples) / sample_rate_hz, margin_s)


def stretches(
    probabilities: np.ndarray, duration_s: float, margin_s: float = MARGIN_S
) -> list[tuple[float, float]]:
    """Turn probabilities of speech into stretches of it, in seconds; none overlaps the next."""
    step_s = CHUNK / VAD_RATE_HZ
    found: list[list[float]] = []
    speaking = False
    for number, probability in enumerate(probabilities):
        speaking = probability >= (ENDS if speaking else BEGINS)
        if not speaking:
            continue
        start_s, end_s = number * step_s, (number + 1) * step_s
        if found and start_s - found[-1][1] < SHORTEST_PAUSE_S:
            found[-1][1] = end_s
        else:
            found.append([start_s, end_s])
    kept = [(start, end) for start, end in found if end - start >= SHORTEST_SPEECH_S]
    middles = [(end + start) / 2 for (_, end), (start, _) in itertools.pairwise(kept)]
    edges = [0.0, *middles, duration_s]
    return [
        (max(before, start - margin_s), min(after, end + margin_s))
        for (start, end), before, after in zip(kept, edges, edges[1:], strict=False)
    ]
