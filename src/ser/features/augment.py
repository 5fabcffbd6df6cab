"""A waveform becomes another one of the same emotion; masks and mixup for feature batches.

Waveform changes are audiomentations'. Each variant of a clip has a seed of its own, made from
the clip's content, the variant's number and the configured seed, so it comes out the same on any
machine, in any order, with any number of workers.
"""

import contextlib
import dataclasses
import functools
import hashlib
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import soxr

from ser.config import AugmentationConfig, MaskingConfig, stable_hash
from ser.features import custom
from ser.project import SerError

# Part of every cache key. Raise it when a change here changes any variant.
AUGMENTATION_VERSION = f"1-audiomentations-{version('audiomentations')}"
CHANGES = ("stretch", "pitch", "shift", "room", "band_pass", "gain", "noise", "speed")

_BORROWED = threading.Lock()
_GLOBAL = {"random": random, "np": np}  # as audiomentations imports them


def variant(
    waveform: np.ndarray,
    sample_rate_hz: int,
    config: AugmentationConfig,
    *,
    content: str,
    number: int,
) -> np.ndarray:
    """Make one variant of a clip."""
    if number == 0:
        return waveform
    seed = variant_seed(config, content=content, number=number)
    return apply(waveform, sample_rate_hz, config, rng=np.random.default_rng(seed))


def variant_seed(config: AugmentationConfig, *, content: str, number: int) -> int:
    """Derive a variant's seed from what it is a variant of."""
    digest = hashlib.sha256(f"{content} {number} {config.seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def variants_hash(config: AugmentationConfig) -> str:
    """Name what decides the variants, whatever their number."""
    return stable_hash(dataclasses.replace(config, n_variants=0), AUGMENTATION_VERSION)


def apply(
    waveform: np.ndarray,
    sample_rate_hz: int,
    config: AugmentationConfig,
    *,
    rng: np.random.Generator,
    only: str | None = None,
) -> np.ndarray:
    """Draw changes and apply them, in the order of ``CHANGES``.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        Not changed.
    sample_rate_hz : int
        Its rate.
    config : AugmentationConfig
        Which changes, how strong, how likely.
    rng : numpy.random.Generator
        Where all chance comes from.
    only : str, optional
        Apply just this change, for certain; one of ``CHANGES``. For hearing what each one does.

    Returns
    -------
    ndarray of float32, shape (any,)
        Not clipped: a gain may take samples over full scale.

    Raises
    ------
    ValueError
        When `only` is none of ``CHANGES``.
    """
    allowed = (*CHANGES, *config.custom_p)
    if only is not None and only not in allowed:
        raise ValueError(f"no change {only!r}. Allowed: {', '.join(allowed)}.")
    transforms = _transforms(config)
    result = waveform
    for name in CHANGES:
        probability = getattr(config, f"{name}_p")
        drawn, seed = rng.random() < probability, int(rng.integers(2**32))
        if drawn if only is None else name == only:
            if name == "speed":
                changed = _speed(result, config.speed_rate, seed)
            else:
                with _seeded(seed):
                    changed = transforms[name](samples=result, sample_rate=sample_rate_hz)
            # a room must not also make the voice louder: what changes the level is the gain
            result = changed * _level_ratio(result, changed) if name == "room" else changed
    for name in sorted(config.custom_p) if only is None else set(config.custom_p) & {only}:
        drawn, seed = rng.random() < config.custom_p[name], int(rng.integers(2**32))
        if drawn or name == only:
            result = _custom(name, result, sample_rate_hz, seed)
    return np.ascontiguousarray(result, dtype=np.float32)


def _custom(name: str, samples: np.ndarray, sample_rate_hz: int, seed: int) -> np.ndarray:
    """Call a registered augmentation and check its answer."""
    rng = np.random.default_rng(seed)
    found = custom.call("augmentations", name, samples, sample_rate_hz, rng)
    if found.ndim != 1 or not len(found):
        raise SerError(
            f"augmentation {name!r}: expected samples of shape (n_samples,), found {found.shape}."
        )
    return found


def register(name: str) -> Callable[[custom.Function], custom.Function]:
    """Register an augmentation; from then on ``AugmentationConfig.custom_p`` may name it.

    Parameters
    ----------
    name : str
        A Python name that no built-in augmentation has.

    Returns
    -------
    callable
        Decorator of a function ``(samples, sample_rate_hz, rng) -> samples``: float32 of shape
        ``(n_samples,)``, and a `numpy.random.Generator` that all its chance must come from. Any
        length may come back.

    Raises
    ------
    SerError
        When the name is built in, or no name.

    Examples
    --------
    >>> @register("echo")
    ... def echo(samples, sample_rate_hz, rng):
    ...     return samples + 0.5 * np.roll(samples, int(0.1 * sample_rate_hz))
    >>> AugmentationConfig(n_variants=2, custom_p={"echo": 0.5}).custom_p
    {'echo': 0.5}
    >>> del custom.CUSTOM["augmentations"]["echo"]
    """
    return custom.register("augmentations", name, CHANGES)


def _level_ratio(before: np.ndarray, after: np.ndarray) -> float:
    """Give the factor that brings `after` to the root mean square of `before`."""
    power = float(np.mean(np.square(after, dtype=np.float64)))
    return float(np.sqrt(np.mean(np.square(before, dtype=np.float64)) / power)) if power else 1.0


def _transforms(c: AugmentationConfig) -> dict[str, Callable[..., np.ndarray]]:
    import audiomentations  # takes seconds, and a worker that makes no variants needs it not

    low, high = c.shift_fraction
    return {
        "stretch": audiomentations.TimeStretch(*c.stretch_rate, leave_length_unchanged=False, p=1),
        "pitch": audiomentations.PitchShift(*c.pitch_semitones, p=1),
        "shift": audiomentations.Shift(low, high, rollover=False, p=1),
        # image sources only: ray tracing draws from a generator that cannot be seeded
        "room": audiomentations.RoomSimulator(
            use_ray_tracing=False, max_order=6, leave_length_unchanged=True, p=1
        ),
        "band_pass": audiomentations.BandPassFilter(min_center_freq=800, max_center_freq=3000, p=1),
        "gain": audiomentations.Gain(*c.gain_db, p=1),
        "noise": audiomentations.AddGaussianSNR(*c.noise_snr_db, p=1),
    }


def _speed(waveform: np.ndarray, rates: tuple[float, float], seed: int) -> np.ndarray:
    """Play a clip at another speed; audiomentations has only stretching that keeps the pitch."""
    rate = np.random.default_rng(seed).uniform(*rates)
    return soxr.resample(waveform, rate, 1.0)


class _Numpy:
    """NumPy, with random numbers from a generator of its own."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@functools.cache
def _drawing() -> list[tuple[Any, str]]:
    """Name what audiomentations draws from: a module, and what it calls the generator there."""
    theirs = [m for name, m in sys.modules.items() if name.startswith("audiomentations.")]
    return [(m, name) for m in theirs for name in _GLOBAL if getattr(m, name, 0) is _GLOBAL[name]]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let audiomentations draw from generators of its own: it takes whatever is global."""
    own = {"random": random.Random(seed), "np": _Numpy(seed)}
    with _BORROWED, warnings.catch_warnings(), contextlib.ExitStack() as until:
        warnings.filterwarnings("ignore", module="audiomentations")
        for module, name in _drawing():
            until.callback(setattr, module, name, _GLOBAL[name])
            setattr(module, name, own[name])
        yield


def mask(batch: np.ndarray, config: MaskingConfig, *, rng: np.random.Generator) -> np.ndarray:
    """Hide stretches of time and bands of features (SpecAugment).

    Parameters
    ----------
    batch : ndarray, shape (n_clips, n_frames, n_features)
        Not changed. Rows that are zero throughout are padding.
    config : MaskingConfig
        How many masks, how wide.
    rng : numpy.random.Generator
        Where all chance comes from.

    Returns
    -------
    ndarray, shape (n_clips, n_frames, n_features)
        Hidden values are replaced by the clip's own mean of that feature over its unpadded frames.

    References
    ----------
    Park et al., "SpecAugment", Interspeech 2019.
    """
    if not config.n_time_masks and not config.n_feature_masks:
        return batch
    batch = batch.copy()
    n_features = batch.shape[2]
    for clip in batch:
        n_valid = n_valid_frames(clip)
        if n_valid == 0:
            continue
        mean = clip[:n_valid].mean(axis=0)
        for _ in range(config.n_time_masks):
            width = int(rng.integers(min(config.max_time_frames, n_valid // 2) + 1))
            start = int(rng.integers(n_valid - width + 1))
            clip[start : start + width] = mean
        for _ in range(config.n_feature_masks):
            width = int(rng.integers(min(config.max_feature_bins, n_features // 2) + 1))
            start = int(rng.integers(n_features - width + 1))
            clip[:n_valid, start : start + width] = mean[start : start + width]
    return batch


def n_valid_frames(clip: np.ndarray) -> int:
    """Count the frames before the padding."""
    return int(np.max(np.flatnonzero(np.any(clip != 0, axis=1)), initial=-1)) + 1


def mixup(
    batch: np.ndarray, targets: np.ndarray, alpha: float, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend every clip with another one of the batch, and their labels alike."""
    if alpha <= 0 or len(batch) < 2:
        return batch, targets
    share = rng.beta(alpha, alpha, size=len(batch)).astype(batch.dtype)
    share = np.maximum(share, 1 - share)
    partner = rng.permutation(len(batch))
    weight = share[:, None, None]
    mixed = weight * batch + (1 - weight) * batch[partner]
    return mixed, share[:, None] * targets + (1 - share[:, None]) * targets[partner]
