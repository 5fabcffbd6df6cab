"""What a user names on the command line becomes a list of recordings."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from ser.corpora.folders import walk
from ser.formats import SUFFIXES
from ser.project import SerError

STDIN = "-"


def expand(names: Sequence[str]) -> list[str]:
    """Look into folders and patterns."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name != STDIN and path.is_dir():
            inside, unreadable = walk(path)
            if not inside:
                kinds = ", ".join(sorted(SUFFIXES))
                raise SerError(f"{name}: no recording in this folder. Looked for {kinds}.")
            found += sorted(str(path / file) for file in (*inside, *unreadable))
        elif glob.has_magic(name) and not path.exists():
            every = glob.glob(name, recursive=True)  # noqa: PTH207  also of absolute patterns
            matching = sorted(p for p in every if Path(p).is_file())
            if not matching:
                raise SerError(f"{name}: no file matches this pattern.")
            found += matching
        else:
            found.append(name)
    return list(dict.fromkeys(found))
