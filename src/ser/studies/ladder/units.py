"""The trainings a ladder is made of, and where each lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ser.studies.ladder.splits import RUNGS, n_parts


@dataclasses.dataclass(frozen=True)
class Unit:
    """One training."""

    rung: str
    seed: int
    part: int


def units(table: pd.DataFrame, seeds: Sequence[int]) -> list[Unit]:
    """List the trainings of a ladder, all rungs of a seed before the next seed."""
    return [
        Unit(rung, seed, part)
        for seed in seeds
        for rung in RUNGS
        for part in range(n_parts(table, rung))
    ]


def run_folder(folder: Path, unit: Unit) -> Path:
    """Give the folder of one unit."""
    return folder / f"{unit.rung}-seed-{unit.seed}-part-{unit.part}"
