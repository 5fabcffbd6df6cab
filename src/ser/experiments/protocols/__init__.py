"""A table becomes folds of clip ids, by name, and is checked for leaks on the way.

Folds that results were published with are lists of speakers in ``lists/``, each with its source; so
no release of a library can move a clip.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from ser.corpora.base import EMOTIONS
from ser.experiments.protocols.folds import Fold, Shared, Tested, check
from ser.experiments.protocols.splits import (
    find_list,
    from_list,
    leave_one_out,
    speaker_disjoint,
)
from ser.project import SerError, unknown

__all__ = ["PROTOCOLS", "Fold", "Protocol", "Published", "check", "get", "make_folds", "names"]


class Published(NamedTuple):
    """A result that others report under a protocol; not measured here."""

    percent: float
    score: str  # UAR or accuracy
    system: str
    pretrained: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        how = "with pretraining " if self.pretrained else ""
        return f"{how}{self.percent} {self.score} ({self.system})"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A named way to split; without `split`, its folds are a list."""

    description: str
    corpora: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    split: Callable[[pd.DataFrame], list[Fold]] | None = None
    shared: Shared = "none"
    tested: Tested = "once"
    published: tuple[Published, ...] = ()


_SIX = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
_SEVEN = (*_SIX, "surprised")
PROTOCOLS: dict[str, Protocol] = {
    "speaker-independent": Protocol(
        "any corpora: 5 speaker-disjoint folds, balanced over corpora and sexes",
        split=speaker_disjoint,
    ),
    "leave-one-corpus-out": Protocol(
        "two or more corpora: each in turn tested by a model that heard all others",
        split=functools.partial(leave_one_out, column="corpus"),
    ),
    "leave-one-language-out": Protocol(
        "two or more languages: each in turn tested by a model that heard all others",
        split=functools.partial(leave_one_out, column="language"),
    ),
    "ravdess-luna5": Protocol(
        "RAVDESS: 5 subject-wise folds of Luna-Jiménez et al. (2021)",
        ("ravdess",),
        EMOTIONS,
        published=(
            Published(62.3, "UAR", "ResLSTM, arXiv 2606.03359; tuned on test folds"),
            Published(76.6, "accuracy", "CNN14 fine-tuned, doi:10.3390/s21227665", True),
            Published(
                81.8,
                "accuracy",
                "XLSR, 300 million parameters, fine-tuned, doi:10.3390/app12010327",
                True,
            ),
        ),
    ),
    "ravdess-emobox6": Protocol(
        "RAVDESS: 6 subject-wise folds of EmoBox (2024)",
        ("ravdess",),
        EMOTIONS,
        published=(Published(75.3, "UAR", "Whisper large v3, EmoBox", True),),
    ),
    "cremad-emosuperb5": Protocol(
        "CREMA-D: 5 speaker-disjoint folds of EMO-SUPERB (2024)",
        ("crema_d",),
        _SIX,
        published=(Published(56.7, "UAR", "CNN + LSTM + attention, one split"),),
    ),
    "savee-loso": Protocol(
        "SAVEE: each of the 4 speakers in turn",
        ("savee",),
        _SEVEN,
        published=(Published(75.8, "UAR", "data2vec 2.0 large, EmoBox", True),),
    ),
    "emodb-loso": Protocol(
        "EmoDB: each of the 10 speakers in turn",
        ("emodb",),
        ("angry", "boredom", "disgust", "fearful", "happy", "neutral", "sad"),
    ),
    "tess-cross": Protocol(
        "TESS: train on one woman, test on the other; validation on other words",
        ("tess",),
        _SEVEN,
        shared="validation",
    ),
    "combined-6": Protocol(
        "RAVDESS, CREMA-D and SAVEE together: 5 speaker-disjoint folds, fixed list",
        ("crema_d", "ravdess", "savee"),
        _SIX,
        published=(Published(50.5, "accuracy", "a public project"),),
    ),
    "cross-corpus": Protocol(
        "train on all of one corpus, test on all of each other: five times, six classes",
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
        if protocol.split is None:
            folds = from_list(table, protocol_name)
        elif listed := find_list(table, protocol_name):
            folds = from_list(table, listed)
        else:
            folds = protocol.split(table)
        check(folds, table, shared=protocol.shared, tested=protocol.tested)
    except SerError as error:
        raise SerError(f"protocol {protocol_name}: {error}") from error
    return folds
