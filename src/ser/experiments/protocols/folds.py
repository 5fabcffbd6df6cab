"""Folds from a fixed list, or dealt by scikit-learn; and the check that they cannot leak."""

import dataclasses
import functools
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ser.project import SerError, read_json

LISTS = Path(__file__).parent / "lists"
N_FOLDS = 5  # of the speakers that a fold does not test, a fifth are its validation speakers
Shared = Literal["none", "validation", "all"]
Tested = Literal["once", "by others"]
PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Fold:
    """Three disjoint sets of clips, whose ids are sorted."""

    index: int  # from 0
    name: str  # what is tested, for plots and reports
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def make_fold(
    table: pd.DataFrame, index: int, name: str, in_validation: pd.Series, in_test: pd.Series
) -> Fold:
    """Make a fold from two masks over the rows; the rest is trained on."""
    masks = (~(in_validation | in_test), in_validation, in_test)
    train, validation, test = (tuple(sorted(table["clip_id"][mask])) for mask in masks)
    return Fold(index=index, name=name, train=train, validation=validation, test=test)


def check(
    folds: Sequence[Fold],
    table: pd.DataFrame,
    *,
    shared: Shared = "none",
    tested: Tested = "once",
) -> None:
    """Refuse folds that leak, or that do not test every clip as often as they should."""
    speaker_of = dict(zip(table["clip_id"], table["speaker"], strict=True))
    sound_of = dict(zip(table["clip_id"], table["pcm_sha256"], strict=True))
    known: set[str] = set()
    for fold in folds:
        parts = {part: set(getattr(fold, part)) for part in PARTS}
        for part, clips in parts.items():
            if not clips:
                raise SerError(f"fold {fold.name}: no clip for {part}.")
            if strange := clips - speaker_of.keys():
                raise SerError(f"fold {fold.name}: {min(strange)} is not in the table.")
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            _disjoint(fold, one, other, "clip", parts[one], parts[other])
            sounds = [{sound_of[clip] for clip in parts[part]} for part in (one, other)]
            _disjoint(fold, one, other, "recording", *sounds)
            speakers = [{speaker_of[clip] for clip in parts[part]} for part in (one, other)]
            if shared == "none" or (shared == "validation" and other == "test"):
                _disjoint(fold, one, other, "speaker", *speakers)
        if tested == "once" and (twice := parts["test"] & known):
            raise SerError(f"fold {fold.name}: {min(twice)} is tested in an earlier fold already.")
        if tested == "by others" and (left := speaker_of.keys() - set().union(*parts.values())):
            raise SerError(f"fold {fold.name}: {min(left)} is neither trained on nor tested.")
        known |= parts["test"]
    if never := speaker_of.keys() - known:
        raise SerError(f"{len(never)} clips are tested in no fold, {min(never)} for one.")


def _disjoint(fold: Fold, one: str, other: str, what: str, left: set[str], right: set[str]) -> None:
    if common := left & right:
        raise SerError(f"fold {fold.name}: {one} and {other} share the {what} {min(common)}.")


def from_list(table: pd.DataFrame, name: str) -> list[Fold]:
    """Make the folds of a list: speakers that are tested, and speakers or texts that validate."""
    folds = read_list(name)["folds"]
    listed, found = _speakers(folds), set(table["speaker"])
    for what, speakers in (("lacks", listed - found), ("also holds", found - listed)):
        if speakers:
            raise SerError(
                f"its list is of {len(listed)} speakers; the table {what} {len(speakers)} "
                f"({', '.join(sorted(speakers)[:3])} …). Use the whole corpus, or the protocol "
                "speaker-independent."
            )
    made = []
    for i, fold in enumerate(folds):
        tested = table["speaker"].isin(fold["test"])
        held = table["speaker"].isin(fold.get("validation", ()))
        held |= table["statement"].isin(fold.get("validation_texts", ()))
        made.append(make_fold(table, i, fold["name"], held & ~tested, tested))
    return made


def find_list(table: pd.DataFrame, protocol: str) -> str | None:
    """Find a committed list of folds for exactly these speakers: published folds never move."""
    names = sorted(file.stem for file in LISTS.glob(f"{protocol}*.json"))
    found = set(table["speaker"])
    return next((name for name in names if _speakers(read_list(name)["folds"]) == found), None)


@functools.cache
def read_list(name: str) -> dict[str, Any]:
    """Read a list of folds, with what there is to say of it."""
    return read_json(LISTS / f"{name}.json")


def _speakers(folds: list[dict[str, Any]]) -> set[str]:
    return {speaker for fold in folds for speaker in fold["test"]}


def speaker_disjoint(table: pd.DataFrame) -> list[Fold]:
    """Test a fifth of the speakers in each fold, balanced over corpora, sexes and classes.

    Only for speakers that no committed list names; see `find_list`.
    """
    at_least(3, table["speaker"].nunique(), "speakers")
    parts = [set(table["speaker"].iloc[dealt]) for dealt in _deal(table)]
    return _folds(table, {f"speakers {i + 1}": part for i, part in enumerate(parts)})


def leave_one_out(table: pd.DataFrame, column: str) -> list[Fold]:
    """Test each corpus, or each language, with a model that has heard none of it."""
    names = sorted(set(table[column]))
    at_least(2, len(names), {"corpus": "corpora", "language": "languages"}[column])
    return _folds(table, {name: table["speaker"][table[column] == name] for name in names})


def _folds(table: pd.DataFrame, tests: dict[str, Iterable[str]]) -> list[Fold]:
    """Choose who validates among the speakers that a fold does not test."""
    folds = []
    for i, (name, test) in enumerate(tests.items()):
        tested = table["speaker"].isin(set(test))
        rest = table[~tested]
        at_least(2, rest["speaker"].nunique(), "speakers beside those under test")
        held = pd.Series(table.index.isin(rest.index[_deal(rest)[0]]), table.index)
        folds.append(make_fold(table, i, name, held, tested))
    return folds


def _deal(table: pd.DataFrame) -> list[np.ndarray]:
    """Deal whole speakers into at most five parts; give the rows of each."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    n_parts = min(N_FOLDS, table["speaker"].nunique())
    kinds = table["corpus"] + " " + table["sex"] + " " + table["label"]
    if kinds.value_counts().max() < n_parts:
        kinds = table["label"]
    at_least(n_parts, kinds.value_counts().max(), "clips of a class")
    dealer = StratifiedGroupKFold(n_parts, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return [rows for _, rows in dealer.split(table, kinds, table["speaker"])]


def at_least(needed: int, found: int, what: str) -> None:
    """Refuse a table that is too small to split."""
    if found < needed:
        raise SerError(f"this split needs at least {needed} {what}, found {found}.")
