"""ASED: 65 Amharic speakers, five emotions, 27 sentences; most of eight judges agreed with each."""

from __future__ import annotations

from ser.corpora.base import Archive
from ser.corpora.scheme import Scheme

EMOTION_CODES = {
    "n1": ("neutral", "neutral"),
    "f2": ("fearful", "fearful"),
    "h3": ("happy", "happy"),
    "s4": ("sad", "sad"),
    "a5": ("angry", "angry"),
}
# Five names give a speaker the other sex than all their others do; here speakers have the latter.
WOMEN = {*range(1, 39, 2), 43, 47, 48, 49, 58, 62}
REVISION = "30fee0345cbd37e12dd725fbe69f90522cffb046"

SCHEME = Scheme(
    pattern=(
        r"(?P<emotion>[a-z]\d)-(?P<statement>0[1-7])-(?P<repetition>0[12])-"
        r"(?P<gender>0[12])-(?P<speaker>\d\d)"
    ),
    stem="{emotion}-{statement}-{repetition}-{gender}-{speaker}",
    codes={"emotion": EMOTION_CODES, "repetition": {"01": "1", "02": "2"}},
    speakers={
        f"{number:02d}": ("female" if number in WOMEN else "male", None) for number in range(1, 66)
    },
)

CORPUS = SCHEME.corpus(
    name="ased",
    title="Amharic Speech Emotion Dataset",
    language="am",
    n_clips=2474,
    licence="None named: research use, cite the authors",
    citation=(
        "E. A. Retta, E. Almekhlafi, R. Sutcliffe, M. Mhamed, H. Ali and J. Feng, A New Amharic "
        "Speech Emotion Dataset and Classification Benchmark, ACM Transactions on Asian and "
        "Low-Resource Language Information Processing 22(1), 2023, doi:10.1145/3529759"
    ),
    homepage="https://github.com/Ethio2021/ASED_V1",
    archives=(
        Archive(
            url=f"https://github.com/Ethio2021/ASED_V1/archive/{REVISION}.zip",
            filename="ASED_V1.zip",
        ),
    ),
)
