"""One growing file of equally shaped float arrays, with an index: the store's storage.

A bank is ``NAME.f32`` (rows of raw little-endian float32; ``NAME.f16`` of half precision) and
``NAME.csv`` (``key,crc32`` of each row, in order). A row counts once its index line is complete,
and the index is written after the data; so a kill at any moment loses at most the rows under way,
and the next writer cuts off what is not indexed.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path

import numpy as np

from ser.project import CacheError, cannot_write, shown

_KEY_DIGITS = 64
_SUFFIXES = {"<f4": ".f32", "<f2": ".f16"}
_LINE_BYTES = _KEY_DIGITS + 1 + 8 + 1  # sha256, comma, crc32, newline


@functools.cache
def _all_halves() -> np.ndarray:
    """Every number of half precision in single precision; looking up is five times as fast."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


class Bank:
    """Arrays of one shape, found by key."""

    def __init__(self, stem: Path, shape: tuple[int, ...], *, half: bool = False) -> None:
        self.stem, self.shape = Path(stem), tuple(shape)
        self._kind = "<f2" if half else "<f4"
        self._row_bytes = np.dtype(self._kind).itemsize * int(np.prod(shape))
        self.refresh()

    @property
    def data_path(self) -> Path:
        """The file of values."""
        return self.stem.with_name(self.stem.name + _SUFFIXES[self._kind])

    @property
    def index_path(self) -> Path:
        """The file of keys and checksums."""
        return self.stem.with_name(self.stem.name + ".csv")

    def refresh(self) -> None:
        """Read the index again and map the values."""
        text = self.index_path.read_bytes() if self.index_path.exists() else b""
        n_rows = len(text) // _LINE_BYTES
        starts = range(0, n_rows * _LINE_BYTES, _LINE_BYTES)
        lines = [text[start : start + _LINE_BYTES].decode("ascii", "replace") for start in starts]
        if any(line[_KEY_DIGITS] != "," or line[-1] != "\n" for line in lines):
            raise self._damaged(f"{self.index_path.name} is not an index")
        self.keys = {line[:_KEY_DIGITS]: row for row, line in enumerate(lines)}
        self._checksums = [line[_KEY_DIGITS + 1 : -1] for line in lines]
        if n_rows == 0:
            self._values = np.zeros((0, *self.shape), self._kind)
            return
        found = self.data_path.stat().st_size if self.data_path.exists() else 0
        if found < n_rows * self._row_bytes:
            raise self._damaged(f"{n_rows * self._row_bytes} bytes expected, {found} found")
        self._values = np.memmap(self.data_path, self._kind, "r", shape=(n_rows, *self.shape))

    def __len__(self) -> int:
        return len(self._checksums)

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def rows(self, keys: list[str]) -> np.ndarray:
        """Look up where keys lie."""
        return np.array([self.keys[key] for key in keys], dtype=np.int64)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Read rows from the memory-mapped file."""
        found = self._values[rows]
        if self._kind == "<f2":
            return _all_halves()[found.view("<u2")]
        return np.asarray(found, np.float32)

    def verify(self, rows: np.ndarray) -> None:
        """Compare rows with their checksums."""
        for row in np.unique(rows):
            if self._checksum(self._values[row]) != self._checksums[row]:
                raise self._damaged(f"row {row} is not what was written")

    def append(self, items: list[tuple[str, np.ndarray]]) -> None:
        """Add rows; call `refresh` to read them."""
        try:
            self.stem.parent.mkdir(parents=True, exist_ok=True)
            self._cut_off_unindexed()
            with self.data_path.open("ab") as file:
                for _, value in items:
                    file.write(self._bytes(value))
            with self.index_path.open("ab") as file:
                for key, value in items:
                    file.write(f"{key},{self._checksum(value)}\n".encode("ascii"))
        except OSError as error:
            raise cannot_write(self.data_path, error) from error

    def _cut_off_unindexed(self) -> None:
        indexed = self.index_path.stat().st_size if self.index_path.exists() else 0
        n_rows = indexed // _LINE_BYTES
        for path, size in (
            (self.index_path, n_rows * _LINE_BYTES),
            (self.data_path, n_rows * self._row_bytes),
        ):
            if path.exists() and path.stat().st_size > size:
                with path.open("r+b") as file:
                    file.truncate(size)

    @staticmethod
    def delete(stem: Path) -> None:
        """Remove both files of a bank, whatever state they are in."""
        for suffix in (".csv", *_SUFFIXES.values()):
            stem.with_name(stem.name + suffix).unlink(missing_ok=True)

    def _bytes(self, value: np.ndarray) -> bytes:
        return np.ascontiguousarray(value, self._kind).tobytes()

    def _checksum(self, value: np.ndarray) -> str:
        return f"{zlib.crc32(self._bytes(value)):08x}"

    def _damaged(self, reason: str) -> CacheError:
        return CacheError(
            f"{shown(self.data_path)}: the cached features are damaged ({reason}). Run "
            "`ser features --repair` (or delete the folder it lies in) to compute them again."
        )
