"""What helps a model on corpora and languages that it never heard: heads on encoder states.

    python tools/unheard.py encode [ENCODER CHANGE]
    python tools/unheard.py trials [TRIAL …]
    python tools/unheard.py chosen TRIAL TRIAL …
    python tools/unheard.py calibration TRIAL …

The first computes what the others need, once, into ``data/processed/unheard``. A trial trains one
head for each corpus left out of the seven and asks it about that corpus, among the classes that
occur there: ``reports/unheard/trials.csv``. Which trial is best was seen on the same corpora;
``chosen`` lets the others decide for each, by heads that heard neither. ``calibration`` fits
temperature and threshold on such heads too: ``reports/unheard/calibration.csv``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from ser import corpora, evaluation
from ser.audio import load, to_waveform
from ser.config import AudioConfig, AugmentationConfig, stable_hash
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import augment, encoders
from ser.inference.speech import find_speech
from ser.models import pretrained
from ser.project import SerError, paths, writing

SEVEN = ("ased", "crema_d", "emodb", "ravdess", "savee", "tess", "urdu")
NEW = ("ased", "urdu")
RATE_HZ = encoders.SAMPLE_RATE_HZ
LONGEST = round(4.16 * RATE_HZ)  # samples that the released model hears at once
RECIPE = dataclasses.replace(recipes.get("whisper-tiny-released"), corpora=SEVEN)
CLASSES = RECIPE.classes
STATES = {"whisper-tiny.en": (1, 2, 3), "whisper-base": (1, 2, 3, 4)}
BATCH = 16
VARIANT = AugmentationConfig(
    speed_p=0.5,
    speed_rate=(0.87, 1.15),
    room_p=0.3,
    band_pass_p=0.3,
    noise_p=0.5,
    noise_snr_db=(3.0, 30.0),
    gain_p=0.0,
)
SETS = (
    ("whisper-tiny.en", "none"),
    ("whisper-tiny.en", "late"),
    ("whisper-tiny.en", "variant"),
    ("whisper-base", "none"),
)
N_LATE = 150  # clips of a corpus that are asked about with noise in front
PROMISED = (0.8, 0.7, 0.6)  # shares of the answers given that are to be right


@functools.cache
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


CHANGES: dict[str, Callable[..., np.ndarray]] = {"late": late, "variant": variant}


def placed(x: np.ndarray) -> np.ndarray:
    """Cut to what a model hears: from the first speech to the last, at most 4.16 s."""
    if found := find_speech(x, RATE_HZ):
        x = x[round(found[0][0] * RATE_HZ) : round(found[-1][1] * RATE_HZ)]
    return to_waveform(x, RATE_HZ, AudioConfig(sample_rate_hz=RATE_HZ, trim_db=40))[:LONGEST]


def statistics(states: np.ndarray, n_steps: int) -> np.ndarray:
    """Describe the steps of a clip by mean and standard deviation of every value."""
    steps = states[:n_steps]
    return np.concatenate([steps.mean(axis=0), steps.std(axis=0)])


@functools.cache
def encode(encoder: str, change: str) -> np.ndarray:
    """Compute statistics of states, ``(n_clips, n_states, 2 * width)``; NaN where not asked for."""
    file = paths().processed / "unheard" / f"{encoder}-{change}.npy"
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
        batch.clear()

    files = metadata.clip_paths(table)
    for clip in tqdm(wanted, desc=f"{encoder} {change}", mininterval=20):
        x = load(files[clip], AudioConfig(sample_rate_hz=RATE_HZ))
        if change in CHANGES:
            seed = hashlib.sha256(f"{table['pcm_sha256'][clip]} {change}".encode()).digest()
            x = CHANGES[change](x, np.random.default_rng(int.from_bytes(seed[:8], "little")))
        mel = encoders.log_mel(placed(x), "relative")
        batch = waiting.setdefault(len(mel) // 52, [])
        batch.append((clip, mel))
        if len(batch) == BATCH:
            answer(batch)
    for batch in filter(None, waiting.values()):
        answer(batch)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, result)
    return result


TINY = ("whisper-tiny.en", 2, 3)
BASE = ("whisper-base", 3)


@dataclasses.dataclass(frozen=True)
class Trial:
    """How heads are trained, and what they are asked about."""

    heard: tuple[tuple[Any, ...], ...] = (TINY,)  # encoders, each with its states
    part: str = "both"  # of the statistics: mean, deviation or both
    learnt: tuple[str, ...] = ("none",)  # changes of the clips that are learnt from
    asked: str = "none"  # change of the clips that are asked about
    head: str = "logistic"  # or nearest, to the mean of a class
    balance: str = "corpus"  # what counts the same in a class: clip, corpus, language
    penalty: float = 300.0  # of coefficients
    whiten: float = 0.0  # by the noise of a discriminant, this share of each variance added to it
    between: float = 0.0  # weight of what differs between corpora, as noise
    centre: bool = False  # take the mean of a corpus out in training
    own_priors: bool = False  # in training each corpus has intercepts of its own, later left out
    smoothing: float = 0.0  # of labels
    focal: float = 0.0  # power of 1 - probability that a loss is weighed by
    robust: float = 0.0  # step of weights towards the corpora with the largest loss


Ask = Callable[[np.ndarray], np.ndarray]
Committee = tuple[Trial, ...]


def vary(base: Trial, words: str, settings: dict[str, dict[str, Any]]) -> dict[str, Committee]:
    """Name trials after what sets them apart from another one."""
    return {
        f"{words}, {name}": (dataclasses.replace(base, **some),) for name, some in settings.items()
    }


PLAIN = Trial()
WHITE = Trial(whiten=1.0, between=10.0, penalty=100.0)
NEAREST = Trial(head="nearest", whiten=1.0)
VARIED = Trial(learnt=("none", "variant"))
OTHER = Trial(heard=(BASE,))
TRIALS: dict[str, Committee] = {
    "logistic regression": (PLAIN,),
    **vary(
        PLAIN,
        "logistic regression",
        {
            "penalty 1": {"penalty": 1.0},
            "penalty 100": {"penalty": 100.0},
            "penalty 1000": {"penalty": 1000.0},
            "every clip of a class counts the same": {"balance": "clip"},
            "every language counts the same": {"balance": "language"},
            "state 1": {"heard": (("whisper-tiny.en", 1),)},
            "state 2": {"heard": (("whisper-tiny.en", 2),)},
            "state 3": {"heard": (("whisper-tiny.en", 3),)},
            "states 1 to 3": {"heard": (("whisper-tiny.en", 1, 2, 3),)},
            "means alone": {"part": "mean"},
            "deviations alone": {"part": "deviation"},
            "labels smoothed by 0.2": {"smoothing": 0.2},
            "focal loss, power 2": {"focal": 2.0},
            "corpora with a large loss weigh more": {"robust": 1.0},
            "the mean of each corpus out in training": {"centre": True},
            "intercepts of each corpus in training": {"own_priors": True},
            "2 s of noise in front": {"asked": "late"},
            "the same clips as recorded": {"asked": "early"},
            "variants in training": {"learnt": VARIED.learnt},
            "variants in training, 2 s of noise in front": {
                "learnt": VARIED.learnt,
                "asked": "late",
            },
        },
    ),
    **vary(
        WHITE,
        "whitened",
        {
            "differences between corpora as noise, weight 10": {},
            "weight 0": {"between": 0.0},
            "weight 30": {"between": 30.0},
            "weight 10, penalty 1000": {"penalty": 1000.0},
            "weight 10, corpora with a large loss weigh more": {"robust": 1.0},
        },
    ),
    **vary(
        NEAREST,
        "linear discriminant",
        {
            "ridge 1": {},
            "ridge 10": {"whiten": 10.0},
            "differences between corpora as noise, weight 3": {"between": 3.0},
            "differences between corpora as noise, weight 10": {"between": 10.0},
        },
    ),
    **vary(
        PLAIN,
        "whisper-base",
        {
            f"state{'s' * (len(states) > 1)} {' and '.join(map(str, states))}": {
                "heard": (("whisper-base", *states),)
            }
            for states in ((1,), (2,), (3,), (4,), (2, 3), (3, 4))
        },
    ),
    "tiny.en and base side by side": (Trial(heard=(TINY, BASE)),),
    "tiny.en and base averaged": (PLAIN, OTHER),
    "tiny.en with and without variants and base averaged": (PLAIN, VARIED, OTHER),
    "tiny.en with variants and base averaged": (VARIED, OTHER),
}


@functools.cache
def heard_of(trial: Trial, change: str) -> np.ndarray:
    """Give what a head hears of every clip; NaN where nobody asked."""
    found = []
    for encoder, *states in trial.heard:
        places = [STATES[encoder].index(state) for state in states]
        some = encode(encoder, "none" if change == "early" else change)[:, places]
        width = some.shape[2] // 2
        parts = {"mean": slice(width), "deviation": slice(width, None), "both": slice(None)}
        found.append(some[:, :, parts[trial.part]].reshape(len(some), -1).astype(np.float32))
    x = np.concatenate(found, axis=1)
    if change == "early":
        x[np.isnan(encode("whisper-tiny.en", "late")[:, 0, 0])] = np.nan
    return x


def weights_of(labels: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Let every class count the same, and of each class every group."""
    table = pd.DataFrame({"label": labels, "group": group})
    inverse = 1 / table.groupby(["label", "group"])["label"].transform("size").to_numpy()
    return inverse / np.bincount(labels, inverse)[labels] / len(np.unique(labels))


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a head learns from."""

    x: np.ndarray
    labels: np.ndarray
    corpus: np.ndarray
    weights: np.ndarray


def of_each(x: np.ndarray, labels: np.ndarray, corpus: np.ndarray) -> np.ndarray:
    """Average each class of each corpus, ``(n_corpora, n_classes, width)``; NaN for none."""
    means = np.full((len(SEVEN), len(CLASSES), x.shape[1]), np.nan, np.float32)
    for one, label in set(zip(corpus, labels, strict=True)):
        means[one, label] = x[(corpus == one) & (labels == label)].mean(axis=0)
    return means


def scaling(trial: Trial, x: np.ndarray, labels: np.ndarray, corpus: np.ndarray) -> Ask:
    """Find what brings states to a common scale: deviations, or the noise of a discriminant."""
    if not trial.whiten:
        mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
        return lambda states: (states - mean) / deviation
    means = of_each(x, labels, corpus)
    rest = (x - means[corpus, labels]) / np.sqrt(np.bincount(corpus)[corpus])[:, None]
    noise = rest.T @ rest / len(np.unique(corpus))
    apart = means - np.nanmean(means, axis=0)
    shares = (~np.isnan(apart[:, :, 0])).sum(axis=0)
    apart = (apart / np.sqrt(shares * len(CLASSES))[:, None]).reshape(-1, x.shape[1])
    apart = np.nan_to_num(apart)
    noise += trial.between * apart.T @ apart
    noise[np.diag_indices(len(noise))] *= 1 + trial.whiten
    root, grand = scipy.linalg.cholesky(noise, lower=True), np.nanmean(means, axis=(0, 1))

    def scale(states: np.ndarray) -> np.ndarray:
        found = scipy.linalg.solve_triangular(root, (states - grand).T, lower=True)
        return found.T.astype(np.float32)

    return scale


def taught(trial: Trial, out: frozenset[str]) -> Ask:
    """Train a head on all corpora but some; it gives log-probabilities."""
    table = clips()
    rows = np.flatnonzero(~table["corpus"].isin(out))
    x = np.concatenate([heard_of(trial, change)[rows] for change in trial.learnt])
    rows = np.tile(rows, len(trial.learnt))
    corpus = pd.Index(SEVEN).get_indexer(table["corpus"])[rows]
    labels = pd.Index(CLASSES).get_indexer(table["label"])[rows]
    groups = {
        "clip": np.zeros(len(rows)),
        "corpus": corpus,
        "language": np.array([corpora.get(name).language for name in SEVEN])[corpus],
    }
    scale = scaling(trial, x, labels, corpus)
    x = scale(x)
    if trial.centre:
        x -= np.nanmean(of_each(x, labels, corpus), axis=1)[corpus]
    lesson = Lesson(x, labels, corpus, weights_of(labels, groups[trial.balance]))
    head = {"logistic": logistic, "nearest": nearest}[trial.head](trial, lesson)
    return lambda states: head(scale(states))


def nearest(_trial: Trial, lesson: Lesson) -> Ask:
    """Compare with the mean of each class, which makes a discriminant of whitened states."""
    means = np.stack(
        [
            np.average(lesson.x[lesson.labels == label], axis=0, weights=weights)
            for label in range(len(CLASSES))
            if len(weights := lesson.weights[lesson.labels == label])
        ]
    )
    offsets = -0.5 * (means**2).sum(axis=1)
    return lambda x: scipy.special.log_softmax((x @ means.T + offsets).astype(float), axis=1)


def logistic(trial: Trial, lesson: Lesson) -> Ask:
    """Train a logistic regression; robust: again, while corpora with a large loss weigh more."""
    x, n_classes, rows = lesson.x, len(CLASSES), np.arange(len(lesson.x))
    targets = np.eye(n_classes, dtype=np.float32)[lesson.labels]
    targets = targets * (1 - trial.smoothing) + trial.smoothing / n_classes
    penalty = trial.penalty * len(trial.learnt) / len(x)
    own = np.eye(len(SEVEN), dtype=np.float32)[lesson.corpus] * trial.own_priors
    found = np.zeros((x.shape[1] + 1 + len(SEVEN)) * n_classes)

    def parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        matrix = values.reshape(-1, n_classes).astype(np.float32)
        width = x.shape[1]
        return matrix[:width], matrix[width], matrix[width + 1 :]

    def loss(values: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, offset, of_corpus = parts(values)
        logs = scipy.special.log_softmax(x @ slopes + offset + own @ of_corpus, axis=1)
        entropy, rest = -(targets * logs).sum(axis=1), 1 - np.exp(logs[rows, lesson.labels])
        rest = np.maximum(rest, 1e-6)
        pull = (np.exp(logs) - targets) * weights[:, None]
        if trial.focal:  # the derivative of rest ** focal * entropy, labels not smoothed
            inner = trial.focal * rest ** (trial.focal - 1) * (1 - rest) * entropy
            pull *= (rest**trial.focal + inner)[:, None]
        total = weights @ (rest**trial.focal * entropy)
        slope = np.vstack(
            [
                x.T @ pull + penalty * slopes,
                pull.sum(axis=0, keepdims=True),
                own.T @ pull + 0.01 * penalty * of_corpus,
            ]
        )
        ridge = 0.5 * penalty * ((slopes**2).sum() + 0.01 * (of_corpus**2).sum())
        return float(total + ridge), slope.ravel().astype(float)

    shares, n_of = np.ones(len(SEVEN)), np.bincount(lesson.corpus, lesson.weights, len(SEVEN))
    for _ in range(8 if trial.robust else 1):
        now = (lesson.weights * shares[lesson.corpus]).astype(np.float32)
        found = scipy.optimize.minimize(
            loss,
            found,
            args=(now / now.sum(),),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 15 if trial.robust else 50, "gtol": 1e-5},
        ).x
        slopes, offset, _ = parts(found)
        logs = scipy.special.log_softmax(x @ slopes + offset, axis=1)[rows, lesson.labels]
        losses = np.bincount(lesson.corpus, -lesson.weights * logs, len(SEVEN))
        shares *= np.exp(trial.robust * losses / np.maximum(n_of, 1e-9))
    return lambda states: scipy.special.log_softmax(
        (states @ slopes + offset).astype(float), axis=1
    )


def answers(committee: Committee, out: frozenset[str]) -> pd.DataFrame:
    """Answer about corpora by heads that heard none of them.

    The table has the format of all predictions, ``fold`` says which corpus; kept on disk.
    """
    table = clips()
    frame = table[["clip_id", "speaker", "label", "corpus"]].assign(seed=0)
    frame = frame.assign(fold=pd.Index(SEVEN).get_indexer(table["corpus"]))
    rows = np.flatnonzero(table["corpus"].isin(out))
    logs = []
    for trial in committee:
        name = stable_hash(trial, *sorted(out))
        file = paths().processed / "unheard" / "answers" / f"{name}.npy"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, taught(trial, out)(heard_of(trial, trial.asked)[rows]))
        logs.append(np.load(file))
    found = frame.iloc[rows].copy()
    found[list(CLASSES)] = scipy.special.softmax(np.mean(logs, axis=0), axis=1)
    return found.dropna()


def among_its_classes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Allow only the classes that occur in the corpus of a clip."""
    found = predictions.reset_index(drop=True)
    for _, own in found.groupby("corpus"):
        values = own[list(CLASSES)] * [name in set(own["label"]) for name in CLASSES]
        found.loc[own.index, list(CLASSES)] = values.div(values.sum(axis=1), axis=0)
    return found


def left_out(name: str) -> pd.DataFrame:
    """Answer about every corpus by heads that heard the others."""
    return pd.concat([answers(TRIALS[name], frozenset({one})) for one in SEVEN])


def twice_unheard(name: str, corpus: str) -> pd.DataFrame:
    """Answer about all corpora but one by heads that heard neither them nor it."""
    pairs = [frozenset({corpus, other}) for other in SEVEN if other != corpus]
    found = pd.concat([answers(TRIALS[name], pair) for pair in pairs])
    return found[found["corpus"] != corpus]


def of_corpora(predictions: pd.DataFrame) -> dict[str, float]:
    """Give UAR of each corpus among its own classes, in percent."""
    return {
        str(name): 100 * balanced_accuracy_score(*evaluation.decisions(rows, CLASSES)[:2])
        for name, rows in among_its_classes(predictions).groupby("corpus")
    }


def summary(predictions: pd.DataFrame) -> dict[str, float]:
    """Give UAR of each corpus, means over known and new ones, and calibration error as trained."""
    row = of_corpora(predictions)
    row["five"] = float(np.mean([row[name] for name in SEVEN if name not in NEW]))
    row["two"] = float(np.mean([row[name] for name in NEW]))
    errors = [
        evaluation.expected_calibration_error(rows, CLASSES)
        for _, rows in among_its_classes(predictions).groupby("corpus")
    ]
    row["ece"] = 100 * float(np.mean(errors))
    return {name: round(value, 1) for name, value in row.items()}


def chosen(names: Sequence[str]) -> pd.DataFrame:
    """Answer about each corpus by the trial that is best on the others, where none heard it."""
    parts = []
    for name in SEVEN:
        scores = {
            trial: np.mean(list(of_corpora(twice_unheard(trial, name)).values())) for trial in names
        }
        best = max(scores, key=lambda trial: scores[trial])
        print(f"{name}: {best}, {scores[best]:.1f}", flush=True)
        found = left_out(best)
        parts.append(found[found["corpus"] == name])
    return pd.concat(parts)


def sure_from(predictions: pd.DataFrame, promised: float) -> float:
    """Find the confidence from which a share of the answers is right; 1 where there is none."""
    try:
        return evaluation.uncertain_below(predictions, CLASSES, promised)
    except SerError:
        return 1.0


def calibration(names: Sequence[str]) -> pd.DataFrame:
    """Fit temperature and threshold without a corpus, and see what they are worth on it."""
    rows = []
    for trial, name in itertools.product(names, SEVEN):
        known, asked = among_its_classes(twice_unheard(trial, name)), left_out(trial)
        asked = among_its_classes(asked[asked["corpus"] == name])
        as_trained = evaluation.expected_calibration_error(asked, CLASSES)
        even = known.groupby("corpus").sample(400, replace=True, random_state=0)
        even["clip_id"] = np.arange(len(even)).astype(str)  # some are in it twice
        temperature = evaluation.fit_temperature(even, CLASSES)
        known, even, asked = (
            evaluation.with_temperature(some, CLASSES, temperature) for some in (known, even, asked)
        )
        truth, guess, confidence = evaluation.decisions(asked, CLASSES)
        error = evaluation.expected_calibration_error(asked, CLASSES)
        for promised in PROMISED:
            alone = [sure_from(some, promised) for _, some in known.groupby("corpus")]
            rules = {"corpora together": sure_from(even, promised), "worst corpus": max(alone)}
            for rule, threshold in rules.items():
                given = confidence >= threshold
                right = np.mean(truth[given] == guess[given]) if given.any() else np.nan
                row = {"ece as trained": as_trained, "ece": error, "promised": promised}
                row |= {"answered": np.mean(given), "right": right}
                rows.append(
                    {"trial": trial, "corpus": name, "temperature": round(temperature, 2)}
                    | {key: round(100 * float(value), 1) for key, value in row.items()}
                    | {"threshold by": rule, "threshold": round(threshold, 3)}
                )
    return pd.DataFrame(rows)


def keep(name: str, rows: pd.DataFrame) -> None:
    """Put rows into a table of the report, in place of earlier ones about the same trials."""
    file = paths().reports / "unheard" / name
    if file.exists():
        known = pd.read_csv(file)
        rows = pd.concat([known[~known["trial"].isin(rows["trial"])], rows])
    with writing(file) as temporary:
        rows.to_csv(temporary, index=False)


def main() -> int:
    """Do what the first argument says."""
    what, names = sys.argv[1], sys.argv[2:]
    if what == "encode":
        for encoder, change in [tuple(names)] if names else SETS:
            encode(encoder, change)
    elif what == "calibration":
        keep("calibration.csv", calibration(names))
    elif what == "chosen":
        row = {"trial": "chosen on the six others", **summary(chosen(names))}
        keep("trials.csv", pd.DataFrame([row]))
    else:
        for name in names or TRIALS:
            row = {"trial": name, **summary(left_out(name))}
            print(row, flush=True)
            keep("trials.csv", pd.DataFrame([row]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
