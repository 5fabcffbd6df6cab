"""Which files are recordings, how large they may be, and those that libsndfile refuses.

PyAV brings FFmpeg's libraries for those of phones, browsers and cameras. It is an extra, and
imported only when such a file comes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from ser.project import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer

# All suffixes of recordings: folders, the web page and corpora of one's own go by these.
LOSSLESS = frozenset(
    (
        *(".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".flac", ".caf"),
        *(".au", ".snd", ".nist", ".sph", ".voc", ".svx"),
    )
)
LOSSY = frozenset((".ogg", ".oga", ".opus", ".mp3"))
BY_FFMPEG = frozenset(
    (
        *(".m4a", ".m4b", ".aac", ".wma", ".amr", ".awb", ".3gp", ".3gpp", ".3g2", ".weba", ".mka"),
        *(".mp4", ".m4v", ".mkv", ".mov", ".avi", ".flv", ".webm", ".mpg", ".mpeg", ".wmv", ".asf"),
    )
)
SUFFIXES = LOSSLESS | LOSSY | BY_FFMPEG

# What FFmpeg may open: containers that hold their sound themselves (no playlist that names other
# files), and decoders of sound. Pictures are never decoded, not even to look what they are.
CONTAINERS = "aac,amr,asf,avi,caf,flv,matroska,mov,mpeg"
CODECS = (
    "aac,aac_latm,ac3,alac,amrnb,amrwb,eac3,flac,libopus,mp2,mp2float,mp3,mp3float,opus,vorbis,"
    "wmalossless,wmapro,wmav1,wmav2,wmavoice,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,pcm_alaw,"
    "pcm_f32be,pcm_f32le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,"
    "pcm_s8,pcm_u8"
)
BEGINNINGS = ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (0, b"0&\xb2u"), (0, b"#!AMR"), (0, b"\xff\xf1"))
ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object that holds its length
WITHOUT_LENGTH = ("aac", "amr")  # FFmpeg guesses how long these are from their bit rate
OGG_BEGINS, OGG_GOES_ON = re.compile(rb"OggS\0[\2\3]"), re.compile(rb"OggS\0[\0\1\4\5]")
LOST_S = 0.5  # less than this is the padding of an encoder
MAX_CHANNELS = 7  # of eight and more, PyAV 18 counts planes beyond the end of the array (a crash)
TIMEOUT_S = 120.0
LARGE_BYTES = 64_000_000  # of decoded samples; of a larger recording only what is heard is kept
LOUDEST = 16.0  # 24 dB over full scale: no recorder goes further, and no mixing desk


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large a recording may be.

    A large one is brought to one channel of `heard_hz` while it is read: an hour takes no more
    memory than that.
    """

    longest_s: float = 3_600.0
    most_values: int = 2_000_000_000  # frames × channels
    heard_hz: float = 24_000.0

    def check(self, path: Path, frames: int, rate: float, channels: int, *, so_far: bool) -> None:
        """Refuse what is larger than it may be, as its header says or as was read so far."""
        seconds, more = frames / rate, "more than " if so_far else ""
        if seconds >= 1e6 and not so_far:
            return  # a header that is wrong
        if seconds > self.longest_s:
            unit_s, unit = (60, "minutes") if self.longest_s > 600 else (1, "s")
            most = f"{self.longest_s / unit_s:.0f} {unit}"
            found = more + most if so_far else f"{seconds / unit_s:.0f} {unit}"
            raise AudioError(f"{path}: {found} long; at most {most} are read. Cut it into parts.")
        if frames * channels > self.most_values:
            found = f"{seconds:,.0f} s of {rate:,.0f} Hz in {channels} channels"
            raise AudioError(
                f"{path}: {more}{found}; at most {self.most_values / 1e6:,.0f} million samples are "
                "read. Mix it down to one channel, or bring it to 48 kHz."
            )


class Gathering:
    """What is kept of a recording whose samples come in blocks (n_frames, n_channels)."""

    def __init__(self, path: Path, rate: int, channels: int, limits: Limits) -> None:
        if not 1_000 <= rate <= 1_000_000:
            raise AudioError(
                f"{path}: expected a sample rate of 1,000 to 1,000,000 Hz, found {rate}."
            )
        self.path, self.rate, self.channels, self.limits = path, rate, channels, limits
        self.frames, self.sample_rate_hz = 0, rate
        self._blocks: list[np.ndarray] = []
        self._resampled: soxr.ResampleStream | None = None
        self._large = False
        self._digest = hashlib.sha256(f"{rate} {channels} ".encode())

    def add(self, block: np.ndarray) -> None:
        """Take the next samples."""
        self.frames += len(block)
        self.limits.check(self.path, self.frames, self.rate, self.channels, so_far=True)
        loudest = float(np.max(np.abs(block), initial=0.0))
        if not np.isfinite(loudest):
            raise AudioError(
                f"{self.path}: holds NaN or infinite samples. Export it again as 16-bit PCM or "
                "FLAC."
            )
        if loudest > LOUDEST:
            raise AudioError(
                f"{self.path}: expected samples of -1 to 1, found {loudest:.3g}. Divide them by "
                "their full scale, and export it again as 16-bit PCM or FLAC."
            )
        self._digest.update(np.ascontiguousarray(block, dtype="<f4").data)
        if not self._large and self.frames * self.channels * 4 > LARGE_BYTES:
            self._large = True
            if self.rate > self.limits.heard_hz:
                self.sample_rate_hz = int(self.limits.heard_hz)
                self._resampled = soxr.ResampleStream(
                    self.rate, self.sample_rate_hz, 1, dtype="float32", quality="HQ"
                )
            self._blocks = [self._heard(earlier) for earlier in self._blocks]
        self._blocks.append(self._heard(block) if self._large else block)

    def _heard(self, block: np.ndarray) -> np.ndarray:
        mono = block[:, 0] if self.channels == 1 else block.mean(axis=1, dtype=np.float32)
        if self._resampled is not None:
            mono = self._resampled.resample_chunk(np.ascontiguousarray(mono))
        return mono[:, None]

    def whole(self) -> tuple[np.ndarray, str]:
        """Give all samples that are kept, and the hash of all that came."""
        if self._resampled is not None:
            last = self._resampled.resample_chunk(np.zeros(0, np.float32), last=True)
            self._blocks.append(last[:, None])
        blocks = self._blocks or [np.zeros((0, self.channels), np.float32)]
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0], self._digest.hexdigest()


def unread(data: bytes, kind: str) -> Iterator[io.BytesIO]:
    """Give what libsndfile leaves out: what follows in an Ogg; a WAV that was never finished."""
    if kind == "OGG":
        begins = [found.start() for found in OGG_BEGINS.finditer(data)]
        pairs = itertools.pairwise(begins)  # those without sound between them play together
        later = [at for before, at in pairs if OGG_GOES_ON.search(data, before, at)]
        for begin, end in itertools.pairwise([*later, len(data)]):
            yield io.BytesIO(data[begin:end])
    elif kind.startswith("WAV"):
        yield io.BytesIO(data.replace(b"data" + bytes(4), b"data" + b"\xff" * 4, 1))


def decode(source: Any, path: Path, reason: str, limits: Limits) -> tuple[Gathering, bool]:
    """Read what libsndfile refused for a reason; say whether some of it is missing."""
    file = source if isinstance(source, io.BytesIO) else io.FileIO(source)
    with file:
        file.seek(0)
        head = file.read(4_096)
        file.seek(0)
        expected = path.suffix.lower() in BY_FFMPEG or any(
            head[at:].startswith(beginning) for at, beginning in BEGINNINGS
        )
        try:
            import av
        except ImportError as error:
            if expected:
                raise AudioError(
                    f"{path}: reading this format needs PyAV: pip install 'ser-honest[formats]'. "
                    f"Or convert the file: {_conversion(path)}"
                ) from error
        else:
            try:
                with av.open(
                    file,
                    "r",
                    container_options={"format_whitelist": CONTAINERS, "codec_whitelist": CODECS},
                    metadata_errors="replace",
                    timeout=TIMEOUT_S,
                ) as container:
                    return _read(container, path, limits, _claimed_by_asf(head))
            except (av.FFmpegError, ValueError) as error:
                if expected:
                    reason = (getattr(error, "strerror", "") or str(error)).rstrip(".")
    raise AudioError(
        f"{path}: expected audio (WAV, FLAC, OGG, MP3, AIFF …), found something that cannot be "
        f"decoded ({reason}). Convert it to WAV or FLAC, or copy it again from its source."
    )


def _conversion(path: Path) -> str:
    name = path.name if path.suffix else "x.m4a"  # standard input has no name
    other = Path(name).with_suffix(".flac" if path.suffix.lower() == ".wav" else ".wav")
    return f"ffmpeg -i {shlex.quote(name)} {shlex.quote(str(other))}"


def _claimed_by_asf(head: bytes) -> float:
    """Read the length that FFmpeg does not believe where the file is smaller than it should be."""
    at = head.find(ASF_FACTS)
    play_time, lead_ms, flags = (
        int.from_bytes(head[at + offset : at + offset + size], "little")
        for offset, size in ((64, 8), (80, 8), (88, 4))
    )
    return 0.0 if at < 0 or flags & 1 else play_time / 1e7 - lead_ms / 1e3


def _read(
    container: InputContainer, path: Path, limits: Limits, least_s: float
) -> tuple[Gathering, bool]:
    """Decode the first audio stream; what is damaged in it is left out, and counted."""
    if not container.streams.audio:
        raise AudioError(f"{path}: holds no sound. Name a recording, or a video that has some.")
    stream = container.streams.audio[0]
    codec = stream.codec_context.name if stream.codec_context else "unknown"
    if codec not in CODECS.split(","):
        raise ValueError(f"its sound is coded as {codec}")
    claimed_s = (container.duration or 0) / 1e6
    if stream.duration and stream.time_base:
        claimed_s = float(stream.duration * stream.time_base)
    claimed_s = 0.0 if container.format.name in WITHOUT_LENGTH else max(claimed_s, least_s)
    rate, channels = stream.codec_context.sample_rate or 1, stream.codec_context.channels or 1
    limits.check(path, int(claimed_s * rate), rate, channels, so_far=False)
    kept, kind, passed_s = None, (0, 0), 0.0
    end_s = time.monotonic() + TIMEOUT_S
    for lasts_s, frame in _frames(container):
        passed_s += lasts_s
        if time.monotonic() > end_s:
            raise AudioError(f"{path}: takes more than {TIMEOUT_S:.0f} s to decode. Cut it.")
        if frame is None:
            continue
        found = frame.sample_rate, frame.layout.nb_channels
        if kept is None:
            rate, channels = kind = found
            if not 1 <= channels <= MAX_CHANNELS:
                raise AudioError(
                    f"{path}: expected at most {MAX_CHANNELS} channels, found {channels}. Mix it "
                    "down."
                )
            kept = Gathering(path, rate, channels, limits)
        if found == kind:
            kept.add(_floats(frame))
    if kept is None:
        raise ValueError("none of its sound is whole")
    return kept, max(claimed_s, passed_s) - kept.frames / kept.rate > LOST_S


def _frames(container: InputContainer) -> Iterator[tuple[float, Any]]:
    """Give how long each packet lasts, and its frames; a damaged one has none."""
    import av

    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, av.FFmpegError):  # IndexError: a stream began late
            return
        yield float((packet.duration or 0) * (packet.time_base or 0)), None
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                yield 0.0, frame


def _floats(frame: Any) -> np.ndarray:
    """Give the samples of a frame as libsndfile does: (n_samples, n_channels), full scale 1."""
    found = frame.to_ndarray()
    found = found.T if frame.format.is_planar else found.reshape(-1, frame.layout.nb_channels)
    if found.dtype.kind in "iu":
        full = 2.0 ** (8 * found.dtype.itemsize - 1)
        found = found / full - (1.0 if found.dtype.kind == "u" else 0.0)
    return found.astype(np.float32)
