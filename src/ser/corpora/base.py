"""What every corpus module fills in: how a corpus is named, licensed, fetched and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipName:
    """What the name of a recording says.

    Attributes
    ----------
    emotion : str
        One of ``EMOTIONS``, or empty where the corpus' own emotion has no common label.
    emotion_raw : str
        The emotion in the words of the corpus' own documentation.
    speaker : str
        The corpus' own name of the speaker, for example ``"12"``.
    sex : str
        ``"female"``, ``"male"``, or empty where unknown.
    age : int or None
        Years, where the corpus says.
    intensity, statement, repetition : str
        Empty where the corpus has none.
    modality : str
        ``"audio-only"``, ``"full-av"`` or ``"video-only"``.
    vocal_channel : str
        ``"speech"`` or ``"song"``.
    """

    emotion: str
    emotion_raw: str
    speaker: str
    sex: str = ""
    age: int | None = None
    intensity: str = ""
    statement: str = ""
    repetition: str = ""
    modality: str = "audio-only"
    vocal_channel: str = "speech"


class Archive(NamedTuple):
    """One file to fetch over plain HTTP."""

    url: str
    filename: str
    checksum: str
    size_bytes: int


def _same_stem(path: PurePath) -> str:
    return path.stem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus: where it comes from, on what terms, and how its file names read.

    Attributes
    ----------
    name : str
        Short name, used in clip ids, folders and on the command line.
    title : str
        Full name.
    language : str
        Two letters (ISO 639-1).
    n_clips : int
        Recordings in a whole copy; 0 where that depends on the copy.
    licence : str
        The terms, in one line.
    citation : str
        How to cite it.
    homepage : str
        Where a reader finds out more.
    parse : callable
        Path relative to the corpus' folder to `ClipName`, or None where the name does not fit.
        Pure: it opens no recording.
    canonical : callable
        Path relative to the corpus' folder to the stem of the original release, the same for
        every layout and spelling in circulation. Only for names that `parse` accepts.
    kaggle : str or None
        Kaggle dataset, ``owner/name``.
    archives : tuple of Archive
        Files for plain HTTP download.
    demographics : mapping
        Speaker to (sex, age in years or None), where the documentation tells.
    labels : tuple of str
        The labels there are, common ones where they exist; empty where only the files tell.
    files : tuple of Path, optional
        The recordings, where a table lists them; otherwise every recording in the folder.
    """

    name: str
    title: str
    language: str
    n_clips: int
    licence: str
    citation: str
    homepage: str
    parse: Callable[[PurePath], ClipName | None]
    canonical: Callable[[PurePath], str] = _same_stem
    kaggle: str | None = None
    archives: tuple[Archive, ...] = ()
    demographics: Mapping[str, tuple[str, int | None]] = dataclasses.field(default_factory=dict)
    labels: tuple[str, ...] = ()
    files: tuple[Path, ...] | None = None

    def clip_id(self, path: PurePath) -> str:
        """Return the name of a clip that is unique over all corpora."""
        return f"{self.name}/{self.canonical(path)}"
