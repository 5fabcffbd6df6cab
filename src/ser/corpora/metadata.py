"""Corpora become one table, one row per clip, with the quality of each recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ser import corpora
from ser.cache import Cache
from ser.config import Recipe
from ser.corpora.base import EMOTIONS, ClipName, Corpus
from ser.corpora.folders import walk
from ser.corpora.measurements import Problem, measure_all
from ser.project import SerError, paths, shown, some, writing

_INTEGERS = {"age": "Int64", "sample_rate_hz": "int64", "n_channels": "int64"}
_FLOATS = {"duration_s": "float64", "peak_dbfs": "float64"}
COLUMNS = (
    *("clip_id", "path", "corpus", "language", "speaker", "sex", "age"),
    *("emotion", "emotion_raw", "intensity", "statement", "repetition"),
    *("modality", "vocal_channel"),
    *("duration_s", "sample_rate_hz", "n_channels", "peak_dbfs", "pcm_sha256", "flags"),
)


@dataclasses.dataclass(frozen=True)
class MetadataResult:
    """What `build` found; `n_files` is all of these together."""

    table: pd.DataFrame
    problems: list[Problem]
    unknown: list[Path]  # names that their corpus does not explain
    copies: list[Path]  # of clips that are used
    namesakes: list[Path]  # named as a clip that is used, but another recording by their size

    @property
    def n_files(self) -> int:
        """How many recordings there are."""
        lost: list[list[Any]] = [self.problems, self.unknown, self.copies, self.namesakes]
        return len(self.table) + sum(len(kind) for kind in lost)

    @property
    def losses(self) -> list[str]:
        """What is left out and why, a line for each kind."""
        kinds: dict[str, list[Any]] = {
            "cannot be read": [f"{shown(p.path)} ({p.reason})" for p in self.problems],
            "unknown name": [shown(path) for path in self.unknown],
            "name of a clip, but another size": [shown(path) for path in self.namesakes],
            "copy of a clip": [shown(path) for path in self.copies],
        }
        return [
            f"left out, {kind} ({len(lost):,}): {some(lost)}"
            for kind, lost in kinds.items()
            if lost
        ]


def build(names: Iterable[str], *, n_jobs: int = 2, progress: bool = True) -> MetadataResult:
    """Read every clip of some corpora.

    Facts of the sound are remembered in ``data/interim/audio_facts.sqlite`` until a file changes,
    so a second call decodes nothing, and one that was interrupted goes on.

    Parameters
    ----------
    names : iterable of str
        Names from `ser.corpora.names`.
    n_jobs : int
        Threads that decode.
    progress : bool
        Show a progress bar while decoding.

    Returns
    -------
    MetadataResult
        The table, and what is not in it and why. One bad file never stops the rest.

    Raises
    ------
    SerError
        When a corpus is unknown, not on this machine, or its folder holds no clip.
    """
    clips: list[tuple[Path, dict[str, Any]]] = []  # two corpora may share a recording
    unknown: list[Path] = []
    copies: list[Path] = []
    namesakes: list[Path] = []
    for corpus in [corpora.get(name) for name in dict.fromkeys(names)]:
        root = corpora.locate(corpus.name)
        found, strangers = corpora.scan(corpus, root)
        if not found:
            raise SerError(
                f"{shown(root)}: no clip of {corpus.name} there ({len(strangers)} other "
                f"recordings). Name the right folder with `ser data add {corpus.name} PATH`."
            )
        clips += [(root / path, _named(corpus, path, clip)) for path, clip in found]
        unknown += [root / path for path in strangers]
        same, other = _spare(corpus, root, [path for path, _ in found])
        copies, namesakes = copies + same, namesakes + other
    cache = Cache(paths().interim / "audio_facts.sqlite")
    files = [file for file, _ in clips]
    facts = measure_all(files, cache, n_jobs=n_jobs, progress=progress)
    problems, rows = [], []
    for file, named in clips:
        measured = facts[file]
        if isinstance(measured, Problem):
            problems.append(measured)
        else:
            rows.append({**named, **dataclasses.asdict(measured)})
    return MetadataResult(_table(rows), problems, unknown, copies, namesakes)


def _spare(corpus: Corpus, root: Path, used: list[Path]) -> tuple[list[Path], list[Path]]:
    """Find the files whose clip another file stands for: copies of it, and other recordings."""
    copies: list[Path] = []
    others: list[Path] = []
    best = {corpus.canonical(path): path for path in used}
    for path in [] if corpus.files is not None else walk(root).files:
        clip = path if corpus.parse(path) is None else best[corpus.canonical(path)]
        if clip == path:
            continue
        sizes = {_size(root / path), _size(root / clip)}
        is_other = path.suffix.lower() == clip.suffix.lower() and len(sizes) > 1
        (others if is_other else copies).append(root / path)
    return copies, others


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nothing
        return -1


def _named(corpus: Corpus, path: Path, clip: ClipName) -> dict[str, Any]:
    return {
        **dataclasses.asdict(clip),
        "clip_id": corpus.clip_id(path),
        "path": path.as_posix(),
        "corpus": corpus.name,
        "language": corpus.language,
        "speaker": f"{corpus.name}/{clip.speaker}",
    }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.sort_values("clip_id", ignore_index=True)
    table["flags"] = _flags(table)
    texts = {name: "str" for name in COLUMNS if name not in {**_INTEGERS, **_FLOATS}}
    return table.astype({**texts, **_INTEGERS, **_FLOATS})


def _flags(table: pd.DataFrame) -> list[str]:
    """Add to each recording's own flags those that concern several clips with the same sound."""
    emotion = table["emotion"].where(table["emotion"] != "", table["emotion_raw"])
    same_sound = emotion.groupby(table["pcm_sha256"])
    duplicate = same_sound.transform("size") > 1
    conflict = same_sound.transform("nunique") > 1
    return [
        ",".join(sorted({*own, *["duplicate"] * twice, *["label_conflict"] * at_odds}))
        for own, twice, at_odds in zip(table["flags"], duplicate, conflict, strict=True)
    ]


def write_table(table: pd.DataFrame, path: Path | None = None) -> Path:
    """Write the table, whole or not at all."""
    path = paths().metadata if path is None else Path(path)
    validate(table)
    with writing(path) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def read_table(path: Path | None = None) -> pd.DataFrame:
    """Read the table that `write_table` wrote."""
    path = paths().metadata if path is None else Path(path)
    if not path.exists():
        raise SerError(f"{shown(path)}: no metadata table yet. Make it with `ser metadata`.")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise SerError(
            f"{shown(path)}: cannot be read as a table ({error}). Make it again with "
            "`ser metadata`."
        ) from error
    validate(table)
    return table


def validate(table: pd.DataFrame) -> None:
    """Check that a table is one that the other modules can work with."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise SerError(
            f"the metadata table lacks the columns {', '.join(missing)}. Make it again with "
            "`ser metadata`."
        )
    twice = table["clip_id"][table["clip_id"].duplicated()]
    if len(twice):
        raise SerError(f"the metadata table holds the clip {twice.iloc[0]!r} more than once.")
    strange = sorted(set(table["emotion"]) - {*EMOTIONS, ""})
    if strange:
        raise SerError(
            f"the metadata table holds the unknown emotion {strange[0]!r}. Allowed: "
            f"{', '.join(EMOTIONS)}, or empty."
        )


def label_table(table: pd.DataFrame, recipe: Recipe, *, every_class: bool = True) -> pd.DataFrame:
    """Choose the clips of a recipe and give each its class.

    An emotion without a common name goes by the corpus' own: EmoDB's ``boredom`` can be a class.
    Left out: clips whose class the recipe does not use, song, silent recordings, identical
    recordings under different emotions, and all but the first of identical recordings by
    different speakers. Identical recordings of one speaker and one emotion stay: no
    speaker-disjoint split can part them.

    Parameters
    ----------
    table : DataFrame
        As `build` makes it.
    recipe : Recipe
        Its ``corpora``, ``classes`` and ``merge``.
    every_class : bool
        Whether each class must occur.

    Returns
    -------
    DataFrame
        The chosen rows with one more column, ``label``; index 0 to ``n_clips - 1``.

    Raises
    ------
    SerError
        When a corpus is not in the table, `merge` names an unknown emotion, or a class occurs in
        none of the corpora; lists what is allowed.
    """
    validate(table)
    present = sorted(set(table["corpus"]))
    for name in recipe.corpora:
        if name not in present:
            raise SerError(
                f"recipe {recipe.name}: the metadata table holds no clip of {name!r} (it holds "
                f"{', '.join(present) or 'nothing'}). Add it with "
                f"`ser metadata --corpora {','.join(recipe.corpora)}`."
            )
    own = set(table["emotion_raw"][table["emotion"] == ""])
    strange = sorted(set(recipe.merge) - set(EMOTIONS) - own)
    if strange:
        raise SerError(
            f"recipe {recipe.name}: merge names the unknown emotion {strange[0]!r}. Allowed: "
            f"{', '.join((*EMOTIONS, *sorted(own)))}."
        )
    chosen = table[table["corpus"].isin(recipe.corpora) & (table["vocal_channel"] != "song")]
    emotion = chosen["emotion"].mask(chosen["emotion"] == "", chosen["emotion_raw"])
    chosen = chosen.assign(label=emotion.replace(recipe.merge))
    allowed = sorted(set(chosen["label"]) - {""})
    for name in recipe.classes:
        if every_class and name not in allowed:
            raise SerError(
                f"recipe {recipe.name}: no clip of class {name!r} in {', '.join(recipe.corpora)}. "
                f"Allowed: {', '.join(allowed)}."
            )
    chosen = chosen[chosen["label"].isin(recipe.classes) & ~_unusable(chosen)]
    return chosen.sort_values("clip_id", ignore_index=True)


def _unusable(table: pd.DataFrame) -> pd.Series:
    """Tell what is silent, contradicts another of these clips, or is another speaker's."""
    silent = table["flags"].str.contains(r"\bsilent\b", regex=True)
    emotion = table["emotion"].where(table["emotion"] != "", table["emotion_raw"])
    same_sound = table["pcm_sha256"]  # a reader's copies, under other labels, are no contradiction
    at_odds = emotion.groupby(same_sound).transform("nunique") > 1
    first_speaker = table.groupby("pcm_sha256")["speaker"].transform("first")
    return silent | at_odds | (table["speaker"] != first_speaker)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Count what the table holds.

    Parameters
    ----------
    table : DataFrame
        As `build` makes it.

    Returns
    -------
    DataFrame
        One row per corpus: ``clips``, ``speakers``, ``female`` and ``male`` (speakers), ``hours``,
        one column per common emotion (clips), ``other`` (clips without a common label) and
        ``flagged`` (clips with any flag).
    """
    groups = table.groupby("corpus")
    counts = pd.DataFrame({"clips": groups.size(), "speakers": groups["speaker"].nunique()})
    for sex in ("female", "male"):
        of_sex = table[table["sex"] == sex].groupby("corpus")["speaker"].nunique()
        counts[sex] = of_sex.reindex(counts.index, fill_value=0)
    counts["hours"] = groups["duration_s"].sum() / 3600
    for emotion in (*EMOTIONS, ""):
        counts[emotion or "other"] = (table["emotion"] == emotion).groupby(table["corpus"]).sum()
    counts["flagged"] = (table["flags"] != "").groupby(table["corpus"]).sum()
    return counts


def clip_path(row: Mapping[str, Any] | pd.Series) -> Path:
    """Return where the recording of a row lies on this machine."""
    return corpora.locate(row["corpus"]) / row["path"]


def clip_paths(table: pd.DataFrame) -> list[Path]:
    """Return where the recordings of a table lie: `clip_path` for many rows at once."""
    roots = {name: corpora.locate(name) for name in set(table["corpus"])}
    return [roots[name] / path for name, path in zip(table["corpus"], table["path"], strict=True)]
