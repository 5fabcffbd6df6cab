"""A file or an array becomes a mono float32 waveform, or one clear error.

Decoding is libsndfile's (WAV, AIFF, FLAC, Ogg, Opus, MP3, whatever the suffix says), and FFmpeg's
where that refuses; resampling is soxr's at its high quality. All are light to import.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import numbers
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ser import formats
from ser.config import AudioConfig
from ser.project import AudioError

MIN_DURATION_S = 0.05  # about four periods of the lowest male voice
MAX_DURATION_S = 3_600.0
SILENCE_DBFS = -70.0
CLIPPED_FROM = 0.999  # of full scale
TRIM_FRAME, TRIM_HOP = 2_048, 512  # samples that trimming looks at, and steps on by
LFS_HEADER = b"version https://git-lfs"
# what libsndfile notes where the sound is shorter than its header says
CUT_SHORT = re.compile(r"\b(?:data|SSND) : (\d+) \(should be \d+\)|lacks an end-of-stream bit")
STREAMED = 0x7FFF_0000  # bytes; what writes into a pipe claims so many, or more


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a file holds, before anything is changed."""

    samples: np.ndarray
    sample_rate_hz: int
    pcm_sha256: str
    truncated: bool = False  # its header claims more than there is

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


def keep_compiled(places: Iterable[Path]) -> None:
    """Let what librosa compiles be kept in a temporary folder, where none of `places` is open.

    Numba would keep it beside librosa or in the home, and fails where it may write to neither.
    """
    for place in places:
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
            return
    if "NUMBA_CACHE_DIR" not in os.environ:  # a new one: what lies there is run
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="ser-numba-")


if (_librosa := importlib.util.find_spec("librosa")) and _librosa.origin:
    _home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    keep_compiled((Path(_librosa.origin).parent / "core" / "__pycache__", _home))


def decode(path: Path | str | bytes, *, longest_s: float = MAX_DURATION_S) -> Recording:
    """Read an audio file as it is; AudioError where it is longer than may be."""
    source: Any
    truncated = False
    if isinstance(path, bytes):
        source, head = io.BytesIO(path), path[:64]
        path = Path("standard input")
        if not head:
            raise AudioError("standard input: no bytes came. Pipe a recording in, such as a WAV.")
    else:
        path = Path(path)
        source = os.fsencode(path) if os.name == "posix" else path
        head = _read_head(path)
    if head.startswith(LFS_HEADER):
        raise AudioError(
            f"{path}: this is a Git LFS pointer, not the recording itself. Run `git lfs pull` in "
            "that checkout, or download the corpus again with `ser data download`."
        )
    try:
        with soundfile.SoundFile(source) as file:
            rate, frames = file.samplerate, file.frames
            formats.check_length(path, frames / rate, longest_s)
            if file.format == "MP3":
                data = source.getvalue() if isinstance(source, io.BytesIO) else path.read_bytes()
                samples, truncated = _read_mp3(data, longest_s)
            else:
                samples = file.read(int(longest_s * rate) + 1, dtype="float32", always_2d=True)
                truncated = any(
                    int(claimed or 0) < STREAMED for claimed in CUT_SHORT.findall(file.extra_info)
                )
            formats.check_length(path, len(samples) / rate, longest_s, so_far=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: .raw
        reason = str(error).split("': ")[-1].strip().rstrip(".")
        samples, rate, truncated = formats.decode(source, path, reason, longest_s)
    if not len(samples):
        raise AudioError(f"{path}: holds no samples. Record or export it again.")
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{path}: holds NaN or infinite samples. Export it again as 16-bit PCM or FLAC."
        )
    return Recording(samples, rate, _pcm_sha256(samples, rate), truncated)


class _Longer(io.BytesIO):
    """A file that says it is longer than it is."""

    asked_for_end = False

    def seek(self, offset: int, whence: int = 0) -> int:
        self.asked_for_end = whence == os.SEEK_END
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() * (100 if self.asked_for_end else 1)


def open_any(audio: Any, sample_rate_hz: float | None) -> tuple[np.ndarray, float, bool]:
    """Take a file, its content or samples; say whether a file holds less than its header says."""
    if isinstance(audio, (str, bytes, os.PathLike)):
        audio = decode(audio if isinstance(audio, bytes) else Path(audio))
    if isinstance(audio, Recording):
        return audio.samples, float(audio.sample_rate_hz), audio.truncated
    if sample_rate_hz is None:
        raise AudioError("samples need their rate: predict(samples, sample_rate_hz=22050).")
    check_rate(sample_rate_hz)
    return np.asarray(audio), float(sample_rate_hz), False


def _read_mp3(data: bytes, longest_s: float) -> tuple[np.ndarray, bool]:
    """Read all of an MP3, and say whether its header claims more.

    Where no header holds its length, libsndfile takes the bit rate of the first frame for that of
    all, and stops where the file would end then: of a changing bit rate, in the middle.
    """
    is_counted = any(name in data[:100_000] for name in (b"Xing", b"Info"))
    with soundfile.SoundFile(io.BytesIO(data) if is_counted else _Longer(data)) as file:
        most, step = int(longest_s * file.samplerate), 60 * file.samplerate
        parts = [file.read(step, dtype="float32", always_2d=True)]
        while len(parts[-1]) == step and len(parts) * step <= most:
            parts.append(file.read(step, dtype="float32", always_2d=True))
        samples = np.concatenate(parts)
        return samples, is_counted and file.frames - len(samples) > 0.1 * file.samplerate


def _read_head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: expected an audio file, found a folder. Name a file in it.")
        if not path.is_file() and path.exists():
            raise AudioError(
                f"{path}: expected an audio file, found a device or a pipe. Save the sound to a "
                "file first."
            )
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file. Check its name and folder.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(
            f"{path}: cannot be read ({reason}). Check its name and its permissions."
        ) from error
    if not head:
        raise AudioError(f"{path}: the file is empty (0 bytes). Record or copy it again.")
    return head


def _pcm_sha256(samples: np.ndarray, sample_rate_hz: int) -> str:
    digest = hashlib.sha256(f"{sample_rate_hz} {samples.shape[1]} ".encode())
    digest.update(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    return digest.hexdigest()


def to_waveform(samples: Any, sample_rate_hz: float, config: AudioConfig) -> np.ndarray:
    """Mix down, resample and trim."""
    mono = to_mono(samples)
    check_rate(sample_rate_hz)
    if len(mono) / sample_rate_hz < MIN_DURATION_S:
        raise AudioError(
            f"the recording is {len(mono) / sample_rate_hz:.3f} s long; at least "
            f"{MIN_DURATION_S} s are needed to hear an emotion."
        )
    if sample_rate_hz != config.sample_rate_hz:
        mono = soxr.resample(mono, sample_rate_hz, config.sample_rate_hz, quality="HQ")
    if config.trim_db is not None and np.any(mono):
        import librosa

        mono, _ = librosa.effects.trim(
            mono, top_db=config.trim_db, frame_length=TRIM_FRAME, hop_length=TRIM_HOP
        )
    return np.ascontiguousarray(mono, dtype=np.float32)


def check_rate(sample_rate_hz: Any) -> None:
    """Refuse what is no sample rate of a recording."""
    if not isinstance(sample_rate_hz, numbers.Real) or not 1e3 <= float(sample_rate_hz) <= 1e6:
        raise AudioError(
            f"expected a sample rate of 1,000 to 1,000,000 Hz, found {sample_rate_hz!r}."
        )


def to_mono(samples: Any) -> np.ndarray:
    """Scale integers to -1 to 1 and average the channels."""
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise AudioError(
            "expected samples of shape (n_samples,) or (n_samples, n_channels), found rows of "
            "different lengths."
        ) from error
    if array.dtype.kind not in "iuf":
        raise AudioError(f"expected samples as numbers, found an array of {array.dtype}.")
    if array.ndim not in (1, 2) or array.size == 0:
        raise AudioError(
            "expected samples of shape (n_samples,) or (n_samples, n_channels), found "
            f"{array.shape}."
        )
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise AudioError(
            f"expected samples of shape (n_samples, n_channels), found {array.shape}: more "
            "channels than samples. Transpose the array."
        )
    if array.dtype.kind == "u":
        middle = (np.iinfo(array.dtype).max + 1) / 2
        array = (array.astype(np.float64) - middle) / middle
    elif array.dtype.kind == "i":
        array = array.astype(np.float64) / -float(np.iinfo(array.dtype).min)
    with np.errstate(over="ignore", invalid="ignore"):
        mono = array if array.ndim == 1 else array.mean(axis=1)
        mono = np.ascontiguousarray(mono, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(
            "the samples hold NaN, infinite or huge values. Floats are taken as -1 to 1: divide by "
            "the full scale, and replace what is not a number."
        )
    return mono


def load(path: Path | str, config: AudioConfig) -> np.ndarray:
    """Read a file as the waveform that features are computed from."""
    recording = decode(path)
    try:
        return to_waveform(recording.samples, recording.sample_rate_hz, config)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def peak_dbfs(samples: np.ndarray) -> float:
    """Return the largest absolute sample in decibels relative to full scale."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return 20.0 * float(np.log10(peak)) if peak > 0 else float("-inf")


def warnings_about(samples: np.ndarray, *, truncated: bool = False) -> list[str]:
    """Name what makes a recording a poor basis for an answer."""
    found = []
    level = peak_dbfs(samples - np.mean(samples, axis=0, keepdims=True))
    if level < SILENCE_DBFS:
        found.append("silent")
    elif level < -40.0:
        found.append("quiet")
    if np.mean(np.abs(samples) >= CLIPPED_FROM) > 1e-3:
        found.append("clipped")
    return found + ["truncated"] * truncated
