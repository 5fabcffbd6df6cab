"""A trained model and a recording become probabilities.

Importing this module imports neither TensorFlow nor librosa. A bundle never needs them; for a
``.keras`` file they come in with `load_model`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ser.audio import decode, to_mono, to_waveform, warnings_about
from ser.config import AudioConfig, FeatureConfig, from_dict
from ser.inference import bundle
from ser.inference.speech import has_speech
from ser.models import backend
from ser.project import MODEL_FILE, AudioError, SerError, paths, shown

Heard = tuple[np.ndarray, "np.ndarray | None"]
Hear = Callable[[np.ndarray, float], Heard]

SHORT_S = 0.5
SLACK_S = 0.1  # of this much more, nothing is said
WARNINGS = {
    "silent": "silent: there is nothing to hear in this recording",
    "quiet": "very quiet: the answer may be wrong; record closer to the microphone",
    "clipped": "clipped: the recording is overdriven; turn the level down",
    "short": "very short: there is little to go by",
    "no speech": "no speech found in it: the answer means nothing",
    "cut": "longer than the model hears: only the beginning was used",
}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model answers about one recording.

    Attributes
    ----------
    label : str
        The most probable class.
    probabilities : dict of str to float
        Probability of each class, 0 to 1, in the model's order; they sum to one.
    warnings : list of str
        What makes the answer doubtful; empty for a good recording.
    duration_s : float
        Length of the recording, in seconds.
    uncertain : bool
        Whether the most probable class is less probable than the threshold that was chosen on
        speakers whom the model had not heard; False for a model without one.
    """

    label: str
    probabilities: dict[str, float]
    warnings: list[str]
    duration_s: float
    uncertain: bool = False


class Model:
    """A trained model that knows its labels and its front end.

    Made by `load_model`.

    Parameters
    ----------
    hear : callable
        Mono waveform of any rate, and that rate, to the answer and the attention or None.
    longest_s : float
        Seconds of a recording that the model hears.
    card : dict
        Labels, front end and origin.
    share_out : callable, optional
        As `hear`, with the position of a class; to the attribution of features.
    """

    def __init__(
        self,
        hear: Hear,
        longest_s: float,
        card: dict[str, Any],
        share_out: Callable[[np.ndarray, float, int], np.ndarray] | None = None,
    ) -> None:
        self._hear, self.longest_s, self.card = hear, longest_s, card
        self._share_out = share_out
        self.classes: tuple[str, ...] = tuple(card["classes"])
        self.audio = from_dict(AudioConfig, card["audio"], source="the model's card")

    def predict(self, audio: Any, sample_rate_hz: float | None = None) -> Prediction:
        """Tell the emotion of one recording.

        Parameters
        ----------
        audio : path, bytes or array_like, shape (n_samples,) or (n_samples, n_channels)
            A file of any kind, rate and channel count that libsndfile reads, or its content; or
            samples, floats of -1 to 1 or integers.
        sample_rate_hz : float, optional
            Rate of the samples, in hertz; needed for an array.

        Returns
        -------
        Prediction
            The answer for the first ``longest_s`` of the recording; a longer one is said to be cut.

        Raises
        ------
        AudioError
            When the recording cannot be used; one line that says why.
        """
        samples, rate = samples_of(audio, sample_rate_hz)
        probabilities = self.hear(samples, rate)
        label = max(probabilities, key=lambda name: probabilities[name])
        duration_s = len(samples) / rate
        found = warnings_about(to_mono(samples))
        if duration_s < SHORT_S:
            found.append("short")
        if "silent" not in found and not has_speech(samples, rate):
            found.append("no speech")
        if self.is_long(duration_s):
            found.append("cut")
        threshold = float(self.card.get("threshold", 0.0))
        return Prediction(
            label=label,
            probabilities=probabilities,
            warnings=[WARNINGS[name] for name in found],
            duration_s=duration_s,
            uncertain=probabilities[label] < threshold,
        )

    def is_long(self, duration_s: float) -> bool:
        """Tell whether a recording is longer than the model hears."""
        return duration_s > self.longest_s + SLACK_S

    def hear(self, samples: np.ndarray, sample_rate_hz: float) -> dict[str, float]:
        """Give the probabilities alone, whatever the samples are."""
        found, _ = self._hear(samples, sample_rate_hz)
        return {name: float(p) for name, p in zip(self.classes, found, strict=True)}

    def attention(
        self, audio: Any, sample_rate_hz: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Show where in time the model listened.

        Parameters
        ----------
        audio, sample_rate_hz
            See `predict`.

        Returns
        -------
        weights : ndarray, shape (n_steps,)
            Sum to one.
        times_s : ndarray, shape (n_steps,)
            Centre of each step, in seconds from the start of the (trimmed) recording.

        Raises
        ------
        SerError
            When the model has no attention layer, or the recording cannot be used.
        """
        samples, rate = samples_of(audio, sample_rate_hz)
        _, weights = self._hear(samples, rate)
        if weights is None:
            raise SerError("this model has no attention layer to look into.")
        step_s = self.longest_s / len(weights)
        return weights, (np.arange(len(weights)) + 0.5) * step_s

    def attributions(
        self, audio: Any, sample_rate_hz: float | None = None, label: str | None = None
    ) -> np.ndarray:
        """Show which features an answer rests on, by integrated gradients."""
        if self._share_out is None:
            raise SerError(
                "integrated gradients need the run or its .keras file; a bundle shows attention "
                "only."
            )
        samples, rate = samples_of(audio, sample_rate_hz)
        if label is None:
            found = self.hear(samples, rate)
            label = max(found, key=lambda name: found[name])
        return self._share_out(samples, rate, self.classes.index(label))


def _of_keras(file: Path) -> Model:
    backend.load()
    from ser import models
    from ser.features import extraction
    from ser.inference import explain

    plain, card = models.load(file), models.read_card(file)
    network = models.with_attention(plain)
    audio = from_dict(AudioConfig, card["audio"], source="the model's card")
    config = from_dict(FeatureConfig, card["features"], source="the model's card")

    def hear(samples: np.ndarray, rate: float) -> Heard:
        rows = extraction.compute(samples, rate, audio, config)
        found = network.predict_on_batch(rows[None])
        return (found[0][0], found[1][0]) if isinstance(found, list) else (found[0], None)

    def share_out(samples: np.ndarray, rate: float, position: int) -> np.ndarray:
        rows = extraction.compute(samples, rate, audio, config)
        return explain.integrated_gradients(plain, rows, position)

    longest_s = config.n_frames * config.hop_length / audio.sample_rate_hz
    return Model(hear, longest_s, card, share_out)


def _of_bundle(folder: Path) -> Model:
    opened = bundle.load(folder)
    audio = AudioConfig(sample_rate_hz=opened.sample_rate_hz)  # it trims itself

    def hear(samples: np.ndarray, rate: float) -> Heard:
        return opened(to_waveform(samples, rate, audio))

    return Model(hear, opened.window_s, opened.card)


def samples_of(audio: Any, sample_rate_hz: float | None) -> tuple[np.ndarray, float]:
    """Take a file or samples."""
    if isinstance(audio, (str, bytes, os.PathLike)):
        recording = decode(audio if isinstance(audio, bytes) else Path(audio))
        return recording.samples, float(recording.sample_rate_hz)
    if sample_rate_hz is None:
        raise AudioError("samples need their rate: predict(samples, sample_rate_hz=22050).")
    return np.asarray(audio), float(sample_rate_hz)


def find_model(path: Path | str | None = None) -> Path:
    """Find the file of a model."""
    if path is not None:
        path = Path(path)
        if (path / bundle.CARD).is_file():
            return path
        file = path / MODEL_FILE if path.is_dir() else path
        if not file.is_file():
            raise SerError(
                f"{path}: no model there. Expected a bundle, a run folder or a .keras file."
            )
        return file
    finished = [run / MODEL_FILE for run in paths().finished_runs()]
    if finished := [file for file in finished if file.exists()]:
        return max(finished, key=lambda file: file.stat().st_mtime)
    released = [card.parent for card in paths().models.glob(f"*/{bundle.CARD}")]
    if not released:
        raise SerError(
            f"no trained model under {shown(paths().models)}. Train one with `ser train`, or name "
            "one with --model."
        )
    return max(released, key=lambda folder: sum(f.stat().st_size for f in folder.iterdir()))


def load_model(path: Path | str | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    path : path, optional
        See `find_model`.

    Returns
    -------
    Model
        Ready to `Model.predict`.

    Raises
    ------
    SerError
        When there is no model, or its file is damaged.
    """
    found = find_model(path)
    return _of_bundle(found) if found.is_dir() else _of_keras(found)
