"""Bring one archive onto this machine, from its publisher or from Kaggle, and unpack it.

`pooch` checks what arrived and moves it into place; what it lacks, going on where a transfer broke
off, is `_Resuming`.
"""

import contextlib
import io
import re
import shutil
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests
from tqdm.auto import tqdm

from ser.corpora.base import Archive
from ser.project import SerError, cannot_write

ATTEMPTS = 5  # in a row, without one new byte
BACKOFF_S = 1.0  # before the second attempt; doubles each time
TIMEOUT_S = (15.0, 60.0)  # to connect; between two pieces
_PIECE_BYTES = 1 << 15  # at most this much is lost when a transfer breaks off
AGAIN = "Check the network and run the same command again: it goes on from there."
CREDENTIALS = (
    "Kaggle asks for an account: on kaggle.com open Settings, API, 'Create New Token'. Put the "
    "kaggle.json it gives you into ~/.kaggle/, or set KAGGLE_USERNAME and KAGGLE_KEY."
)


class _BrokenError(Exception):
    """A failure that may pass; its text is what the user reads when it does not."""


def fetch(archive: Archive, folder: Path, *, progress: bool = True) -> Path:
    """Download a file, whole and verified, or go on with a transfer that broke off."""
    if archive.in_package:  # a copy: what cannot be unpacked is deleted
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(archive.url, folder / archive.filename))
    part = folder / f"{archive.filename}.part"
    pooch.get_logger().setLevel("WARNING")  # we say our own
    try:
        return Path(
            pooch.retrieve(
                archive.url,
                known_hash=archive.checksum or None,
                fname=archive.filename,
                path=folder,
                downloader=_Resuming(archive, part, progress),
            )
        )
    except ValueError as error:  # pooch's word for another checksum
        raise SerError(
            f"{archive.filename}: what arrived is not what was published (expected "
            f"{archive.checksum}) and has been deleted. Run the same command again; if it happens "
            "twice, tell the authors of this package."
        ) from error
    except OSError as error:
        raise cannot_write(part, error) from error


class _Resuming:
    """Receive a file into ``NAME.part``, which outlives a kill, and hand it to pooch."""

    def __init__(self, archive: Archive, part: Path, progress: bool) -> None:
        self.archive, self.part, self.progress = archive, part, progress

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        most, failures = self._size(), 0
        while True:
            try:
                self._receive()
                break
            except requests.TooManyRedirects as error:
                raise SerError(f"{self.archive.filename}: {_in_a_circle(error)}") from error
            except (_BrokenError, requests.RequestException) as error:
                failures = 0 if self._size() > most else failures + 1
                most = max(most, self._size())
                if failures >= ATTEMPTS:
                    raise SerError(f"{self.archive.filename}: {self._explain(error)}") from error
                time.sleep(BACKOFF_S * 2 ** max(failures - 1, 0))
        self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self) -> None:
        have = self._size()
        if have and have == self.archive.size_bytes:
            return
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        url = self.archive.url
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            start, total = self._extent(answer, have)
            bar = tqdm(
                total=total or None,
                initial=start,
                desc=self.archive.filename,
                unit="B",
                unit_scale=True,
                disable=not self.progress,
            )
            with bar, self.part.open("ab" if start else "wb") as file:
                arrived, most = start, total or self.archive.size_bytes
                for piece in answer.iter_content(_PIECE_BYTES):
                    if most and (arrived := arrived + len(piece)) > most:
                        break
                    file.write(piece)
                    bar.update(len(piece))
        if most and arrived > most:
            self.part.unlink()
            raise SerError(
                f"{self.archive.filename}: more than the {most:,} bytes that were announced; it "
                f"has been deleted. {AGAIN}"
            )
        if self._size() < total:
            raise _BrokenError(f"the transfer broke off after {self._size():,} of {total:,} bytes")

    def _extent(self, answer: requests.Response, have: int) -> tuple[int, int]:
        """Tell where the bytes to come begin and where they end (0 if the server does not say)."""
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
                f"{self.archive.filename}: the server refuses it ({status} {answer.reason}): "
                f"{self.archive.url}. It may have moved: look at the corpus' homepage, download it "
                "by hand, unpack it and use `ser data add`."
            )
        self.part.unlink(missing_ok=True)  # of no use: begin again
        raise _BrokenError(f"the server answers {status} and not the part that was asked for")

    def _explain(self, error: Exception) -> str:
        host = urlsplit(self.archive.url).netloc
        if isinstance(error, _BrokenError):
            reason = str(error)
        elif isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
            reason = f"{host} does not answer within {TIMEOUT_S[1]:.0f} s"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            reason = f"{host} broke off the transfer"
        else:
            reason = f"{host} cannot be reached"
        return f"{reason}. {AGAIN}"


def _in_a_circle(error: requests.TooManyRedirects) -> str:
    host = urlsplit(error.response.url if error.response is not None else "").netloc
    return f"{host} sends from one address to the next without end. Try again later."


def fetch_from_kaggle(dataset: str, folder: Path, *, progress: bool = True) -> Path:
    """Download a data set, ``owner/name``, as one zip file through Kaggle's official client."""
    folder.mkdir(parents=True, exist_ok=True)
    try:  # the client prints the data set's address and more; we said our own
        with contextlib.redirect_stdout(io.StringIO()):
            client = _kaggle()
            client.dataset_download_files(dataset, path=str(folder), quiet=not progress)
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise SerError(f"{dataset}: {_refusal(status)}") from error
    except requests.TooManyRedirects as error:
        raise SerError(f"{dataset}: {_in_a_circle(error)}") from error
    except requests.RequestException as error:
        raise SerError(
            f"{dataset}: Kaggle cannot be reached, or broke off the transfer. {AGAIN}"
        ) from error
    except ValueError as error:
        raise SerError(f"{dataset}: {error}. Run the same command again.") from error
    return folder / f"{dataset.split('/')[1]}.zip"


def _kaggle() -> Any:
    """Sign in to Kaggle."""
    try:
        import kaggle  # signs in, and some versions end the program where they cannot

        kaggle.api.authenticate()
    except requests.RequestException:
        raise
    except ImportError as error:
        raise SerError(
            f"Kaggle's client cannot be loaded ({error}). Install it: `pip install kaggle`."
        ) from error
    except (SystemExit, NameError, OSError, ValueError) as error:  # Jupyter has no exit
        raise SerError(f"no Kaggle credentials found. {CREDENTIALS}") from error
    return kaggle.api


def _refusal(status: int) -> str:
    if status in (401, 403):
        return f"Kaggle refuses the credentials ({status}). {CREDENTIALS}"
    if status == 404:
        return (
            "no such data set on Kaggle (404). It may have moved: download it by hand, unpack it "
            "and use `ser data add`."
        )
    return f"Kaggle answers {status}. Run the same command again later."


def need_space(folder: Path, n_bytes: int, what: str) -> None:
    """Stop before a disk is full, and not when it is."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise SerError(
            f"{what} {n_bytes / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB free. Free some "
            "space, or set SER_ROOT to a folder on a larger disk; what has arrived is kept."
        )


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> None:
    """Unpack a zip file that came from the network, trusting none of its names."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as contents:
            members = [
                entry
                for entry in contents.infolist()
                if not entry.is_dir() and PurePosixPath(entry.filename).parts[:1] != ("__MACOSX",)
            ]
            for entry in members:
                _refuse_escape(archive, entry.filename)
            need_space(folder, sum(e.file_size for e in members), f"{archive.name}: unpacks to")
            title = f"unpack {archive.name}"
            for entry in tqdm(members, desc=title, unit="file", disable=not progress):
                contents.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise SerError(
            f"{archive.name}: expected a zip file, found a damaged one ({error}). It has been "
            "deleted; run the same command again."
        ) from error


def _refuse_escape(archive: Path, member: str) -> None:
    name = member.replace("\\", "/")
    drive = len(name) > 1 and name[1] == ":"
    if drive or name.startswith("/") or ".." in PurePosixPath(name).parts:
        archive.unlink()
        raise SerError(
            f"{archive.name}: names a file outside its folder ({member!r}), which no speech corpus "
            "does. It has been deleted and nothing was unpacked."
        )
