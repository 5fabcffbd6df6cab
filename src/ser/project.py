"""Where data, models and reports lie; the error that users see; files that are whole or absent."""

from __future__ import annotations

import contextlib
import difflib
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from joblib import Parallel

# what a terminal obeys instead of showing it: controls, changes of direction, halves of characters
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MODEL_FILE = "model.keras"  # of a run folder
MOST_JSON_BYTES = 30_000_000  # what lists every clip of a corpus has a tenth of that


class SerError(Exception):
    """Something a user can put right: what was expected, what was found, what to do.

    The command line prints the message as one line and exits with code 2. Everything that is
    not a ``SerError`` is a bug in this package.

    Examples
    --------
    >>> raise SerError("no corpus named 'ravdes'. Known: ravdess, tess.")
    Traceback (most recent call last):
        ...
    ser.project.SerError: no corpus named 'ravdes'. Known: ravdess, tess.
    """

    def __str__(self) -> str:
        """Give each argument as a line."""
        return "\n".join(visible(line) for line in self.args)


class AudioError(SerError):
    """A recording that cannot be read, or that holds nothing to analyse."""


class CacheError(SerError):
    """A cached file that is not what was written, or that another process holds."""


def visible(text: Any) -> str:
    """Write a name from outside so that a terminal shows it, in one line."""
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def unknown(what: str, allowed: Iterable[str], name: str, *, word: str = "Allowed") -> SerError:
    """Make the error for a name that does not exist."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name.lower(), allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return SerError(f"{what}.{hint} {word}: {', '.join(allowed)}.")


def some(things: Sequence[Any], most: int = 10) -> str:
    """Name the first of many things, and count the others.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    named = ", ".join(visible(thing) for thing in things[:most])
    return f"{named} and {len(things) - most:,} more" if len(things) > most else named


def first_line(error: BaseException) -> str:
    """Give what another library's error says first; its type where it says nothing."""
    return visible((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip())


class Paths:
    """The project's folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.raw = root / "data" / "raw"  # corpora as released, never changed
        self.interim = root / "data" / "interim"  # the metadata table, facts of each recording
        self.metadata = self.interim / "metadata.parquet"
        self.processed = root / "data" / "processed"  # cached features
        self.models = root / "models"  # released
        self.runs = self.models / "runs"  # trainings
        self.reports = root / "reports"  # results: one folder per recipe and protocol

    def finished_runs(self) -> list[Path]:
        """List the folders of finished trainings, the newest first; ladders do not count."""
        files = self.runs.glob("*/*/fold-*/run.json")
        return [f.parent for f in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True)]


def paths() -> Paths:
    """Find the project's folder."""
    if os.environ.get("SER_ROOT"):
        return Paths(Path(os.environ["SER_ROOT"]).expanduser().absolute())
    repository = Path(__file__).resolve().parents[2]
    return Paths(repository if (repository / "pyproject.toml").exists() else Path.cwd())


def shown(path: Path) -> str:
    """Write a path the way it should be read: relative to the project where it lies inside.

    Parameters
    ----------
    path : Path
        Any path.

    Returns
    -------
    str
        The path relative to `paths().root`, or whole when it lies elsewhere.
    """
    try:
        return visible(Path(path).absolute().relative_to(paths().root).as_posix())
    except ValueError:
        return visible(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file aside and rename it over `path` when the block ends without error."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.stem)}-????????{path.suffix}"):
            _remove_abandoned(left)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        temporary = Path(name)
        with os.fdopen(handle) as held:
            _lock(held)
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _lock(file: TextIO) -> bool:
    """Mark a file as in use until it is closed; False where somebody, or the system, is against."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        file.close()  # Windows: an open file could not be renamed
    except OSError:
        return False
    return True


def _remove_abandoned(file: Path) -> None:
    """Remove what a process was writing when it was killed."""
    with contextlib.suppress(OSError), file.open() as found:
        free = _lock(found)
        young_s = 3_600.0 if found.closed else 2.0
        if free and time.time() - file.stat().st_mtime > young_s:
            file.unlink()


@contextlib.contextmanager
def alone(lock_file: Path, does: str) -> Iterator[None]:
    """Let one process work at a time; others wait, and say for whom."""
    lock, holder = FileLock(lock_file), lock_file.with_name(f"{lock_file.name}-holder")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            who = holder.read_text() if holder.is_file() else "another process"
            print(f"{shown(lock_file.parent)}: {who} {does}; waiting for it.", flush=True)
            lock.acquire()
        holder.write_text(f"process {os.getpid()} on {platform.node()}")
    except OSError as error:
        raise cannot_write(lock_file.parent, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def processes(n_jobs: int, **options: Any) -> Parallel:
    """Start processes that share nothing, and that end when this one does, however it ends."""
    from joblib import Parallel  # a tenth of a second, which `ser predict` does without

    return Parallel(n_jobs, initializer=_end_with, initargs=(os.getpid(),), **options)


def _end_with(parent: int) -> None:
    def wait() -> None:
        if sys.platform == "win32":
            import _winapi

            process = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, parent)
            _winapi.WaitForSingleObject(process, _winapi.INFINITE)
        else:
            while os.getppid() == parent:
                time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def cannot_write(path: Path, error: OSError) -> SerError:
    """Turn an error of the operating system into one line with a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        free_mb = shutil.disk_usage(folder).free / 1e6
        return SerError(
            f"{path}: the disk is full ({free_mb:.0f} MB free). Free some space and run the same "
            "command again; finished work is kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SerError(
            f"{path}: no permission to write there. Change the folder's permissions, or set "
            "SER_ROOT to a folder of your own."
        )
    return SerError(f"{path}: cannot be written ({error.strerror or error}).")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with writing(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
        except UnicodeEncodeError as error:
            found = ascii(error.object[max(0, error.start - 20) : error.end + 20])
            raise SerError(f"{path}: {found} is a name that is not UTF-8. Rename it.") from error


def write_csv(path: Path, table: Any, **options: Any) -> None:
    """Write a DataFrame as CSV without its index, whole or not at all."""
    with writing(path) as temporary:
        table.to_csv(temporary, index=False, **options)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    path = Path(path)
    try:
        if (size := path.stat().st_size) > MOST_JSON_BYTES:
            most = f"{MOST_JSON_BYTES / 1e6:.0f} MB"
            raise SerError(f"{path}: expected JSON of at most {most}, found {size / 1e6:,.0f} MB.")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SerError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise SerError(
            f"{path}: expected JSON, found something else ({error}). Name another file, or run "
            "the step that makes this one again."
        ) from error
