"""EmoDB: ten German actors, ten sentences, seven emotions."""

from __future__ import annotations

from ser.corpora.scheme import Scheme

EMOTION_CODES = {
    "W": ("angry", "anger"),  # Wut
    "L": ("", "boredom"),  # Langeweile: no common label
    "E": ("disgust", "disgust"),  # Ekel
    "A": ("fearful", "fear"),  # Angst
    "F": ("happy", "happiness"),  # Freude
    "T": ("sad", "sadness"),  # Trauer
    "N": ("neutral", "neutral"),
}
MEN = {"03": 31, "10": 32, "11": 26, "12": 30, "15": 25}  # in years
WOMEN = {"08": 34, "09": 21, "13": 32, "14": 35, "16": 31}

SCHEME = Scheme(
    pattern=(r"(?P<speaker>\d\d)(?P<statement>[ab]\d\d)(?P<emotion>[A-Z])(?P<repetition>[a-z]?)"),
    stem="{speaker}{statement}{emotion}{repetition}",
    codes={"emotion": EMOTION_CODES},
    speakers={speaker: ("male", age) for speaker, age in MEN.items()}
    | {speaker: ("female", age) for speaker, age in WOMEN.items()},
)

CORPUS = SCHEME.corpus(
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
)
