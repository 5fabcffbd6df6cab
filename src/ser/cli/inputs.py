"""What a user names on the command line becomes a list of recordings."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from ser.audio import MOST_BYTES
from ser.corpora.folders import walk
from ser.formats import SUFFIXES
from ser.project import AudioError, SerError, some

STDIN = "-"


def expand(names: Sequence[str]) -> list[str]:
    """Look into folders and patterns."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name != STDIN and path.is_dir():
            inside, unreadable, others = walk(path)
            if not inside:
                kinds = ", ".join(sorted(SUFFIXES))
                found_there = f" among {len(others)} files" if others else ""
                raise SerError(
                    f"{name}: no recording in this folder{found_there}. Looked for {kinds}."
                )
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


def piped() -> bytes:
    """Read a recording from standard input."""
    data = sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""  # None: it was closed
    if len(data) > MOST_BYTES:
        most = f"{MOST_BYTES / 1e6:.0f} MB"
        raise AudioError(f"standard input: more than {most} came. Save it to a file first.")
    return data


def summary(names: Sequence[str], n_answered: int, n_failed: int) -> str:
    """Say what became of every file in the folders among `names`; nothing if there are none."""
    folders = [Path(name) for name in names if name != STDIN and Path(name).is_dir()]
    if not folders:
        return ""
    others = [file for folder in folders for file in walk(folder).others]
    parts = [f"{n_answered} answered", f"{n_failed} failed" if n_failed else ""]
    parts += [f"{len(others)} no recordings ({some(others)})" if others else ""]
    total = n_answered + n_failed + len(others)
    return f"{total} file{'s' * (total != 1)}: {', '.join(filter(None, parts))}"
