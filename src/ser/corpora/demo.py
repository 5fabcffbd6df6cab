"""The demo corpus: synthetic speech under the names of four real corpora.

It exists so that everything runs on any machine without a download. Its voices are espeak-ng's and
its emotions are rules (`ser.corpora.synthesis`): no number computed from it says anything about
people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import PurePath

from ser.corpora import crema_d, ravdess, savee, tess
from ser.corpora.base import ClipName, Corpus

SCHEMES = {
    corpus.name: corpus for corpus in (ravdess.CORPUS, crema_d.CORPUS, tess.CORPUS, savee.CORPUS)
}

# Speaker of each scheme to espeak-ng voice, of the sex that the name promises.
VOICES = {
    "ravdess": {
        "01": "en-us+m1",
        "02": "en-us+f1",
        "03": "en-us+m3",
        "04": "en-us+f2",
        "05": "en-us+m4",
        "06": "en-us+f3",
        "07": "en-us+m7",
        "08": "en-us+f4",
    },
    "crema_d": {
        "1001": "en-us+Michael",
        "1002": "en-us+linda",
        "1003": "en-us+steph",
        "1004": "en-us+Annie",
        "1005": "en-us+m6",
        "1011": "en-us+Denis",
    },
    "tess": {"OAF": "en-us+grandma", "YAF": "en-us+f5"},
    "savee": {"DC": "en+victor", "JE": "en+Alex"},
}

SAVEE_SENTENCES = {
    1: "She took the early train into town.",
    2: "The kettle is on the stove.",
    3: "He left the letter on the table.",
    4: "They walked along the river, then home.",
    5: "We need a little more time.",
    6: "Open the window, and close the door.",
}
CREMA_D_SENTENCES = ("DFA", "IEO", "IWW", "TAI", "TSI")
TESS_WORDS = ("back", "dog", "home", "learn", "rain", "voice")


@dataclasses.dataclass(frozen=True)
class Take:
    """One clip to be spoken."""

    path: str
    voice: str
    text: str
    emotion: str
    strong: bool = False


def takes() -> list[Take]:
    """List every clip of the demo corpus."""
    return [*_ravdess_takes(), *_crema_d_takes(), *_tess_takes(), *_savee_takes()]


def _ravdess_takes() -> Iterator[Take]:
    for actor, voice in VOICES["ravdess"].items():
        for code, emotion in ravdess.EMOTION_CODES.items():
            for number in range(4):
                statement = f"{1 + number % 2:02d}"
                second = number >= 2  # strong, or the second repetition where there is no strong
                strong = second and emotion != "neutral"
                repetition = "02" if second and not strong else "01"
                name = f"03-01-{code}-{1 + strong:02d}-{statement}-{repetition}-{actor}"
                text = f"{ravdess.STATEMENTS[statement]}."
                yield Take(f"ravdess/Actor_{actor}/{name}.wav", voice, text, emotion, strong)


def _crema_d_takes() -> Iterator[Take]:
    for actor, voice in VOICES["crema_d"].items():
        for code, (emotion, _) in crema_d.EMOTION_CODES.items():
            for sentence in CREMA_D_SENTENCES:
                path = f"crema_d/AudioWAV/{actor}_{sentence}_{code}_XX.wav"
                yield Take(path, voice, f"{crema_d.STATEMENTS[sentence]}.", emotion)


def _tess_takes() -> Iterator[Take]:
    for speaker, voice in VOICES["tess"].items():
        for name, (emotion, _) in tess.EMOTION_NAMES.items():
            for word in TESS_WORDS:
                path = f"tess/{speaker}_{name}/{speaker}_{word}_{name}.wav"
                yield Take(path, voice, f"Say the word {word}.", emotion)


def _savee_takes() -> Iterator[Take]:
    for speaker, voice in VOICES["savee"].items():
        for code, (emotion, _, _) in savee.EMOTION_CODES.items():
            for number, text in SAVEE_SENTENCES.items():
                yield Take(f"savee/{speaker}/{code}{number:02d}.wav", voice, text, emotion)


def parse(path: PurePath) -> ClipName | None:
    """Decode a name by the scheme of its first folder."""
    scheme = SCHEMES.get(path.parts[0]) if path.parts else None
    clip = scheme.parse(path) if scheme else None
    if scheme is None or clip is None:
        return None
    return dataclasses.replace(clip, speaker=f"{scheme.name}-{clip.speaker}", age=None)


def canonical(path: PurePath) -> str:
    """Return the scheme's name and the clip's."""
    scheme = SCHEMES[path.parts[0]]
    return f"{scheme.name}-{scheme.canonical(path)}"


CORPUS = Corpus(
    name="demo",
    title="Demo corpus: synthetic speech, for trying things out; not a result",
    language="en",
    n_clips=len(takes()),
    licence=(
        "No restriction on the sound: it is synthesised on this machine by espeak-ng (a program "
        "under GPL-3.0) and is not part of the repository"
    ),
    citation="None: synthetic speech must not be cited as a result",
    homepage="https://github.com/espeak-ng/espeak-ng",
    parse=parse,
    canonical=canonical,
    demographics={
        f"{scheme}-{speaker}": (SCHEMES[scheme].demographics[speaker][0], None)
        for scheme, voices in VOICES.items()
        for speaker in voices
    },
)
