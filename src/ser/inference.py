"""A trained model and a recording become probabilities.

Importing this module imports neither TensorFlow nor librosa; they come in with the first
`load_model`.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser import backend
from ser.audio import decode, to_mono, to_waveform, warnings_about
from ser.config import AudioConfig, FeatureConfig, from_dict
from ser.errors import AudioError, SerError
from ser.paths import paths, shown

if TYPE_CHECKING:
    import keras

MODEL_FILE = "model.keras"
WARNINGS = {
    "silent": "silent: there is nothing to hear in this recording",
    "quiet": "very quiet: the answer may be wrong; record closer to the microphone",
    "clipped": "clipped: the recording is overdriven; turn the level down",
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
    """

    label: str
    probabilities: dict[str, float]
    warnings: list[str]
    duration_s: float


class Model:
    """A trained model that knows its labels and its front end.

    Made by `load_model`.

    Parameters
    ----------
    network : keras.Model
        Features to probabilities.
    card : dict
        Labels, front end and origin, as `ser.models.describe` wrote them.
    """

    def __init__(self, network: keras.Model, card: dict[str, Any]) -> None:
        self.network, self.card = network, card
        self.classes: tuple[str, ...] = tuple(card["classes"])
        self.audio = from_dict(AudioConfig, card["audio"], source="the model's card")
        self.features = from_dict(FeatureConfig, card["features"], source="the model's card")

    def predict(self, audio: Any, sample_rate_hz: float | None = None) -> Prediction:
        """Tell the emotion of one recording.

        Parameters
        ----------
        audio : path or array_like, shape (n_samples,) or (n_samples, n_channels)
            A file of any kind, rate and channel count that libsndfile reads; or samples, floats
            of -1 to 1 or integers.
        sample_rate_hz : float, optional
            Rate of the samples, in hertz; needed for an array.

        Returns
        -------
        Prediction
            The answer for the first ``n_frames`` of the recording; a longer one is said to be cut.

        Raises
        ------
        AudioError
            When the recording cannot be used; one line that says why.
        """
        samples, rate = _samples(audio, sample_rate_hz)
        waveform = to_waveform(samples, rate, self.audio)
        probabilities = self.network.predict_on_batch(self._features(waveform)[None])[0]
        duration_s = len(samples) / rate
        found = warnings_about(to_mono(samples))
        if duration_s > self.longest_s + self.features.n_fft / self.audio.sample_rate_hz:
            found.append("cut")
        return Prediction(
            label=self.classes[int(np.argmax(probabilities))],
            probabilities={
                name: float(p) for name, p in zip(self.classes, probabilities, strict=True)
            },
            warnings=[WARNINGS[name] for name in found],
            duration_s=duration_s,
        )

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
        from ser import models

        samples, rate = _samples(audio, sample_rate_hz)
        waveform = to_waveform(samples, rate, self.audio)
        network = models.attention_weights(self.network)
        weights = network.predict_on_batch(self._features(waveform)[None])[0]
        step_s = self.longest_s / len(weights)
        return weights, (np.arange(len(weights)) + 0.5) * step_s

    @property
    def longest_s(self) -> float:
        """Seconds of a recording that the model hears."""
        return self.features.n_frames * self.features.hop_length / self.audio.sample_rate_hz

    def _features(self, waveform: np.ndarray) -> np.ndarray:
        from ser import features

        array = features.extract(waveform, self.audio.sample_rate_hz, self.features)
        return features.to_rows(array, self.features)


def _samples(audio: Any, sample_rate_hz: float | None) -> tuple[np.ndarray, float]:
    if isinstance(audio, (str, os.PathLike)):
        recording = decode(Path(audio))
        return recording.samples, float(recording.sample_rate_hz)
    if sample_rate_hz is None:
        raise AudioError("samples need their rate: predict(samples, sample_rate_hz=22050).")
    return np.asarray(audio), float(sample_rate_hz)


def find_model(path: Path | str | None = None) -> Path:
    """Find the file of a model.

    Parameters
    ----------
    path : path, optional
        A ``.keras`` file or a run folder; where left out, the newest finished run under
        ``models/runs``, then the newest file under ``models``.

    Returns
    -------
    Path
        A ``.keras`` file.

    Raises
    ------
    SerError
        When there is none.
    """
    if path is not None:
        path = Path(path)
        file = path / MODEL_FILE if path.is_dir() else path
        if not file.is_file():
            raise SerError(f"{path}: no model there. Expected a run folder or a .keras file.")
        return file
    finished = [run / MODEL_FILE for run in paths().finished_runs()]
    found = finished or list(paths().models.glob("*.keras"))
    found = [file for file in found if file.is_file()]
    if not found:
        raise SerError(
            f"no trained model under {shown(paths().models)}. Train one with `ser train`, or name "
            "one with --model."
        )
    return max(found, key=lambda file: file.stat().st_mtime)


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
    file = find_model(path)
    backend.load()
    from ser import models

    return Model(models.load(file), models.read_card(file))
