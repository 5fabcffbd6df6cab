"""What the sound of each file is, measured once and remembered."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from joblib import Parallel, delayed
from tqdm.auto import tqdm

from ser import audio
from ser.project import AudioError, cannot_write

VERSION = 1  # raise it when a fact is computed in another way


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
    """Decode one file.

    Parameters
    ----------
    path : Path
        Anything `ser.audio.decode` reads.

    Returns
    -------
    AudioFacts or Problem
        A `Problem` where the file cannot be decoded: nothing is raised.
    """
    try:
        recording = audio.decode(path)
    except AudioError as error:
        return Problem(path, str(error).removeprefix(f"{path}: "))
    return AudioFacts(
        duration_s=recording.duration_s,
        sample_rate_hz=recording.sample_rate_hz,
        n_channels=recording.samples.shape[1],
        peak_dbfs=audio.peak_dbfs(recording.samples),
        pcm_sha256=recording.pcm_sha256,
        flags=tuple(sorted(audio.warnings_about(recording.samples))),
    )


def measure_all(
    files: Sequence[Path], cache: Path, *, n_jobs: int = 2, progress: bool = True
) -> dict[Path, AudioFacts | Problem]:
    """Measure many files, in parallel, each only once until it changes."""
    known = _read_cache(cache)
    keys = {path: _key(path) for path in files}
    results: dict[Path, AudioFacts | Problem] = {
        path: known[key] for path, key in keys.items() if key in known
    }
    todo = [path for path in keys if path not in results]
    if not todo:
        return results
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(measure)(path) for path in todo
    )
    bar: Iterable[Any] = tqdm(found, total=len(todo), desc="Reading clips", disable=not progress)
    with _appending(cache) as file:
        for path, facts in zip(todo, bar, strict=True):
            results[path] = facts
            if isinstance(facts, AudioFacts):
                file.write(json.dumps([keys[path], dataclasses.asdict(facts)]) + "\n")
    return results


def _key(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ""
    return f"{VERSION} {status.st_size} {status.st_mtime_ns} {path}"


def _read_cache(cache: Path) -> dict[str, AudioFacts]:
    """Read what is known; lines cut short by a kill or damaged since are measured again."""
    known = {}
    try:
        lines = cache.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            key, values = json.loads(line)
            known[key] = AudioFacts(**{**values, "flags": tuple(values["flags"])})
    return known


@contextlib.contextmanager
def _appending(cache: Path) -> Iterator[TextIO]:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.open("a", encoding="utf-8", buffering=1) as file:
            file.write("\n")  # closes a line that a kill cut short
            yield file
    except OSError as error:
        raise cannot_write(cache, error) from error
