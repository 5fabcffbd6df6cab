"""Units of work that share nothing: each has a folder, and is skipped once that is complete."""

from __future__ import annotations

import contextlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import delayed

from ser.config import Recipe
from ser.features import custom
from ser.models import backend
from ser.project import (
    MODEL_FILE,
    SerError,
    alone,
    digest,
    processes,
    read_json,
    shown,
    write_json,
)

if TYPE_CHECKING:
    import keras

RUN_FILE = "run.json"  # written last: it stands for a finished run


def is_done(folder: Path) -> bool:
    """Tell whether a unit was finished by an earlier call, and is still what that wrote."""
    return (folder / RUN_FILE).exists() and not _damage(folder)


def _damage(folder: Path) -> str:
    """Say which file of a finished unit is not what was written; nothing where all are."""
    try:
        files = read_json(folder / RUN_FILE).get("sha256")
    except (SerError, AttributeError):
        return RUN_FILE
    if files is None:  # of an earlier version
        return "" if zipfile.is_zipfile(folder / MODEL_FILE) else MODEL_FILE
    for name, written in files.items():
        if not (folder / name).is_file() or digest(folder / name) != written:
            return name
    return ""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Let one process at a time make a unit, and tell whether it is done."""
    if is_done(folder):  # perhaps where nothing can be written
        yield True
        return
    with alone(folder.with_name(f".{folder.name}.lock"), f"trains {folder.name}"):
        if (folder / RUN_FILE).exists() and (name := _damage(folder)):
            print(f"{shown(folder)}: {name} is damaged; this is trained again.", flush=True)
            (folder / RUN_FILE).unlink()
        yield is_done(folder)


def finish(folder: Path, network: keras.Model, card: dict[str, Any]) -> None:
    """Write the model of a unit, and last the card that says it is done."""
    from ser import models
    from ser.training import fitting

    models.save(network, folder / MODEL_FILE, card)
    made = sorted(file for file in folder.glob("[!.]*") if file.is_file())
    files = {file.name: digest(file) for file in made if file.name != fitting.STATE_FILE}
    write_json(folder / RUN_FILE, {**card, "sha256": files})
    (folder / fitting.STATE_FILE).unlink(missing_ok=True)


def work(
    function: Callable[..., Any],
    plan: Any,
    units: Iterable[tuple[Any, ...]],
    *,
    recipe: Recipe,
    n_jobs: int,
    **options: Any,
) -> Iterator[Any]:
    """Call ``function(plan, *unit, **options)`` for each, here or in several processes."""
    if n_jobs == 1:
        for unit in units:
            yield function(plan, *unit, **options)
        return
    # by value, for a worker knows a reader's functions only as they were when it began
    registered = custom.pack(recipe.features, recipe.augmentation)
    sent = registered, custom.by_value(plan, [getattr(plan, "model", None)])
    options["n_jobs"] = 1
    with (
        warnings.catch_warnings(),
        processes(n_jobs, return_as="generator_unordered", batch_size=1) as workers,
    ):
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        jobs = (delayed(_elsewhere)(function, sent, unit, options, n_jobs) for unit in units)
        yield from workers(jobs)


def _elsewhere(
    function: Callable[..., Any],
    sent: tuple[bytes, bytes],
    unit: tuple[Any, ...],
    options: dict[str, Any],
    n_jobs: int,
) -> Any:
    backend.share_cores(n_jobs)
    custom.unpack(sent[0])
    return function(pickle.loads(sent[1]), *unit, **options)
