"""Features of many clips on disk: cached by content, memory-mapped, parallel, resumable.

The cache key of a row is the configuration of the front end and its code version (the folder's
name), the variant's settings (the file's name) and the SHA-256 of the clip's decoded samples (the
row's key). So nothing is computed twice, and nothing stale is ever read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from ser.audio import decode, to_waveform
from ser.cache import Bank
from ser.config import AudioConfig, AugmentationConfig, FeatureConfig, stable_hash, to_dict
from ser.corpora.metadata import clip_path
from ser.features import augment, extraction
from ser.project import CacheError, SerError, cannot_write, paths, shown, write_json

CHUNK_CLIPS = 16
SERIAL_BELOW_CLIPS = 48  # starting workers takes longer than computing so few

_VERIFIED: set[tuple[Path, int, int, bytes]] = set()  # files, in what state, and which rows


@dataclass(frozen=True)
class FrontEnd:
    """What decides the value of a feature.

    Attributes
    ----------
    audio : AudioConfig
        Sample rate and trimming.
    features : FeatureConfig
        What is computed.
    augmentation : AugmentationConfig
        The waveform variants.
    """

    audio: AudioConfig = AudioConfig()
    features: FeatureConfig = FeatureConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @property
    def folder(self) -> Path:
        """Where the cache of this front end lies."""
        name = stable_hash(self.audio, self.features, extraction.FRONT_END_VERSION)
        return paths().processed / name

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one variant of one clip: (n_rows, n_features)."""
        return self.features.n_rows, len(extraction.feature_names(self.features))

    def stem(self, variant: int) -> Path:
        """Path, without suffix, of the files that hold one variant of all clips."""
        name = augment.variants_hash(self.augmentation)
        return self.folder / ("original" if variant == 0 else f"{name}-{variant:02d}")

    def bank(self, variant: int) -> Bank:
        """Open the files that hold one variant of all clips."""
        half = self.features.kinds[0] in ("whisper", "ssl")
        return Bank(self.stem(variant), self.shape, half=half)


@dataclass(frozen=True)
class FeatureSet:
    """Features of the clips of a table, read from disk as they are asked for.

    Attributes
    ----------
    table : DataFrame
        The clips that have features, in the order of the first axis.
    problems : DataFrame
        Columns ``clip_id``, ``path``, ``reason``: clips that could not be computed.
    n_computed : int
        How many clips were computed by this call; the others came from the cache.
    """

    table: pd.DataFrame
    problems: pd.DataFrame
    n_computed: int
    _banks: list[Bank] = field(repr=False)
    _rows: np.ndarray = field(repr=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_clips, n_variants, n_frames, n_features); variant 0 is the original."""
        n_frames, n_features = self._banks[0].shape
        return len(self.table), len(self._banks), n_frames, n_features

    def take(self, clips: Any, variants: Any = 0) -> np.ndarray:
        """Read features of some clips.

        Parameters
        ----------
        clips : array_like of int, shape (n,)
            Positions in `table`.
        variants : int or array_like of int, shape (n,)
            Which variant of each; 0 is the original.

        Returns
        -------
        ndarray of float32, shape (n, n_frames, n_features)
            A copy in memory.
        """
        clips = np.asarray(clips, dtype=np.int64)
        variants = np.broadcast_to(np.asarray(variants), clips.shape)
        result = np.empty((len(clips), *self._banks[0].shape), np.float32)
        for variant in np.unique(variants):
            chosen = np.flatnonzero(variants == variant)
            result[chosen] = self._banks[variant].take(self._rows[clips[chosen], variant])
        return result

    def positions(self, clip_ids: Any) -> np.ndarray:
        """Find clips by name."""
        found = pd.Index(self.table["clip_id"]).get_indexer(pd.Index(clip_ids))
        return found[found >= 0]

    def verify(self) -> None:
        """Compare every row with its checksum, once in a process unless the file changes."""
        for bank, rows in zip(self._banks, self._rows.T, strict=True):
            file = bank.data_path.stat()
            state = (bank.data_path, file.st_mtime_ns, file.st_size, rows.tobytes())
            if state not in _VERIFIED:  # ten gigabytes of states take a minute
                bank.verify(rows)
                _VERIFIED.add(state)


def build(
    table: pd.DataFrame,
    front_end: FrontEnd,
    *,
    n_jobs: int = -1,
    progress: bool = True,
    cluster: str | None = None,
    repair: bool = False,
) -> FeatureSet:
    """Compute the features that are not cached yet, and open all of them.

    Parameters
    ----------
    table : DataFrame
        Rows of the metadata table.
    front_end : FrontEnd
        What to compute.
    n_jobs : int
        Worker processes, as joblib counts them; -1 is one for each core.
    progress : bool
        Show a progress bar.
    cluster : str, optional
        Address of a Dask scheduler, for example ``tcp://10.0.0.1:8786``, whose workers see the
        same files; the loop runs there instead.
    repair : bool
        Check every cached value first, and compute damaged files again.

    Returns
    -------
    FeatureSet
        Features of all clips that could be read. One bad file does not stop the others: it is
        listed in ``problems``.

    Raises
    ------
    SerError
        When no clip could be read at all, the disk is full, or another process is writing the
        same cache. What was computed before is kept.
    """
    variants = range(front_end.augmentation.n_variants + 1)
    if repair:
        _delete_damaged(front_end, variants)
    banks = [front_end.bank(variant) for variant in variants]
    keys = table["pcm_sha256"].tolist()
    first: dict[str, int] = {}
    for position, key in enumerate(keys):
        first.setdefault(key, position)
    missing = {
        key: [v for v in variants if key not in banks[v]]
        for key in first
        if any(key not in bank for bank in banks)
    }
    reasons: dict[str, str] = {}
    if missing:
        jobs = [(clip_path(table.iloc[first[k]]), k, tuple(v)) for k, v in missing.items()]
        reasons = _compute_all(jobs, front_end, banks, n_jobs, progress, cluster)
        for bank in banks:
            bank.refresh()
    return _open(table, banks, reasons, len(missing) - len(reasons))


def _open(
    table: pd.DataFrame, banks: list[Bank], reasons: dict[str, str], n_computed: int
) -> FeatureSet:
    failed = table["pcm_sha256"].isin(list(reasons)).to_numpy()
    problems = table.loc[failed, ["clip_id", "path"]].copy()
    problems["reason"] = table.loc[failed, "pcm_sha256"].map(reasons)
    good = table.loc[~failed].reset_index(drop=True)
    if good.empty:
        why = f" The first reason: {problems['reason'].iloc[0]}" if len(problems) else ""
        raise SerError(f"none of the {len(table)} clips gave features.{why}")
    keys = good["pcm_sha256"].tolist()
    rows = np.stack([bank.rows(keys) for bank in banks], axis=1)
    return FeatureSet(good, problems.reset_index(drop=True), n_computed, banks, rows)


def _compute_all(
    jobs: list[tuple[Path, str, tuple[int, ...]]],
    front_end: FrontEnd,
    banks: list[Bank],
    n_jobs: int,
    progress: bool,
    cluster: str | None,
) -> dict[str, str]:
    """Run the jobs, append what comes back in order, and return reasons of failure by key."""
    reasons: dict[str, str] = {}
    chunks = [jobs[i : i + CHUNK_CLIPS] for i in range(0, len(jobs), CHUNK_CLIPS)]
    with (
        _locked(front_end),
        _backend(cluster, n_jobs if len(jobs) >= SERIAL_BELOW_CLIPS else 1) as workers,
        tqdm(total=len(jobs), desc="features", unit="clip", disable=not progress) as bar,
    ):
        results = workers(delayed(_compute_chunk)(chunk, front_end) for chunk in chunks)
        for chunk, (done, failed) in zip(chunks, results, strict=True):
            for variant, items in done.items():
                banks[variant].append(items)
            reasons.update(failed)
            bar.update(len(chunk))
            if reasons:
                bar.set_postfix(failed=len(reasons))
    return reasons


def _compute_chunk(
    chunk: list[tuple[Path, str, tuple[int, ...]]], front_end: FrontEnd
) -> tuple[dict[int, list[tuple[str, np.ndarray]]], dict[str, str]]:
    done: dict[int, list[tuple[str, np.ndarray]]] = {}
    failed: dict[str, str] = {}
    for path, key, variants in chunk:
        try:
            arrays = [(v, _compute_one(path, key, v, front_end)) for v in variants]
        except SerError as error:
            failed[key] = str(error)
        except Exception as error:  # one odd file must not stop twelve thousand others
            failed[key] = f"{path}: {type(error).__name__}: {error}"
        else:
            for variant, array in arrays:
                done.setdefault(variant, []).append((key, array))
    return done, failed


def _compute_one(path: Path, key: str, variant: int, front_end: FrontEnd) -> np.ndarray:
    recording = decode(path)
    if recording.pcm_sha256 != key:
        raise CacheError(f"{path}: changed since the metadata was made. Run `ser metadata` again.")
    rate = front_end.audio.sample_rate_hz
    waveform = to_waveform(recording.samples, recording.sample_rate_hz, front_end.audio)
    waveform = augment.variant(waveform, rate, front_end.augmentation, content=key, number=variant)
    array = extraction.extract(waveform, rate, front_end.features)
    if not np.isfinite(array).all():
        raise SerError(f"{path}: its features are not finite numbers.")
    return extraction.to_rows(array, front_end.features)


@contextlib.contextmanager
def _backend(cluster: str | None, n_jobs: int) -> Iterator[Parallel]:
    if cluster is None:
        with Parallel(n_jobs, return_as="generator", batch_size=1) as workers:
            yield workers
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise SerError(
            "a Dask cluster needs the `distributed` package: pip install 'ser-honest[cluster]'."
        ) from error
    try:
        client = Client(cluster, timeout="20s")
    except (OSError, ValueError, TimeoutError) as error:
        raise SerError(
            f"no Dask scheduler answers at {cluster!r}. Start one with `dask scheduler` and give "
            "its address, such as tcp://127.0.0.1:8786."
        ) from error
    with client, parallel_config("dask", wait_for_workers_timeout=60):
        yield Parallel(n_jobs=-1, return_as="generator", batch_size=1)


@contextlib.contextmanager
def _locked(front_end: FrontEnd) -> Iterator[None]:
    folder = front_end.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        with lock.acquire(timeout=1):
            write_json(
                folder / "config.json",
                {"audio": to_dict(front_end.audio), "features": to_dict(front_end.features)},
            )
            yield
    except Timeout as error:
        raise CacheError(
            f"{shown(folder)}: another process is writing these features. Wait for it and try "
            "again."
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error


def _delete_damaged(front_end: FrontEnd, variants: range) -> None:
    for variant in variants:
        stem = front_end.stem(variant)
        try:
            bank = front_end.bank(variant)
            bank.verify(np.arange(len(bank)))
        except CacheError:
            Bank.delete(stem)
