"""What a user names on the command line becomes a list of recordings."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from ser.project import SerError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au")
STDIN = "-"


def expand(names: Sequence[str]) -> list[str]:
    """Look into folders and patterns."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name != STDIN and path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise SerError(
                    f"{name}: no recording in this folder. Looked for {', '.join(SUFFIXES)}."
                )
            found += [str(p) for p in inside if p.is_file()]
        elif glob.has_magic(name) and not path.exists():
            every = glob.glob(name, recursive=True)  # noqa: PTH207  also of absolute patterns
            matching = sorted(p for p in every if Path(p).is_file())
            if not matching:
                raise SerError(f"{name}: no file matches this pattern.")
            found += matching
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def content(name: str) -> str | bytes:
    """Give what `ser.inference.model.Model.predict` takes."""
    return sys.stdin.buffer.read() if name == STDIN else name
