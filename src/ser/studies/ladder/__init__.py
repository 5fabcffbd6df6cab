"""The leakage ladder: one model under four splits, from the published one to an honest one.

Rung ``a`` leaks on purpose, as published work does; it is the only code of this package that does,
and nothing but the ladder calls it. The rungs differ in the split and in nothing else:

- ``a``, as published: rows drawn at random, augmented copies of a clip on both sides, features
  normalised over all rows, the epoch chosen on the test rows;
- ``b``, other clips: the copies of a clip stay together, statistics come from the training clips,
  the epoch from validation clips;
- ``c``, other texts too: no sentence is in two parts, as far as the corpus has enough of them;
- ``d``, other speakers: no speaker is in two parts.
"""

from ser.studies.ladder.results import gather, human_accuracy, write_human, write_table
from ser.studies.ladder.run import FAST, SYSTEMS, run
from ser.studies.ladder.splits import RUNGS, Split, split
from ser.studies.ladder.units import units

__all__ = [
    "FAST",
    "RUNGS",
    "SYSTEMS",
    "Split",
    "gather",
    "human_accuracy",
    "run",
    "split",
    "units",
    "write_human",
    "write_table",
]
