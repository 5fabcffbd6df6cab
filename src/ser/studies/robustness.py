"""How much accuracy is left under the ways people record: telephone, MP3, noise, a room, silence.

The models of a cross-validation hear their test clips once more, each clip changed in one way. What
is asked is whether a model that was trained on studio recordings can be used outside a studio. What
begins with noise or music is answered as `ser predict` does: in windows, where somebody speaks.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import soxr
from joblib import delayed
from tqdm.auto import tqdm

from ser import evaluation
from ser.audio import decode, to_mono
from ser.config import AugmentationConfig, Recipe
from ser.corpora.metadata import clip_path
from ser.experiments.plans import Plan
from ser.experiments.units import is_done
from ser.features import augment, extraction
from ser.inference import Model, load_model
from ser.models import backend
from ser.project import MODEL_FILE, SerError, processes, unknown, write_csv

FILE = "robustness.csv"
COLUMNS = ("condition", "n_clips", "uar", "low", "high", "confidence", "ece")
Rng = np.random.Generator
Sound = tuple[np.ndarray, int]  # mono waveform, rate in hertz
LEAD_S = 3


# Each takes a mono waveform, its rate and a generator, and gives a waveform and its rate.


def _through(x: np.ndarray, rate: int, _: Rng, *, to_hz: int, back: bool = True) -> Sound:
    other = soxr.resample(x, rate, to_hz)
    return (soxr.resample(other, to_hz, rate), rate) if back else (other, to_hz)


def _coded(x: np.ndarray, rate: int, _: Rng, **codec: Any) -> Sound:
    file = io.BytesIO()
    clipped = np.clip(soxr.resample(x, rate, 16_000), -1, 1)
    soundfile.write(file, clipped, 16_000, compression_level=0.9, **codec)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def _augmented(x: np.ndarray, rate: int, rng: Rng, *, only: str, **settings: Any) -> Sound:
    return augment.apply(x, rate, AugmentationConfig(**settings), rng=rng, only=only), rate


def _turned(x: np.ndarray, rate: int, _: Rng, *, decibels: float) -> Sound:
    return np.clip(x * 10 ** (decibels / 20), -1, 1), rate  # overdriven, as a card would


def _late(x: np.ndarray, rate: int, _: Rng) -> Sound:
    return np.concatenate([np.zeros(rate, x.dtype), x]), rate


def _noise_first(x: np.ndarray, rate: int, rng: Rng) -> Sound:
    spectrum = np.fft.rfft(rng.normal(size=LEAD_S * rate))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * LEAD_S)))
    return _after(pink, -45.0, x), rate


def _music_first(x: np.ndarray, rate: int, _: Rng) -> Sound:
    at_s = np.arange(LEAD_S * rate) / rate
    notes = np.array([[261.6, 329.6, 392.0], [349.2, 440.0, 523.3], [392.0, 493.9, 587.3]])
    hertz = notes[np.minimum(at_s.astype(int), len(notes) - 1)]  # a chord a second
    tones = (np.sin(2 * np.pi * n * hertz.T * at_s).sum(axis=0) / n for n in (1, 2, 3, 4))
    return _after(sum(tones) * np.exp(-2 * (at_s % 1)), -25.0, x), rate


def _after(lead: np.ndarray, dbfs: float, x: np.ndarray) -> np.ndarray:
    loudness = 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(lead)))
    return np.concatenate([loudness * lead, x])


CONDITIONS: dict[str, Callable[[np.ndarray, int, Rng], Sound]] = {
    "as recorded": lambda x, rate, _: (x, rate),
    "played at 48 kHz": partial(_through, to_hz=48_000, back=False),
    "telephone, 8 kHz": partial(_through, to_hz=8_000),
    "MP3": partial(_coded, format="MP3", subtype="MPEG_LAYER_III"),
    "Opus": partial(_coded, format="OGG", subtype="OPUS"),
    "noise, 20 dB": partial(_augmented, only="noise", noise_snr_db=(20.0, 20.0)),
    "noise, 10 dB": partial(_augmented, only="noise", noise_snr_db=(10.0, 10.0)),
    "noise, 5 dB": partial(_augmented, only="noise", noise_snr_db=(5.0, 5.0)),
    "reverberation": partial(_augmented, only="room"),
    "12 dB louder": partial(_turned, decibels=12.0),
    "12 dB quieter": partial(_turned, decibels=-12.0),
    "a second of silence first": _late,
    "3 s of noise first": _noise_first,  # at -45 dBFS
    "3 s of music first": _music_first,  # at -25 dBFS
}
IN_WINDOWS = ("3 s of noise first", "3 s of music first")  # answered as `ser predict` does it


def changed(
    samples: np.ndarray, sample_rate_hz: int, condition: str, *, content: str
) -> tuple[np.ndarray, int]:
    """Change a recording as a condition says.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,) or (n_samples, n_channels)
        As `ser.audio.decode` gives them.
    sample_rate_hz : int
        Their rate.
    condition : str
        One of ``CONDITIONS``.
    content : str
        The clip's ``pcm_sha256``, the seed of all chance: a clip is changed alike every time.

    Returns
    -------
    (ndarray of float32, shape (any,), int)
        Mono samples, and their rate in hertz.

    Raises
    ------
    SerError
        When there is no such condition.
    """
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
        So many test clips, drawn at random; 0 is all of them.
    n_jobs : int
        Processes that compute features.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        A row per condition: ``uar`` with the limits ``low`` and ``high`` of its 95 % interval over
        speakers, mean ``confidence``, calibration error ``ece``. Each clip once, by the model of
        the fold that tests it.

    Raises
    ------
    SerError
        When a fold has not been trained, or a clip cannot be read.
    """
    folders = [plan.run_folder(fold.index, seed) for fold in plan.folds]
    if missing := [folder for folder in folders if not is_done(folder)]:
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
            table = clips.loc[test].reset_index()
            if condition in IN_WINDOWS:
                model = load_model(plan.run_folder(fold.index, seed) / MODEL_FILE)
                found = np.stack([_answered(row, model, condition) for _, row in table.iterrows()])
            else:
                tasks = (
                    delayed(_heard)(row, plan.recipe, condition) for _, row in table.iterrows()
                )
                batch = np.stack(processes(n_jobs, batch_size=16)(tasks))
                found = network.predict(batch, verbose=0)
            frame = table[["clip_id", "speaker", "label"]].assign(fold=fold.index, seed=seed)
            frame[list(plan.recipe.classes)] = found
            tables.append(frame)
        rows.append(_row(condition, pd.concat(tables, ignore_index=True), plan.recipe.classes))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _changed(row: pd.Series, condition: str) -> Sound:
    clip = decode(clip_path(row))
    return changed(clip.samples, clip.sample_rate_hz, condition, content=row["pcm_sha256"])


def _heard(row: pd.Series, recipe: Recipe, condition: str) -> np.ndarray:
    """Compute the features of one changed recording."""
    return extraction.compute(*_changed(row, condition), recipe.audio, recipe.features)


def _answered(row: pd.Series, model: Model, condition: str) -> np.ndarray:
    """Answer for one changed recording, window by window; no speech found is no class."""
    found = model.predict(*_changed(row, condition)).probabilities
    return np.array([found.get(name, 1 / len(model.classes)) for name in model.classes])


def _row(condition: str, predictions: pd.DataFrame, classes: Sequence[str]) -> tuple[Any, ...]:
    """Give the values of ``COLUMNS``."""
    found = evaluation.metrics(predictions, classes)
    limits = found["uar"]["interval_95"] or (np.nan, np.nan)
    confidence = evaluation.decisions(predictions, classes)[2].mean()
    return condition, len(predictions), found["uar"]["mean"], *limits, confidence, found["ece"]


def write(plan: Plan, *, seed: int = 0, n_clips: int = 0, n_jobs: int = -1) -> Path:
    """Measure all conditions and keep the table beside the report."""
    table = measure(plan, seed=seed, n_clips=n_clips, n_jobs=n_jobs)
    path = plan.report_folder / FILE
    write_csv(path, table.round(4))
    return path
