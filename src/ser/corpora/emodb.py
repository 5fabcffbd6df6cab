"""EmoDB: ten German actors, ten sentences, seven emotions."""

from __future__ import annotations

from ser.corpora.base import Corpus
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

SCHEME = Scheme(
    pattern=(r"(?P<speaker>\d\d)(?P<statement>[ab]\d\d)(?P<emotion>[A-Z])(?P<repetition>[a-z]?)"),
    stem="{speaker}{statement}{emotion}{repetition}",
    codes={"emotion": EMOTION_CODES},
    speakers=SPEAKERS,
)

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
    parse=SCHEME.parse,
    canonical=SCHEME.canonical,
    labels=SCHEME.labels,
    demographics=SCHEME.speakers,
)
