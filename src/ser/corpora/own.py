"""A reader's own recordings as a corpus: a folder for each label, a pattern, or a table."""

from __future__ import annotations

import csv
import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from ser import corpora
from ser.corpora.base import EMOTIONS, ClipName, Corpus
from ser.project import SerError, shown

UNKNOWN = "unknown"  # the speaker of a corpus that does not tell
OPTIONAL = ("sex", "intensity", "statement", "repetition")  # columns of a table beside its label


def from_folder(
    path: Path | str,
    *,
    name: str | None = None,
    label: str = "folder",
    speaker: str | None = None,
    labels: Mapping[str, str] | None = None,
    language: str = "",
) -> str:
    r"""Use a folder of recordings as a corpus, like any built-in one from then on.

    Parameters
    ----------
    path : path
        The folder; recordings may lie in it at any depth.
    name : str, optional
        What to call the corpus; the folder's name where left out.
    label : str
        ``"folder"`` where each label has a folder of that name; otherwise a regular expression that
        is searched in the path below the folder, whose first group is the label.
    speaker : str, optional
        A regular expression whose first group is the speaker. Without it all clips count as one
        speaker, and the corpus can only be trained on or tested as a whole.
    labels : mapping, optional
        Labels as found to labels as wanted, for example ``{"W": "angry"}``; others stay.
    language : str
        Two letters (ISO 639-1), where known.

    Returns
    -------
    str
        The corpus' name: for recipes, ``ser metadata --corpora``, `ser.corpora.locate`.

    Raises
    ------
    SerError
        When the folder holds no recording that has a label, the pattern has no group, or a built-in
        corpus has that name.

    Examples
    --------
    >>> corpora.from_folder("~/mine", speaker=r"/(s\d+)_")  # doctest: +SKIP
    mine: 120 recordings; angry 60, happy 60; 4 speakers.
    'mine'
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise SerError(f"{path}: expected a folder of recordings, found none. Check its name.")
    for what, pattern in (("label", label), ("speaker", speaker)):
        if pattern is not None and pattern != "folder":
            _check_pattern(what, pattern)
    definition = {
        "path": str(folder.resolve()),
        "label": label,
        "speaker": speaker,
        "labels": dict(labels or {}),
        "language": language,
    }
    return _add(name or folder.resolve().name, definition)


def from_table(path: Path | str, *, name: str | None = None, language: str = "") -> str:
    """Use the recordings that a CSV file lists as a corpus.

    Parameters
    ----------
    path : path
        A file with the columns ``path`` (relative to it, or absolute) and ``label``; also, where
        known, ``speaker``, ``sex``, ``intensity``, ``statement`` and ``repetition``.
    name : str, optional
        What to call the corpus; the file's name where left out.
    language : str
        Two letters (ISO 639-1), where known.

    Returns
    -------
    str
        The corpus' name.

    Raises
    ------
    SerError
        When a column is missing, a row has no label, a path stands there twice, or files are not
        there; says how many.
    """
    file = Path(path).expanduser().resolve()
    rows = _read_table(file)
    missing = [row["path"] for row in rows if not (file.parent / row["path"]).is_file()]
    if missing:
        raise SerError(
            f"{path}: {len(missing)} of {len(rows)} recordings are not there, {missing[0]} for "
            "one. Paths are relative to the table, or absolute."
        )
    definition = {"path": str(file.parent), "table": str(file), "language": language}
    return _add(name or file.stem, definition)


def _check_pattern(what: str, pattern: str) -> None:
    try:
        if re.compile(pattern).groups:
            return
        reason = "it has no group"
    except re.error as error:
        reason = str(error)
    raise SerError(
        f"{what}={pattern!r}: expected a regular expression with a group, such as r'_(.+)_', found "
        f"one that cannot be used ({reason})."
    )


def _add(name: str, definition: dict[str, Any]) -> str:
    """Check a corpus, say what was found, and remember it."""
    name = re.sub(r"\W+", "_", name.strip()).strip("_").lower() or "mine"
    if name in corpora.BUILT_IN:
        raise SerError(f"{name}: a built-in corpus has this name. Choose another with name=….")
    corpus = corpus_of(name, definition)
    clips, strangers = corpora.scan_files(corpus, Path(definition["path"]))
    if not clips:
        example = f", {strangers[0]} for one" if strangers else ""
        raise SerError(
            f"{definition['path']}: none of {len(strangers)} recordings there has a label{example}."
            " Put the recordings of each label into a folder of its name, or name a pattern."
        )
    counts = Counter(clip.emotion_raw for _, clip in clips)
    speakers = {clip.speaker for _, clip in clips}
    who = "1 speaker" if len(speakers) == 1 else f"{len(speakers)} speakers"
    found = ", ".join(f"{label} {number}" for label, number in sorted(counts.items()))
    print(f"{name}: {len(clips)} recordings; {found}; {who}.")
    if strangers:
        print(f"{name}: {len(strangers)} recordings have no label and are left out: {strangers[0]}")
    if UNKNOWN in speakers:
        print(
            f"{name}: WHO SPEAKS IS NOT KNOWN of {sum(c.speaker == UNKNOWN for _, c in clips)} "
            "recordings. They count as one speaker: they can only be trained on or tested as a "
            "whole. Name a pattern, or a column of the table, for the speaker."
        )
    corpora.remember(name, definition)
    return name


def corpus_of(name: str, definition: Mapping[str, Any]) -> Corpus:
    """Make the corpus that a stored definition describes."""
    files: tuple[Path, ...] | None = None
    if "table" in definition:
        rows = {row["path"]: row for row in _read_table(Path(definition["table"]))}
        files = tuple(Path(path) for path in rows)
        parse: Callable[[PurePath], ClipName | None] = functools.partial(_of_row, rows)
    else:
        parse = functools.partial(_of_path, definition)
    return Corpus(
        name=name,
        title=f"{name}: recordings of your own in {shown(Path(definition['path']))}",
        language=definition["language"],
        n_clips=0,
        licence="as you have agreed with those who speak",
        citation="none",
        homepage="",
        parse=parse,
        canonical=PurePath.as_posix,
        files=files,
    )


def _of_path(definition: Mapping[str, Any], path: PurePath) -> ClipName | None:
    text = path.as_posix()
    if definition["label"] == "folder":
        label = path.parent.name
    else:
        found = re.search(definition["label"], text)
        label = (found[1] or "") if found else ""
    pattern = definition["speaker"]
    spoken = re.search(pattern, text) if pattern else None
    label = definition["labels"].get(label, label)
    return _clip(label, (spoken[1] if spoken else "") or "") if label else None


def _of_row(rows: Mapping[str, dict[str, str]], path: PurePath) -> ClipName | None:
    row = rows.get(path.as_posix())
    if row is None:
        return None
    return _clip(row["label"], row.get("speaker", ""), **{k: row.get(k, "") for k in OPTIONAL})


def _clip(label: str, speaker: str, **more: Any) -> ClipName:
    common = label if label in EMOTIONS else ""
    return ClipName(emotion=common, emotion_raw=label, speaker=speaker or UNKNOWN, **more)


def _read_table(file: Path) -> list[dict[str, str]]:
    """Read a table; paths become relative to its folder, as far up as they lie."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            columns = [(name or "").strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SerError(f"{file}: cannot be read as a CSV table ({error}).") from error
    for name in ("path", "label"):
        if name not in columns:
            raise SerError(
                f"{file}: expected the columns path and label, found {', '.join(columns)}."
            )
    for number, row in enumerate(rows, 2):
        if not row["path"] or not row["label"]:
            raise SerError(f"{file}, line {number}: a row needs both a path and a label.")
        row["path"] = Path(os.path.relpath(file.parent / row["path"], file.parent)).as_posix()
    twice = [path for path, times in Counter(row["path"] for row in rows).items() if times > 1]
    if twice:
        raise SerError(
            f"{file}: {twice[0]} stands there more than once. Give each recording a row."
        )
    if not rows:
        raise SerError(f"{file}: holds no row. List a recording in each.")
    return rows
