"""What is costly to compute, kept under its key in one SQLite file.

SQLite commits whole transactions, whatever moment a kill comes at, lets processes read beside one
that writes, and tells a damaged file from a whole one. A checksum over key and value is kept with
each value, so that no value can stand for another. What the keys are, say those who use it:
`ser.features.dataset` and `ser.corpora.measurements`.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ser.project import CacheError, cannot_write, shown

WAIT_S = 30.0  # for another process to finish its transaction
TABLE = (
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT UNIQUE, checksum INTEGER, value BLOB)"
)
AT_ONCE = 500  # keys of one question; SQLite takes a thousand


class Cache:
    """Bytes under text keys, in a file that is made with the first value that is put into it."""

    def __init__(self, file: Path) -> None:
        self.file = Path(file)
        self._opened: sqlite3.Connection | None = None
        self._writing = threading.Lock()  # threads share a connection, and so a transaction

    def __reduce__(self) -> tuple[type[Cache], tuple[Path]]:
        return Cache, (self.file,)  # another process opens the file for itself

    def find(self, keys: Iterable[str]) -> dict[str, int]:
        """Give the row of each key that is there."""
        found: dict[str, int] = {}
        wanted = list(dict.fromkeys(keys))
        if not self.file.exists():
            return found
        with self._database() as database:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ",".join("?" * len(some))
                found |= database.execute(
                    f"SELECT key, id FROM entries WHERE key IN ({marks})", some
                ).fetchall()
        return found

    def read(self, rows: Sequence[int]) -> Iterator[bytes]:
        """Give the values of rows that `find` gave, in their order."""
        if not rows:
            return
        with self._database() as database:
            for row in rows:
                found = database.execute("SELECT value FROM entries WHERE id=?", (row,)).fetchone()
                if found is None:
                    raise self.damaged(f"row {row} is gone")
                yield found[0]

    def verify(self, keys: dict[str, int]) -> None:
        """Compare keys and values with their checksums; CacheError where one differs."""
        with self._database() as database:
            for key, row in keys.items():
                found = database.execute(
                    "SELECT key, checksum, value FROM entries WHERE id=?", (row,)
                ).fetchone()
                if found is None or found[0] != key or _checksum(key, found[2]) != found[1]:
                    raise self.damaged(f"what it holds for {key[:12]}… is not what was written")

    def put(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Add values, all or none; a key that is there keeps its value."""
        rows = [(key, _checksum(key, value), value) for key, value in items]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self._writing, self._database() as database, database:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(
                    "INSERT OR IGNORE INTO entries (key, checksum, value) VALUES (?, ?, ?)", rows
                )
        except OSError as error:
            raise cannot_write(self.file, error) from error

    def repair(self) -> None:
        """Remove values that are not what was written; or all, if the file is broken."""
        if not self.file.exists():
            return
        try:
            with self._database() as database:  # reads it all, the index too
                if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise self.damaged("its parts do not fit together")
                every = database.execute("SELECT id, key, checksum, value FROM entries")
                bad = [(row,) for row, *entry in every if not _is_whole(*entry)]
                database.executemany("DELETE FROM entries WHERE id=?", bad)
        except CacheError:
            self.delete()

    def delete(self) -> None:
        """Remove the file, whatever state it is in."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._opened is None:
                self._opened = self._open()
            yield self._opened
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self.close()
            raise self._explain(error) from error

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.file, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(f"PRAGMA mmap_size={1 << 40}")
            found = database.execute("SELECT sql FROM sqlite_master WHERE name='entries'")
            table = found.fetchone()
            if table is None:  # a new file, or left so by a kill
                database.execute("PRAGMA journal_mode=WAL")
                database.execute(TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
            elif table[0] != TABLE:
                raise self.damaged("its table is not the one that was made")
        except Exception:
            database.close()
            raise
        return database

    def _explain(self, error: Exception) -> Exception:
        text = str(error)
        if "full" in text:
            return cannot_write(self.file, OSError(errno.ENOSPC, text))
        if "readonly" in text or "unable to open" in text:
            return cannot_write(self.file, OSError(errno.EACCES, text))
        if "locked" in text:
            return CacheError(
                f"{shown(self.file)}: another process has been writing there for "
                f"{WAIT_S:.0f} s. Wait for it and try again."
            )
        return self.damaged(text)

    def damaged(self, reason: str) -> CacheError:
        """Make the error for a file that cannot be trusted."""
        return CacheError(
            f"{shown(self.file)}: the cache is damaged ({reason}). Run `ser features --repair`, "
            "then the same command again."
        )


def _is_whole(key: Any, checksum: Any, value: Any) -> bool:
    typed = isinstance(key, str) and isinstance(value, bytes)
    return typed and _checksum(key, value) == checksum


def _checksum(key: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key.encode()))
