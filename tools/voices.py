"""How well a model gets used to a voice: clips of one speaker, unlabelled, against no adaptation.

    python tools/voices.py [REPORT]

Heads as in ``tools/unheard.py`` (its trial CHOSEN), each asked about a corpus it never heard.
What adaptation knows about voices comes from the six other corpora, each answered by a head that
heard neither it nor the corpus under test; the temperature too. Clips of a speaker are drawn for
adaptation, and the speaker's other clips are scored with it and without. Writes into
``reports/unheard/`` ``predictions.csv``, ``knowledge.json`` and, from those two alone where they
are there, ``adaptation.csv``.

With the folder of a report of leave-one-corpus-out the predictions are those of the report, and
``adaptation.csv`` goes there. What adaptation knows comes from the other corpora there too, but the
models that answered about those had heard the corpus under test.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import unheard
from unheard import CLASSES, SEVEN

from ser import evaluation
from ser.export.writer import voices_in
from ser.inference import voice
from ser.project import paths, read_json, shown, write_json, writing

CHOSEN = "linear discriminant, differences between corpora as noise, weight 3"
COUNTS = (1, 2, 5, 10, 20, 50)
N_DRAWS = 24  # of a corpus, at least one of each speaker
LEFT = 5  # clips of a speaker that must be left to be scored
MODES = ("balanced", "one emotion", "mostly neutral", "neutral, known")

Knowledge = dict[str, Any]
Adapt = Callable[[np.ndarray, "np.ndarray | None", Knowledge, np.ndarray], np.ndarray]


def predict(home: Path) -> None:
    """Predict every corpus unheard, and learn from the six others, that one unheard as well."""
    knowledge = {name: learnt(unheard.twice_unheard(CHOSEN, name)) for name in SEVEN}
    found = unheard.left_out(CHOSEN).drop(columns="corpus")
    found[list(CLASSES)] = found[list(CLASSES)].round(5)
    with writing(home / "predictions.csv") as temporary:
        found.to_csv(temporary, index=False)
    write_json(home / "knowledge.json", knowledge)


def learnt(others: pd.DataFrame) -> Knowledge:
    """Fit the temperature, and how voices differ, on predictions about other corpora."""
    temperature = evaluation.fit_temperature(others, CLASSES)
    return {"temperature": temperature, "voices": voices_in(others, CLASSES, temperature)}


def draw(
    labels: np.ndarray, mode: str, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Draw clips of a speaker, by place; None where there are not enough, or too few are left."""
    places = rng.permutation(len(labels))
    mixed = labels[places]
    if mode == "balanced":
        turn = pd.Series(mixed).groupby(mixed).cumcount().to_numpy()  # of its class
        chosen = places[np.lexsort((np.arange(len(places)), turn))][:count]
    elif mode == "mostly neutral":
        n_neutral = round(0.8 * count)
        plain, other = places[mixed == "neutral"][:n_neutral], places[mixed != "neutral"]
        chosen = np.concatenate([plain, other[: count - n_neutral]])
    else:
        kinds = [name for name in np.unique(labels) if (labels == name).sum() >= count]
        kinds = [name for name in kinds if mode == "one emotion" or name == "neutral"]
        chosen = places[mixed == rng.choice(kinds)][:count] if kinds else places[:0]
    if len(chosen) < count or len(labels) - count < LEFT:
        return None
    return chosen, np.setdiff1d(places, chosen)


def by_voice(
    values: np.ndarray, known: np.ndarray | None, spread: Knowledge, possible: np.ndarray
) -> np.ndarray:
    """Adapt as `ser.inference.Model.adapt` does."""
    return voice.offset(values, spread, known, possible)


def by_equal_shares(
    values: np.ndarray, _known: np.ndarray | None, _spread: Knowledge, possible: np.ndarray
) -> np.ndarray:
    """Shift until every possible class is as probable as every other over the clips."""
    found = np.zeros(values.shape[1])
    for _ in range(20):
        now = voice.shifted(values, found)[:, possible]
        found[possible] += np.log((now / now.sum(axis=1, keepdims=True)).mean(axis=0))
        found[possible] -= found[possible].mean()
    return found


ADAPTATIONS: dict[str, Adapt] = {"voice": by_voice, "equal shares": by_equal_shares}


def decided(values: np.ndarray, truth: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Count decisions among the possible classes, ``(n_classes, n_classes)``."""
    counts = np.zeros((len(CLASSES),) * 2)
    np.add.at(counts, (truth, possible[values[:, possible].argmax(axis=1)]), 1)
    return counts


def recall(counts: np.ndarray) -> float:
    """Give UAR in percent, of the classes that occur."""
    there = counts.sum(axis=1) > 0
    return 100 * float((np.diag(counts)[there] / counts.sum(axis=1)[there]).mean())


def scores(
    corpus: pd.DataFrame, spread: Knowledge, mode: str, count: int, possible: np.ndarray
) -> dict[str, Any] | None:
    """Score a corpus with each adaptation and without, on the same clips."""
    totals = dict.fromkeys(("unadapted", *ADAPTATIONS), 0)
    speakers = list(corpus.groupby("speaker"))
    n_scored = 0
    for number, (_, rows) in enumerate(speakers):
        rng = np.random.default_rng([number, count, MODES.index(mode)])
        values = rows[list(CLASSES)].to_numpy()
        truth = pd.Index(CLASSES).get_indexer(rows["label"])
        drawn = None
        for _ in range(max(1, N_DRAWS // len(speakers))):
            if (drawn := draw(rows["label"].to_numpy(str), mode, count, rng)) is None:
                break
            chosen, rest = drawn
            known = truth[chosen] if mode == "neutral, known" else None
            totals["unadapted"] += decided(values[rest], truth[rest], possible)
            for name, adapt in ADAPTATIONS.items():
                found = adapt(values[chosen], known, spread, possible)
                answers = voice.shifted(values[rest], found)
                totals[name] += decided(answers, truth[rest], possible)
        n_scored += drawn is not None
    if not n_scored:
        return None
    return {"speakers": n_scored, **{name: recall(counts) for name, counts in totals.items()}}


def table_of(tested: pd.DataFrame, knowledge: dict[str, Knowledge]) -> Iterator[dict[str, Any]]:
    """Give a row for every corpus, mode and number of clips, among the classes that occur."""
    for name, rows in tested.groupby(tested["clip_id"].str.partition("/")[0]):
        known = knowledge[str(name)]
        corpus = evaluation.with_temperature(rows, CLASSES, known["temperature"])
        own = np.flatnonzero([label in set(rows["label"]) for label in CLASSES])
        for mode, count in itertools.product(MODES, COUNTS):
            if found := scores(corpus, known["voices"], mode, count, own):
                yield {"corpus": name, "clips are": mode, "clips": count, **found}


def main() -> int:
    """Predict, unless that is done, and adapt."""
    home = Path(sys.argv[1]) if sys.argv[1:] else paths().reports / "unheard"
    if not sys.argv[1:] and not (home / "knowledge.json").is_file():
        predict(home)
    tested = pd.read_csv(home / "predictions.csv")
    corpus = tested["clip_id"].str.partition("/")[0]
    if sys.argv[1:]:
        knowledge = {name: learnt(tested[corpus != name]) for name in sorted(set(corpus))}
    else:
        knowledge = read_json(home / "knowledge.json")
    rows = pd.DataFrame(table_of(tested, knowledge))
    with writing(home / "adaptation.csv") as temporary:
        rows.round(2).to_csv(temporary, index=False)
    for name in ADAPTATIONS:
        rows[name] -= rows["unadapted"]
        gains = rows.pivot_table(
            index=["clips are", "clips"], columns="corpus", values=name, sort=False
        )
        print(name, gains.assign(mean=gains.mean(axis=1)).round(1).to_string(), sep="\n")
    print(f"written: {shown(home / 'adaptation.csv')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
