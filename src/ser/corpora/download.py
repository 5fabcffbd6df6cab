"""Bring a corpus onto this machine: from its public archive, or through Kaggle's own client.

Everything happens aside, in hidden folders of ``data/raw``; a corpus appears there whole or not at
all, and a run that was killed is picked up by the next one.
"""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ser import corpora
from ser.corpora.base import Corpus
from ser.corpora.fetch import fetch, fetch_from_kaggle, need_space, unpack
from ser.project import SerError, alone, cannot_write, paths, shown

SOURCES = ("auto", "archive", "kaggle")
UNPACKED_RATIO = 3.0  # largest seen of an unpacked speech corpus to its archive


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one corpus in `download_all`."""

    name: str
    path: Path | None
    error: str = ""


def download(
    name: str,
    *,
    source: str = "auto",
    progress: bool = True,
    say: Callable[[str], Any] = print,
) -> Path:
    """Bring a corpus onto this machine, or find that it is there; options as in `download_all`."""
    corpus = corpora.get(name)
    if source not in SOURCES:
        raise SerError(f"no source named {source!r}. Allowed: {', '.join(SOURCES)}.")
    say(
        f"{name}: {corpus.title}\n  Licence:  {corpus.licence}\n"
        f"  Cite:     {corpus.citation}\n  See:      {corpus.homepage}"
    )
    target = paths().raw / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target.with_name(f".{name}.lock"), f"downloads {name}"):
            if present := _present(corpus, target):
                say(f"{name}: complete at {shown(present)}; nothing to do.")
                return present
            _install(corpus, _choose(corpus, source), target, progress=progress)
    except OSError as error:
        raise cannot_write(target, error) from error
    say(f"{name}: {corpus.n_clips:,} clips at {shown(target)}")
    return target


def download_all(
    names: Iterable[str],
    *,
    source: str = "auto",
    progress: bool = True,
    say: Callable[[str], Any] = print,
) -> list[Outcome]:
    """Bring corpora onto this machine, unless they are there; each stands for itself.

    Parameters
    ----------
    names : iterable of str
        Out of `ser.corpora.names`; ``"demo"`` comes with this package.
    source : str
        ``"archive"`` for the publisher's own, ``"kaggle"`` for Kaggle, ``"auto"`` for the first
        of these that the corpus has.
    progress : bool
        Show progress bars.
    say : callable
        Takes each line meant for the user: licence, citation, where the corpus lies.

    Returns
    -------
    list of Outcome
        For each name the corpus' folder, or the error: the corpus or the source is unknown, an
        incomplete copy is in the way, the disk is too small, credentials are missing, the transfer
        failed. What has arrived is kept for next time.
    """
    outcomes = []
    for name in names:
        try:
            path = download(name, source=source, progress=progress, say=say)
            outcomes.append(Outcome(name, path))
        except SerError as error:
            outcomes.append(Outcome(name, None, str(error)))
    failed = [outcome for outcome in outcomes if outcome.error]
    say(f"{len(outcomes) - len(failed)} of {len(outcomes)} corpora are ready.")
    for outcome in failed:
        say(f"  {outcome.name} failed: {outcome.error}")
    return outcomes


def _present(corpus: Corpus, target: Path) -> Path | None:
    """Find a complete copy; what is there for nothing goes, what is half there is an error."""
    folder = corpora.available().get(corpus.name)
    if folder is None:
        return None
    if not any(folder.iterdir()):
        folder.rmdir()
        return None
    clips, _ = corpora.scan(corpus, folder)
    ours = folder == target and any(archive.in_package for archive in corpus.archives)
    if ours and len(clips) != corpus.n_clips:
        shutil.rmtree(folder)  # by another version of this package
        return None
    if len(clips) < corpus.n_clips:
        raise SerError(
            f"{corpus.name}: {folder} holds {len(clips):,} of {corpus.n_clips:,} clips. Move that "
            "folder away and run the same command again, or complete it by hand."
        )
    return folder


def _choose(corpus: Corpus, source: str) -> str:
    there = corpus.sources
    if there and source in ("auto", *there):
        return there[0] if source == "auto" else source
    wanted = "archive or kaggle" if source == "auto" else source
    hint = f"Use source {there[0]!r}" if there else f"Get it from {corpus.homepage}"
    raise SerError(
        f"{corpus.name}: no automatic download from {wanted}. {hint}, or name a folder you have: "
        f"`ser data add {corpus.name} PATH`."
    )


def _install(corpus: Corpus, source: str, target: Path, *, progress: bool) -> None:
    incoming = target.with_name(f".{corpus.name}-download")
    aside = target.with_name(f".{corpus.name}-unpacking")
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    try:
        if source == "archive":
            total = sum(archive.size_bytes for archive in corpus.archives)
            here = sum(file.stat().st_size for file in incoming.glob("*"))  # from an earlier try
            n_bytes = int(total * (1 + UNPACKED_RATIO)) - here
            need_space(target.parent, n_bytes, f"{target}: needs")
            files = [fetch(archive, incoming, progress=progress) for archive in corpus.archives]
        else:  # Kaggle tells no size beforehand; a disk that fills up is told then
            files = [fetch_from_kaggle(corpus.kaggle, incoming, progress=progress)]
        for file in files:
            unpack(file, aside, progress=progress)
        clips, _ = corpora.scan(corpus, aside)
        if len(clips) < corpus.n_clips:
            shutil.rmtree(incoming, ignore_errors=True)
            raise SerError(
                f"{corpus.name}: the archive holds {len(clips):,} of {corpus.n_clips:,} clips; it "
                f"has been deleted. Run the same command again, or see {corpus.homepage}."
            )
        names = "\n".join(corpus.canonical(path) for path, _ in clips)
        if corpus.names_sha256 not in ("", hashlib.sha256(names.encode()).hexdigest()):
            shutil.rmtree(incoming, ignore_errors=True)
            raise SerError(
                f"{corpus.name}: the archive holds other clips than the corpus that was published; "
                f"it has been deleted. See {corpus.homepage}."
            )
        aside.replace(target)
        shutil.rmtree(incoming, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
