"""Folds from a fixed list, or dealt by scikit-learn: the only two ways there are."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser.experiments.protocols.folds import Fold, make_fold
from ser.project import SerError, read_json

LISTS = Path(__file__).parent / "lists"
N_FOLDS = 5  # of the speakers that a fold does not test, a fifth are its validation speakers


def from_list(table: pd.DataFrame, name: str) -> list[Fold]:
    """Make the folds of a list: speakers that are tested, and speakers or texts that validate."""
    folds = _read(name)
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
    return next((name for name in names if _speakers(_read(name)) == found), None)


def _read(name: str) -> list[dict[str, Any]]:
    return read_json(LISTS / f"{name}.json")["folds"]


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
