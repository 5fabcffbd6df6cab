"""Unpack an archive that came from the network, trusting none of its names."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from ser.project import SerError


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> None:
    """Unpack a zip file, its checksums verified."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as contents:
            members = [entry for entry in contents.infolist() if _wanted(entry)]
            for entry in members:
                _refuse_escape(archive, entry)
            n_bytes = sum(entry.file_size for entry in members)
            _refuse_too_large(archive, folder, n_bytes)
            bar = tqdm(
                total=n_bytes,
                desc=f"unpack {archive.name}",
                unit="B",
                unit_scale=True,
                disable=not progress,
            )
            with bar:
                for entry in members:
                    contents.extract(entry, folder)
                    bar.update(entry.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise SerError(
            f"{archive.name}: expected a zip file, found a damaged one ({error}). It has been "
            "deleted; run the same command again."
        ) from error


def _wanted(entry: zipfile.ZipInfo) -> bool:
    return not entry.is_dir() and PurePosixPath(entry.filename).parts[:1] != ("__MACOSX",)


def _refuse_escape(archive: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename.replace("\\", "/")
    drive = len(name) > 1 and name[1] == ":"
    if drive or name.startswith("/") or ".." in PurePosixPath(name).parts:
        archive.unlink()
        raise SerError(
            f"{archive.name}: names a file outside its folder ({entry.filename!r}), which no "
            "speech corpus does. It has been deleted and nothing was unpacked."
        )


def _refuse_too_large(archive: Path, folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise SerError(
            f"{archive.name}: unpacks to {n_bytes / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} "
            "MB free. Free some space and run the same command again; the archive is kept."
        )
