"""Which files under a folder are recordings."""

from __future__ import annotations

import os
from pathlib import Path

from ser.formats import BY_FFMPEG, LOSSLESS, LOSSY


def walk(root: Path) -> tuple[list[Path], list[Path]]:
    """List the recordings under a folder, links followed, each folder visited once."""
    files: list[Path] = []
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
        files += [relative / name for name in file_names if name[0] != "." and _rank(name) < 3]
    return sorted(files, key=_preference), unreadable


def _rank(name: str) -> int:
    suffix = Path(name).suffix.lower()
    kinds = (LOSSLESS, LOSSY, BY_FFMPEG)
    return next((rank for rank, kind in enumerate(kinds) if suffix in kind), len(kinds))


def _preference(path: Path) -> tuple[int, int, int, str]:
    text = path.as_posix()
    return _rank(path.name), len(path.parts), len(text), text
