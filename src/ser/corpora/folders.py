"""Which files under a folder are recordings, and what becomes of each."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ser.formats import BY_FFMPEG, LOSSLESS, LOSSY
from ser.project import some

UNKNOWN, UNREAD = "unknown name", "cannot be read"
OTHER_SIZE, COPY = "name of a clip, but another size", "copy of a clip"
VIDEO = "video of a clip"


def losses(left_out: Mapping[str, Sequence[Any]]) -> list[str]:
    """Name what is left out, a line for each reason."""
    kinds = left_out.items()
    return [f"left out, {why} ({len(lost):,}): {some(lost)}" for why, lost in kinds if lost]


def with_unread(left_out: Mapping[str, int], n_unread: int) -> dict[str, int]:
    """Count clips that gave no features among what is left out."""
    return dict(Counter(left_out) + Counter({UNREAD: n_unread}))


def accounted(n_used: int, left_out: Mapping[str, int]) -> str:
    """Say what became of every file that was found.

    >>> accounted(1248, {"labelled calm": 192})
    '1,440 files found, 1,248 clips used; left out: labelled calm 192'
    """
    n_found = n_used + sum(left_out.values())
    lost = some([f"{why} {n:,}" for why, n in left_out.items()])
    return f"{n_found:,} files found, {n_used:,} clips used{'; left out: ' * bool(lost)}{lost}"


class Found(NamedTuple):
    """What lies under a folder; paths are relative to it."""

    files: list[Path]  # recordings, the best copy of several first
    unreadable: list[Path]  # folders
    others: list[Path]  # files that are no recordings, or hidden, as those that macOS adds


def walk(root: Path) -> Found:
    """List the recordings under a folder, links followed, each folder visited once."""
    files: list[Path] = []
    others: list[Path] = []
    unreadable: list[Path] = []
    visited: set[tuple[int, int]] = set()

    def note(error: OSError) -> None:
        unreadable.append(Path(error.filename).relative_to(root))

    for folder, folders, file_names in os.walk(root, followlinks=True, onerror=note):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name != "__MACOSX" and name[0] != ".")
        relative = Path(folder).relative_to(root)
        for name in file_names:
            is_recording = name[0] != "." and _rank(name) < 3
            (files if is_recording else others).append(relative / name)
    return Found(sorted(files, key=_preference), unreadable, sorted(others))


def _rank(name: str) -> int:
    suffix = Path(name).suffix.lower()
    kinds = (LOSSLESS, LOSSY, BY_FFMPEG)
    return next((rank for rank, kind in enumerate(kinds) if suffix in kind), len(kinds))


def _preference(path: Path) -> tuple[int, int, int, str]:
    text = path.as_posix()
    return _rank(path.name), len(path.parts), len(text), text
