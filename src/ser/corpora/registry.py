"""Which corpora there are, and where each lies on this machine."""

import functools
import os
from pathlib import Path
from typing import Any

from ser.corpora import base, demo, own
from ser.corpora.base import EMOTIONS, ClipName, Corpus
from ser.corpora.folders import COPY, OTHER_SIZE, UNKNOWN, VIDEO, walk
from ser.project import SerError, paths, read_json, unknown, write_json

# To add a corpus: write its file beside these.
BUILT_IN = tuple(sorted(("demo", *(file.stem for file in base.FOLDER.glob("*.toml")))))
LOCATIONS = "locations.json"  # in data/raw: what the user pointed at


@functools.cache
def _registry() -> dict[str, Corpus]:
    return {name: demo.CORPUS if name == "demo" else base.read(name) for name in BUILT_IN}


def names() -> tuple[str, ...]:
    """Return the names of all known corpora, built-in ones and the reader's own, sorted."""
    return tuple(sorted({*_registry(), *_own()}))


def get(name: str) -> Corpus:
    """Return a corpus by name; SerError, with the names there are, where there is none."""
    if name in _registry():
        return _registry()[name]
    if name in (definitions := _own()):
        return own.corpus_of(name, definitions[name])
    raise unknown(f"no corpus named {name!r}", names(), name, word="Known")


def labels(name: str) -> tuple[str, ...]:
    """Return the labels that occur in a corpus: common ones first, then those of its own."""
    corpus = get(name)
    found = set(corpus.labels)
    if not found:
        found = {clip.emotion or clip.emotion_raw for _, clip in scan(corpus, locate(name))[0]}
    return (*(e for e in EMOTIONS if e in found), *sorted(found - set(EMOTIONS)))


def _remembered() -> dict[str, Any]:
    """Read what the user pointed at: corpus name to folder, or to the definition of an own one."""
    file = paths().raw / LOCATIONS
    if not file.exists():
        return {}
    found = read_json(file)
    if not isinstance(found, dict) or not all(isinstance(v, (str, dict)) for v in found.values()):
        raise SerError(
            f"{file}: expected corpus names and folders, found something else. Move the file away "
            "and run `ser data add` again."
        )
    return found


def remember(name: str, where: str | dict[str, Any]) -> None:
    """Keep where a corpus lies, for later processes."""
    write_json(paths().raw / LOCATIONS, {**_remembered(), name: where})


def _own() -> dict[str, dict[str, Any]]:
    return {name: value for name, value in _remembered().items() if isinstance(value, dict)}


def _pointed_at() -> dict[str, str]:
    """Give each corpus' folder; the table instead where that is gone, which is a folder nowhere."""
    found = {}
    for name, where in _remembered().items():
        table = where.get("table") if isinstance(where, dict) else None
        folder = where["path"] if isinstance(where, dict) else where
        found[name] = table if table and not Path(table).exists() else folder
    return found


def _find(name: str, pointed_at: dict[str, str]) -> Path | None:
    """Look where the user pointed, then into each folder of SER_CORPORA, then into data/raw."""
    candidates = [Path(pointed_at[name])] if name in pointed_at else []
    shelves = os.environ.get("SER_CORPORA", "").split(os.pathsep)
    candidates += [Path(shelf).expanduser().absolute() / name for shelf in shelves if shelf]
    candidates.append(paths().raw / name)
    return next((folder for folder in candidates if folder.is_dir()), None)


def locate(name: str) -> Path:
    """Find the folder that holds a corpus; SerError, with the way to get it, where none does."""
    corpus, pointed_at = get(name), _pointed_at()
    if folder := _find(name, pointed_at):
        return folder
    gone = f" ({pointed_at[name]} is gone)" if name in pointed_at else ""
    by_download = f"`ser data download {name}` or " if corpus.sources else ""
    raise SerError(
        f"{name}: not on this machine{gone}. Get it with {by_download}`ser data add {name} PATH`."
    )


def available() -> dict[str, Path]:
    """Return the corpora that are on this machine, and where each lies."""
    pointed_at = _pointed_at()
    found = {name: _find(name, pointed_at) for name in names()}
    return {name: folder for name, folder in found.items() if folder is not None}


def adopt(name: str, path: Path | str) -> Path:
    """Use a folder of a built-in corpus that the user already has, where it lies."""
    if name not in BUILT_IN:
        error = unknown(f"no built-in corpus named {name!r}", BUILT_IN, name, word="Known")
        raise SerError(f"{error} For recordings of your own, add `--labels folder`.")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise SerError(
            f"{path}: expected the folder that holds {name}, found {found}. Unpack an archive "
            "first, and name the folder."
        )
    clips, others = scan(name, folder)
    if not clips:
        example = f" (for example {others[0]})" if others else ""
        raise SerError(
            f"{path}: no file name there fits {name}; found {len(others)} other recordings"
            f"{example}. Name the folder that holds the corpus under its original file names."
        )
    folder = folder.resolve()
    remember(name, str(folder))
    return folder


def scan(corpus: str | Corpus, root: Path | str) -> tuple[list[tuple[Path, ClipName]], list[Path]]:
    """List the recordings of a corpus by their names.

    Parameters
    ----------
    corpus : str or Corpus
        One of `names`, or what `get` gives.
    root : path
        The corpus' folder, as `locate` gives it.

    Returns
    -------
    clips : list of (Path, ClipName)
        Paths relative to `root`, sorted by clip id, each clip once: where an archive holds it
        several times, a file of sound wins over a video, a lossless one over a lossy one, the least
        nested path over others, then the shortest, then the first by name.
    unknown : list of Path
        Recordings (and folders that cannot be read) whose names the corpus does not explain,
        relative to `root`.
    """
    corpus = get(corpus) if isinstance(corpus, str) else corpus
    best, _, unknown, _ = _listed(corpus, Path(root))
    return [best[stem] for stem in sorted(best)], unknown


def survey(corpus: Corpus, root: Path) -> tuple[list[tuple[Path, ClipName]], dict[str, list[Path]]]:
    """List the clips of a corpus as `scan` does, and its other files by the reason."""
    best, named, unknown, no_recordings = _listed(corpus, root)
    left_out: dict[str, list[Path]] = {OTHER_SIZE: [], COPY: [], VIDEO: []}
    for path, spare in named:
        used, clip = best[corpus.canonical(path)]
        if used != path:
            sizes = {_size(root / path), _size(root / used)}
            is_other = path.suffix.lower() == used.suffix.lower() and len(sizes) > 1
            why = OTHER_SIZE if is_other else COPY
            left_out[VIDEO if spare.modality != clip.modality else why].append(root / path)
    strange = {UNKNOWN: unknown, "no recording": no_recordings}
    left_out |= {why: [root / path for path in files] for why, files in strange.items()}
    return [best[stem] for stem in sorted(best)], left_out


def _listed(
    corpus: Corpus, root: Path
) -> tuple[dict[str, tuple[Path, ClipName]], list[tuple[Path, ClipName]], list[Path], list[Path]]:
    """Give the best file of each clip, the files of all clips, and files that are of none."""
    if corpus.files is None:
        files, unknown, no_recordings = walk(root)
    else:
        files, unknown, no_recordings = list(corpus.files), [], []
    named = [(path, clip) for path in files if (clip := corpus.parse(path))]
    unknown = sorted([*unknown, *({*files} - {path for path, _ in named})])
    best: dict[str, tuple[Path, ClipName]] = {}
    # the best file of a clip comes first; of a performance, audio-only before its videos
    for path, clip in sorted(named, key=lambda one: one[1].modality):
        best.setdefault(corpus.canonical(path), (path, clip))
    return best, named, unknown, no_recordings


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nothing
        return -1


def choose(text: str) -> tuple[str, ...]:
    """Read a list of corpora as users write it.

    Parameters
    ----------
    text : str
        Names with commas between them, or ``all`` for every real corpus on this machine.

    Returns
    -------
    tuple of str
        Names, each once.

    Raises
    ------
    SerError
        When a name is unknown, or ``all`` finds no corpus.

    Examples
    --------
    >>> choose("ravdess, savee")
    ('ravdess', 'savee')
    """
    if text.strip() == "all":
        found = tuple(name for name in available() if name != "demo")
        if not found:
            raise SerError(
                "no corpus on this machine. Run `ser data download ravdess`, or try "
                "`ser data download demo`."
            )
        return found
    chosen = dict.fromkeys(part.strip() for part in text.split(",") if part.strip())
    return tuple(get(name).name for name in chosen)
