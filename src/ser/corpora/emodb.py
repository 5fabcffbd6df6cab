"""EmoDB: ten German actors, ten sentences, seven emotions."""

from __future__ import annotations

import re
from pathlib import PurePath

from ser.corpora.base import ClipName, Corpus

EMOTION_CODES = {
    "W": ("angry", "anger"),  # Wut
    "L": ("", "boredom"),  # Langeweile: no common label
    "E": ("disgust", "disgust"),  # Ekel
    "A": ("fearful", "fear"),  # Angst
    "F": ("happy", "happiness"),  # Freude
    "T": ("sad", "sadness"),  # Trauer
    "N": ("neutral", "neutral"),
}
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}

_NAME = re.compile(r"(\d\d)([ab]\d\d)([a-z])([a-z])?")


def _fields(path: PurePath) -> tuple[str, str, str, str] | None:
    match = _NAME.fullmatch(path.stem.lower())
    if match is None or match[1] not in SPEAKERS or match[3].upper() not in EMOTION_CODES:
        return None
    return match[1], match[2], match[3].upper(), match[4] or ""


def parse(path: PurePath) -> ClipName | None:
    """Decode an EmoDB name."""
    fields = _fields(path)
    if fields is None:
        return None
    speaker, text, code, version = fields
    emotion, emotion_raw = EMOTION_CODES[code]
    sex, age = SPEAKERS[speaker]
    return ClipName(
        emotion=emotion,
        emotion_raw=emotion_raw,
        speaker=speaker,
        sex=sex,
        age=age,
        statement=text,
        repetition=version,
    )


def canonical(path: PurePath) -> str:
    """Return the stem in the release's mix of cases."""
    fields = _fields(path)
    return path.stem if fields is None else "".join(fields)


CORPUS = Corpus(
    name="emodb",
    title="Berlin Database of Emotional Speech",
    language="de",
    n_clips=535,
    licence="Free for research; cite the authors",
    citation=(
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier and B. Weiss, A database of German "
        "emotional speech, Proc. Interspeech, 1517-1520, 2005, doi:10.21437/Interspeech.2005-446"
    ),
    homepage="http://emodb.bilderbar.info/",
    parse=parse,
    labels=tuple(label or raw for label, raw in EMOTION_CODES.values()),
    canonical=canonical,
    demographics=SPEAKERS,
)
