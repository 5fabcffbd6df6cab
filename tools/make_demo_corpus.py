"""Make the demo corpus, ``src/ser/corpora/demo_clips.zip``: espeak-ng speaks, rules act.

    pip install espeakng-loader
    python tools/make_demo_corpus.py

The clips are committed, so that everybody has the same and nobody needs espeak-ng; this is how they
were made. An emotion becomes rate, pitch, range, volume and pauses, after the usual findings on
acted speech (Juslin and Laukka, Psychological Bulletin 129(5), 2003): anger fast and loud, sadness
slow, soft and flat, fear fast and high. Every take varies around its rule, and every voice has
habits of its own, so that classes overlap. All chance comes from generators seeded by name.
"""

from __future__ import annotations

import array
import ctypes
import dataclasses
import io
import itertools
import multiprocessing
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import espeakng_loader
import numpy as np
import soundfile
import soxr

from ser.corpora.base import scheme_of

TARGET = Path(__file__).parents[1] / "src" / "ser" / "corpora" / "demo_clips.zip"
OPUS_RATE_HZ = 16_000
COMPRESSION = 0.968  # about 14 kbit/s

# Speaker of each scheme to espeak-ng voice, of the sex that the name promises.
VOICES = {
    "ravdess": {
        "01": "en-us+m1",
        "02": "en-us+f1",
        "03": "en-us+m2",
        "04": "en-us+f2",
        "05": "en-us+m3",
        "06": "en-us+f3",
        "07": "en-us+m4",
        "08": "en-us+f4",
        "09": "en-us+m5",
        "10": "en-us+f5",
        "11": "en-us+m6",
        "12": "en+f1",
        "13": "en-us+m7",
        "14": "en+f2",
        "15": "en-us+m8",
        "16": "en+f3",
    },
    "crema_d": {"1001": "en+m1", "1002": "en+f4", "1003": "en+f5", "1005": "en+m3"},
    "tess": {"OAF": "en-us-nyc+f2", "YAF": "en-us-nyc+f4"},
    "savee": {"DC": "en+m4", "JE": "en+m7"},
}
SAVEE_SENTENCES = {
    1: "She took the early train into town.",
    2: "The kettle is on the stove.",
    3: "He left the letter on the table.",
    4: "They walked along the river, then home.",
}
CREMA_D_SENTENCES = ("DFA", "IEO", "IWW", "TAI")
TESS_WORDS = ("back", "dog", "home", "learn")


@dataclasses.dataclass(frozen=True)
class Take:
    """One clip to be spoken."""

    path: str
    voice: str
    text: str
    emotion: str
    strong: bool = False


def _codes(corpus: str, part: str) -> Mapping[str, Any]:
    return scheme_of(corpus).codes[part]


def takes() -> list[Take]:
    """List every clip of the demo corpus."""
    return [*_ravdess_takes(), *_crema_d_takes(), *_tess_takes(), *_savee_takes()]


def _ravdess_takes() -> Iterator[Take]:
    for actor, voice in VOICES["ravdess"].items():
        for code, (emotion, _) in _codes("ravdess", "emotion").items():
            for number in range(4):
                statement = f"{1 + number % 2:02d}"
                second = number >= 2  # strong, or the second repetition where there is no strong
                strong = second and emotion != "neutral"
                repetition = "02" if second and not strong else "01"
                name = f"03-01-{code}-{1 + strong:02d}-{statement}-{repetition}-{actor}"
                text = f"{_codes('ravdess', 'statement')[statement]}."
                yield Take(f"ravdess/Actor_{actor}/{name}.wav", voice, text, emotion, strong)


def _crema_d_takes() -> Iterator[Take]:
    for actor, voice in VOICES["crema_d"].items():
        for code, (emotion, _) in _codes("crema_d", "emotion").items():
            for sentence in CREMA_D_SENTENCES:
                path = f"crema_d/AudioWAV/{actor}_{sentence}_{code}_XX.wav"
                text = f"{_codes('crema_d', 'statement')[sentence]}."
                yield Take(path, voice, text, emotion)


def _tess_takes() -> Iterator[Take]:
    for speaker, voice in VOICES["tess"].items():
        for name, (emotion, _) in _codes("tess", "emotion").items():
            for word in TESS_WORDS:
                path = f"tess/{speaker}_{name}/{speaker}_{word}_{name}.wav"
                yield Take(path, voice, f"Say the word {word}.", emotion)


def _savee_takes() -> Iterator[Take]:
    for speaker, voice in VOICES["savee"].items():
        for code, (emotion, _) in _codes("savee", "emotion").items():
            for number, text in SAVEE_SENTENCES.items():
                yield Take(f"savee/{speaker}/{code}{number:02d}.wav", voice, text, emotion)


SAMPLE_RATE_HZ = 22_050  # of espeak-ng

# Names and numbers of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_RETRIEVAL = 1
_DO_NOT_EXIT = 0x8000
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_PARAMETERS = {"rate_wpm": 1, "volume": 2, "pitch": 3, "pitch_range": 4, "word_gap": 7}
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The library, loaded and set to return samples instead of playing them."""

    def __init__(self, library: str, data: str, seed: int = 1) -> None:
        self._library = ctypes.CDLL(library)
        initialise = self._library.espeak_Initialize
        initialise.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        rate = initialise(_AUDIO_OUTPUT_RETRIEVAL, 0, os.fsencode(data), _DO_NOT_EXIT)
        if rate != SAMPLE_RATE_HZ:
            raise OSError(f"espeak_Initialize answered {rate}, expected {SAMPLE_RATE_HZ}")
        if not hasattr(self._library, "espeak_ng_SetRandSeed"):
            raise OSError("espeak-ng is older than 1.52")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._samples = array.array("h")
        self._callback = _Callback(self._keep)  # must live as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples: Any, n_samples: int, _events: Any) -> int:
        if samples and n_samples > 0:
            self._samples.frombytes(ctypes.string_at(samples, n_samples * 2))
        return 0

    def speak(self, text: str, voice: str, **parameters: int) -> bytes:
        """Speak one utterance."""
        self._samples = array.array("h")
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise OSError(f"no voice named {voice!r}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(_PARAMETERS[name], int(value), 0)
        utterance = text.encode() + b"\0"
        failed = self._library.espeak_Synth(
            utterance,
            ctypes.c_size_t(len(utterance)),
            0,
            _POSITION_CHARACTER,
            0,
            _CHARS_UTF8,
            None,
            None,
        )
        if failed or self._library.espeak_Synchronize() or not self._samples:
            raise OSError(f"no sound for {text!r} from voice {voice!r}")
        return self._samples.tobytes()


SEED = 20_240
NOISE_RMS = 12.0  # of 32,768: -69 dBFS, the floor of a quiet room

_NEUTRAL_RATE_WPM = 170.0
_NEUTRAL_VOLUME = 42.0  # espeak-ng's percent; +6 dB still leaves headroom in every voice


class Style(NamedTuple):
    """How an emotion differs from neutral speech."""

    rate: float
    pitch: float
    pitch_range: float
    level_db: float
    word_gap_s: float
    tilt_db: float  # of each octave above 500 Hz: a tense voice is bright, a slack one is dull


STYLES = {
    "neutral": Style(1.00, 0, 40, 0.0, 0.00, 0.0),
    "calm": Style(0.80, -6, 25, -5.0, 0.03, -3.5),
    "happy": Style(1.16, 18, 90, 2.5, 0.00, 2.0),
    "sad": Style(0.66, -10, 12, -8.0, 0.12, -6.0),
    "angry": Style(1.32, 6, 75, 7.0, 0.00, 6.0),
    "fearful": Style(1.40, 28, 20, -4.0, 0.02, -1.0),
    "disgust": Style(0.72, -6, 80, 2.5, 0.07, 2.5),
    "surprised": Style(0.96, 36, 100, 4.0, 0.02, 0.5),
}


class Delivery(NamedTuple):
    """How one take is spoken."""

    parameters: dict[str, int]
    lead_s: float
    tail_s: float
    tilt_db: float


def seeded(*parts: str) -> np.random.Generator:
    """Make a generator that depends on nothing but its name."""
    return np.random.default_rng([SEED, zlib.crc32("\n".join(parts).encode())])


def delivery(take: Take) -> Delivery:
    """Draw how a take is spoken; the same take gives the same answer on any machine."""
    style, neutral = STYLES[take.emotion], STYLES["neutral"]
    habit = seeded("voice", take.voice)
    speed, shift, loudness = habit.normal(0, (0.05, 3.0, 1.0))
    vigour = habit.uniform(0.85, 1.1) * (1.25 if take.strong else 1.0)
    rng = seeded("take", take.path)
    rate = style.rate**vigour * np.exp(speed + rng.normal(0, 0.07))
    pitch = 45 + shift + vigour * style.pitch + rng.normal(0, 4)
    spread = neutral.pitch_range + vigour * (style.pitch_range - neutral.pitch_range)
    level_db = vigour * style.level_db + loudness + rng.normal(0, 1.2)
    gap_s = style.word_gap_s * rng.uniform(0.3, 1.7)
    parameters = {
        "rate_wpm": _between(80, _NEUTRAL_RATE_WPM * rate, 300),
        "volume": _between(5, _NEUTRAL_VOLUME * 10 ** (level_db / 20), 100),
        "pitch": _between(0, pitch, 99),
        "pitch_range": _between(0, spread + rng.normal(0, 8), 100),
        "word_gap": _between(0, gap_s * 100, 30),
    }
    lead_s, tail_s = rng.uniform(0.12, 0.35, size=2)
    return Delivery(parameters, lead_s, tail_s, vigour * style.tilt_db + rng.normal(0, 0.7))


def _between(low: int, value: float, high: int) -> int:
    return round(min(max(value, low), high))


def tilted(sound: np.ndarray, tilt_db: float) -> np.ndarray:
    """Make a voice brighter or duller by so many decibels an octave, as loud as before."""
    spectrum = np.fft.rfft(sound.astype(np.float64))
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(hertz, 500.0) / 500.0)
    changed = np.fft.irfft(spectrum * 10 ** (tilt_db * octaves / 20), len(sound))
    return changed * np.sqrt(np.mean(np.square(sound, dtype=float)) / np.mean(np.square(changed)))


def speak(takes: list[Take]) -> list[bytes]:
    """Speak the takes of one voice, each as an Opus file.

    The library keeps state from one utterance to the next, so each voice has a fresh process.
    """
    home = Path(espeakng_loader.get_data_path()).parent
    os.chdir(home)
    espeak = Espeak(espeakng_loader.get_library_path(), ".")
    found = []
    for take in takes:
        timing = delivery(take)
        sound = np.frombuffer(espeak.speak(take.text, take.voice, **timing.parameters), np.int16)
        lead, tail = (round(s * SAMPLE_RATE_HZ) for s in (timing.lead_s, timing.tail_s))
        whole = np.pad(tilted(sound, timing.tilt_db), (lead, tail))
        whole += seeded("noise", take.path).normal(0, NOISE_RMS, len(whole))  # a quiet room's
        wave = soxr.resample(np.clip(whole / 32_768, -1, 1), SAMPLE_RATE_HZ, OPUS_RATE_HZ)
        file = io.BytesIO()
        soundfile.write(
            file, wave, OPUS_RATE_HZ, format="OGG", subtype="OPUS", compression_level=COMPRESSION
        )
        found.append(file.getvalue())
    return found


def main() -> int:
    """Speak everything and write the archive."""
    groups = [list(group) for _, group in itertools.groupby(takes(), lambda take: take.voice)]
    context = multiprocessing.get_context("spawn")
    with (
        context.Pool(2, maxtasksperchild=1) as pool,
        zipfile.ZipFile(TARGET, "w", zipfile.ZIP_STORED) as archive,
    ):
        for group, files in zip(groups, pool.imap(speak, groups), strict=True):
            for take, data in zip(group, files, strict=True):
                entry = zipfile.ZipInfo(take.path.replace(".wav", ".opus"), (2026, 1, 1, 0, 0, 0))
                archive.writestr(entry, data)
    n_clips = sum(map(len, groups))
    print(f"{n_clips} clips, {TARGET.stat().st_size / 1e6:.2f} MB: {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
