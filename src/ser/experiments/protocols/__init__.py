"""A table becomes folds of clip ids, by name, and is checked for leaks on the way.

The published lists of speakers lie in ``lists/``, each with its source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ser.corpora.base import EMOTIONS
from ser.experiments.protocols.folds import Fold, Shared, Tested, check, speaker_fold
from ser.experiments.protocols.splits import (
    choose_validation,
    corpus_to_corpus,
    leave_one_corpus_out,
    leave_one_speaker_out,
    leave_one_speaker_out_by_words,
    random_clips,
    speaker_disjoint,
)
from ser.project import SerError, read_json, unknown

__all__ = [
    "PROTOCOLS",
    "Fold",
    "Protocol",
    "check",
    "corpus_to_corpus",
    "get",
    "leave_one_corpus_out",
    "leave_one_speaker_out",
    "leave_one_speaker_out_by_words",
    "make_folds",
    "names",
    "published",
    "random_clips",
    "speaker_disjoint",
]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A named way to split."""

    description: str
    split: Callable[[pd.DataFrame], list[Fold]]
    corpora: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    shared: Shared = "none"
    tested: Tested = "once"
    published: str = ""


def published(table: pd.DataFrame, name: str) -> list[Fold]:
    """Make the folds of a list of speakers."""
    folder = Path(__file__).with_name("lists")
    known = sorted(file.stem for file in folder.glob("*.json"))
    if name not in known:
        raise SerError(f"no list of speakers named {name!r}. Known: {', '.join(known)}.")
    folds = read_json(folder / f"{name}.json")["folds"]
    listed = {speaker for fold in folds for speaker in fold["test"]}
    found = set(table["speaker"])
    for what, speakers in (("lacks", listed - found), ("also holds", found - listed)):
        if speakers:
            raise SerError(
                f"protocol {name} is about {len(listed)} speakers; the table {what} "
                f"{len(speakers)} ({', '.join(sorted(speakers)[:3])} …). Use the whole corpus, or "
                "the protocol speaker-independent."
            )
    rng = np.random.default_rng(0)
    return [
        speaker_fold(
            table,
            i,
            fold["name"],
            fold.get("validation") or choose_validation(table, fold["test"], rng=rng),
            fold["test"],
        )
        for i, fold in enumerate(folds)
    ]


def _published(name: str) -> Callable[[pd.DataFrame], list[Fold]]:
    return lambda table: published(table, name)


_SIX = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
_SEVEN = (*_SIX, "surprised")
PROTOCOLS: dict[str, Protocol] = {
    "speaker-independent": Protocol(
        "any corpora: 5 speaker-disjoint folds, balanced over corpora and sexes",
        speaker_disjoint,
    ),
    "leave-one-corpus-out": Protocol(
        "two or more corpora: each in turn tested by a model that heard all others",
        leave_one_corpus_out,
    ),
    "ravdess-luna5": Protocol(
        "RAVDESS: 5 subject-wise folds of Luna-Jiménez et al. (2021)",
        _published("ravdess-luna5"),
        ("ravdess",),
        EMOTIONS,
        published="62.3 UAR (ResLSTM, arXiv 2606.03359; tuned on test folds); with pretraining "
        "76.6 accuracy (CNN14, doi:10.3390/s21227665) and 81.8 accuracy (XLSR, 300 million "
        "parameters, doi:10.3390/app12010327), both fine-tuned",
    ),
    "ravdess-emobox6": Protocol(
        "RAVDESS: 6 subject-wise folds of EmoBox (2024)",
        _published("ravdess-emobox6"),
        ("ravdess",),
        EMOTIONS,
        published="75.3 UAR, with pretraining only (Whisper large v3, EmoBox)",
    ),
    "cremad-emosuperb5": Protocol(
        "CREMA-D: 5 speaker-disjoint folds of EMO-SUPERB (2024)",
        _published("cremad-emosuperb5"),
        ("crema_d",),
        _SIX,
        published="56.7 UAR (CNN + LSTM + attention, one split)",
    ),
    "savee-loso": Protocol(
        "SAVEE: each of the 4 speakers in turn",
        leave_one_speaker_out,
        ("savee",),
        _SEVEN,
        published="75.8 UAR, with pretraining only (data2vec 2.0 large, EmoBox)",
    ),
    "emodb-loso": Protocol(
        "EmoDB: each of the 10 speakers in turn",
        leave_one_speaker_out,
        ("emodb",),
        ("angry", "boredom", "disgust", "fearful", "happy", "neutral", "sad"),
    ),
    "tess-cross": Protocol(
        "TESS: train on one woman, test on the other; validation on other words",
        leave_one_speaker_out_by_words,
        ("tess",),
        _SEVEN,
        shared="validation",
    ),
    "combined-6": Protocol(
        "RAVDESS, CREMA-D and SAVEE together: 5 speaker-disjoint folds, fixed list",
        _published("combined-6"),
        ("crema_d", "ravdess", "savee"),
        _SIX,
        published="50.5 accuracy (a public project)",
    ),
    "cross-corpus": Protocol(
        "train on all of one corpus, test on all of each other: five times, six classes",
        corpus_to_corpus,
        ("crema_d", "emodb", "ravdess", "savee", "tess"),
        _SIX,
        shared="validation",  # TESS has no third speaker
        tested="by others",
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of all protocols, the general ones first."""
    return tuple(PROTOCOLS)


def get(name: str) -> Protocol:
    """Return a protocol by name."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    raise unknown(f"no protocol named {name!r}", names(), name, word="Known")


def make_folds(table: pd.DataFrame, protocol_name: str) -> list[Fold]:
    """Split a labelled table, and check that nothing leaks."""
    protocol = get(protocol_name)
    found = tuple(sorted(set(table["corpus"])))
    if protocol.corpora and found != protocol.corpora:
        raise SerError(
            f"protocol {protocol_name} is about {', '.join(protocol.corpora)}; the table holds "
            f"{', '.join(found) or 'nothing'}. Choose exactly those corpora, or another protocol: "
            f"{', '.join(names())}."
        )
    table = table.sort_values("clip_id", ignore_index=True)
    try:
        folds = protocol.split(table)
        check(folds, table, shared=protocol.shared, tested=protocol.tested)
    except SerError as error:
        raise SerError(f"protocol {protocol_name}: {error}") from error
    return folds
