"""URDU: 400 clips of Urdu talk shows, not acted, in four emotions."""

from __future__ import annotations

from ser.corpora.base import Archive
from ser.corpora.scheme import Scheme

EMOTION_CODES = {
    "A": ("angry", "angry"),
    "H": ("happy", "happy"),
    "N": ("neutral", "neutral"),
    "S": ("sad", "sad"),
}
MEN = (*range(1, 8), *range(17, 28))  # 38 speakers in all, says its page; these names occur
REVISION = "4b546d4e0fa36d1c86c53a281631b2ab7ce2fdec"

SCHEME = Scheme(
    # a letter's clips are numbered twice: those of one speaker, and all of them
    pattern=r"S(?P<speaker>[MF]\d+)_F(?P<clip>\d+)_(?P<emotion>[AHNS])(?P<number>\d+)",
    stem="S{speaker}_F{clip}_{emotion}{number}",
    codes={"emotion": EMOTION_CODES},
    speakers={f"M{number}": ("male", None) for number in MEN}
    | {f"F{number}": ("female", None) for number in range(1, 12)},
)

CORPUS = SCHEME.corpus(
    name="urdu",
    title="URDU-Dataset: Urdu talk shows",
    language="ur",
    n_clips=400,
    licence="Research use only",
    citation=(
        "S. Latif, A. Qayyum, M. Usman and J. Qadir, Cross Lingual Speech Emotion Recognition: "
        "Urdu vs. Western Languages, Frontiers of Information Technology, 2018, arXiv:1812.10411"
    ),
    homepage="https://github.com/siddiquelatif/URDU-Dataset",
    archives=(
        Archive(
            url=f"https://github.com/siddiquelatif/URDU-Dataset/archive/{REVISION}.zip",
            filename="URDU-Dataset.zip",
        ),
    ),
)
