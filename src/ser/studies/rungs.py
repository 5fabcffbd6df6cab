"""The four splits of the leakage ladder, from the published one to an honest one.

Rung ``a`` leaks on purpose, as published work does; it is the only code of this package that does,
and nothing but the ladder calls it. A split is made of rows: (clip, variant), variant 0 being the
original.

- ``a``, as published: rows drawn at random, augmented copies of a clip on both sides, features
  normalised over all rows, the epoch chosen on the test rows;
- ``b``, other clips: the copies of a clip stay together, statistics come from the training clips,
  the epoch from validation clips;
- ``c``, other texts too: no sentence is in two parts, as far as the corpus has enough of them;
- ``d``, other speakers: no speaker is in two parts.
"""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ser.project import SerError

RUNGS = {
    "a": "as published",
    "b": "other clips",
    "c": "other texts",
    "d": "other speakers",
}
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
N_GROUPS = 10  # two of them are tested, one validates


@dataclasses.dataclass(frozen=True)
class Split:
    """Rows of three parts."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def n_parts(table: pd.DataFrame, rung: str) -> int:
    """Say how many trainings a seed needs."""
    return 2 if rung == "d" and table["speaker"].nunique() == 2 else 1


def split(table: pd.DataFrame, rung: str, seed: int, n_variants: int, part: int = 0) -> Split:
    """Make the split of a rung.

    Parameters
    ----------
    table : DataFrame
        A labelled table (`ser.corpora.metadata.label_table`) with index 0 to ``n_clips - 1``.
    rung : str
        One of ``RUNGS``.
    seed : int
        Another seed tests other rows; seeds 0 to 4 of rungs ``b`` and ``d`` test disjoint parts
        of five clips, or speakers, or more.
    n_variants : int
        Variants of each clip, the original included.
    part : int
        Under `n_parts`.

    Returns
    -------
    Split
        Training rows hold all variants. In ``b``, ``c`` and ``d``, validation and test rows are
        originals, and no recording is in two parts.

    Raises
    ------
    SerError
        When there is no such rung, or the table is too small for it.
    """
    if rung not in RUNGS:
        raise SerError(f"no rung {rung!r}. Allowed: {', '.join(RUNGS)}.")
    if rung == "a":
        return _leaking(len(table), n_variants, seed)
    if rung == "c":
        held, tested = _by_text(table, seed)
    elif rung == "d" and table["speaker"].nunique() == 2:
        held, tested = _two_speakers(table, seed, part)
    else:
        held, tested = _by_group(table, "pcm_sha256" if rung == "b" else "speaker", seed)
    sound = table["pcm_sha256"]
    held &= ~tested & ~sound.isin(sound[tested])
    trained = ~held & ~tested & ~sound.isin(sound[tested | held])
    parts = [np.flatnonzero(mask.to_numpy()) for mask in (trained, held, tested)]
    if not all(len(part) for part in parts):
        raise SerError(
            f"rung {rung}: {len(table)} clips of {table['speaker'].nunique()} speakers are too few "
            "to train, validate and test."
        )
    every = np.stack(np.meshgrid(parts[0], np.arange(n_variants), indexing="ij"), -1).reshape(-1, 2)
    validation, test = (np.stack([p, np.zeros_like(p)], axis=1) for p in parts[1:])
    return Split(every, validation, test)


def _leaking(n_clips: int, n_variants: int, seed: int) -> Split:
    rows = np.stack(np.divmod(np.arange(n_clips * n_variants), n_variants), axis=1)
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    n_test = round(TEST_SHARE * len(rows))
    test = rows[order[:n_test]]
    return Split(train=rows[order[n_test:]], validation=test, test=test)


def _by_group(table: pd.DataFrame, column: str, seed: int) -> tuple[pd.Series, pd.Series]:
    """Deal groups into ten stacks, even in labels; test two, validate on one, train on the rest."""
    groups = table[column]
    n = min(N_GROUPS, groups.nunique(), table["label"].value_counts().max())
    if n < 3:
        raise SerError(
            f"a split by {column} needs at least 3 of them and of the clips of a class, found {n}."
        )
    dealer = StratifiedGroupKFold(n, shuffle=True, random_state=0)
    stack = np.empty(len(table), np.int64)
    for number, (_, dealt) in enumerate(dealer.split(table, table["label"], groups)):
        stack[dealt] = number
    n_test = max(1, int(TEST_SHARE * n))  # rounded down, for five disjoint parts
    tested = (seed * n_test + np.arange(n_test)) % n
    held = (seed * n_test + n_test) % n
    return pd.Series(stack == held), pd.Series(np.isin(stack, tested))


def _by_text(table: pd.DataFrame, seed: int) -> tuple[pd.Series, pd.Series]:
    """Split each corpus by what is said; where two texts are all there is, validate on clips."""
    held = pd.Series(False, index=table.index)
    tested = held.copy()
    for _, clips in table.groupby("corpus", sort=True):
        texts = np.random.default_rng(0).permutation(sorted(set(clips["statement"])))
        if len(texts) < 2:
            raise SerError(f"rung c: {clips['corpus'].iloc[0]} holds fewer than two texts.")
        n_test = max(1, round(TEST_SHARE * len(texts)))
        turned = np.roll(texts, -seed * n_test)
        n_held = max(1, round(VALIDATION_SHARE * len(texts))) if len(texts) > n_test + 1 else 0
        tested[clips.index] = clips["statement"].isin(turned[:n_test])
        held[clips.index] = clips["statement"].isin(turned[n_test : n_test + n_held])
        if not n_held:
            rest = clips[~clips["statement"].isin(turned[:n_test])]
            held[rest.sample(frac=VALIDATION_SHARE, random_state=seed).index] = True
    return held, tested


def _two_speakers(table: pd.DataFrame, seed: int, part: int) -> tuple[pd.Series, pd.Series]:
    """Test one of two speakers; validate on words of the other that are not trained on."""
    tested = table["speaker"] == sorted(set(table["speaker"]))[part]
    texts = np.random.default_rng(seed).permutation(sorted(set(table["statement"])))
    return table["statement"].isin(texts[: max(1, round(VALIDATION_SHARE * len(texts)))]), tested
