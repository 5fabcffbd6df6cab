"""File names whose parts are codes: a pattern, and a table for each part."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ser.corpora.base import EMOTIONS, ClipName, Corpus


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheme:
    """How the file names of a corpus read, in whatever case they are spelled."""

    pattern: str  # of a whole stem; its groups are named after fields of `ClipName`, or are for
    # the stem alone
    stem: str  # as it was released, made of the groups: "{speaker}_{emotion}"
    # Field → its codes and what they stand for; of `emotion`, the common label (or nothing) and
    # the corpus' own word. What a field without codes holds stands for itself.
    codes: Mapping[str, Mapping[str, Any]]
    speakers: Mapping[str, tuple[str, int | None]]  # sex, and age in years
    slips: Mapping[str, str] = dataclasses.field(default_factory=dict)  # misspelled → right stem
    speaker_folder: bool = False  # the speaker may be the folder's name, and not in the file's

    def corpus(self, **facts: Any) -> Corpus:
        """Make the corpus whose names read so; `facts` are the other fields of `Corpus`."""
        words = [label or word for label, word in self.codes["emotion"].values()]
        return Corpus(
            parse=self.parse,
            canonical=self.canonical,
            labels=tuple(sorted(words, key=lambda word: (word not in EMOTIONS, word))),
            demographics=self.speakers,
            **facts,
        )

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
