"""What the sound of each file is, measured once and remembered."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from ser import audio
from ser.cache import Cache
from ser.project import AudioError, CacheError

VERSION = 2  # raise it when a fact is computed in another way


@dataclasses.dataclass(frozen=True)
class AudioFacts:
    """Facts of one decoded recording."""

    duration_s: float
    sample_rate_hz: int
    n_channels: int
    peak_dbfs: float
    pcm_sha256: str
    flags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A file that could not be used."""

    path: Path
    reason: str


def measure(path: Path) -> AudioFacts | Problem:
    """Decode one file."""
    if not _is_text(path):
        return Problem(path, "its name, or that of its folder, is not UTF-8: rename it")
    try:
        recording = audio.decode(path)
        heard = audio.to_mono(recording.samples)  # channels that cancel are silence to a feature
    except AudioError as error:
        return Problem(path, str(error).removeprefix(f"{path}: "))
    return AudioFacts(
        duration_s=recording.duration_s,
        sample_rate_hz=recording.file_rate_hz,
        n_channels=recording.n_channels,
        peak_dbfs=audio.peak_dbfs(recording.samples),
        pcm_sha256=recording.pcm_sha256,
        flags=tuple(sorted(audio.warnings_about(heard, truncated=recording.truncated))),
    )


def measure_all(
    files: Sequence[Path], cache: Cache, *, n_jobs: int = 2, progress: bool = True
) -> dict[Path, AudioFacts | Problem]:
    """Measure many files, in parallel, each only once until it changes.

    What is known is in `cache`. Problems are not remembered: a repaired file is seen at once.
    """
    keys = {path: _key(path) for path in files}
    try:
        known = cache.find(keys.values())
        values = dict(zip(known, map(_facts, cache.read(list(known.values()))), strict=True))
    except (CacheError, ValueError, TypeError, KeyError):  # damaged: measured again
        cache.delete()
        values = {}
    results: dict[Path, AudioFacts | Problem] = {
        path: values[key] for path, key in keys.items() if key in values
    }
    todo = [path for path in keys if path not in results]
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(measure)(path) for path in todo
    )
    bar = tqdm(found, total=len(todo), desc="Reading clips", disable=not (progress and todo))
    for path, facts in zip(todo, bar, strict=True):
        results[path] = facts
        if isinstance(facts, AudioFacts):
            cache.put([(keys[path], json.dumps(dataclasses.asdict(facts)).encode())])
    return results


def _is_text(path: Path) -> bool:
    return str(path).encode(errors="ignore") == str(path).encode(errors="surrogatepass")


def _key(path: Path) -> str:
    if not _is_text(path):
        return ""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ""
    return f"{VERSION} {status.st_size} {status.st_mtime_ns} {path}"


def _facts(value: bytes) -> AudioFacts:
    fields = json.loads(value)
    return AudioFacts(**{**fields, "flags": tuple(fields["flags"])})
