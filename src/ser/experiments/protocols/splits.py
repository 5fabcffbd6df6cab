"""Ways to split a table, each deterministic for its seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ser.experiments.protocols.folds import Fold, clip_fold, speaker_fold
from ser.project import SerError

VALIDATION_SHARE = 0.2  # of the speakers that are not tested


def random_clips(table: pd.DataFrame, n_folds: int = 5, seed: int = 0) -> list[Fold]:
    """Deal clips at random, so that the same speaker is in every part."""
    sounds = table.drop_duplicates("pcm_sha256")
    _at_least(3, n_folds, "folds")
    _at_least(n_folds, len(sounds), "distinct recordings")
    order = np.random.default_rng(seed).permutation(len(sounds))
    shuffled = sounds.iloc[order].sort_values("label", kind="stable")
    deal = dict(zip(shuffled["pcm_sha256"], np.arange(len(shuffled)) % n_folds, strict=True))
    fold_of = table["pcm_sha256"].map(deal)
    return [
        clip_fold(table, i, f"part {i + 1}", fold_of == (i + 1) % n_folds, fold_of == i)
        for i in range(n_folds)
    ]


def speaker_disjoint(
    table: pd.DataFrame,
    n_folds: int = 5,
    seed: int = 0,
    validation_speakers: float | int = VALIDATION_SHARE,
) -> list[Fold]:
    """Deal whole speakers, balanced over corpora and sexes."""
    speakers = _speakers(table)
    _at_least(3, len(speakers), "speakers")
    _at_least(2, n_folds, "folds")
    n_folds = min(n_folds, len(speakers)) if len(speakers) > 3 else 3
    rng = np.random.default_rng(seed)
    groups = _deal(speakers, n_folds, rng)
    return [
        speaker_fold(
            table,
            i,
            f"speakers {i + 1}",
            choose_validation(table, test, rng=rng, amount=validation_speakers),
            test,
        )
        for i, test in enumerate(groups)
    ]


def _speakers(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per speaker: speaker (index), corpus, sex, clips."""
    groups = table.groupby("speaker", sort=True)
    return pd.DataFrame(
        {"corpus": groups["corpus"].first(), "sex": groups["sex"].first(), "clips": groups.size()}
    )


def _deal(speakers: pd.DataFrame, n_folds: int, rng: np.random.Generator) -> list[list[str]]:
    """Give each speaker to the fold with the fewest of its kind, its corpus, any; of clips."""
    groups: list[list[str]] = [[] for _ in range(n_folds)]
    kinds: list[list[tuple[str, str]]] = [[] for _ in range(n_folds)]
    clips = [0] * n_folds
    shuffled = speakers.iloc[rng.permutation(len(speakers))]
    rarest = shuffled.groupby(["corpus", "sex"])["clips"].transform("size")
    for speaker, row in shuffled.loc[rarest.sort_values(kind="stable").index].iterrows():
        kind = (row["corpus"], row["sex"])
        fold = min(
            (i for i in range(n_folds) if len(groups[i]) < len(speakers) - 2),
            key=lambda i: (
                kinds[i].count(kind),
                sum(corpus == kind[0] for corpus, _ in kinds[i]),
                len(groups[i]),
                clips[i],
            ),
        )
        groups[fold].append(str(speaker))
        kinds[fold].append(kind)
        clips[fold] += int(row["clips"])
    return [sorted(group) for group in groups]


def choose_validation(
    table: pd.DataFrame,
    test: list[str],
    *,
    rng: np.random.Generator,
    amount: float | int = VALIDATION_SHARE,
) -> list[str]:
    """Choose validation speakers from the training side, balanced over corpora and sexes."""
    rest = _speakers(table[~table["speaker"].isin(test)])
    _at_least(2, len(rest), "speakers beside those under test")
    wanted = round(amount * len(rest)) if isinstance(amount, float) else amount
    wanted = min(max(wanted, 1), len(rest) - 1)
    shuffled = rest.iloc[rng.permutation(len(rest))]
    kinds = {str(k): list(g.index) for k, g in shuffled.groupby(["corpus", "sex"], sort=True)}
    fair = {kind: wanted * len(members) / len(rest) for kind, members in kinds.items()}
    chosen: list[str] = []
    taken = dict.fromkeys(kinds, 0)
    for _ in range(wanted):  # each time from the kind that is furthest below its fair share
        open_kinds = [kind for kind, members in kinds.items() if taken[kind] < len(members)]
        kind = max(open_kinds, key=lambda kind: fair[kind] - taken[kind])
        chosen.append(kinds[kind][taken[kind]])
        taken[kind] += 1
    return sorted(chosen)


def leave_one_speaker_out(table: pd.DataFrame, seed: int = 0) -> list[Fold]:
    """Test each speaker in a fold of their own."""
    speakers = sorted(set(table["speaker"]))
    _at_least(3, len(speakers), "speakers")
    rng = np.random.default_rng(seed)
    return [
        speaker_fold(table, i, name, choose_validation(table, [name], rng=rng), [name])
        for i, name in enumerate(speakers)
    ]


def leave_one_corpus_out(table: pd.DataFrame, seed: int = 0) -> list[Fold]:
    """Test each corpus with a model that has heard none of it."""
    names = sorted(set(table["corpus"]))
    _at_least(2, len(names), "corpora")
    rng = np.random.default_rng(seed)
    folds = []
    for i, name in enumerate(names):
        test = sorted(set(table["speaker"][table["corpus"] == name]))
        folds.append(speaker_fold(table, i, name, choose_validation(table, test, rng=rng), test))
    return folds


def corpus_to_corpus(table: pd.DataFrame, seed: int = 0) -> list[Fold]:
    """Train on each corpus alone, and test on all others."""
    names = sorted(set(table["corpus"]))
    _at_least(2, len(names), "corpora")
    rng = np.random.default_rng(seed)
    folds = []
    for i, name in enumerate(names):
        elsewhere = table["corpus"] != name
        if table["speaker"][~elsewhere].nunique() > 2:
            others = sorted(set(table["speaker"][elsewhere]))
            held = table["speaker"].isin(choose_validation(table, others, rng=rng))
        else:
            words = rng.permutation(sorted(set(table["statement"][~elsewhere])))
            n_words = max(1, round(VALIDATION_SHARE * len(words)))
            held = table["statement"].isin(list(words[:n_words])) & ~elsewhere
        folds.append(clip_fold(table, i, name, held, elsewhere))
    return folds


def leave_one_speaker_out_by_words(
    table: pd.DataFrame, seed: int = 0, share: float = VALIDATION_SHARE
) -> list[Fold]:
    """Test each speaker, validating on words that the training clips do not hold."""
    speakers = sorted(set(table["speaker"]))
    words = sorted(set(table["statement"]))
    _at_least(2, len(speakers), "speakers")
    _at_least(2, len(words), "words")
    n_words = min(max(1, round(share * len(words))), len(words) - 1)
    rng = np.random.default_rng(seed)
    folds = []
    for i, name in enumerate(speakers):
        held = table["statement"].isin(list(rng.permutation(words)[:n_words]))
        in_test = table["speaker"] == name
        folds.append(clip_fold(table, i, name, held & ~in_test, in_test))
    return folds


def _at_least(needed: int, found: int, what: str) -> None:
    if found < needed:
        raise SerError(f"this split needs at least {needed} {what}, found {found}.")
