"""How a corpus is named, licensed, fetched and read; the built-in ones in ``NAME.toml``."""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent
EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipName:
    """What the name of a recording says; empty where it, or the corpus, does not."""

    emotion: str  # one of `EMOTIONS`; empty where the corpus' own has no common label
    emotion_raw: str  # in the words of the corpus' own documentation
    speaker: str  # the corpus' own name, such as "12"
    sex: str = ""  # female or male
    age: int | None = None  # years
    intensity: str = ""
    statement: str = ""
    repetition: str = ""
    modality: str = "audio-only"  # or full-av, video-only
    vocal_channel: str = "speech"  # or song


class Archive(NamedTuple):
    """One file to fetch over plain HTTP, or one that comes with this package."""

    url: str
    filename: str
    checksum: str = ""
    size_bytes: int = 0

    @property
    def in_package(self) -> bool:
        """Whether there is nothing to fetch."""
        return Path(self.url).is_file()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus: where it comes from, on what terms, and how its file names read."""

    name: str  # short: in clip ids, folders and on the command line
    title: str
    language: str  # two letters (ISO 639-1)
    n_clips: int  # in a whole copy; 0 where that depends on the copy
    licence: str  # in one line
    citation: str
    homepage: str
    # Path relative to the corpus' folder → what its name says, or None where it does not fit.
    # Opens no recording.
    parse: Callable[[PurePath], ClipName | None]
    # Path that `parse` accepts → the stem of the original release, the same for every layout and
    # spelling in circulation.
    canonical: Callable[[PurePath], str]
    kaggle: str = ""  # data set, "owner/name"
    archives: tuple[Archive, ...] = ()
    # Speaker → (sex, age in years or None), where the documentation tells.
    demographics: Mapping[str, tuple[str, int | None]] = dataclasses.field(default_factory=dict)
    # SHA-256 over the sorted names of all clips, a line each: what a whole copy must contain
    names_sha256: str = ""
    labels: tuple[str, ...] = ()  # common ones where they exist; empty: only the files tell
    files: tuple[Path, ...] | None = None  # where a table lists them; None: all in the folder

    @property
    def sources(self) -> tuple[str, ...]:
        """Where it can be downloaded from, the best first."""
        there = {"archive": self.archives, "kaggle": self.kaggle}
        return tuple(source for source, found in there.items() if found)

    def clip_id(self, path: PurePath) -> str:
        """Return the name of a clip that is unique over all corpora."""
        return f"{self.name}/{self.canonical(path)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheme:
    """How the file names of a corpus read, in whatever case they are spelled."""

    pattern: str  # of a whole stem; groups are fields of `ClipName`, or for the stem alone
    stem: str  # as it was released, made of the groups: "{speaker}_{emotion}"
    # Field → its codes and what they stand for; of `emotion`, the common label (or nothing) and
    # the corpus' own word. What a field without codes holds stands for itself.
    codes: Mapping[str, Mapping[str, Any]]
    speakers: Mapping[str, tuple[str, int | None]]  # sex, and age in years
    slips: Mapping[str, str] = dataclasses.field(default_factory=dict)  # misspelled → right stem
    speaker_folder: bool = False  # the speaker may be the folder's name, and not in the file's

    @functools.cached_property
    def _spelled(self) -> dict[str, dict[str, str]]:
        tables = {**self.codes, "speaker": self.speakers}
        return {name: {code.lower(): code for code in table} for name, table in tables.items()}

    def _read(self, path: PurePath) -> dict[str, str] | None:
        """Read the parts of a name, each as the release spells it."""
        stem = self.slips.get(path.stem.lower(), path.stem)
        if self.speaker_folder and "_" not in stem:
            stem = f"{path.parent.name}_{stem}"
        match = re.fullmatch(self.pattern, stem, re.IGNORECASE | re.ASCII)
        if match is None:
            return None
        parts = {name: text or "" for name, text in match.groupdict().items()}
        for name, text in parts.items():
            spelled = self._spelled.get(name, {text.lower(): text.lower()})
            if text.lower() not in spelled:
                return None
            parts[name] = spelled[text.lower()]
        return parts

    def parse(self, path: PurePath) -> ClipName | None:
        """Say what a name says; None where it does not fit."""
        parts = self._read(path)
        if parts is None:
            return None
        fields: dict[str, Any] = {
            name: self.codes.get(name, {}).get(text, text)
            for name, text in parts.items()
            if name in ClipName.__dataclass_fields__
        }
        emotion, emotion_raw = fields.pop("emotion")
        sex, age = self.speakers[parts["speaker"]]
        return ClipName(emotion=emotion, emotion_raw=emotion_raw, sex=sex, age=age, **fields)

    def canonical(self, path: PurePath) -> str:
        """Give the released spelling of a stem."""
        parts = self._read(path)
        return path.stem if parts is None else self.stem.format(**parts)


@functools.cache
def scheme_of(name: str) -> Scheme:
    """Read how the file names of a described corpus read."""
    about = _described(name)
    speakers = {
        speaker: (sex, people[speaker] if isinstance(people, dict) else None)
        for sex, people in about["speakers"].items()
        for speaker in people
    }
    pattern = about["names"]["pattern"].replace("\n", "")
    return Scheme(**{**about["names"], "pattern": pattern}, speakers=speakers)


def read(name: str) -> Corpus:
    """Read the description of a corpus."""
    scheme, about = scheme_of(name), _described(name)
    words = [label or word for label, word in scheme.codes["emotion"].values()]
    facts = {field: value for field, value in about.items() if field not in ("names", "speakers")}
    return Corpus(
        name=name,
        parse=scheme.parse,
        canonical=scheme.canonical,
        labels=tuple(sorted(words, key=lambda word: (word not in EMOTIONS, word))),
        demographics=scheme.speakers,
        **{**facts, "archives": tuple(Archive(**found) for found in facts.get("archives", ()))},
    )


@functools.cache
def _described(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
