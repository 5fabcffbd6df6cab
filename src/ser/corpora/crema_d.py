"""CREMA-D: 91 actors of all ages, twelve sentences, six emotions."""

from __future__ import annotations

import json
from pathlib import Path

from ser.corpora.scheme import Scheme

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

SCHEME = Scheme(
    pattern=(
        r"(?P<speaker>\d{4})_(?P<statement>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<intensity>[A-Z]{1,2})"
    ),
    stem="{speaker}_{statement}_{emotion}_{intensity}",
    codes={"statement": STATEMENTS, "emotion": EMOTION_CODES, "intensity": INTENSITIES},
    speakers=ACTORS,
)

CORPUS = SCHEME.corpus(
    name="crema_d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset",
    language="en",
    n_clips=7442,
    names_sha256="4e980e1ad0e30318f900b5530226418434f3bc8e684c77a15cbf4996ae136fd2",
    licence="Open Database License (ODbL) 1.0; contents under the Database Contents License",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, CREMA-D: "
        "Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective "
        "Computing 5(4): 377-390, 2014, doi:10.1109/TAFFC.2014.2336244"
    ),
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    kaggle="ejlok1/cremad",
)
