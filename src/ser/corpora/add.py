"""Use a reader's own recordings as a corpus: a folder for each label, a pattern, or a table."""

import re
from collections import Counter
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from ser.corpora.own import UNKNOWN, corpus_of, read_table
from ser.corpora.registry import BUILT_IN, remember, scan
from ser.project import SerError, some


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
    >>> from_folder("~/mine", speaker=r"/(s\d+)_")  # doctest: +SKIP
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
    rows = read_table(file)
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


def _count(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'s' * (len(things) != 1)}"


def _add(name: str, definition: dict[str, Any]) -> str:
    """Check a corpus, say what was found, and remember it."""
    name = re.sub(r"\W+", "_", name.strip()).strip("_").lower() or "mine"
    if name in (*BUILT_IN, "all"):  # what stands for all corpora on this machine
        raise SerError(f"{name}: this name is taken. Choose another for your corpus.")
    corpus = corpus_of(name, definition)
    clips, strangers = scan(corpus, definition["path"])
    if not clips:
        example = f", {strangers[0]} for one" if strangers else ""
        raise SerError(
            f"{definition['path']}: none of {len(strangers)} recordings there has a label{example}."
            " Put the recordings of each label into a folder of its name, or name a pattern."
        )
    counts = Counter(clip.emotion_raw for _, clip in clips)
    speakers = {clip.speaker for _, clip in clips}
    who, what = _count(speakers, "speaker"), _count(clips, "recording")
    found = ", ".join(f"{label} {number}" for label, number in sorted(counts.items()))
    print(f"{name}: {what}; {found}; {who}.")
    if strangers:
        print(f"{name}: no label, left out: {_count(strangers, 'file')}: {some(strangers)}")
    if UNKNOWN in speakers:
        nameless = [clip for _, clip in clips if clip.speaker == UNKNOWN]
        print(
            f"{name}: WHO SPEAKS IS NOT KNOWN of {_count(nameless, 'recording')}. They count as "
            "one speaker: they can only be trained on or tested as a whole. Name a pattern, or a "
            "column of the table, for the speaker."
        )
    remember(name, definition)
    return name
