"""Features of many clips on disk: cached by content, parallel, resumable.

The cache key of a row is the configuration of the front end, the code of registered features and
the versions of what computes them (the folder's name), the clip's decoded samples and the settings
of the variant (the row's key). So nothing is computed twice, and nothing stale is ever read.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from ser.audio import decode, to_waveform
from ser.cache import Cache
from ser.config import AudioConfig, AugmentationConfig, FeatureConfig, stable_hash, to_dict
from ser.corpora.metadata import clip_paths
from ser.features import augment, custom, extraction, ssl
from ser.formats import Limits
from ser.project import SerError, alone, paths, processes, some, write_json

CHUNK_CLIPS = 16
SERIAL_BELOW_CLIPS = 48  # starting workers takes longer than computing so few

Job = tuple[Path, str, tuple[int, ...]]  # a file, its samples' hash, numbers of variants

_VERIFIED: set[tuple[Path, int, int, bytes]] = set()  # files, in what state, and which rows


@functools.cache
def _all_halves() -> np.ndarray:
    """Every number of half precision in single precision; looking up is five times as fast."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


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
        parts = [self.audio, self.features, extraction.FRONT_END_VERSION]
        if "ssl" in self.features.kinds:
            parts.append(ssl.origin(self.features.encoder or ""))
        return paths().processed / stable_hash(*parts)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one variant of one clip: (n_rows, n_features)."""
        return self.features.n_rows, len(extraction.feature_names(self.features))

    @property
    def dtype(self) -> str:
        """How values lie on disk: an encoder's states, which are many, in half precision."""
        return "<f2" if self.features.kinds[0] in ("whisper", "ssl") else "<f4"

    @property
    def variants(self) -> list[str]:
        """Names of the original and of each variant, for the rows' keys."""
        name = augment.variants_hash(self.augmentation)
        return ["original", *(f"{name}-{i + 1:02d}" for i in range(self.augmentation.n_variants))]

    def cache(self) -> Cache:
        """Open the file that holds all variants of all clips."""
        return Cache(self.folder / "features.sqlite")


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
    _front_end: FrontEnd = field(repr=False)
    _cache: Cache = field(repr=False)
    _rows: np.ndarray = field(repr=False)

    @functools.cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_clips, n_variants, n_frames, n_features); variant 0 is the original."""
        return *self._rows.shape, *self._front_end.shape

    @property
    def reasons(self) -> dict[str, str]:
        """Why clips could not be computed, by clip id, without the path of each."""
        rows = zip(self.problems["clip_id"], self.problems["reason"], strict=True)
        return {clip: reason.partition(": ")[2] or reason for clip, reason in rows}

    @property
    def losses(self) -> str:
        """What is left out, in one line; empty where nothing is."""
        if not len(self.problems):
            return ""
        n_clips = len(self.problems) + len(self.table)
        each = [f"{clip} ({reason})" for clip, reason in self.reasons.items()]
        return (
            f"left out, {len(each)} of {n_clips} clips that cannot be read: {some(each, 3)}. Put "
            "them back, or run `ser metadata` again."
        )

    def take(self, clips: Any, variants: Any = 0) -> np.ndarray:
        """Read features (n, n_frames, n_features) of some clips: positions in `table`.

        `variants` says which variant of each, or of all; 0 is the original.
        """
        rows = self._rows[np.asarray(clips, np.int64), np.asarray(variants)]
        shape, kind = self.shape[2:], np.dtype(self._front_end.dtype)
        result = np.empty((len(rows), *shape), np.float32)
        for place, value in enumerate(self._cache.read(rows.tolist())):
            found = np.frombuffer(value, kind).reshape(shape)
            result[place] = _all_halves()[found.view("<u2")] if kind.itemsize == 2 else found
        return result

    def positions(self, clip_ids: Any) -> np.ndarray:
        """Find clips by name."""
        found = pd.Index(self.table["clip_id"]).get_indexer(pd.Index(clip_ids))
        return found[found >= 0]

    def verify(self) -> None:
        """Compare every row with its checksum, once in a process unless the file changes."""
        file = self._cache.file.stat()
        state = (self._cache.file, file.st_mtime_ns, file.st_size, self._rows.tobytes())
        if state in _VERIFIED:  # ten gigabytes of states take a minute
            return
        sounds, variants = self.table["pcm_sha256"], self._front_end.variants
        for variant, rows in zip(variants, self._rows.T.tolist(), strict=True):
            keys = (f"{sound} {variant}" for sound in sounds)
            self._cache.verify(dict(zip(keys, rows, strict=True)))
        _VERIFIED.add(state)


def build(
    table: pd.DataFrame,
    front_end: FrontEnd,
    *,
    n_jobs: int = -1,
    progress: bool = True,
    cluster: str | None = None,
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
    sounds, variants = table["pcm_sha256"].tolist(), front_end.variants
    keys = [[f"{sound} {variant}" for variant in variants] for sound in sounds]
    every_key = [key for of_clip in keys for key in of_clip]
    cache = front_end.cache()
    known = cache.find(every_key)
    reasons: dict[str, str] = {}
    n_computed = 0
    if len(known) < len(set(every_key)):
        with alone(front_end.folder / ".lock", "computes these features"):
            write_json(
                front_end.folder / "config.json",
                {"audio": to_dict(front_end.audio), "features": to_dict(front_end.features)},
            )
            known = cache.find(every_key)  # another process may have computed them meanwhile
            missing = {
                sound: tuple(number for number, key in enumerate(of_clip) if key not in known)
                for sound, of_clip in zip(sounds, keys, strict=True)
            }
            todo = table[[bool(missing[sound]) for sound in sounds]].drop_duplicates("pcm_sha256")
            jobs: list[Job] = [
                (path, sound, missing[sound])
                for path, sound in zip(clip_paths(todo), todo["pcm_sha256"], strict=True)
            ]
            reasons = _compute_all(jobs, front_end, cache, n_jobs, progress, cluster)
        known = cache.find(every_key)
        n_computed = len(jobs) - len(reasons)
    failed = table["pcm_sha256"].isin(list(reasons)).to_numpy()
    problems = table.loc[failed, ["clip_id", "path"]].copy()
    problems["reason"] = table.loc[failed, "pcm_sha256"].map(reasons)
    good = table.loc[~failed].reset_index(drop=True)
    if good.empty:
        why = f" The first reason: {problems['reason'].iloc[0]}" if len(problems) else ""
        raise SerError(f"none of the {len(table)} clips gave features.{why}")
    wanted = [of_clip for of_clip, bad in zip(keys, failed, strict=True) if not bad]
    if lost := [key for of_clip in wanted for key in of_clip if key not in known]:
        raise cache.damaged(f"{lost[0][:12]}… was written and is not there")
    found = np.array([[known[key] for key in of_clip] for of_clip in wanted], np.int64)
    return FeatureSet(good, problems.reset_index(drop=True), n_computed, front_end, cache, found)


def _compute_all(
    jobs: list[Job],
    front_end: FrontEnd,
    cache: Cache,
    n_jobs: int,
    progress: bool,
    cluster: str | None,
) -> dict[str, str]:
    """Run the jobs, append what comes back in order, and return reasons of failure by key."""
    reasons: dict[str, str] = {}
    chunks = [jobs[i : i + CHUNK_CLIPS] for i in range(0, len(jobs), CHUNK_CLIPS)]
    sent = custom.pack(front_end.features, front_end.augmentation)
    with (
        _pool(cluster, n_jobs if len(jobs) >= SERIAL_BELOW_CLIPS else 1) as run,
        tqdm(total=len(jobs), desc="features", unit="clip", disable=not progress) as bar,
    ):
        results = run(delayed(_compute_chunk)(chunk, front_end, sent) for chunk in chunks)
        for chunk, (done, failed) in zip(chunks, results, strict=True):
            cache.put((key, array.astype(front_end.dtype).tobytes()) for key, array in done)
            reasons.update(failed)
            bar.update(len(chunk))
            if reasons:
                bar.set_postfix(failed=len(reasons))
    return reasons


def _compute_chunk(
    chunk: list[Job], front_end: FrontEnd, sent: bytes
) -> tuple[list[tuple[str, np.ndarray]], dict[str, str]]:
    custom.unpack(sent)
    done: list[tuple[str, np.ndarray]] = []
    failed: dict[str, str] = {}
    variants = front_end.variants
    for path, sound, numbers in chunk:
        try:
            arrays = [(i, _compute_one(path, sound, i, front_end)) for i in numbers]
            expected = front_end.shape
            if wrong := [array.shape for _, array in arrays if array.shape != expected]:
                raise SerError(
                    f"{path}: {', '.join(front_end.features.kinds)}: expected features of shape "
                    f"{expected}, found {wrong[0]}. A feature of your own must give as many "
                    "values for every recording."
                )
        except SerError as error:
            failed[sound] = str(error)
        except Exception as error:  # one odd file must not stop twelve thousand others
            failed[sound] = f"{path}: {type(error).__name__}: {error}"
        else:
            done += [(f"{sound} {variants[i]}", array) for i, array in arrays]
    return done, failed


def _compute_one(path: Path, key: str, variant: int, front_end: FrontEnd) -> np.ndarray:
    recording = decode(path, Limits(heard_hz=front_end.audio.sample_rate_hz))
    if recording.pcm_sha256 != key:
        raise SerError(f"{path}: changed since the metadata was made. Run `ser metadata` again.")
    rate = front_end.audio.sample_rate_hz
    waveform = to_waveform(recording.samples, recording.sample_rate_hz, front_end.audio)
    waveform = augment.variant(waveform, rate, front_end.augmentation, content=key, number=variant)
    array = extraction.extract(waveform, rate, front_end.features)
    if not np.isfinite(array).all():
        raise SerError(f"{path}: its features are not finite numbers.")
    return extraction.to_rows(array, front_end.features)


@contextlib.contextmanager
def _pool(cluster: str | None, n_jobs: int) -> Iterator[Parallel]:
    """Start processes on this machine, or use those of a Dask scheduler."""
    if cluster is None:
        with processes(n_jobs, return_as="generator", batch_size=1) as workers:
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
