"""A table becomes folds of clip ids, by name, and is checked for leaks on the way.

Folds that results were published with are lists of speakers in ``lists/``, each with its source and
what others report for it; so no release of a library can move a clip.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from ser.config import from_dict
from ser.experiments.protocols.folds import (
    Fold,
    Shared,
    Tested,
    check,
    find_list,
    from_list,
    leave_one_out,
    read_list,
    speaker_disjoint,
)
from ser.project import SerError, unknown


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
}
LISTED = (
    *("ravdess-luna5", "ravdess-emobox6", "cremad-emosuperb5", "savee-loso", "emodb-loso"),
    *("tess-cross", "combined-6", "cross-corpus"),
)
for _name in LISTED:
    _about = {k: v for k, v in read_list(_name).items() if k not in ("source", "folds")}
    PROTOCOLS[_name] = from_dict(Protocol, _about, source=_name)


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
