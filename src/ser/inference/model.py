"""A trained model and a recording become probabilities.

Importing this module imports neither TensorFlow nor librosa. `ser.inference.loading` opens models.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ser.audio import clipped_share, loudest, open_any, to_mono, warnings_about
from ser.config import AudioConfig, from_dict
from ser.inference import voice
from ser.inference.speech import AROUND_S, BEGINS, find_speech, speech_probability, stretches
from ser.inference.windows import (
    WINDOW_S,
    Hear,
    Heard,
    Segment,
    mean_of,
    most_probable,
    named,
    segments_of,
)
from ser.project import SerError, unknown

Attention = tuple[np.ndarray, np.ndarray]  # weights of steps, and their centres in seconds

SHORT_S = 0.5
SLACK_S = 0.1  # a recording of this much more is still heard as one
LEAD_S = 1.25  # what comes before the speech is left out where it lasts longer
MIXED_BELOW = 0.6  # share of the speech that the answer about the whole recording is true of
WARNINGS = {
    "silent": "silent: there is nothing to hear in this recording",
    "quiet": "very quiet: its loudest moment reaches {loudest:.1f} % of what can be recorded, and "
    "the answer may be wrong; record closer to the microphone",
    "clipped": "clipped: {clipped:.1f} % of the recording is overdriven; turn the level down",
    "truncated": "cut short: the file ends after {seconds:.1f} s, before its header says; copy it "
    "again from its source",
    "short": "very short: there is little to go by in {seconds:.2f} s",
    "no speech": "no speech found in it: nothing is answered",
    "mixed": "mixed: {label} is true of {share:.0f} % of the speech only; see the timeline",
}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model answers about one recording: made in one pass, so that no two parts disagree.

    Attributes
    ----------
    label : str
        The most probable class; empty where nobody speaks.
    probabilities : dict of str to float
        Class to probability; they sum to one. Of a recording longer than the model hears at once:
        the mean of its segments, each weighing as much as it lasts. Empty where nobody speaks.
    duration_s : float
        In seconds.
    segments : tuple of Segment
        Stretches of speech with their answers, in order; a short recording is one.
    warnings : list of str
        What makes the recording a poor basis for an answer, in words.
    uncertain, no_speech, mixed : bool
        Whether the confidence is below the threshold of the model's card; whether nobody speaks;
        whether `label` is true of less than 60 % of the speech.
    model : str
        Which model answered.
    in_windows : bool
        Whether the recording is too long to be heard at once.
    attention : (ndarray, ndarray) or None
        Of a recording heard as one: the weight of each step, and the time at its centre in seconds.
    """

    label: str
    probabilities: dict[str, float]
    duration_s: float
    segments: tuple[Segment, ...] = ()
    warnings: list[str] = dataclasses.field(default_factory=list)
    uncertain: bool = False
    no_speech: bool = False
    mixed: bool = False
    model: str = ""
    in_windows: bool = False
    attention: Attention | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def confidence(self) -> float:
        """Probability of the answer; 0 where there is none."""
        return self.probabilities.get(self.label, 0.0)

    @property
    def headline(self) -> str:
        """The answer in words: the same in the terminal, on the web page and above a figure."""
        share = f"{self.label} ({100 * self.confidence:.0f} %)"
        doubt = "uncertain, most likely " if self.uncertain else ""
        return "no speech" if self.no_speech else doubt + share

    def as_dict(self) -> dict[str, Any]:
        """Give everything but the attention, in types that JSON has."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)[:-1]},
            "segments": [dataclasses.asdict(segment) for segment in self.segments],
        }


class Model:
    """A trained model that knows its labels and its front end.

    `hear` takes samples and their rate, and gives probabilities and, where the model has attention,
    its weights; it hears `longest_s` seconds at once. `card` holds labels, front end and threshold;
    answers call the model `name`. `share_out` takes the position of a class too, and gives the
    shares that features have in its probability.
    """

    def __init__(
        self,
        hear: Hear,
        longest_s: float,
        card: dict[str, Any],
        name: str = "",
        share_out: Callable[[np.ndarray, float, int], np.ndarray] | None = None,
    ) -> None:
        self._network, self.longest_s, self.card, self.name = hear, longest_s, card, name
        self._share_out = share_out
        self.classes: tuple[str, ...] = tuple(card["classes"])
        self.audio = from_dict(AudioConfig, card["audio"], source=f"{name}: its card")
        self._voice: np.ndarray | None = None  # what `adapt` found, in logarithms

    def _answer(self, samples: np.ndarray, rate: float) -> Heard:
        """Hear one window, as this voice and these classes have it."""
        found, weights = self._hear(samples, rate)
        if self._voice is not None:
            found = voice.shifted(found, self._voice)
        if len(self.classes) < len(found):
            found = found[self._places()]
            found = found / max(float(found.sum()), voice.LEAST)
        return found, weights

    def _places(self) -> list[int]:
        return [self.card["classes"].index(name) for name in self.classes]

    def restricted(self, classes: Sequence[str]) -> Model:
        """Make a model to which only two or more of its classes are possible.

        Its probabilities are this model's, divided by their sum.

        >>> load_model().restricted(["angry", "sad", "neutral"]).classes  # doctest: +SKIP
        ('angry', 'neutral', 'sad')
        """
        for name in classes:
            if name not in self.classes:
                raise unknown(f"no class {name!r}", self.classes, name)
        if len(set(classes)) < 2:
            raise SerError(
                f"expected two classes or more, found {', '.join(classes) or 'none'}. Possible: "
                f"{', '.join(self.classes)}."
            )
        model = copy.copy(self)
        model.classes = tuple(name for name in self.classes if name in classes)
        return model

    def adapt(self, clips: Iterable[Any], *, neutral: Iterable[Any] = ()) -> Model:
        """Make a model that knows a voice, or a way of recording, from clips that nobody labelled.

        Few clips, or clips that one emotion explains, change little. Twenty of mixed emotion are
        enough.

        Parameters
        ----------
        clips : iterable
            Recordings of one speaker, each as `predict` takes it; samples as ``(samples, rate)``.
        neutral : iterable
            More of them, known to be neutral, where that is a class.

        Returns
        -------
        Model
            Answers like this one without the offset of that voice. An earlier one is forgotten.

        Raises
        ------
        SerError
            When nobody speaks in any clip, or the model's card does not say how voices differ.

        See Also
        --------
        ser.inference.voice
        """
        if (spread := self.card.get("voices")) is None:
            raise SerError(
                f"{self.name or 'this model'}: its card does not say how voices differ. Take a "
                "released model, or make a bundle with `ser export RUN --to FOLDER --calibrate "
                "REPORT`."
            )
        plain = copy.copy(self)
        plain.classes, plain._voice = tuple(self.card["classes"]), None
        heard, known = [], []
        place = plain.classes.index("neutral") if "neutral" in plain.classes else -1
        for told, group in ((-1, clips), (place, neutral)):
            for clip in group:
                answer = plain.predict(*clip) if isinstance(clip, tuple) else plain.predict(clip)
                if not answer.no_speech:
                    heard.append(list(answer.probabilities.values()))
                    known.append(told)
        if not heard:
            raise SerError("no speech to get used to: expected recordings of the voice.")
        model = copy.copy(self)
        model._voice = voice.offset(
            np.array(heard), spread, np.array(known), np.array(self._places())
        )
        return model

    def predict(self, audio: Any, sample_rate_hz: float | None = None) -> Prediction:
        """Tell the emotion of one recording; of a long one, stretch by stretch too.

        Parameters
        ----------
        audio : path, bytes or array_like
            A file, its content, or samples of shape (n_samples,) or (n_samples, n_channels).
        sample_rate_hz : float, optional
            The rate of samples.

        Returns
        -------
        Prediction
            Label, probabilities, segments, quality notes: everything from one pass.

        Raises
        ------
        AudioError
            When the recording cannot be read or used.

        Examples
        --------
        >>> model = load_model()  # doctest: +SKIP
        >>> model.predict("my_voice.wav").label  # doctest: +SKIP
        'happy'
        """
        samples, rate, truncated = open_any(audio, sample_rate_hz, self.audio.sample_rate_hz)
        duration_s, mono = len(samples) / rate, to_mono(samples)
        notes = warnings_about(mono, truncated=truncated)
        notes += ["short"] * (duration_s < SHORT_S)
        silent, in_windows = "silent" in notes, duration_s > self.longest_s + SLACK_S
        attention = None
        if in_windows:
            window_s = min(WINDOW_S, self.longest_s)
            spoken = [] if silent else find_speech(samples, rate, AROUND_S)
            segments = segments_of(self._answer, self.classes, samples, rate, spoken, window_s)
        else:
            segments, attention = self._as_one(samples, rate, silent)
        probabilities = mean_of(segments, self.classes) if segments else {}
        label = most_probable(probabilities)
        spoken_s = sum(segment.duration_s for segment in segments)
        of_label_s = sum(segment.duration_s for segment in segments if segment.label == label)
        mixed = of_label_s < MIXED_BELOW * spoken_s
        notes += ["no speech"] * (not segments and not silent) + ["mixed"] * mixed
        facts: dict[str, Any] = {}
        if notes:  # most recordings have none
            facts = {
                "loudest": 100 * loudest(mono),
                "clipped": 100 * clipped_share(mono),
                "seconds": duration_s,
                "share": 100 * of_label_s / (spoken_s or 1),
                "label": label,
            }
        return Prediction(
            label=label,
            probabilities=probabilities,
            duration_s=duration_s,
            segments=tuple(segments),
            warnings=[WARNINGS[name].format(**facts) for name in notes],
            uncertain=probabilities.get(label, 0.0) < float(self.card.get("threshold", 0.0)),
            no_speech=not segments,
            mixed=mixed,
            model=self.name,
            in_windows=in_windows,
            attention=attention,
        )

    def _as_one(
        self, samples: np.ndarray, rate: float, silent: bool
    ) -> tuple[list[Segment], Attention | None]:
        duration_s = len(samples) / rate
        speech = np.zeros(0) if silent else speech_probability(samples, rate)
        first_s = next((start_s for start_s, _ in stretches(speech, duration_s)), 0.0)
        begin_s = first_s if first_s > LEAD_S else 0.0
        # also refuses what is no sound
        found, weights = self._answer(samples[round(begin_s * rate) :], rate)
        attention = None if weights is None else self._placed(weights, begin_s)
        if not (speech >= BEGINS).any():
            return [], attention
        answer = named(self.classes, found)
        return [Segment(0.0, duration_s, most_probable(answer), answer)], attention

    def _hear(self, samples: np.ndarray, sample_rate_hz: float) -> Heard:
        """Ask the model, and see that it answers with probabilities: anybody may have made it."""
        found, weights = self._network(samples, sample_rate_hz)
        n = len(self.card["classes"])
        if found.shape != (n,) or not found.min() >= 0 or not abs(found.sum() - 1) < 0.01:
            raise SerError(
                f"{self.name}: expected {n} probabilities that sum to 1, found "
                f"{found.shape} with the sum {found.sum():.3g}. Export or train the model again."
            )
        return found, weights

    def hear(self, samples: np.ndarray, sample_rate_hz: float) -> dict[str, float]:
        """Give the probabilities of one window, whatever the samples are."""
        return named(self.classes, self._answer(samples, sample_rate_hz)[0])

    def _placed(self, weights: np.ndarray, begin_s: float = 0.0) -> Attention:
        centres = (np.arange(len(weights)) + 0.5) * self.longest_s / len(weights)
        return weights, begin_s + centres

    @functools.cached_property
    def has_attention(self) -> bool:
        """Whether it can show where it listened."""
        noise = np.random.default_rng(0).normal(0, 0.1, self.audio.sample_rate_hz)
        return self._hear(noise.astype(np.float32), self.audio.sample_rate_hz)[1] is not None

    def attention(self, audio: Any, sample_rate_hz: float | None = None) -> Attention:
        """Show where in time the model listened, in the beginning of a long recording.

        Takes what `predict` takes. Gives the weight of each step, which sum to one, and the time at
        its centre, in seconds.
        """
        samples, rate = open_any(audio, sample_rate_hz, self.audio.sample_rate_hz)[:2]
        _, weights = self._hear(samples, rate)
        if weights is None:
            raise SerError("this model has no attention layer to look into.")
        return self._placed(weights)

    def attributions(
        self, audio: Any, sample_rate_hz: float | None = None, label: str | None = None
    ) -> np.ndarray:
        """Give integrated gradients (n_frames, n_features) for `label` or the answer."""
        if self._share_out is None:
            raise SerError(
                "integrated gradients need the run or its .keras file; a bundle shows attention "
                "only."
            )
        samples, rate = open_any(audio, sample_rate_hz, self.audio.sample_rate_hz)[:2]
        if label is None:
            label = most_probable(self.hear(samples, rate))
        return self._share_out(samples, rate, self.card["classes"].index(label))
