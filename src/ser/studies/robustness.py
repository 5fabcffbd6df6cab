"""How much accuracy is left under the ways people record: telephone, MP3, noise, a room, silence.

The models of a cross-validation hear their test clips once more, each clip changed in one way. What
is asked is whether a model that was trained on studio recordings can be used outside a studio.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from ser import evaluation
from ser.audio import decode, to_mono
from ser.config import AugmentationConfig, Recipe
from ser.corpora.metadata import clip_path
from ser.experiments.plans import Plan
from ser.experiments.units import RUN_FILE
from ser.features import augment, extraction
from ser.models import backend
from ser.project import MODEL_FILE, SerError, unknown, writing

FILE = "robustness.csv"
COLUMNS = ("condition", "n_clips", "uar", "low", "high", "confidence", "ece")
Change = Callable[[np.ndarray, int, np.random.Generator], tuple[np.ndarray, int]]


def _as_recorded(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    return x, rate


def _through(to_rate: int, back: bool) -> Change:
    def change(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        other = soxr.resample(x, rate, to_rate)
        return (soxr.resample(other, to_rate, rate), rate) if back else (other, to_rate)

    return change


def _coded(kind: str, subtype: str, rate_hz: int, compression: float) -> Change:
    def change(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        file = io.BytesIO()
        clipped = np.clip(soxr.resample(x, rate, rate_hz), -1, 1)
        soundfile.write(
            file, clipped, rate_hz, format=kind, subtype=subtype, compression_level=compression
        )
        file.seek(0)
        return soundfile.read(file, dtype="float32")

    return change


def _augmented(name: str, **settings: object) -> Change:
    config = AugmentationConfig(**settings)  # type: ignore[arg-type]

    def change(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return augment.apply(x, rate, config, rng=rng, only=name), rate

    return change


def _turned(decibels: float) -> Change:
    def change(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return np.clip(x * 10 ** (decibels / 20), -1, 1), rate  # overdriven, as a card would

    return change


def _late(seconds: float) -> Change:
    def change(x: np.ndarray, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return np.concatenate([np.zeros(int(seconds * rate), x.dtype), x]), rate

    return change


CONDITIONS: dict[str, Change] = {
    "as recorded": _as_recorded,
    "played at 48 kHz": _through(48_000, back=False),
    "telephone, 8 kHz": _through(8_000, back=True),
    "MP3": _coded("MP3", "MPEG_LAYER_III", 16_000, 0.9),
    "Opus": _coded("OGG", "OPUS", 16_000, 0.9),
    "noise, 20 dB": _augmented("noise", noise_snr_db=(20.0, 20.0)),
    "noise, 10 dB": _augmented("noise", noise_snr_db=(10.0, 10.0)),
    "noise, 5 dB": _augmented("noise", noise_snr_db=(5.0, 5.0)),
    "reverberation": _augmented("room"),
    "12 dB louder": _turned(12.0),
    "12 dB quieter": _turned(-12.0),
    "a second of silence first": _late(1.0),
}


def changed(
    samples: np.ndarray, sample_rate_hz: int, condition: str, *, content: str
) -> tuple[np.ndarray, int]:
    """Change a recording as a condition says."""
    if condition not in CONDITIONS:
        raise unknown(f"no condition {condition!r}", CONDITIONS, condition)
    rng = np.random.default_rng(int(content[:16], 16))
    found, rate = CONDITIONS[condition](to_mono(samples), sample_rate_hz, rng)
    return np.ascontiguousarray(found, np.float32), int(rate)


def measure(
    plan: Plan,
    *,
    seed: int = 0,
    conditions: Sequence[str] = tuple(CONDITIONS),
    n_clips: int = 0,
    n_jobs: int = -1,
    progress: bool = True,
) -> pd.DataFrame:
    """Test the models of a cross-validation on changed recordings.

    Parameters
    ----------
    plan : Plan
        All its folds must have been trained with `seed`; ``dataclasses.replace(plan,
        folds=plan.folds[:1])`` asks for the first alone.
    seed : int
        Which models.
    conditions : sequence of str
        Out of ``CONDITIONS``.
    n_clips : int
        How many test clips, drawn at random once for all conditions; 0 for every clip.
    n_jobs : int
        Processes that compute features; -1 is one for each core.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        One row per condition: ``n_clips``, ``uar`` with its speaker interval ``low`` and ``high``,
        mean ``confidence`` and expected calibration error ``ece``. Each clip once, by the model of
        the fold that tests it.

    Raises
    ------
    SerError
        When a fold has not been trained, or a clip cannot be read.
    """
    folders = [plan.run_folder(fold.index, seed) for fold in plan.folds]
    if missing := [folder for folder in folders if not (folder / RUN_FILE).exists()]:
        raise SerError(
            f"{plan.recipe.name}, {plan.protocol}: {len(missing)} of {len(folders)} folds are not "
            f"trained with seed {seed}. Run `ser run {plan.recipe.name} --protocol "
            f"{plan.protocol} --seeds {seed}` first."
        )
    backend.load()
    from ser import models

    networks = [models.load(folder / MODEL_FILE) for folder in folders]
    clips = plan.table.set_index("clip_id")
    tests = [list(fold.test) for fold in plan.folds]
    if 0 < n_clips < sum(map(len, tests)):
        rng = np.random.default_rng(seed)
        drawn = set(rng.permutation([clip for test in tests for clip in test])[:n_clips])
        tests = [[clip for clip in test if clip in drawn] for test in tests]
    rows = []
    for condition in tqdm(conditions, disable=not progress, desc="conditions"):
        tables = []
        for fold, test, network in zip(plan.folds, tests, networks, strict=True):
            if not test:
                continue
            tested = clips.loc[test]
            batch = _features(tested, plan.recipe, condition, n_jobs)
            found = pd.DataFrame(network.predict(batch, verbose=0), columns=[*plan.recipe.classes])
            known = tested.reset_index()[["clip_id", "speaker", "label"]]
            tables.append(pd.concat([known.assign(fold=fold.index, seed=seed), found], axis=1))
        rows.append(_row(condition, pd.concat(tables, ignore_index=True), plan.recipe.classes))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _features(table: pd.DataFrame, recipe: Recipe, condition: str, n_jobs: int) -> np.ndarray:
    tasks = (
        delayed(_one)(clip_path(row), row["pcm_sha256"], recipe, condition)
        for _, row in table.reset_index().iterrows()
    )
    return np.stack(Parallel(n_jobs, batch_size=16)(tasks))


def _one(path: Path, content: str, recipe: Recipe, condition: str) -> np.ndarray:
    recording = decode(path)
    samples, rate = changed(recording.samples, recording.sample_rate_hz, condition, content=content)
    return extraction.compute(samples, rate, recipe.audio, recipe.features)


def _row(condition: str, predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, object]:
    found = evaluation.metrics(predictions, classes)
    low, high = found["uar"]["interval_95"] or (np.nan, np.nan)
    return {
        "condition": condition,
        "n_clips": len(predictions),
        "uar": found["uar"]["mean"],
        "low": low,
        "high": high,
        "confidence": evaluation.decisions(predictions, classes)[2].mean(),
        "ece": found["ece"],
    }


def write(plan: Plan, *, seed: int = 0, n_clips: int = 0, n_jobs: int = -1) -> Path:
    """Measure all conditions and keep the table beside the report."""
    table = measure(plan, seed=seed, n_clips=n_clips, n_jobs=n_jobs)
    path = plan.report_folder / FILE
    with writing(path) as temporary:
        table.round(4).to_csv(temporary, index=False)
    return path
