"""SAVEE: four men, 120 sentences each in seven emotions."""

from __future__ import annotations

import re
from pathlib import PurePath

from ser.corpora.base import ClipName, Corpus

EMOTION_CODES = {
    "a": ("angry", "anger", 15),
    "d": ("disgust", "disgust", 15),
    "f": ("fearful", "fear", 15),
    "h": ("happy", "happiness", 15),
    "n": ("neutral", "neutral", 30),
    "sa": ("sad", "sadness", 15),
    "su": ("surprised", "surprise", 15),
}  # common label, the corpus' own word, sentences
SPEAKERS = ("DC", "JE", "JK", "KL")

_NAME = re.compile(r"(dc|je|jk|kl)_(sa|su|[adfhn])(\d\d)")


def _fields(path: PurePath) -> tuple[str, str, str] | None:
    stem = path.stem if "_" in path.stem else f"{path.parent.name}_{path.stem}"
    match = _NAME.fullmatch(stem.lower())
    if match is None or not 1 <= int(match[3]) <= EMOTION_CODES[match[2]][2]:
        return None
    return match[1].upper(), match[2], match[3]


def parse(path: PurePath) -> ClipName | None:
    """Decode a SAVEE name of either layout."""
    fields = _fields(path)
    if fields is None:
        return None
    speaker, code, number = fields
    emotion, emotion_raw, _ = EMOTION_CODES[code]
    return ClipName(
        emotion=emotion, emotion_raw=emotion_raw, speaker=speaker, sex="male", statement=number
    )


def canonical(path: PurePath) -> str:
    """Return the same name for both layouts."""
    fields = _fields(path)
    return path.stem if fields is None else f"{fields[0]}_{fields[1]}{fields[2]}"


CORPUS = Corpus(
    name="savee",
    title="Surrey Audio-Visual Expressed Emotion",
    language="en",
    n_clips=480,
    licence="Research use only; may not be redistributed",
    citation=(
        "S. Haq and P. J. B. Jackson, Multimodal Emotion Recognition, in W. Wang (ed.), Machine "
        "Audition: Principles, Algorithms and Systems, IGI Global, chapter 17, 398-423, 2010"
    ),
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    parse=parse,
    labels=tuple(label for label, _, _ in EMOTION_CODES.values()),
    canonical=canonical,
    kaggle="ejlok1/surrey-audiovisual-expressed-emotion-savee",
    demographics=dict.fromkeys(SPEAKERS, ("male", None)),
)
