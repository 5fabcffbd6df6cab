"""The settings of an experiment as frozen dataclasses.

A `Recipe` holds everything that decides a result: corpora and classes, audio, features,
augmentation, model, training. It goes to JSON and back, and has a hash that changes exactly
when one of those settings does, or the code of a function that a reader registered and the
settings name (`ser.features.register`, `ser.features.augment.register`).
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from ser.fingerprint import code_hash
from ser.project import SerError, read_json, unknown

STATISTICS = ("mean", "std", "min", "max")
PRETRAINED_KINDS = ("whisper_mel", "whisper", "ssl")
FEATURE_KINDS = (
    *("mfcc", "log_mel", "chroma", "spectral_contrast", "zero_crossing_rate", "rms"),
    *PRETRAINED_KINDS,
)
_HOPS = {"whisper_mel": 160, "whisper": 320, "ssl": 320}

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
_RANGES = {
    "noise_snr_db": (-100.0, 100.0),
    "pitch_semitones": (-24.0, 24.0),
    "stretch_rate": (0.6, 2.0),
    "gain_db": (-100.0, 100.0),
    "shift_fraction": (-1.0, 1.0),
    "speed_rate": (0.5, 2.0),
}
T = TypeVar("T")

# What a reader adds by name: features and augmentations, to the function that computes them.
CUSTOM: dict[str, dict[str, Callable[..., Any]]] = {"features": {}, "augmentations": {}}


_STORED: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "what was stored may name what another process registered"
)


def _check_known(what: str, names: Any, built_in: tuple[str, ...] = ()) -> None:
    """Refuse names that are neither built in nor registered."""
    if _STORED.get(False):
        return
    allowed = (*built_in, *CUSTOM[what])
    where = "ser.features" if what == "features" else "ser.features.augment"
    for name in names:
        if name not in allowed:
            raise ValueError(
                f"no {what[:-1]} named {name!r}. Allowed: {', '.join(allowed) or 'none'}, and what "
                f"@{where}.register({name!r}) adds in this process"
            )


def _checked(kind: type[T]) -> type[T]:
    """Make wrong values one line, as they are from JSON, where pydantic has a page with an URL."""
    plain = kind.__init__

    @functools.wraps(plain)
    def init(self: T, *args: Any, **values: Any) -> None:
        try:
            plain(self, *args, **values)
        except ValidationError as error:
            raise SerError(f"{kind.__name__}: {_first_problem(kind, error)}") from error

    kind.__init__ = init  # type: ignore
    return kind


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class AudioConfig:
    """How a file becomes a waveform.

    Attributes
    ----------
    sample_rate_hz : int
        Every clip is resampled to this rate, in hertz.
    trim_db : float or None
        Cut leading and trailing parts quieter than the clip's peak by this many decibels
        (`librosa.effects.trim`); None keeps the clip whole.
    """

    sample_rate_hz: Annotated[int, Field(ge=4_000, le=192_000)] = 22_050
    trim_db: Positive | None = None


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FeatureConfig:
    """How a waveform becomes an array of shape ``(n_frames, n_features)``.

    Attributes
    ----------
    kinds : tuple of str
        What is stacked along the feature axis, in this order; see ``FEATURE_KINDS``. Those of
        pretrained encoders stand alone, at 16 kHz: ``whisper_mel`` is the log-mel spectrogram that
        Whisper hears (hop 160), ``whisper`` states of its encoder and ``ssl`` states of wav2vec
        2.0, HuBERT and their kin (hop 320, or a multiple: then as many steps are averaged).
    n_mfcc, n_mels, n_chroma : int
        Number of cepstral coefficients, mel bands and chroma bins.
    n_fft, hop_length : int
        Analysis window (an even number) and step, in samples.
    fmin_hz, fmax_hz : float
        Range of the mel filter bank, in hertz; `fmax_hz` None means half the sample rate.
    level : {"absolute", "relative"}
        Decibels (``log_mel``, ``mfcc``, what ``whisper`` hears) and ``rms`` against full scale, or
        against the loudest of the clip: then how far a recording was turned up does not count.
    n_deltas : int
        0 for the features alone, 1 to append their first time differences, 2 for second ones too.
    n_frames : int
        Shorter clips are padded at their end with zeros, longer ones are cut.
    statistics : tuple of str
        Take these over the frames of a clip (its first `n_frames`, no padding), one row for each,
        instead of the frames themselves; see ``STATISTICS``.
    encoder : str or None
        Of ``whisper``: a name from `ser.models.pretrained.ENCODERS`. Of ``ssl``: a name on the
        Hugging Face hub, or a folder.
    states : tuple of int
        Which states of the encoder: 0 is the input of its first block, 1 that block's output.
    """

    kinds: tuple[str, ...] = ("mfcc",)
    n_mfcc: Count = 40
    n_mels: Count = 128
    n_chroma: Count = 12
    n_fft: Annotated[int, Field(ge=16, multiple_of=2)] = 2048
    hop_length: Count = 512
    fmin_hz: NonNegative = 0.0
    fmax_hz: Positive | None = None
    level: Literal["absolute", "relative"] = "absolute"
    n_deltas: Annotated[int, Field(ge=0, le=2)] = 0
    n_frames: Count = 174
    statistics: tuple[Literal[STATISTICS], ...] = ()  # type: ignore[valid-type]
    encoder: str | None = None
    states: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @property
    def is_pretrained(self) -> bool:
        """Whether a pretrained encoder computes or hears these features."""
        return bool(set(self.kinds) & set(PRETRAINED_KINDS))

    @property
    def n_rows(self) -> int:
        """Rows of what a model takes: frames, or statistics."""
        return len(self.statistics) or self.n_frames

    @model_validator(mode="after")
    def _check(self) -> FeatureConfig:
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds needs at least one feature and each only once")
        _check_known("features", self.kinds, FEATURE_KINDS)
        if len(set(self.statistics)) != len(self.statistics):
            raise ValueError("statistics may name each only once")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc ({self.n_mfcc}) must not exceed n_mels ({self.n_mels})")
        if self.is_pretrained:
            self._check_pretrained()
        return self

    def _check_pretrained(self) -> None:
        kind, hop = self.kinds[0], _HOPS.get(self.kinds[0], 1)
        if len(self.kinds) > 1 or self.n_deltas:
            raise ValueError(f"kinds of pretrained encoders stand alone, found {self.kinds}")
        if self.hop_length % hop or (kind == "whisper_mel" and self.hop_length != hop):
            several = "" if kind == "whisper_mel" else " or a multiple"
            raise ValueError(f"{kind} needs a hop_length of {hop}{several}")
        if kind != "whisper_mel" and not (self.encoder and self.states):
            raise ValueError(f"{kind} needs an encoder and at least one of its states")
        if len(set(self.states)) != len(self.states):
            raise ValueError("states may name each only once")


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class AugmentationConfig:
    """Waveform variants that are computed once per training clip and cached.

    Every probability is the chance that a variant has that change at all; where the changes
    are drawn, all of them stack. Ranges are uniform.

    Attributes
    ----------
    n_variants : int
        Copies made besides the original; 0 for none.
    noise_p, pitch_p, stretch_p, gain_p, shift_p, room_p, band_pass_p, speed_p : float
        Probabilities of each change, 0 to 1.
    noise_snr_db, gain_db : (float, float)
        Signal-to-noise ratio of added Gaussian noise, and change of level, in decibels.
    pitch_semitones : (float, float)
        Pitch shift, in semitones, duration kept; -24 to 24.
    stretch_rate : (float, float)
        Speed factor, pitch kept; above 1 is faster; 0.6 to 2. (From 0.5 down the library draws
        from a generator that cannot be seeded.)
    shift_fraction : (float, float)
        Shift in time as a fraction of the clip, silence moving in; -1 to 1.
    speed_rate : (float, float)
        Speed factor of the tape: pitch and formants move with the tempo, as if the speaker were
        smaller or larger (Ko et al., 2015); 0.5 to 2.
    custom_p : dict of str to float
        Augmentations added with `ser.features.augment.register`: name to probability.
    seed : int
        Part of the seed of every variant, beside the clip's content and the variant's number.
    """

    n_variants: Annotated[int, Field(ge=0, le=64)] = 0
    noise_p: Probability = 0.5
    noise_snr_db: Range = (10.0, 30.0)
    pitch_p: Probability = 0.5
    pitch_semitones: Range = (-2.0, 2.0)
    stretch_p: Probability = 0.5
    stretch_rate: Range = (0.9, 1.1)
    gain_p: Probability = 0.5
    gain_db: Range = (-6.0, 6.0)
    shift_p: Probability = 0.0
    shift_fraction: Range = (-0.1, 0.1)
    room_p: Probability = 0.0
    band_pass_p: Probability = 0.0
    speed_p: Probability = 0.0
    speed_rate: Range = (0.9, 1.1)
    custom_p: dict[str, Probability] = dataclasses.field(default_factory=dict)
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> AugmentationConfig:
        _check_known("augmentations", self.custom_p)
        for name, (lowest, highest) in _RANGES.items():
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise ValueError(
                    f"{name} must be (low, high) within {lowest:g} to {highest:g}, "
                    f"found ({low:g}, {high:g})"
                )
        return self


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class MaskingConfig:
    """SpecAugment masks, drawn anew for every training batch.

    Attributes
    ----------
    n_time_masks, max_time_frames : int
        How many stretches of frames are set to the clip's mean, and how wide they are at most.
    n_feature_masks, max_feature_bins : int
        The same for features.
    """

    n_time_masks: Annotated[int, Field(ge=0)] = 0
    max_time_frames: Count = 20
    n_feature_masks: Annotated[int, Field(ge=0)] = 0
    max_feature_bins: Count = 6


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ModelConfig:
    """Which architecture, with which sizes.

    Attributes
    ----------
    architecture : str
        A name from `ser.models.ARCHITECTURES`.
    options : dict
        Keyword arguments of that architecture's ``build`` function.
    members : int
        How many networks of this kind the model averages; each begins with other weights. Training
        and inference take that many times as long.
    """

    architecture: str = "cnn_lstm_attention"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    members: Annotated[int, Field(ge=1, le=32)] = 1

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options must hold JSON values ({error})") from error
        return self


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainingConfig:
    """How a model is fitted.

    Attributes
    ----------
    epochs : int
        Upper limit; early stopping usually ends before.
    batch_size : int
        Clips per step.
    min_steps, max_steps : int
        Least and most steps of an epoch: clips of a small corpus come several times in it, in other
        variants; of a large one, each epoch draws other clips. None for no upper limit.
    learning_rate : float
        Initial rate of Adam.
    clip_norm : float or None
        Largest norm of each gradient.
    weight_decay : float
        Decoupled weight decay (AdamW); 0 for none.
    label_smoothing : float
        Share of each label that is spread over all classes, 0 to 1.
    class_weights : bool
        Weigh each class by the inverse of its frequency among the training clips.
    extra_share : float
        Share of each epoch drawn from the extra corpora, 0 to 1; every clip of its own comes once.
    extra_epochs : int
        Before any fold, train so many epochs on the extra corpora alone, once for each seed; every
        fold then begins with those weights. 0 for none.
    mixup_alpha : float
        Parameter of mixup's beta distribution (Zhang et al., 2018); 0 for no mixup.
    monitor : str
        The quantity that checkpoints, early stopping and the learning rate look at, computed on
        validation speakers; or ``epoch``, which only ever grows: then the last epoch is kept,
        and validation speakers are merely watched.
    patience : int
        Epochs without improvement before training ends.
    reduce_patience, reduce_factor : int, float
        After so many epochs without improvement, the learning rate is multiplied by the factor.
    schedule, warmup_epochs : {"plateau", "cosine"}, int
        What moves the learning rate: the two fields above, or half a cosine that ends at zero
        after `epochs` (Loshchilov and Hutter, 2017), once so many epochs have raised it.
    ema_momentum : float
        Validate and keep a moving average of the weights that holds on to this share of itself at
        each step (Polyak averaging), 0 to 1; 0 for none.
    refit : bool
        Train on the validation speakers too, for `epochs` epochs: how a recipe is measured once
        its settings have been chosen. Only with ``monitor="epoch"``, since nobody is left to
        choose an epoch on.
    """

    epochs: Count = 80
    batch_size: Count = 32
    min_steps: Count = 1
    max_steps: Count | None = None
    learning_rate: Positive = 1e-3
    clip_norm: Positive | None = 1.0
    weight_decay: NonNegative = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: bool = True
    extra_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    extra_epochs: Annotated[int, Field(ge=0)] = 0
    mixup_alpha: NonNegative = 0.0
    monitor: Literal["val_loss", "val_accuracy", "val_uar", "epoch"] = "val_loss"
    patience: Count = 15
    reduce_patience: Count = 6
    reduce_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    schedule: Literal["plateau", "cosine"] = "plateau"
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    ema_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    refit: bool = False

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.refit and self.monitor != "epoch":
            raise ValueError(f"refit needs monitor 'epoch', found {self.monitor!r}")
        if self.max_steps is not None and self.max_steps < self.min_steps:
            raise ValueError(f"max_steps {self.max_steps} is less than min_steps {self.min_steps}")
        return self


@_checked
@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Recipe:
    """A named experiment: everything that decides its result, except the split and the seed.

    Attributes
    ----------
    name : str
        Also the name of its folder under ``reports/``: letters, digits, ``.``, ``_``, ``+`` and
        ``-``, not beginning with a sign.
    description : str
        One line for `ser recipes`.
    corpora : tuple of str
        Names from `ser.corpora`.
    classes : tuple of str
        The classes, in the order of the model's outputs. Clips of other emotions are left out.
    extra_corpora : tuple of str
        Corpora that are only trained on, in every fold, where they have the classes.
    merge : dict
        Common label to class, before `classes` is applied, for example ``{"calm": "neutral"}``.
    protocol : str
        The protocol used where none is named.
    """

    name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
    description: str = ""
    corpora: Annotated[tuple[str, ...], Field(min_length=1)]
    classes: tuple[str, ...]
    extra_corpora: tuple[str, ...] = ()
    merge: dict[str, str] = dataclasses.field(default_factory=dict)
    protocol: str = "speaker-independent"
    audio: AudioConfig = AudioConfig()
    features: FeatureConfig = FeatureConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    masking: MaskingConfig = MaskingConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes needs at least two names and each only once")
        if both := set(self.corpora) & set(self.extra_corpora):
            raise ValueError(f"extra_corpora may hold none of corpora, found {min(both)!r}")
        return self


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a settings dataclass into plain JSON types."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def from_dict(kind: type[T], values: Any, *, source: str = "settings", stored: bool = False) -> T:
    """Check plain values and make a settings dataclass of them; older recipes are read too.

    Fields that are missing have their default. SerError, which begins with `source`, when a field
    is unknown or holds a wrong value. With `stored`, features and augmentations may be named that
    another process registered: a finished run can be looked at without them.
    """
    if kind is Recipe and isinstance(values, dict):
        values = _up_to_date(values)
    before = _STORED.set(stored)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise SerError(f"{source}: {_first_problem(kind, error)}") from error
    finally:
        _STORED.reset(before)


# Fields that recipes no longer have, with the value that says the same as their absence.
_GONE = {"start": None, "encoder_rate": 1.0}
_RENAMED = {
    "residual_lstm": ("residual", {}),
    "cnn_transformer": ("residual", {"sequence": "transformer"}),
    "states_lstm": ("encoder_states", {}),
    "parallel": ("cnn_beside_lstm", {}),
}


def _up_to_date(values: dict[str, Any]) -> dict[str, Any]:
    """Read what an earlier version of this package wrote."""
    values = dict(values)
    if isinstance(training := values.get("training"), dict):
        kept = {k: v for k, v in training.items() if k not in _GONE or v != _GONE[k]}
        values["training"] = kept
    model = values.get("model")
    if isinstance(model, dict) and str(model.get("architecture")) in _RENAMED:
        name, more = _RENAMED[model["architecture"]]
        options = {**more, **model.get("options", {})}
        if options.get("join") == "concatenate":  # the only way there is now
            options = {k: v for k, v in options.items() if k not in ("join", "n_states")}
        values["model"] = {**model, "architecture": name, "options": options}
    return values


def _first_problem(kind: type, error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "unexpected_keyword_argument":
        owner: Any = kind
        for part in location[:-1]:
            owner = type(owner.__dataclass_fields__[part].default)
        allowed = [field.name for field in dataclasses.fields(owner)]
        return str(unknown(f"no field {'.'.join(location)!r}", allowed, location[-1]))
    is_value = isinstance(problem["input"], (str, float, int, list, tuple, type(None)))
    found = f", found {problem['input']!r}" if location and is_value else ""
    message = problem["msg"].removeprefix("Value error, ")
    where = f"{'.'.join(location)}: " if location else ""
    return f"{where}{message}{found}."


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a JSON file."""
    return from_dict(Recipe, read_json(Path(path)), source=str(path))


def changed(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Change settings of a recipe by name.

    Parameters
    ----------
    recipe : Recipe
        Not changed itself.
    settings : mapping
        Dotted names to values, such as ``{"training.learning_rate": 1e-3}``.

    Returns
    -------
    Recipe
        Checked like any other.

    Raises
    ------
    SerError
        When there is no such setting, or the value is not allowed.

    Examples
    --------
    >>> recipe = Recipe(name="mine", corpora=("savee",), classes=("angry", "sad"))
    >>> changed(recipe, {"features.n_mfcc": 20}).features.n_mfcc
    20
    """
    if not (isinstance(settings, Mapping) and all(isinstance(name, str) for name in settings)):
        raise SerError(f"expected settings such as {{'training.epochs': 3}}, found {settings!r}.")
    values = to_dict(recipe)
    for name, value in settings.items():
        *path, last = name.split(".")
        inner = values
        for part in path:
            if not isinstance(inner.get(part), dict):
                raise SerError(f"no setting {name!r}: {part} is no group of settings.")
            inner = inner[part]
        inner[last] = value
    return from_dict(Recipe, values, source=f"recipe {recipe.name}")


def stable_hash(*parts: Any) -> str:
    """Hash settings so that the same values give the same name on any machine.

    The name, description and protocol of a recipe do not count. The code of registered functions
    that the settings name does.
    """
    values = []
    for part in parts:
        value = to_dict(part) if dataclasses.is_dataclass(part) else part
        if isinstance(part, Recipe):
            value = {k: v for k, v in value.items() if k not in ("name", "description", "protocol")}
        values += [value, *_sources(part)]
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sources(part: Any) -> list[str]:
    """Hash what a reader registered and these settings use."""
    if isinstance(part, Recipe):
        return [*_sources(part.features), *_sources(part.augmentation)]
    used: Any = ()
    if isinstance(part, FeatureConfig):
        used = [CUSTOM["features"][name] for name in part.kinds if name in CUSTOM["features"]]
    elif isinstance(part, AugmentationConfig):
        here = CUSTOM["augmentations"]
        used = [here[name] for name in sorted(part.custom_p) if name in here]
    return [code_hash(function) for function in used]
