"""Corpora become one table, one row per clip, with the quality of each recording."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ser import corpora
from ser.cache import Cache
from ser.config import Recipe
from ser.corpora import registry
from ser.corpora.base import EMOTIONS, ClipName, Corpus
from ser.corpora.folders import UNKNOWN, UNREAD, losses
from ser.corpora.measurements import Problem, measure_all
from ser.project import SerError, paths, shown, writing

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
    """What `build` found: every file is a clip or is named as lost."""

    table: pd.DataFrame  # with what is not in it, by corpus and reason, in `attrs["left_out"]`
    problems: list[Problem]
    unused: dict[str, list[Path]]  # files that were not opened, by reason

    @property
    def unknown(self) -> list[Path]:
        """Recordings whose names their corpus does not explain."""
        return self.unused[UNKNOWN]

    @property
    def counts(self) -> dict[str, int]:
        """How many files are left out, by reason."""
        return _counts(self.table, self.table.attrs["left_out"])

    @property
    def losses(self) -> list[str]:
        """What is left out and why, a line for each reason."""
        unread = [f"{shown(p.path)} ({p.reason})" for p in self.problems]
        unused = {why: [shown(path) for path in files] for why, files in self.unused.items()}
        return losses({UNREAD: unread, **unused})


def _counts(table: pd.DataFrame, names: Iterable[str]) -> Counter[str]:
    """Count what the making of a table left out of some corpora, by reason."""
    of_corpus = table.attrs.get("left_out", {})
    return sum((Counter(of_corpus.get(name)) for name in names), Counter())


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
    if not (names := tuple(names)):
        raise SerError(f"no corpus is named. Known: {', '.join(corpora.names())}.")
    clips: list[tuple[Path, dict[str, Any]]] = []  # two corpora may share a recording
    unused: dict[str, list[Path]] = {UNKNOWN: []}
    counts: dict[str, Counter[str]] = {}
    for corpus in [corpora.get(name) for name in dict.fromkeys(names)]:
        root = corpora.locate(corpus.name)
        found, left_out = registry.survey(corpus, root)
        if not found:
            raise SerError(
                f"{shown(root)}: no clip of {corpus.name} there ({len(left_out[UNKNOWN])} other "
                f"recordings). Name the right folder with `ser data add {corpus.name} PATH`."
            )
        clips += [(root / path, _named(corpus, path, clip)) for path, clip in found]
        counts[corpus.name] = Counter({why: len(files) for why, files in left_out.items() if files})
        for why, lost in left_out.items():
            unused.setdefault(why, []).extend(lost)
    cache = Cache(paths().interim / "audio_facts.sqlite")
    files = [file for file, _ in clips]
    facts = measure_all(files, cache, n_jobs=n_jobs, progress=progress)
    problems, rows = [], []
    for file, named in clips:
        measured = facts[file]
        if isinstance(measured, Problem):
            problems.append(measured)
            counts[named["corpus"]][UNREAD] += 1
        else:
            rows.append({**named, **dataclasses.asdict(measured)})
    table = _table(rows)
    table.attrs["left_out"] = {name: dict(reasons) for name, reasons in counts.items()}
    return MetadataResult(table, problems, unused)


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
        The chosen rows with one more column, ``label``; index 0 to ``n_clips - 1``. Its
        ``attrs["left_out"]`` counts the other files of these corpora by reason.

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
    every = table[table["corpus"].isin(recipe.corpora)]
    chosen = every[every["vocal_channel"] != "song"]
    emotion = chosen["emotion"].mask(chosen["emotion"] == "", chosen["emotion_raw"])
    chosen = chosen.assign(label=emotion.replace(recipe.merge))
    allowed = sorted(set(chosen["label"]) - {""})
    for name in recipe.classes:
        if every_class and name not in allowed:
            raise SerError(
                f"recipe {recipe.name}: no clip of class {name!r} in {', '.join(recipe.corpora)}. "
                f"Allowed: {', '.join(allowed)}."
            )
    reason = _why_unusable(chosen)
    reason = reason.where(chosen["label"].isin(recipe.classes), "labelled " + chosen["label"])
    counts = _counts(table, recipe.corpora) + Counter(reason[reason != ""])
    counts["song"] += len(every) - len(chosen)
    chosen = chosen[reason == ""].sort_values("clip_id", ignore_index=True)
    chosen.attrs["left_out"] = dict(+counts)
    return chosen


def _why_unusable(table: pd.DataFrame) -> pd.Series:
    """Tell what is silent, contradicts another of these clips, or is another speaker's."""
    silent = table["flags"].str.contains(r"\bsilent\b", regex=True)
    emotion = table["emotion"].where(table["emotion"] != "", table["emotion_raw"])
    same_sound = table["pcm_sha256"]  # a reader's copies, under other labels, are no contradiction
    at_odds = emotion.groupby(same_sound).transform("nunique") > 1
    first_speaker = table.groupby("pcm_sha256")["speaker"].transform("first")
    reason = pd.Series("", table.index).mask(
        table["speaker"] != first_speaker, "another's recording"
    )
    return reason.mask(at_odds, "one sound, two emotions").mask(silent, "silent")


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
