"""Fetch one file over HTTP so that a broken transfer goes on where it stopped."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm.auto import tqdm

from ser.corpora.base import Archive
from ser.project import SerError, cannot_write, digest

ATTEMPTS = 5  # in a row, without one new byte
BACKOFF_S = 1.0  # before the second attempt; doubles each time
TIMEOUT_S = (15.0, 60.0)  # to connect; between two pieces
_PIECE_BYTES = 1 << 15  # at most this much is lost when a transfer breaks off


class _BrokenError(Exception):
    """A failure that may pass; its text is what the user reads when it does not."""


class _WrongPartError(_BrokenError):
    """What arrived so far is of no use; begin again."""


def fetch(archive: Archive, folder: Path, *, progress: bool = True) -> Path:
    """Download a file, whole and verified, or go on with a transfer that broke off."""
    target = folder / archive.filename
    part = folder / f"{archive.filename}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            return target
        _receive_with_patience(archive, part, progress=progress)
        _verify(archive, part)
        part.replace(target)
    except OSError as error:
        raise cannot_write(part, error) from error
    return target


def _receive_with_patience(archive: Archive, part: Path, *, progress: bool) -> None:
    most, failures = _size(part), 0
    while True:
        try:
            return _receive(archive, part, progress=progress)
        except (_BrokenError, requests.RequestException) as error:
            if isinstance(error, _WrongPartError):
                part.unlink(missing_ok=True)
            failures = 0 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures >= ATTEMPTS:
                raise SerError(f"{archive.filename}: {_explain(error, archive)}") from error
            time.sleep(BACKOFF_S * 2 ** max(failures - 1, 0))


def _receive(archive: Archive, part: Path, *, progress: bool) -> None:
    have = _size(part)
    if have and have == archive.size_bytes:
        return
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        start, total = _extent(answer, archive, have)
        bar = tqdm(
            total=total or None,
            initial=start,
            desc=archive.filename,
            unit="B",
            unit_scale=True,
            disable=not progress,
        )
        with bar, part.open("ab" if start else "wb") as file:
            for piece in answer.iter_content(_PIECE_BYTES):
                file.write(piece)
                bar.update(len(piece))
    if _size(part) < total:
        raise _BrokenError(f"the transfer broke off after {_size(part):,} of {total:,} bytes")


def _extent(answer: requests.Response, archive: Archive, have: int) -> tuple[int, int]:
    """Return where the bytes to come begin and where they end (0 if the server does not say)."""
    status = answer.status_code
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, int(found[2])
    elif status == 200:  # from the beginning, whether or not a later start was asked for
        return 0, int(answer.headers.get("Content-Length", 0))
    elif status == 429 or status >= 500:
        raise _BrokenError(f"the server answers {status} {answer.reason}")
    elif status != 416:
        raise SerError(
            f"{archive.filename}: the server refuses it ({status} {answer.reason}): {archive.url}. "
            "It may have moved: look at the corpus' homepage, download it by hand, unpack it and "
            "use `ser data add`."
        )
    raise _WrongPartError(f"the server answers {status} and not the part that was asked for")


def _explain(error: Exception, archive: Archive) -> str:
    host = urlsplit(archive.url).netloc
    if isinstance(error, _BrokenError):
        reason = str(error)
    elif isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        reason = f"{host} does not answer within {TIMEOUT_S[1]:.0f} s"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        reason = f"{host} broke off the transfer"
    else:
        reason = f"{host} cannot be reached"
    return f"{reason}. Check the network and run the same command again: it goes on from there."


def _verify(archive: Archive, part: Path) -> None:
    if not archive.checksum:
        return
    algorithm, _, expected = archive.checksum.partition(":")
    if (found := digest(part, algorithm)) != expected.lower():
        part.unlink()
        raise SerError(
            f"{archive.filename}: expected {archive.checksum}, found {algorithm}:"
            f"{found}. What arrived is not what was published and has been deleted. "
            "Run the same command again; if it happens twice, tell the authors of this package."
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
