"""A file or an array becomes a mono float32 waveform, or one clear error.

Decoding is libsndfile's (WAV, AIFF, FLAC, Ogg, Opus, MP3, whatever the suffix says), and FFmpeg's
where that refuses; resampling is soxr's at its high quality. All are light to import.
"""

import contextlib
import dataclasses
import importlib.util
import io
import numbers
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ser import formats
from ser.config import AudioConfig
from ser.formats import LOUDEST, Gathering, Limits
from ser.project import AudioError

MIN_DURATION_S = 0.05  # about four periods of the lowest male voice
SILENCE_DBFS = -70.0
CLIPPED_FROM = 0.999  # of full scale
TRIM_FRAME, TRIM_HOP = 2_048, 512  # samples that trimming looks at, and steps on by
LFS_HEADER = b"version https://git-lfs"
# what libsndfile notes where the sound is shorter than its header says
CUT_SHORT = re.compile(r"\b(?:data|SSND) : (\d+) \(should be \d+\)|lacks an end-of-stream bit")
# how many frames and bytes an MP3 has, as its encoder wrote into its head
COUNTED = re.compile(rb"(?:Xing|Info)\0\0\0[\3\7\x0b\x0f].{4}(.{4})", re.DOTALL)
STREAMED = 0x7FFF_0000  # bytes; what writes into a pipe claims so many, or more
AT_ONCE = 1 << 20  # values
MOST_BYTES = 400_000_000  # of an MP3, or from a pipe: these are held in memory


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a file holds, before anything is changed; of a large one, what is heard of it."""

    samples: np.ndarray
    sample_rate_hz: int
    pcm_sha256: str
    truncated: bool = False  # its header claims more than there is
    file_rate_hz: int = 0  # of the file itself
    n_channels: int = 0

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


def decode(path: Path | str | bytes, limits: Limits = Limits()) -> Recording:
    """Read an audio file as it is; AudioError where it is larger than may be."""
    source: Any
    if isinstance(path, bytes):
        data, path = path, Path("standard input")
        if not data:
            raise AudioError("standard input: no bytes came. Pipe a recording in, such as a WAV.")
        source, head = io.BytesIO(data), data[:64]
    else:
        path = Path(path)
        source = os.fsencode(path) if os.name == "posix" else path
        head = _read_head(path)
    if head.startswith(LFS_HEADER):
        raise AudioError(
            f"{path}: this is a Git LFS pointer, not the recording itself. Run `git lfs pull` in "
            "that checkout, or download the corpus again with `ser data download`."
        )
    if head.startswith(b"ID3"):
        source = io.BytesIO(_without_tags(_content(source, path)))
    try:
        with soundfile.SoundFile(source) as file:
            limits.check(path, file.frames, file.samplerate, file.channels, so_far=False)
            kept = Gathering(path, file.samplerate, file.channels, limits)
            if file.format == "MP3":
                truncated = _read_mp3(_content(source, path), kept)
            else:
                _read_blocks(file, kept)
                truncated = any(
                    int(claimed or 0) < STREAMED for claimed in CUT_SHORT.findall(file.extra_info)
                )
            if file.format == "OGG" or not kept.frames:
                truncated |= _read_rest(_content(source, path), file.format, kept)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: .raw
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        kept, truncated = formats.decode(source, path, reason, limits)
    samples, sha256 = kept.whole()
    if not len(samples):
        raise AudioError(f"{path}: holds no samples. Record or export it again.")
    rate = kept.sample_rate_hz
    return Recording(samples, rate, sha256, truncated, kept.rate, kept.channels)


def _blocks(file: soundfile.SoundFile, step: int) -> Iterator[np.ndarray]:
    while len(block := file.read(step, dtype="float32", always_2d=True)):
        yield block


def _read_blocks(file: soundfile.SoundFile, kept: Gathering) -> bool:
    """Read a file on, and say whether it is of another kind than what came before."""
    is_other = (file.samplerate, file.channels) != (kept.rate, kept.channels)
    for block in () if is_other else _blocks(file, max(1, AT_ONCE // file.channels)):
        kept.add(block)
    return is_other


def _read_rest(data: bytes, kind: str, kept: Gathering) -> bool:
    """Read what libsndfile leaves out, and say whether some of it cannot be joined."""
    is_missing = False
    for part in formats.unread(data, kind):
        try:
            with soundfile.SoundFile(part) as more:
                is_missing |= _read_blocks(more, kept)
        except soundfile.LibsndfileError:
            is_missing = True
    return is_missing


def _content(source: Any, path: Path) -> bytes:
    if isinstance(source, io.BytesIO):
        return source.getvalue()
    if (size := path.stat().st_size) > MOST_BYTES:
        most = f"{MOST_BYTES / 1e6:.0f} MB"
        raise AudioError(
            f"{path}: {size / 1e6:,.0f} MB of this format; at most {most} are read. Cut it."
        )
    return path.read_bytes()


def _without_tags(data: bytes) -> bytes:
    """Leave the ID3 tags before a recording out: of a chain of them, mpg123 reports every one."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        at += 10 + size + (10 if data[at + 5] & 16 else 0)
    return data[at:]


class _Longer(io.BytesIO):
    """A file that says it is longer than it is."""

    asked_for_end = False

    def seek(self, offset: int, whence: int = 0) -> int:
        self.asked_for_end = whence == os.SEEK_END
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() * (100 if self.asked_for_end else 1)


def open_any(
    audio: Any, sample_rate_hz: float | None, heard_hz: float = Limits.heard_hz
) -> tuple[np.ndarray, float, bool]:
    """Take a file, its content or samples; say whether a file holds less than its header says."""
    if isinstance(audio, (str, bytes, os.PathLike)):
        name = "standard input" if isinstance(audio, bytes) else audio
        limits = Limits(heard_hz=heard_hz)
        audio = decode(audio if isinstance(audio, bytes) else Path(audio), limits)
        _check_duration(audio.duration_s, f"{name}: ")
    if isinstance(audio, Recording):
        return audio.samples, float(audio.sample_rate_hz), audio.truncated
    if sample_rate_hz is None:
        raise AudioError("samples need their rate: predict(samples, sample_rate_hz=22050).")
    check_rate(sample_rate_hz)
    return np.asarray(audio), float(sample_rate_hz), False


def _read_mp3(data: bytes, kept: Gathering) -> bool:
    """Read all of an MP3, and say whether its header claims more.

    Where no header holds its length, libsndfile takes the bit rate of the first frame for that of
    all, and stops where the file would end then: of a changing bit rate, in the middle.
    """
    counts = COUNTED.search(data[:100_000])
    if counts and len(data) > int.from_bytes(counts[1], "big") + 1_000:  # another one follows it
        data = COUNTED.sub(lambda found: bytes(len(found[0])), data)
    is_counted = any(name in data[:100_000] for name in (b"Xing", b"Info"))
    with soundfile.SoundFile(io.BytesIO(data) if is_counted else _Longer(data)) as file:
        for block in _blocks(file, 60 * file.samplerate):  # shorter ones change samples
            kept.add(block)
        return is_counted and file.frames - kept.frames > 0.1 * file.samplerate


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


def to_waveform(samples: Any, sample_rate_hz: float, config: AudioConfig) -> np.ndarray:
    """Mix down, resample and trim."""
    mono = to_mono(samples)
    check_rate(sample_rate_hz)
    _check_duration(len(mono) / sample_rate_hz)
    if sample_rate_hz != config.sample_rate_hz:
        mono = soxr.resample(mono, sample_rate_hz, config.sample_rate_hz, quality="HQ")
    if config.trim_db is not None and np.any(mono):
        import librosa

        mono, _ = librosa.effects.trim(
            mono, top_db=config.trim_db, frame_length=TRIM_FRAME, hop_length=TRIM_HOP
        )
    return np.ascontiguousarray(mono, dtype=np.float32)


def _check_duration(seconds: float, what: str = "") -> None:
    if seconds < MIN_DURATION_S:
        raise AudioError(
            f"{what}the recording is {seconds:.3f} s long; at least {MIN_DURATION_S} s are needed "
            "to hear an emotion."
        )


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
        if array.ndim == 2:
            array = array[:, 0] if array.shape[1] == 1 else array.mean(axis=1)
        mono = np.ascontiguousarray(array, dtype=np.float32)
    if not -LOUDEST <= mono.min() <= mono.max() <= LOUDEST:
        raise AudioError(
            "the samples hold NaN, infinite or huge values. Floats are taken as -1 to 1: divide by "
            "the full scale, and replace what is not a number."
        )
    return mono


def load(path: Path | str, config: AudioConfig) -> np.ndarray:
    """Read a file as the waveform that features are computed from."""
    recording = decode(path, Limits(heard_hz=config.sample_rate_hz))
    try:
        return to_waveform(recording.samples, recording.sample_rate_hz, config)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def peak_dbfs(samples: np.ndarray) -> float:
    """Return the largest absolute sample in decibels relative to full scale."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return 20.0 * float(np.log10(peak)) if peak > 0 else float("-inf")


def loudest(samples: np.ndarray) -> float:
    """Find the sample that is furthest from the middle of its channel, without a copy of all."""
    middle = np.mean(samples, axis=0)
    return float(np.max([samples.max(axis=0) - middle, middle - samples.min(axis=0)]))


def clipped_share(samples: np.ndarray) -> float:
    """Tell how many of the samples are at full scale, 0 to 1."""
    return float(np.mean((samples >= CLIPPED_FROM) | (samples <= -CLIPPED_FROM)))


def warnings_about(samples: np.ndarray, *, truncated: bool = False) -> list[str]:
    """Name what makes a recording a poor basis for an answer."""
    found = []
    level = peak_dbfs(np.array(loudest(samples)))
    if level < SILENCE_DBFS:
        found.append("silent")
    elif level < -40.0:
        found.append("quiet")
    if clipped_share(samples) > 1e-3:
        found.append("clipped")
    return found + ["truncated"] * truncated
