"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ser.errors import SerError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file aside and rename it over `path` when the block ends without error.

    Parameters
    ----------
    path : Path
        The file to make or replace. Its folder is made where missing.

    Yields
    ------
    Path
        A temporary file in the same folder, with the same suffix, for the block to write.

    Raises
    ------
    SerError
        When the disk is full or the folder cannot be written; `path` is then as it was.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> SerError:
    """Turn an error of the operating system into one line with a remedy.

    Parameters
    ----------
    path : Path
        What was being written.
    error : OSError
        What the operating system answered.

    Returns
    -------
    SerError
        The error to raise in its place.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free_mb = shutil.disk_usage(_existing_parent(path)).free / 1e6
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


def _existing_parent(path: Path) -> Path:
    for folder in path.absolute().parents:
        if folder.exists():
            return folder
    return Path.cwd()


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file of any size.

    Parameters
    ----------
    path : Path
        The file.
    algorithm : str
        A name that `hashlib` knows.

    Returns
    -------
    str
        In hexadecimal digits.
    """
    found = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all.

    Parameters
    ----------
    path : Path
        The file to make or replace.
    value : Any
        Anything the `json` module can write. NaN is refused, since JSON has none.
    """
    with writing(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Any
        What it holds.

    Raises
    ------
    SerError
        When the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SerError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise SerError(
            f"{path}: expected JSON, found something else ({error}). Delete the file and run the "
            "step that makes it again."
        ) from error
