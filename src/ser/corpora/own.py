"""What a reader's own corpus is: the label and the speaker of each recording, by rule or table."""

import csv
import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from ser.corpora.base import EMOTIONS, ClipName, Corpus
from ser.project import SerError, shown

UNKNOWN = "unknown"  # the speaker of a corpus that does not tell
OPTIONAL = ("sex", "intensity", "statement", "repetition")  # columns of a table beside its label


def corpus_of(name: str, definition: Mapping[str, Any]) -> Corpus:
    """Make the corpus that a stored definition describes."""
    files: tuple[Path, ...] | None = None
    if "table" in definition:
        table = Path(definition["table"])
        rows = {row["path"]: row for row in read_table(table)} if table.exists() else {}
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


def read_table(file: Path) -> list[dict[str, str]]:
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
