"""The trainings a ladder is made of, and where each lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ser.ladder.splits import RUNGS, n_parts


@dataclasses.dataclass(frozen=True)
class Unit:
    """One training.

    Attributes
    ----------
    rung : str
        One of ``RUNGS``.
    seed : int
        Decides the split, the initial weights and the order.
    part : int
        See `ser.ladder.splits.n_parts`.
    """

    rung: str
    seed: int
    part: int


def units(table: pd.DataFrame, seeds: Sequence[int]) -> list[Unit]:
    """List the trainings of a ladder, all rungs of a seed before the next seed.

    Parameters
    ----------
    table : DataFrame
        A labelled table.
    seeds : sequence of int
        Every rung is trained with each.

    Returns
    -------
    list of Unit
        In the order in which they are run.
    """
    return [
        Unit(rung, seed, part)
        for seed in seeds
        for rung in RUNGS
        for part in range(n_parts(table, rung))
    ]


def run_folder(folder: Path, unit: Unit) -> Path:
    """Give the folder of one unit.

    Parameters
    ----------
    folder : Path
        That of the recipe's ladder.
    unit : Unit
        Which training.

    Returns
    -------
    Path
        Inside `folder`.
    """
    return folder / f"{unit.rung}-seed-{unit.seed}-part-{unit.part}"
