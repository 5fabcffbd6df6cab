"""What helps a model on corpora and languages that it never heard: linear heads on encoder states.

    python tools/unheard.py encode [ENCODER WINDOW CHANGE]
    python tools/unheard.py trials

The first computes what the second needs, once, into ``data/processed/unheard``. A trial trains one
linear head for each corpus left out of the seven and asks it about that corpus, among the classes
that occur there. Nothing of a corpus left
out decides anything about the model that is asked about it. Writes
``reports/unheard/trials.csv``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import scipy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from ser import corpora, evaluation
from ser.audio import decode, to_mono, to_waveform
from ser.config import AudioConfig
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import augment, encoders
from ser.inference.speech import find_speech
from ser.models import pretrained
from ser.project import paths, writing

SEVEN = ("ased", "crema_d", "emodb", "ravdess", "savee", "tess", "urdu")
NEW = ("ased", "urdu")
RATE_HZ = encoders.SAMPLE_RATE_HZ
LONGEST = round(4.16 * RATE_HZ)  # samples that the released model hears at once
RECIPE = dataclasses.replace(recipes.get("whisper-tiny-released"), corpora=SEVEN)
CLASSES = RECIPE.classes
STATES = {"whisper-tiny.en": (1, 2, 3), "whisper-base": (1, 2, 3, 4)}
BATCH = 16
VARIANT = dataclasses.replace(RECIPE.augmentation, n_variants=0, pitch_p=0.5, stretch_p=0.5)
SETS = (
    ("whisper-tiny.en", "speech", "none"),
    ("whisper-tiny.en", "peak", "none"),
    ("whisper-tiny.en", "speech", "late"),
    ("whisper-tiny.en", "peak", "late"),
    ("whisper-base", "speech", "none"),
    ("whisper-tiny.en", "speech", "variant"),
)
N_LATE = 150  # clips of a corpus that are asked about with noise in front


def clips() -> pd.DataFrame:
    """Give clips of the seven corpora: a third of CREMA-D's speakers and of TESS' words."""
    table = metadata.label_table(metadata.read_table(), RECIPE)
    actor = pd.to_numeric(table["speaker"].str[-4:], errors="coerce").where(
        table["corpus"] == "crema_d", 0
    )
    word = table["statement"].map(lambda text: int(hashlib.md5(text.encode()).hexdigest(), 16) % 3)
    kept = (actor % 3 == 0) & ((table["corpus"] != "tess") | (word == 0))
    return table[kept].reset_index(drop=True)


def late(x: np.ndarray, rng: np.random.Generator, seconds: float = 2.0) -> np.ndarray:
    """Let a recording begin with room noise of -50 dBFS."""
    noise = rng.normal(0, 10 ** (-50 / 20), round(seconds * RATE_HZ)).astype(np.float32)
    return np.concatenate([noise, x])


def variant(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a clip as people record: half of them begin with up to two seconds of noise."""
    x = augment.apply(x, RATE_HZ, VARIANT, rng=rng)
    return late(x, rng, rng.uniform(0, 2)) if rng.random() < 0.5 else x


CHANGES: dict[str, Callable[..., np.ndarray]] = {
    "none": lambda x, rng: x,
    "late": late,
    "variant": variant,
}


def placed(x: np.ndarray, window: str) -> np.ndarray:
    """Cut to what a model hears: around the speech, or around what is within 40 dB of the peak."""
    if window == "speech" and (found := find_speech(x, RATE_HZ)):
        x = x[round(found[0][0] * RATE_HZ) : round(found[-1][1] * RATE_HZ)]
    return to_waveform(x, RATE_HZ, AudioConfig(sample_rate_hz=RATE_HZ, trim_db=40))[:LONGEST]


def statistics(states: np.ndarray, n_steps: int) -> np.ndarray:
    """Describe the steps of a clip by mean and standard deviation of every value."""
    steps = states[:n_steps]
    return np.concatenate([steps.mean(axis=0), steps.std(axis=0)])


def encode(encoder: str, window: str, change: str) -> np.ndarray:
    """Compute statistics of states, ``(n_clips, n_states, 2 * width)``; NaN where not asked for."""
    file = paths().processed / "unheard" / f"{encoder}-{window}-{change}.npy"
    if file.is_file():
        return np.load(file)
    table = clips()
    states = STATES[encoder]
    model = encoders.encoder(encoder, max(states))
    width = pretrained.get(encoder).width
    result = np.full((len(table), len(states), 2 * width), np.nan, np.float16)
    order = table.groupby("corpus").sample(frac=1, random_state=0).groupby("corpus")
    wanted = order.head(N_LATE).index if change == "late" else table.index
    waiting: dict[int, list[tuple[int, np.ndarray]]] = {}

    def answer(batch: list[tuple[int, np.ndarray]]) -> None:
        rows = np.zeros((len(batch), max(len(mel) for _, mel in batch), 80), np.float32)
        for row, (_, mel) in zip(rows, batch, strict=True):
            row[: len(mel)] = mel
        found = model.predict_on_batch(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 52), (0, 0))))
        for place, (clip, mel) in enumerate(batch):
            for number, state in enumerate(states):
                steps = found[state][place].astype(np.float32)
                result[clip, number] = statistics(steps, -(-len(mel) // 2))

    files = metadata.clip_paths(table)
    for clip in tqdm(wanted, desc=f"{encoder} {window} {change}", mininterval=20):
        recording = decode(files[clip])
        x = to_waveform(
            to_mono(recording.samples),
            recording.sample_rate_hz,
            AudioConfig(sample_rate_hz=RATE_HZ),
        )
        seed = hashlib.sha256(f"{table['pcm_sha256'][clip]} {change}".encode()).digest()
        x = CHANGES[change](x, np.random.default_rng(int.from_bytes(seed[:8], "little")))
        mel = encoders.log_mel(placed(x, window), "relative")
        batch = waiting.setdefault(len(mel) // 52, [])
        batch.append((clip, mel))
        if len(batch) == BATCH:
            answer(batch)
            batch.clear()
    for batch in waiting.values():
        if batch:
            answer(batch)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, result)
    return result


@dataclasses.dataclass(frozen=True)
class Trial:
    """How heads are trained, and what they are asked about."""

    encoder: str = "whisper-tiny.en"
    states: tuple[int, ...] = (2, 3)
    window: str = "speech"
    head: str = "logistic"  # or a linear discriminant
    balance: str = "corpus"  # of a discriminant: what counts the same: clip, corpus or language
    centre: bool = False  # take the mean of a corpus out in training
    between: float = 0.0  # weight of what differs between corpora, as noise
    ridge: float = 100.0  # penalty of coefficients; of a discriminant, added to each variance
    asked: str = "none"  # change of the clips that are asked about
    asked_window: str = "speech"
    only_late: bool = False  # ask about those clips alone that "late" holds


DISCRIMINANT = Trial(head="discriminant", ridge=1.0)
TRIALS = {
    "logistic regression, penalty 100": Trial(),
    "… penalty 1": Trial(ridge=1.0),
    "… penalty 1000": Trial(ridge=1e3),
    "… state 2": Trial(states=(2,)),
    "… state 3": Trial(states=(3,)),
    "… states 1 to 3": Trial(states=(1, 2, 3)),
    "… whisper-base, states 2 and 3": Trial(encoder="whisper-base"),
    "linear discriminant, ridge 1": DISCRIMINANT,
    **{
        f"… {words}": dataclasses.replace(DISCRIMINANT, **settings)
        for words, settings in {
            "ridge 0.3": {"ridge": 0.3},
            "ridge 3": {"ridge": 3.0},
            "ridge 10": {"ridge": 10.0},
            "state 3 alone": {"states": (3,)},
            "every clip counts the same": {"balance": "clip"},
            "every language counts the same": {"balance": "language"},
            "the mean of each corpus out in training": {"centre": True},
            "differences between corpora as noise, weight 1": {"between": 1.0},
            "differences between corpora as noise, weight 3": {"between": 3.0},
            "the same, every language counts the same": {"between": 3.0, "balance": "language"},
            "the same, the mean of each corpus out in training": {"between": 3.0, "centre": True},
            "the same, 150 clips of each corpus": {"between": 3.0, "only_late": True},
            "the same, 2 s of noise in front of them": {"between": 3.0, "asked": "late"},
            "differences between corpora as noise, weight 10": {"between": 10.0},
        }.items()
    },
}


@functools.cache
def states_of(encoder: str, states: tuple[int, ...], window: str, change: str) -> np.ndarray:
    """Give the statistics of some states side by side."""
    places = [STATES[encoder].index(state) for state in states]
    found = encode(encoder, window, change)[:, places].astype(np.float32)
    return found.reshape(len(found), -1)


@dataclasses.dataclass(frozen=True)
class Sums:
    """What a head learns from a corpus: enough to train any mixture of corpora."""

    counts: np.ndarray  # clips of each class
    means: np.ndarray  # of each class, NaN where there is none
    within: np.ndarray  # covariance around them


@functools.cache
def sums_of(encoder: str, states: tuple[int, ...], window: str) -> dict[str, Sums]:
    """Add the states of each corpus up."""
    table, x = clips(), states_of(encoder, states, window, "none")
    found = {}
    for name, rows in table.groupby("corpus").indices.items():
        labels = pd.Index(CLASSES).get_indexer(table["label"].iloc[rows])
        counts = np.bincount(labels, minlength=len(CLASSES))
        means = np.full((len(CLASSES), x.shape[1]), np.nan, np.float32)
        for number in np.flatnonzero(counts):
            means[number] = x[rows][labels == number].mean(axis=0)
        rest = x[rows] - means[labels]
        found[str(name)] = Sums(counts, means, rest.T @ rest / len(rows))
    return found


def without(trial: Trial, out: frozenset[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Train a head on all corpora but some; it gives probabilities of states."""
    return logistic(trial, out) if trial.head == "logistic" else discriminant(trial, out)


def logistic(trial: Trial, out: frozenset[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Train a logistic regression, in which every class counts the same."""
    table = clips()
    heard = ~table["corpus"].isin(out).to_numpy()
    x = states_of(trial.encoder, trial.states, trial.window, "none")[heard]
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=1 / trial.ridge, max_iter=100, tol=1e-3, class_weight="balanced")
    model.fit((x - mean) / deviation, table["label"][heard])
    places = [CLASSES.index(name) for name in model.classes_]

    def ask(states: np.ndarray) -> np.ndarray:
        found = np.full((len(states), len(CLASSES)), 1e-6)
        found[:, places] = model.predict_proba((states - mean) / deviation)
        return found / found.sum(axis=1, keepdims=True)

    return ask


def discriminant(trial: Trial, out: frozenset[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Train a linear discriminant, from the sums of the corpora that are heard."""
    sums = sums_of(trial.encoder, trial.states, trial.window)
    heard = [name for name in SEVEN if name not in out]
    languages = [corpora.get(name).language for name in heard]
    weights = np.array(
        [
            sums[name].counts.sum() if trial.balance == "clip" else 1 / languages.count(language)
            for name, language in zip(heard, languages, strict=True)
        ],
        np.float32,
    )
    if trial.balance == "corpus":
        weights[:] = 1
    means = np.stack([sums[name].means for name in heard])
    grand = np.nanmean(means, axis=(0, 1))
    if trial.centre:
        means = means - np.nanmean(means, axis=1, keepdims=True) + grand
    there = weights[:, None] * ~np.isnan(means[:, :, 0])  # of corpora and classes
    shares = (there / np.maximum(there.sum(axis=0), 1e-9)).astype(np.float32)
    of_class = np.einsum("kc,kcd->cd", shares, np.nan_to_num(means))
    noise = sum(
        w * sums[name].within for w, name in zip(weights / weights.sum(), heard, strict=True)
    )
    apart = (np.nan_to_num(means - of_class) * np.sqrt(shares)[:, :, None]).reshape(-1, len(grand))
    noise = noise + trial.between * apart.T @ apart / len(CLASSES)
    noise[np.diag_indices(len(grand))] *= 1 + trial.ridge
    slopes = scipy.linalg.solve(noise, (of_class - grand).T, assume_a="pos")
    offsets = -0.5 * np.einsum("cd,dc->c", of_class - grand, slopes)
    offsets[there.sum(axis=0) == 0] = -20  # a class that nobody taught

    def ask(states: np.ndarray) -> np.ndarray:
        scores = (states - grand) @ slopes + offsets
        return scipy.special.softmax(scores.astype(float), axis=1)

    return ask


def left_out(trial: Trial, table: pd.DataFrame) -> pd.DataFrame:
    """Predict every corpus by a head that heard none of it, in the format of all predictions."""
    asked = states_of(trial.encoder, trial.states, trial.asked_window, trial.asked)
    if trial.only_late:
        late_ones = states_of(trial.encoder, trial.states, trial.asked_window, "late")
        asked = np.where(np.isnan(late_ones), np.nan, asked)
    found = table[["clip_id", "speaker", "label", "corpus"]].assign(fold=0, seed=0)
    found[list(CLASSES)] = np.nan
    for fold, name in enumerate(SEVEN):
        rows = (table["corpus"] == name).to_numpy() & ~np.isnan(asked[:, 0])
        found.loc[rows, list(CLASSES)] = without(trial, frozenset({name}))(asked[rows])
        found.loc[rows, "fold"] = fold
    return found.dropna()


def among_its_classes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Allow only the classes that occur in the corpus of a clip."""
    found = predictions.copy()
    for _, rows in predictions.groupby("corpus"):
        values = rows[list(CLASSES)] * [name in set(rows["label"]) for name in CLASSES]
        found.loc[rows.index, list(CLASSES)] = values.div(values.sum(axis=1), axis=0)
    return found


def summary(predictions: pd.DataFrame) -> dict[str, float]:
    """Give UAR of each corpus among its own classes, means over known and new ones, and ECE."""
    own = among_its_classes(predictions)
    row = {}
    for name, rows in own.groupby("corpus"):
        truth, guess, _ = evaluation.decisions(rows, CLASSES)
        row[name] = 100 * balanced_accuracy_score(truth, guess)
    row["five"] = np.mean([row[name] for name in SEVEN if name not in NEW])
    row["two"] = np.mean([row[name] for name in NEW])
    row["all classes"] = 100 * np.mean(
        [
            balanced_accuracy_score(*evaluation.decisions(rows, CLASSES)[:2])
            for _, rows in predictions.groupby("corpus")
        ]
    )
    row["ece"] = 100 * np.mean(
        [
            evaluation.expected_calibration_error(rows, CLASSES)
            for _, rows in predictions.groupby("corpus")
        ]
    )
    return {name: round(float(value), 1) for name, value in row.items()}


def trials(names: Sequence[str]) -> None:
    """Run trials, all that are not in the table yet unless some are named."""
    file = paths().reports / "unheard" / "trials.csv"
    table = clips()
    for name in names or TRIALS:
        known = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["trial"])
        if not names and name in set(known["trial"]):
            continue
        row = {"trial": name, **summary(left_out(TRIALS[name], table))}
        print(row, flush=True)
        known = pd.concat([known[known["trial"] != name], pd.DataFrame([row])])
        with writing(file) as temporary:
            known.to_csv(temporary, index=False)


def main() -> int:
    """Do what the first argument says."""
    if sys.argv[1:2] == ["encode"]:
        for chosen in [tuple(sys.argv[2:5])] if sys.argv[2:] else SETS:
            encode(*chosen)
    else:
        trials(sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
