"""Audio files as they should not be: made anew from a seed, each with what it must lead to."""

import io
import itertools
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
CONTAINERS = (
    *itertools.product(("WAV",), ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *itertools.product(("WAV",), ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM")),
    *itertools.product(("AIFF", "AU", "CAF", "W64", "RF64"), ("PCM_16",)),
    *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
)
GOOD, BAD, EITHER = "answer", "error", "either"


def speech_like(seconds=1.0, rate=RATE, channels=1, seed=0):
    """Noise with the envelope of syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    envelope = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)[:, None]
    return (0.3 * envelope * rng.normal(size=(len(t), channels))).clip(-1, 1).astype(np.float32)


def encoded(samples, rate=RATE, kind="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def odd_files():
    """Yield (name, bytes, what it must lead to)."""
    whole = {}
    for kind, subtype in CONTAINERS:
        rate = 48_000 if subtype == "OPUS" else RATE
        whole[kind, subtype] = encoded(speech_like(rate=rate), rate, kind, subtype)
        name = f"{kind}-{subtype}".lower()
        yield f"whole-{name}.wav", whole[kind, subtype], GOOD
        yield f"cut-{name}.wav", whole[kind, subtype][: len(whole[kind, subtype]) * 2 // 3], EITHER
        yield f"head-{name}.wav", whole[kind, subtype][:40], BAD
    for rate, channels in itertools.product((1_000, 8_000, 11_025, 44_100, 96_000), (1, 2, 6)):
        samples = speech_like(rate=rate, channels=channels)
        yield f"rate-{rate}-{channels}.wav", encoded(samples, rate), GOOD
    yield from _strange_sounds()
    yield from _strange_headers(whole["WAV", "PCM_16"])
    rng = np.random.default_rng(1)
    for number, (kind, size) in enumerate(
        itertools.product(("wav", "flac", "mp3"), (1, 64, 5_000))
    ):
        yield f"random-{number}.{kind}", rng.bytes(size), BAD
    for number, key in enumerate(itertools.islice(itertools.cycle(whole), 100)):
        data = bytearray(whole[key])
        for position in rng.integers(len(data), size=1 + number % 12):
            data[position] = rng.integers(256)
        yield f"flipped-{number}.{key[0].lower()}", bytes(data), EITHER


def _strange_sounds():
    quiet, one = np.zeros((RATE, 1), np.float32), speech_like()
    sounds = {
        "silence": (quiet, GOOD),
        "constant": (quiet + 0.5, GOOD),
        "full-scale": (np.sign(one), GOOD),
        "almost-nothing": (one * 1e-6, GOOD),
        "too-short": (one[:100], BAD),
        "one-sample": (one[:1], BAD),
        "no-sample": (one[:0], BAD),
        "not-a-number": (np.where(one > 0.2, np.nan, one), BAD),
        "infinite": (np.where(one > 0.2, np.inf, one), BAD),
        "huge": (one * 1e30, EITHER),
        "twenty-seconds": (speech_like(20), GOOD),
    }
    for name, (samples, expected) in sounds.items():
        yield f"sound-{name}.wav", encoded(samples.astype(np.float32), subtype="FLOAT"), expected


def _strange_headers(data):
    yield "empty.wav", b"", BAD
    yield "lfs.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", BAD
    yield "page.mp3", b"<!doctype html><title>404</title>" * 50, BAD
    yield "text.flac", "größer als nichts\n".encode() * 99, BAD
    yield "zip.ogg", b"PK\x03\x04" + bytes(900), BAD
    for field, size, values in (
        ("channels", 2, (0, 255, 65_535)),
        ("rate", 4, (0, 1, 2**31, 2**32 - 1)),
        ("bits", 2, (0, 1, 7, 255)),
        ("size", 4, (0, 1, 2**32 - 1)),
    ):
        offset = {"channels": 22, "rate": 24, "bits": 34, "size": 40}[field]
        for value in values:
            changed = bytearray(data)
            changed[offset : offset + size] = value.to_bytes(size, "little")
            yield f"header-{field}-{value}.wav", bytes(changed), EITHER


def write_all(folder: Path) -> dict[str, str]:
    """Write all files, and give what each must lead to."""
    expected = {}
    for name, data, outcome in odd_files():
        (folder / name).write_bytes(data)
        expected[name] = outcome
    return expected
