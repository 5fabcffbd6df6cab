"""How the demo corpus acts: an emotion becomes rate, pitch, range, volume and pauses.

The rules follow the usual findings on acted speech (for example Juslin and Laukka, Psychological
Bulletin 129(5), 2003): anger fast and loud, sadness slow, soft and flat, fear fast and high. Every
take varies around its rule, and every voice has habits of its own, so that classes overlap.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from ser.corpora.demo import Take

SEED = 20_240

_NEUTRAL_RATE_WPM = 170.0
_NEUTRAL_VOLUME = 42.0  # espeak-ng's percent; +6 dB still leaves headroom in every voice


class Style(NamedTuple):
    """How an emotion differs from neutral speech."""

    rate: float
    pitch: float
    pitch_range: float
    level_db: float
    word_gap_s: float


STYLES = {
    "neutral": Style(1.00, 0, 40, 0.0, 0.00),
    "calm": Style(0.86, -5, 30, -3.0, 0.02),
    "happy": Style(1.12, 16, 85, 2.0, 0.00),
    "sad": Style(0.76, -8, 18, -6.0, 0.06),
    "angry": Style(1.25, 6, 70, 6.0, 0.00),
    "fearful": Style(1.28, 24, 30, -2.5, 0.03),
    "disgust": Style(0.80, -4, 70, 1.5, 0.05),
    "surprised": Style(1.00, 28, 100, 3.0, 0.01),
}


class Delivery(NamedTuple):
    """How one take is spoken."""

    parameters: dict[str, int]
    lead_s: float
    tail_s: float


def seeded(*parts: str) -> np.random.Generator:
    """Make a generator that depends on nothing but its name."""
    return np.random.default_rng([SEED, zlib.crc32("\n".join(parts).encode())])


def delivery(take: Take) -> Delivery:
    """Draw how a take is spoken; the same take gives the same answer on any machine."""
    style, neutral = STYLES[take.emotion], STYLES["neutral"]
    habit = seeded("voice", take.voice)
    speed, shift, loudness = habit.normal(0, (0.05, 3.0, 1.0))
    vigour = habit.uniform(0.85, 1.1) * (1.25 if take.strong else 1.0)
    rng = seeded("take", take.path)
    rate = style.rate**vigour * np.exp(speed + rng.normal(0, 0.07))
    pitch = 45 + shift + vigour * style.pitch + rng.normal(0, 4)
    spread = neutral.pitch_range + vigour * (style.pitch_range - neutral.pitch_range)
    level_db = vigour * style.level_db + loudness + rng.normal(0, 1.2)
    gap_s = style.word_gap_s * rng.uniform(0.3, 1.7)
    parameters = {
        "rate_wpm": _between(80, _NEUTRAL_RATE_WPM * rate, 300),
        "volume": _between(5, _NEUTRAL_VOLUME * 10 ** (level_db / 20), 100),
        "pitch": _between(0, pitch, 99),
        "pitch_range": _between(0, spread + rng.normal(0, 8), 100),
        "word_gap": _between(0, gap_s * 100, 30),
    }
    lead_s, tail_s = rng.uniform(0.12, 0.35, size=2)
    return Delivery(parameters, lead_s, tail_s)


def _between(low: int, value: float, high: int) -> int:
    return round(min(max(value, low), high))
