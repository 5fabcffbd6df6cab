"""What a notebook calls: its parameters become a plan, its training a run, and a run is opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser import corpora as all_corpora
from ser import plots
from ser.config import Recipe, changed, from_dict, load_recipe, stable_hash, to_dict
from ser.corpora import metadata, registry
from ser.corpora.download import download
from ser.experiments import recipes
from ser.experiments.plans import PARTS, Plan, plan
from ser.experiments.reports import predictions_of, runs
from ser.experiments.runner import load_parts, write_run
from ser.experiments.units import RUN_FILE
from ser.project import MODEL_FILE, SerError, paths, read_json, shown, write_csv, write_json

if TYPE_CHECKING:
    import keras

DEFAULT = "mfcc-attention-augmented"


def prepare(
    recipe: str | Recipe | None = None,
    *,
    corpora: str | Iterable[str] | None = None,
    classes: str | Iterable[str] | None = None,
    protocol: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Plan:
    """Turn what a reader sets into clips and folds; None is the recipe's own everywhere.

    Reads the metadata table, or makes it where these corpora are not in it, prints what was chosen,
    and marks the figures of the demo corpus.

    Parameters
    ----------
    recipe : str or Recipe, optional
        A name from `ser.experiments.recipes.names` or a JSON file. Where left out, the one that
        `keep` wrote, or else ``mfcc-attention-augmented``.
    corpora : str or iterable of str, optional
        Names, as ``"ravdess, savee"``, or ``"all"``. Where left out, those of the recipe (of the
        protocol, if one is named) that are on this machine; where none is, the demo corpus.
    classes : str or iterable of str, optional
        Two or more classes, in the order of the model's outputs.
    protocol : str, optional
        A name from `ser.experiments.protocols.names`.
    changes : mapping, optional
        Dotted names to values, as in `ser.config.changed`; those that are None are left alone.

    Returns
    -------
    Plan
        Ready for `train_fold`, `run` and `load_parts`.

    Raises
    ------
    SerError
        When a name is unknown, a corpus is not here, or a value is not allowed.

    Examples
    --------
    >>> prepare("mfcc-attention", changes={"features.n_mfcc": 20})  # doctest: +SKIP
    """
    if isinstance(recipe, Recipe):
        chosen = recipe
    elif recipe is None and (kept := _kept_file()).is_file():
        chosen = load_recipe(kept)
        print(f"the recipe as it was kept in {shown(kept)}:")
    else:
        chosen = recipes.get(recipe or DEFAULT)
    if protocol and corpora is None:
        chosen = recipes.on_protocol(chosen, protocol)
    chosen = recipes.on_corpora(chosen, _corpora(chosen, corpora))
    here = all_corpora.available()
    if missing := [name for name in chosen.extra_corpora if name not in here]:
        print(f"Extra corpora that are not on this machine, and left out: {', '.join(missing)}.")
        extra = tuple(name for name in chosen.extra_corpora if name in here)
        chosen = dataclasses.replace(chosen, extra_corpora=extra)
    settings = {name: value for name, value in (changes or {}).items() if value is not None}
    if classes is not None:
        settings["classes"] = _names(classes)
    chosen = changed(chosen, settings)
    made = plan(chosen, protocol, _table(chosen))
    own = made.table["corpus"].isin(chosen.corpora)
    print(
        f"{chosen.name}: {own.sum():,} clips of {made.table[own]['speaker'].nunique()} speakers "
        f"({', '.join(chosen.corpora)}), {len(chosen.classes)} classes; "
        f"{made.protocol}, {len(made.folds)} folds"
    )
    if settings:
        print("changed: " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    _mark(chosen.corpora)
    return made


def _names(value: str | Iterable[str]) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _corpora(recipe: Recipe, wanted: str | Iterable[str] | None) -> tuple[str, ...]:
    """Choose the corpora: all of those that were asked for, or what is here of the recipe's."""
    here = all_corpora.available()
    if wanted is not None:
        names = all_corpora.choose(wanted if isinstance(wanted, str) else ",".join(wanted))
        missing = [name for name in names if name not in here and name != "demo"]
        if missing or not names:
            raise SerError(
                f"corpora {', '.join(names) or 'none'}: {', '.join(missing) or 'nothing'} not on "
                f"this machine (here: {', '.join(here) or 'none'}). Notebook 01 gets them; None "
                "takes what is here."
            )
        return names
    names = tuple(name for name in recipe.corpora if name in here or name == "demo")
    if not names:
        print(
            f"None of {', '.join(recipe.corpora)} is on this machine (notebook 01 gets them), so "
            "this runs on the demo corpus."
        )
        return ("demo",)
    if missing := [name for name in recipe.corpora if name not in names]:
        print(f"Not on this machine, and left out: {', '.join(missing)}.")
    return names


def _table(recipe: Recipe) -> pd.DataFrame:
    """Read the metadata table; make it anew where it lacks a corpus, or for a reader's own."""
    wanted = (*recipe.corpora, *recipe.extra_corpora)
    if "demo" in wanted and "demo" not in all_corpora.available():
        download("demo", progress=False, say=lambda text: None)
    known: tuple[str, ...] = ()
    if paths().metadata.exists():
        table = metadata.read_table()
        known = tuple(dict.fromkeys(table["corpus"]))
        if set(wanted) <= set(known) & set(registry.BUILT_IN):  # an own one may have been edited
            return table
    here = all_corpora.available()
    names = [name for name in dict.fromkeys((*known, *wanted)) if name in here or name in wanted]
    result = metadata.build(names, progress=False)
    print(f"{shown(metadata.write_table(result.table))}: made of {', '.join(names)}")
    for line in result.losses:
        print(line)
    return result.table


def _mark(names: Iterable[str]) -> None:
    is_demo = "demo" in names
    plots.use_style(demo=is_demo)
    if is_demo:
        print("demo corpus: synthetic voices, to see that everything works. No number is a result.")


def _kept_file() -> Path:
    return paths().processed / "recipe.json"


def keep(plan: Plan) -> Path:
    """Write the recipe of a plan down, for `prepare` to go on from in the next notebook."""
    write_json(_kept_file(), to_dict(plan.recipe))
    return _kept_file()


def record(
    plan: Plan, fold: int, seed: int, network: keras.Model, history: keras.callbacks.History | Any
) -> Path:
    """Make a run of a model that was fitted in a notebook: it can be evaluated and used like any.

    Parameters
    ----------
    plan : Plan
        The plan whose fold the model was fitted on.
    fold, seed : int
        The index of that fold, and the seed.
    network : keras.Model
        Fitted.
    history : keras.callbacks.History or DataFrame
        What its ``fit`` gave.

    Returns
    -------
    Path
        The run folder, with the files that `train_fold` writes. What an earlier call wrote for the
        same settings and layers is replaced, and `run` never takes it for one of its own.

    Raises
    ------
    SerError
        When the model could not be loaded again, or the disk is full.
    """
    apart = dataclasses.replace(
        plan.with_model(network),
        fingerprint=stable_hash(plan.fingerprint, "fitted in a notebook"),
        apart="the model was fitted in a notebook",
    )
    rows = pd.DataFrame(getattr(history, "history", history))
    if "epoch" not in rows:
        rows.insert(0, "epoch", np.arange(1, len(rows) + 1))
    folder = apart.run_folder(fold, seed)
    (folder / RUN_FILE).unlink(missing_ok=True)  # an older run is not this one
    write_csv(folder / "history.csv", rows, float_format="%.6g")
    there = [part for part in PARTS if getattr(plan.folds[fold], part)]
    feature_set, parts = load_parts(plan, fold, there, progress=False)
    return write_run(apart, fold, seed, network, rows, feature_set, parts)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes
    ----------
    folder : Path
        Where its files lie.
    card : dict
        ``run.json``: recipe, fold, seed, versions, epochs, …
    recipe : Recipe
        The settings.
    table : DataFrame
        The rows of the metadata table of all its clips, with their ``label``.
    history : DataFrame
        One row for each epoch.
    predictions : dict of str to DataFrame
        Probabilities of the clips of ``train``, ``validation`` and ``test``, as far as there are.
    """

    folder: Path
    card: dict[str, Any]
    recipe: Recipe
    table: pd.DataFrame
    history: pd.DataFrame
    predictions: dict[str, pd.DataFrame]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self.recipe.classes

    @property
    def protocol(self) -> str:
        """Name of the split."""
        return self.card["protocol"]

    @property
    def fold(self) -> int:
        """Index of the fold, from 0."""
        return self.card["fold"]

    @property
    def seed(self) -> int:
        """The seed of its training."""
        return self.card["seed"]

    @property
    def model_file(self) -> Path:
        """The trained model."""
        return self.folder / MODEL_FILE


def open_run(which: str | Path | None = None) -> Run:
    """Open a finished training, and mark the figures of the demo corpus.

    Parameters
    ----------
    which : str or path, optional
        A run folder, or a recipe's name, whose newest run it is then; the newest run where left
        out.

    Returns
    -------
    Run
        With its predictions.

    Raises
    ------
    SerError
        When there is no such run; says what there is.
    """
    there = [run for run in runs() if (run / "predictions.csv").is_file()]  # not on everything
    if which is None:
        found = there
    elif (Path(which) / RUN_FILE).is_file():
        found = [Path(which)]
    else:
        found = [run for run in there if run.parts[-3] == str(which)]
    if not found:
        names = ", ".join(dict.fromkeys(run.parts[-3] for run in there)) or "none"
        raise SerError(
            f"{which or 'newest'}: no finished run. Expected a run folder or one of: {names}. "
            "Notebook 04 trains one."
        )
    folder = found[0]
    predictions_of(folder)  # or one line: it may have trained on everything
    card = read_json(folder / RUN_FILE)
    recipe = from_dict(Recipe, card["recipe"], source=str(folder), stored=True)
    files = {part: folder / f"predictions-{part}.csv" for part in PARTS}
    files["test"] = folder / "predictions.csv"
    predictions = {part: pd.read_csv(file) for part, file in files.items() if file.is_file()}
    rows = pd.concat(predictions.values())[["clip_id", "label"]].drop_duplicates("clip_id")
    print(
        f"{shown(folder)}: {card['protocol']}, fold {card['fold']}, seed {card['seed']}, "
        f"epoch {card['best_epoch']} of {card['epochs']}"
    )
    _mark(recipe.corpora)
    return Run(
        folder=folder,
        card=card,
        recipe=recipe,
        table=rows.merge(metadata.read_table(), on="clip_id", how="left", validate="1:1"),
        history=pd.read_csv(folder / "history.csv"),
        predictions=predictions,
    )
