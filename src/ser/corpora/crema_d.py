"""CREMA-D: 91 actors of all ages, twelve sentences, six emotions."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePath

from ser.corpora.base import ClipName, Corpus

EMOTION_CODES = {
    "ANG": ("angry", "anger"),
    "DIS": ("disgust", "disgust"),
    "FEA": ("fearful", "fear"),
    "HAP": ("happy", "happy"),
    "NEU": ("neutral", "neutral"),
    "SAD": ("sad", "sad"),
}
INTENSITIES = {
    "LO": "low",
    "MD": "medium",
    "HI": "high",
    "XX": "unspecified",
    "X": "unspecified",  # 1040_ITH_SAD_X is released under this name
}
STATEMENTS = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
ACTORS: dict[str, tuple[str, int]] = {
    actor: (facts["sex"], facts["age"])
    for actor, facts in json.loads(
        Path(__file__).with_name("crema_d_actors.json").read_text(encoding="utf-8")
    )["actors"].items()
}

_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")


def parse(path: PurePath) -> ClipName | None:
    """Decode a CREMA-D name."""
    match = _NAME.fullmatch(path.stem.upper())
    if match is None:
        return None
    actor, statement, code, level = match.groups()
    try:
        emotion, emotion_raw = EMOTION_CODES[code]
        sex, age = ACTORS[actor]
        return ClipName(
            emotion=emotion,
            emotion_raw=emotion_raw,
            speaker=actor,
            sex=sex,
            age=age,
            intensity=INTENSITIES[level],
            statement=STATEMENTS[statement],
        )
    except KeyError:
        return None


def canonical(path: PurePath) -> str:
    """Return the stem in the release's upper case."""
    return path.stem.upper()


CORPUS = Corpus(
    name="crema_d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset",
    language="en",
    n_clips=7442,
    licence="Open Database License (ODbL) 1.0; contents under the Database Contents License",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, CREMA-D: "
        "Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective "
        "Computing 5(4): 377-390, 2014, doi:10.1109/TAFFC.2014.2336244"
    ),
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    parse=parse,
    labels=tuple(label for label, _ in EMOTION_CODES.values()),
    canonical=canonical,
    kaggle="ejlok1/cremad",
    demographics=ACTORS,
)
