"""Features and augmentations of a reader's own, registered by name.

Their code is part of every cache key and run name that uses them (`ser.config.stable_hash`), so an
edited one is computed anew. Worker processes get the functions with each job.
"""

import functools
import pickle
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import cloudpickle
import numpy as np

from ser.config import CUSTOM, FEATURE_KINDS, AugmentationConfig, FeatureConfig
from ser.fingerprint import code_hash, is_readers
from ser.project import SerError

Function = TypeVar("Function", bound=Callable[..., Any])
HERE = uuid.uuid4()  # this process
PROBE_HZ = 16_000  # a second of faint noise; how a feature's width is found


def register(what: str, name: str, built_in: tuple[str, ...]) -> Callable[[Function], Function]:
    """Make the decorator that puts a function under a name; a later one replaces it."""
    if name in built_in or not name.isidentifier():
        raise SerError(
            f"{what}: {name!r} cannot be registered: it is built in, or no Python name. Choose "
            "another."
        )

    def keep(function: Function) -> Function:
        CUSTOM[what][name] = function
        return function

    return keep


def feature(name: str) -> Callable[[Function], Function]:
    """Register a feature; from then on its name is valid in ``FeatureConfig.kinds``.

    Parameters
    ----------
    name : str
        A Python name that no built-in feature has.

    Returns
    -------
    callable
        Decorator of a function ``(samples, sample_rate_hz, config)``, whose `samples` are float32
        of shape ``(n_samples,)`` and whose `config` is the `FeatureConfig`. It gives an array of
        shape ``(n_frames,)`` or ``(n_frames, n_values)``, a frame for each ``hop_length`` samples
        as librosa's features have (``1 + n_samples // hop_length``).

    Raises
    ------
    SerError
        When the name is built in, or no name.

    Examples
    --------
    >>> @feature("loudness")
    ... def loudness(samples, sample_rate_hz, config):
    ...     import librosa
    ...     return librosa.feature.rms(y=samples, hop_length=config.hop_length)[0]
    >>> FeatureConfig(kinds=("mfcc", "loudness")).kinds
    ('mfcc', 'loudness')
    >>> del CUSTOM["features"]["loudness"]
    """
    return register("features", name, FEATURE_KINDS)


def call(what: str, name: str, *arguments: Any) -> np.ndarray:
    """Call a registered function; its answer as finite float32, or one line about it."""
    if name not in CUSTOM[what]:
        raise SerError(
            f"{what[:-1]} {name!r} is not in this process. Run the cell that registers it first."
        )
    try:
        found = np.asarray(CUSTOM[what][name](*arguments), np.float32)
    except Exception as error:  # whatever a reader's cell may raise
        why = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise SerError(f"{what[:-1]} {name!r} failed: {why}.") from error
    if not np.isfinite(found).all():
        raise SerError(f"{what[:-1]} {name!r}: expected finite numbers, found NaN or infinite.")
    return found


def compute(name: str, samples: np.ndarray, sample_rate_hz: int, config: FeatureConfig) -> Any:
    """Compute a registered feature: float32 of shape (n_values, n_frames)."""
    n_frames = 1 + len(samples) // config.hop_length
    found = call("features", name, samples, sample_rate_hz, config)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or abs(len(found) - n_frames) > 1:
        raise SerError(
            f"feature {name!r}: expected an array of shape ({n_frames}, n_values), a frame for "
            f"each {config.hop_length} samples, found {found.shape}."
        )
    missing = n_frames - len(found)
    return np.pad(found, ((0, max(0, missing)), (0, 0)), mode="edge")[:n_frames].T


def width(name: str, config: FeatureConfig) -> int:
    """Tell how many values a registered feature has in each frame."""
    return _width(code_hash(CUSTOM["features"][name]), name, config)


@functools.lru_cache(maxsize=64)
def _width(_code: str, name: str, config: FeatureConfig) -> int:
    noise = np.random.default_rng(0).normal(0, 0.01, max(config.n_fft, PROBE_HZ))
    return len(compute(name, noise.astype(np.float32), PROBE_HZ, config))


def pack(features: FeatureConfig, augmentation: AugmentationConfig) -> bytes:
    """Pickle by value the registered functions that settings use, for a worker process."""
    used = {
        "features": {k: f for k, f in CUSTOM["features"].items() if k in features.kinds},
        "augmentations": {k: CUSTOM["augmentations"][k] for k in augmentation.custom_p},
    }
    if not any(used.values()):
        return b""
    return by_value((HERE, used), [f for kind in used.values() for f in kind.values()])


def by_value(value: Any, functions: Iterable[Any]) -> bytes:
    """Pickle a value; of these functions the code, not the name, if they are a reader's."""
    # else a worker would import what the file held when it began
    modules = {f.__module__ for f in functions if f is not None and is_readers(f)} - {"__main__"}
    for name in modules:
        cloudpickle.register_pickle_by_value(sys.modules[name])
    try:
        return cloudpickle.dumps(value)
    finally:
        for name in modules:
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


def unpack(sent: bytes) -> None:
    """Register in this process what `pack` wrote in another."""
    sender, used = pickle.loads(sent) if sent else (HERE, {})
    if sender == HERE:  # a copy would not see what other cells change
        return
    for what, functions in used.items():
        CUSTOM[what].update(functions)
