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
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import SVC
from tqdm import tqdm

from ser import corpora, evaluation
from ser.audio import decode, to_mono, to_waveform
from ser.config import AudioConfig
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import augment, encoders
from ser.inference.speech import find_speech
from ser.models import backend, pretrained
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
    part: str = "both"  # of the statistics: mean, deviation or both
    window: str = "speech"
    head: str = "logistic"  # or a linear discriminant, support vectors, a network
    balance: str = "class"  # what counts the same: class; of each, clip, corpus or language
    centre: bool = False  # take the mean of a corpus out in training
    whiten: float = 0.0  # by the noise of a discriminant, this share of each variance added to it
    between: float = 0.0  # weight of what differs between corpora, as noise
    ridge: float = 100.0  # penalty of coefficients; of a discriminant, added to each variance
    smoothing: float = 0.0  # of labels
    focal: float = 0.0  # power of 1 - probability that a loss is weighed by
    robust: float = 0.0  # step of weights towards the corpora with the largest loss
    adversary: float = 0.0  # weight of the gradient that hides which corpus a clip is of
    asked: str = "none"  # change of the clips that are asked about
    asked_window: str = "speech"
    only_late: bool = False  # ask about those clips alone that "late" holds


DISCRIMINANT = Trial(head="discriminant", balance="corpus", ridge=1.0)
WHITE = Trial(whiten=1.0, between=3.0, balance="corpus", ridge=100.0)
BASE = Trial(encoder="whisper-base", states=(3, 4), balance="corpus")
TRIALS = {
    "logistic regression, penalty 100": Trial(),
    **{
        f"logistic regression, {words}": Trial(**settings)
        for words, settings in {
            "penalty 1": {"ridge": 1.0},
            "penalty 1000": {"ridge": 1e3},
            "state 1": {"states": (1,)},
            "state 2": {"states": (2,)},
            "state 3": {"states": (3,)},
            "states 1 to 3": {"states": (1, 2, 3)},
            "means alone": {"part": "mean"},
            "deviations alone": {"part": "deviation"},
            "every corpus counts the same": {"balance": "corpus"},
            "every language counts the same": {"balance": "language"},
            "labels smoothed by 0.2": {"smoothing": 0.2},
            "focal loss, power 2": {"focal": 2.0},
            "corpora with a large loss weigh more": {"balance": "corpus", "robust": 1.0},
            "the mean of each corpus out in training": {"centre": True, "balance": "corpus"},
            "2 s of noise in front": {"only_late": True, "asked": "late"},
            "150 clips of each corpus": {"only_late": True},
        }.items()
    },
    "whitened, differences between corpora as noise, weight 3": WHITE,
    **{
        f"whitened, {words}": dataclasses.replace(WHITE, **settings)
        for words, settings in {
            "without them": {"between": 0.0},
            "weight 10": {"between": 10.0},
            "weight 30": {"between": 30.0},
            "weight 10, penalty 1000": {"between": 10.0, "ridge": 1e3},
            "weight 10, deviations alone": {"between": 10.0, "part": "deviation"},
            "weight 10, corpora with a large loss weigh more": {"between": 10.0, "robust": 1.0},
        }.items()
    },
    "support vectors, C 3": Trial(head="vectors", ridge=1 / 3, balance="corpus"),
    "hidden layer of 128, half dropped": Trial(head="network", balance="corpus"),
    **{
        f"hidden layer, adversary {weight:g}": Trial(
            head="network", balance="corpus", adversary=weight
        )
        for weight in (0.1, 1.0)
    },
    **{
        f"whisper-base, {words}": dataclasses.replace(BASE, **settings)
        for words, settings in {
            "state 1": {"states": (1,)},
            "state 2": {"states": (2,)},
            "state 3": {"states": (3,)},
            "state 4": {"states": (4,)},
            "states 2 and 3": {"states": (2, 3)},
            "states 3 and 4": {},
            "states 1 to 4": {"states": (1, 2, 3, 4)},
            "states 3 and 4, penalty 1000": {"ridge": 1e3},
            "states 3 and 4, deviations alone": {"part": "deviation"},
            "states 3 and 4, whitened, weight 10": {"whiten": 1.0, "between": 10.0},
        }.items()
    },
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
def states_of(
    encoder: str, states: tuple[int, ...], part: str, window: str, change: str
) -> np.ndarray:
    """Give the statistics of some states side by side."""
    places = [STATES[encoder].index(state) for state in states]
    found = encode(encoder, window, change)[:, places].astype(np.float32)
    width = found.shape[2] // 2
    parts = {"mean": slice(width), "deviation": slice(width, None), "both": slice(None)}
    return found[:, :, parts[part]].reshape(len(found), -1)


def heard_by(trial: Trial) -> np.ndarray:
    """Give what heads of a trial learn from."""
    return states_of(trial.encoder, trial.states, trial.part, trial.window, "none")


@dataclasses.dataclass(frozen=True)
class Sums:
    """What a head learns from a corpus: enough to train any mixture of corpora."""

    counts: np.ndarray  # clips of each class
    means: np.ndarray  # of each class, NaN where there is none
    within: np.ndarray  # covariance around them


@functools.cache
def sums_of(encoder: str, states: tuple[int, ...], part: str, window: str) -> dict[str, Sums]:
    """Add the states of each corpus up."""
    table, x = clips(), states_of(encoder, states, part, window, "none")
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


@dataclasses.dataclass(frozen=True)
class Spread:
    """How the states of some corpora spread: of each class around the mean of all."""

    grand: np.ndarray
    of_class: np.ndarray
    taught: np.ndarray  # whether there is any clip of a class
    noise: np.ndarray  # covariance of what says nothing about the class


def spread_of(trial: Trial, out: frozenset[str], ridge: float) -> Spread:
    """Add up how the states of all corpora but some spread."""
    sums = sums_of(trial.encoder, trial.states, trial.part, trial.window)
    heard = [name for name in SEVEN if name not in out]
    languages = [corpora.get(name).language for name in heard]
    weights = np.array(
        [
            {
                "clip": sums[name].counts.sum(),
                "language": 1 / languages.count(language),
            }.get(trial.balance, 1)
            for name, language in zip(heard, languages, strict=True)
        ],
        np.float32,
    )
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
    noise[np.diag_indices(len(grand))] *= 1 + ridge
    return Spread(grand, of_class, there.sum(axis=0) > 0, noise)


Ask = Callable[[np.ndarray], np.ndarray]


def without(trial: Trial, out: frozenset[str]) -> Ask:
    """Train a head on all corpora but some; it gives probabilities of states."""
    return discriminant(trial, out) if trial.head == "discriminant" else trained(trial, out)


def discriminant(trial: Trial, out: frozenset[str]) -> Ask:
    """Train a linear discriminant, from the sums of the corpora that are heard."""
    spread = spread_of(trial, out, trial.ridge)
    apart = spread.of_class - spread.grand
    slopes = scipy.linalg.solve(spread.noise, apart.T, assume_a="pos")
    offsets = -0.5 * np.einsum("cd,dc->c", apart, slopes)
    offsets[~spread.taught] = -20

    def ask(states: np.ndarray) -> np.ndarray:
        scores = (states - spread.grand) @ slopes + offsets
        return scipy.special.softmax(scores.astype(float), axis=1)

    return ask


def scaling(trial: Trial, out: frozenset[str], x: np.ndarray) -> Ask:
    """Find what brings states to a common scale: deviations, or the noise of a discriminant."""
    if not trial.whiten:
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        return lambda states: (states - mean) / deviation
    spread = spread_of(dataclasses.replace(trial, balance="corpus"), out, trial.whiten)
    root = scipy.linalg.cholesky(spread.noise, lower=True)

    def scale(states: np.ndarray) -> np.ndarray:
        centred = (states - spread.grand).T
        return scipy.linalg.solve_triangular(root, centred, lower=True).T.astype(np.float32)

    return scale


def weights_of(labels: np.ndarray, corpus: np.ndarray, balance: str) -> np.ndarray:
    """Weigh clips: every class counts the same, and of each every clip, corpus or language."""
    group = corpus
    if balance == "language":
        group = np.array([corpora.get(name).language for name in SEVEN])[corpus]
    names = (
        pd.Series(labels).astype(str)
        if balance == "class"
        else pd.Series([f"{label} {one}" for label, one in zip(labels, group, strict=True)])
    )
    inverse = 1 / names.map(names.value_counts()).to_numpy()
    if balance == "clip":
        return np.full(len(labels), 1 / len(labels))
    of_class = np.bincount(labels, inverse, len(CLASSES))[labels]
    return inverse / of_class / len(np.unique(labels))


def trained(trial: Trial, out: frozenset[str]) -> Ask:
    """Train a head clip by clip."""
    table = clips()
    corpus = pd.Index(SEVEN).get_indexer(table["corpus"])
    heard = ~table["corpus"].isin(out).to_numpy()
    labels = pd.Index(CLASSES).get_indexer(table["label"])[heard]
    corpus, x = corpus[heard], heard_by(trial)[heard]
    scale = scaling(trial, out, x)
    x = scale(x)
    if trial.centre:
        for one in np.unique(corpus):
            of_class = [
                x[(corpus == one) & (labels == c)] for c in np.unique(labels[corpus == one])
            ]
            x[corpus == one] -= np.mean([rows.mean(axis=0) for rows in of_class], axis=0)
    weights = weights_of(labels, corpus, trial.balance)
    heads = {"logistic": regression, "network": network, "vectors": vectors}
    head = heads[trial.head](trial, x, labels, corpus, weights)
    return lambda states: head(scale(states))


def regression(
    trial: Trial, x: np.ndarray, labels: np.ndarray, corpus: np.ndarray, weights: np.ndarray
) -> Ask:
    """Train a logistic regression; robust: again, while corpora with a large loss weigh more."""
    n_classes, (n_clips, width) = len(CLASSES), x.shape
    targets = np.eye(n_classes, dtype=np.float32)[labels]
    targets = targets * (1 - trial.smoothing) + trial.smoothing / n_classes
    penalty = trial.ridge / n_clips
    found = np.zeros((width + 1) * n_classes)

    def logs(values: np.ndarray, states: np.ndarray) -> np.ndarray:
        matrix = values.reshape(-1, n_classes).astype(np.float32)
        return scipy.special.log_softmax(states @ matrix[:-1] + matrix[-1], axis=1)

    def loss(values: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        of_class = logs(values, x)
        entropy = -(targets * of_class).sum(axis=1)
        truth = np.exp(of_class[np.arange(n_clips), labels])
        pull = (np.exp(of_class) - targets) * weights[:, None]
        total = weights @ entropy
        if trial.focal:
            rest = np.maximum(1 - truth, 1e-6)
            total = weights @ (rest**trial.focal * entropy)
            pull *= (
                rest**trial.focal - trial.focal * rest ** (trial.focal - 1) * truth * np.log(truth)
            )[:, None]
        slopes = values.reshape(-1, n_classes)[:-1]
        slope = np.vstack([x.T @ pull.astype(np.float32) + penalty * slopes, pull.sum(axis=0)])
        return float(total + 0.5 * penalty * (slopes**2).sum()), slope.ravel().astype(float)

    rounds, each = (8, 15) if trial.robust else (1, 80)
    shares = np.ones(len(SEVEN))
    for _ in range(rounds):
        now = weights * shares[corpus]
        options = {"maxiter": each, "gtol": 1e-5}
        found = scipy.optimize.minimize(
            loss, found, args=(now / now.sum(),), jac=True, method="L-BFGS-B", options=options
        ).x
        entropy = -logs(found, x)[np.arange(n_clips), labels]
        of_corpus = np.bincount(corpus, weights * entropy, len(SEVEN))
        shares *= np.exp(
            trial.robust * of_corpus / np.maximum(np.bincount(corpus, weights, len(SEVEN)), 1e-9)
        )
    return lambda states: np.exp(logs(found, states).astype(float))


def vectors(
    trial: Trial, x: np.ndarray, labels: np.ndarray, _corpus: np.ndarray, weights: np.ndarray
) -> Ask:
    """Train support vectors; their decision values are taken for logarithms."""
    model = SVC(C=1 / trial.ridge, kernel="rbf", cache_size=800)
    model.fit(x, labels, sample_weight=weights * len(weights))

    def ask(states: np.ndarray) -> np.ndarray:
        found = np.full((len(states), len(CLASSES)), -20.0)
        found[:, model.classes_] = model.decision_function(states)
        return scipy.special.softmax(found, axis=1)

    return ask


def network(
    trial: Trial, x: np.ndarray, labels: np.ndarray, corpus: np.ndarray, weights: np.ndarray
) -> Ask:
    """Train a hidden layer under strong dropout; an adversary tells corpora apart by it."""
    keras: Any = backend.load()
    keras.utils.set_random_seed(0)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Dropout(0.5)(inputs)
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(128, activation="relu")(hidden))
    answer = keras.layers.Dense(len(CLASSES), activation="softmax", name="answer")(hidden)
    weight = trial.adversary  # forward nothing is changed; the slope comes back turned round
    turned = keras.ops.stop_gradient((1 + weight) * hidden) - weight * hidden
    origin = keras.layers.Dense(len(SEVEN), activation="softmax", name="origin")(turned)
    model = keras.Model(inputs, {"answer": answer, "origin": origin})
    targets = {"answer": labels, "origin": corpus}
    shares = weights / weights.mean()
    by_corpus = 1 / np.bincount(corpus, minlength=len(SEVEN))[corpus]
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=trial.ridge / len(x)),
        loss=dict.fromkeys(targets, "sparse_categorical_crossentropy"),
    )
    model.fit(
        x,
        targets,
        sample_weight={"answer": shares, "origin": by_corpus / by_corpus.mean()},
        batch_size=64,
        epochs=12,
        verbose=0,
    )
    return lambda states: model.predict(states, batch_size=512, verbose=0)["answer"].astype(float)


def left_out(trial: Trial, table: pd.DataFrame) -> pd.DataFrame:
    """Predict every corpus by a head that heard none of it, in the format of all predictions."""
    asked = states_of(trial.encoder, trial.states, trial.part, trial.asked_window, trial.asked)
    if trial.only_late:
        late_ones = states_of(trial.encoder, trial.states, trial.part, trial.asked_window, "late")
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


def of_corpora(predictions: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Give UAR of each corpus among its own classes, in percent."""
    for name, rows in among_its_classes(predictions).groupby("corpus"):
        truth, guess, _ = evaluation.decisions(rows, CLASSES)
        yield str(name), 100 * balanced_accuracy_score(truth, guess)


def summary(predictions: pd.DataFrame) -> dict[str, float]:
    """Give UAR of each corpus among its own classes, means over known and new ones, and ECE."""
    row = dict(of_corpora(predictions))
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


@functools.cache
def twice_unheard(trial: Trial) -> dict[tuple[str, str], pd.DataFrame]:
    """Answer about the second of any two corpora by a head that heard neither."""
    table = clips()
    asked = states_of(trial.encoder, trial.states, trial.part, trial.asked_window, trial.asked)
    frame = table[["clip_id", "speaker", "label", "corpus"]].assign(fold=0, seed=0)
    found = {}
    for pair in itertools.combinations(SEVEN, 2):
        ask = without(trial, frozenset(pair))
        for other, name in (pair, pair[::-1]):
            rows = (table["corpus"] == name).to_numpy()
            answers = frame[rows].assign(fold=SEVEN.index(name))
            answers[list(CLASSES)] = ask(asked[rows])
            found[other, name] = answers
    return found


def chosen(names: Sequence[str], table: pd.DataFrame) -> dict[str, float]:
    """Answer about each corpus by the trial that is best on the others, where none heard it."""
    parts = []
    for fold, name in enumerate(SEVEN):
        scores = {}
        for trial in names:
            pairs = twice_unheard(TRIALS[trial])
            others = pd.concat([pairs[name, other] for other in SEVEN if other != name])
            scores[trial] = np.mean([uar for _, uar in of_corpora(others)])
        best = TRIALS[max(scores, key=lambda trial: scores[trial])]
        print(name, {trial: round(score, 1) for trial, score in scores.items()}, flush=True)
        asked = states_of(best.encoder, best.states, best.part, best.asked_window, best.asked)
        rows = (table["corpus"] == name).to_numpy()
        found = table.loc[rows, ["clip_id", "speaker", "label", "corpus"]].assign(fold=fold, seed=0)
        found[list(CLASSES)] = without(best, frozenset({name}))(asked[rows])
        parts.append(found)
    return summary(pd.concat(parts))


def trials(names: Sequence[str]) -> None:
    """Run trials, all that are not in the table yet unless some are named."""
    file = paths().reports / "unheard" / "trials.csv"
    table = clips()
    if names and names[0] == "chosen":
        names, finalists = ["chosen on the six others"], names[1:]
    for name in names or TRIALS:
        known = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["trial"])
        if not names and name in set(known["trial"]):
            continue
        found = (
            summary(left_out(TRIALS[name], table)) if name in TRIALS else chosen(finalists, table)
        )
        row = {"trial": name, **found}
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
