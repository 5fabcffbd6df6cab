"""What every corpus module fills in: how a corpus is named, licensed, fetched and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

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
