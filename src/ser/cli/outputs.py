"""Where a command writes is checked before it begins to work."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ser.project import SerError, cannot_write, paths

IMAGES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".eps", ".ps")


def file(
    path: Path | None, option: str, kinds: tuple[str, ...] = (), *, makes_folder: bool = False
) -> None:
    """Refuse a file of another kind, or one whose folder is not there or closed."""
    if path is None:
        return
    if kinds and path.suffix.lower() not in kinds:
        raise SerError(f"{option} {path}: expected a name that ends in {', '.join(kinds)}.")
    with _one_line(path):
        if path.is_dir():
            raise SerError(f"{option} {path}: expected a file, found a folder. Name a file in it.")
        if not makes_folder and not path.parent.is_dir():
            raise SerError(f"{option} {path}: there is no folder {path.parent}. Make it first.")
        if path.exists():
            path.open("ab").close()
        folder(path.parent, option)


def folder(path: Path, option: str) -> None:
    """Refuse a folder that is a file, or that cannot be made or written to."""
    with _one_line(path):
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir():
            raise SerError(f"{option} {path}: expected a folder, found the file {there}.")
        tempfile.TemporaryFile(dir=there).close()


def project() -> None:
    """Refuse a project that cannot be written to."""
    here = paths()
    for place in (here.interim, here.processed, here.runs, here.reports):
        folder(place, "SER_ROOT")


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def lines(path: Path) -> Iterator[TextIO]:
    """Open a file that is written line by line, so that a kill keeps what was finished."""
    with _one_line(path), path.open("w", -1, "utf-8", "backslashreplace", newline="") as out:
        yield out
