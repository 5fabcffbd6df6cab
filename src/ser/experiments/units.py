"""Units of work that share nothing: each has a folder, and is skipped once that is complete."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import delayed

from ser.config import Recipe
from ser.features import custom
from ser.models import backend
from ser.project import MODEL_FILE, write_json

if TYPE_CHECKING:
    import keras

RUN_FILE = "run.json"  # written last: it stands for a finished run


def is_done(folder: Path) -> bool:
    """Tell whether a unit was finished by an earlier call."""
    return (folder / RUN_FILE).exists()


def finish(folder: Path, network: keras.Model, card: dict[str, Any]) -> None:
    """Write the model of a unit, and last the card that says it is done."""
    from ser import models
    from ser.training import fitting

    models.save(network, folder / MODEL_FILE, card)
    write_json(folder / RUN_FILE, card)
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
    with backend.processes(n_jobs) as workers:
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
