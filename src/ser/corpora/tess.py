"""TESS: two women, 200 words each in seven emotions."""

from __future__ import annotations

import re
from pathlib import PurePath

from ser.corpora.base import ClipName, Corpus

EMOTION_NAMES = {
    "angry": ("angry", "angry"),
    "disgust": ("disgust", "disgust"),
    "fear": ("fearful", "fear"),
    "happy": ("happy", "happy"),
    "neutral": ("neutral", "neutral"),
    "ps": ("surprised", "pleasant surprise"),
    "sad": ("sad", "sad"),
}
SPEAKERS = {"OAF": ("female", 64), "YAF": ("female", 26)}

_NAME = re.compile(r"(oaf|yaf|oa)_([a-z]+)_([a-z]+)")


def _fields(path: PurePath) -> tuple[str, str, str] | None:
    match = _NAME.fullmatch(path.stem.lower())
    if match is None or match[3] not in EMOTION_NAMES:
        return None
    speaker = "OAF" if match[1] == "oa" else match[1].upper()  # OA_bite_neutral is released so
    return speaker, match[2], match[3]


def parse(path: PurePath) -> ClipName | None:
    """Decode a TESS name."""
    fields = _fields(path)
    if fields is None:
        return None
    speaker, word, name = fields
    emotion, emotion_raw = EMOTION_NAMES[name]
    sex, age = SPEAKERS[speaker]
    return ClipName(
        emotion=emotion,
        emotion_raw=emotion_raw,
        speaker=speaker,
        sex=sex,
        age=age,
        statement=word,
    )


def canonical(path: PurePath) -> str:
    """Return the stem as it would be spelled without the release's slip."""
    fields = _fields(path)
    return path.stem if fields is None else "_".join(fields)


CORPUS = Corpus(
    name="tess",
    title="Toronto Emotional Speech Set",
    language="en",
    n_clips=2800,
    licence="CC BY-NC-ND 4.0: non-commercial use, no derivatives",
    citation=(
        "M. K. Pichora-Fuller and K. Dupuis, Toronto emotional speech set (TESS), Borealis, "
        "2020, doi:10.5683/SP2/E8H2MF"
    ),
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    parse=parse,
    labels=tuple(label for label, _ in EMOTION_NAMES.values()),
    canonical=canonical,
    kaggle="ejlok1/toronto-emotional-speech-set-tess",
    demographics=SPEAKERS,
)
