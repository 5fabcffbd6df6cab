"""One fold, and the check that it cannot leak."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from ser.project import SerError

Shared = Literal["none", "validation", "all"]
Tested = Literal["once", "by others"]
PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Fold:
    """Three disjoint sets of clips.

    Attributes
    ----------
    index : int
        From 0.
    name : str
        What is tested, for plots and reports.
    train, validation, test : tuple of str
        Clip ids, sorted.
    """

    index: int
    name: str
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
