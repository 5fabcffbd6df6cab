"""A recipe, its clips and its folds, and where the results of that plan lie."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser.config import Recipe, from_dict, stable_hash
from ser.corpora import metadata
from ser.corpora.folders import with_unread
from ser.experiments import protocols, recipes
from ser.features import dataset, extraction
from ser.fingerprint import code_hash
from ser.models import backend
from ser.project import SerError, paths, read_json, some

if TYPE_CHECKING:
    import keras

    from ser.models.own import Own

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe, its clips and its folds.

    Attributes
    ----------
    recipe : Recipe
        The settings.
    protocol : str
        Name of the split.
    table : DataFrame
        The chosen clips with their ``label``, those of extra corpora too.
    folds : list of Fold
        Checked for leaks.
    fingerprint : str
        Hash of clips, sounds, labels and folds.
    model : callable or keras.Model or None
        A reader's own model in place of the recipe's; see `ser.models.own.build`. Its layers and
        code are part of the run folder's name.
    apart : str
        Why results of this plan are not the recipe's own; empty where they are.
    left_out : dict of str to int
        How many other files of its corpora were found, by the reason.
    """

    recipe: Recipe
    protocol: str
    table: pd.DataFrame
    folds: list[protocols.Fold]
    fingerprint: str
    model: Own | None = None
    apart: str = ""
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)

    def files(self, n_lost: int) -> dict[str, Any]:
        """Account for every file found, `n_lost` clips of which gave no features."""
        left_out = with_unread(self.left_out, n_lost)
        n_found = len(self.table) + sum(self.left_out.values())
        return {"found": n_found, "used": len(self.table) - n_lost, "left_out": left_out}

    @property
    def front_end(self) -> dataset.FrontEnd:
        """What computes the features."""
        return dataset.FrontEnd(self.recipe.audio, self.recipe.features, self.recipe.augmentation)

    @property
    def runs_folder(self) -> Path:
        """Where the run folders of this plan lie."""
        parts = [self.recipe, self.fingerprint, extraction.FRONT_END_VERSION]
        name = stable_hash(*parts, *([] if self.model is None else [self._own_model]))
        return paths().runs / self.recipe.name / f"{self.protocol}-{name}"

    def run_folder(self, fold: int, seed: int) -> Path:
        """Folder of one unit of work."""
        return self.runs_folder / f"fold-{fold}-seed-{seed}"

    def fold(self, index: int) -> protocols.Fold:
        """Give a fold by its index, from 0."""
        if not 0 <= index < len(self.folds):
            raise SerError(
                f"protocol {self.protocol} has folds 0 to {len(self.folds) - 1}, found {index}."
            )
        return self.folds[index]

    @property
    def report_folder(self) -> Path:
        """Where the results go: into ``reports/local`` where they would replace other ones."""
        return self.local_folder if self.why_local() else self.shared_folder

    @property
    def shared_folder(self) -> Path:
        """Where results of the recipe as it is lie."""
        return paths().reports / self.recipe.name / self.protocol

    @property
    def local_folder(self) -> Path:
        """Where results of anything else lie, which git ignores."""
        return paths().reports / "local" / self.recipe.name / self.protocol

    def why_local(self) -> str:
        """Say what parts these results from those that the recipe's name promises, if anything."""
        name = self.recipe.name
        if self.apart:
            return self.apart
        promised = []
        if name in recipes.RECIPES:
            promised.append(recipes.on_protocol(recipes.RECIPES[name], self.protocol))
        if (file := self.shared_folder / "recipe.json").is_file():
            promised.append(from_dict(Recipe, read_json(file), source=str(file)))
        other = any(stable_hash(known) != stable_hash(self.recipe) for known in promised)
        return f"the settings are not those of {name}" if other else ""

    def with_model(self, model: Own | None) -> Plan:
        """Train a reader's own model; None leaves everything as it is."""
        if model is None:
            return self
        return dataclasses.replace(self, model=model, apart="the model is your own")

    @property
    def _own_model(self) -> str:
        keras: Any = backend.load()
        code = "" if isinstance(self.model, keras.Model) else code_hash(self.model)
        return _fingerprint(code, self.model, **self.sizes)

    @property
    def sizes(self) -> dict[str, int]:
        """What a model is built for: ``n_frames``, ``n_features``, ``n_classes``."""
        n_frames, n_features = self.front_end.shape
        n_classes = len(self.recipe.classes)
        return {"n_frames": n_frames, "n_features": n_features, "n_classes": n_classes}

    def build_model(self) -> keras.Model:
        """Build the uncompiled model: the reader's own where there is one, or the recipe's."""
        backend.load()
        from ser import models
        from ser.models import own

        if self.model is None:
            return models.build(self.recipe.model, **self.sizes)
        return own.build(self.model, **self.sizes)

    def check_folds(self, folds: Iterable[int], lost: Collection[str] = ()) -> None:
        """Refuse folds that cannot be trained, before any is: without a class, or a whole part.

        `lost` are clips that cannot be read.
        """
        label_of = dict(zip(self.table["clip_id"], self.table["label"], strict=True))
        lacking = []
        for fold in (self.folds[index] for index in folds):
            heard = fold.train + (fold.validation if self.recipe.training.refit else ())
            labels = {label_of[clip] for clip in set(heard).difference(lost)}
            missing = [f"training clip of {c}" for c in self.recipe.classes if c not in labels]
            for part in ("validation", "test"):
                clips = set(getattr(fold, part))
                missing += [f"{part} clip"] * bool(clips and not clips.difference(lost))
            if missing:
                lacking.append(f"fold {fold.index} (it tests {fold.name}) has no {some(missing)}")
        if lacking:
            raise SerError(
                f"recipe {self.recipe.name}, {self.protocol}: {some(lacking)}. Leave such a class "
                "out of the recipe or merge it, add speakers, or choose another protocol."
            )

    def with_speakers(self, n_speakers: int, seed: int = 0) -> Plan:
        """Let training hear fewer speakers, for a learning curve."""
        own = self.table[self.table["corpus"].isin(self.recipe.corpora)]
        speaker_of = dict(zip(own["clip_id"], own["speaker"], strict=True))
        folds = []
        for fold in self.folds:
            heard = sorted({speaker_of[clip] for clip in fold.train if clip in speaker_of})
            if not 1 <= n_speakers <= len(heard):
                raise SerError(
                    f"fold {fold.name} trains on {len(heard)} speakers; it cannot keep "
                    f"{n_speakers} of them."
                )
            kept = set(np.random.default_rng(seed).permutation(heard)[:n_speakers])
            train = tuple(clip for clip in fold.train if speaker_of.get(clip) in {None, *kept})
            folds.append(dataclasses.replace(fold, train=train))
        split = [fold.train for fold in folds]
        fingerprint = stable_hash(self.fingerprint, split)
        apart = f"training hears {n_speakers} speakers"
        return dataclasses.replace(self, folds=folds, fingerprint=fingerprint, apart=apart)

    def on_everything(self) -> Plan:
        """Train on every clip and test on none: how a model to give away is made."""
        if self.recipe.training.monitor != "epoch":
            raise SerError(
                f"recipe {self.recipe.name} chooses its epoch by {self.recipe.training.monitor}, "
                "and with everything in training nobody is left to validate on. Set "
                "training.monitor to epoch."
            )
        clips = tuple(sorted(self.table["clip_id"]))
        fold = protocols.Fold(index=0, name="nobody", train=clips, validation=(), test=())
        fingerprint = stable_hash(self.fingerprint, "everything")
        return dataclasses.replace(self, folds=[fold], fingerprint=fingerprint)


@functools.lru_cache(maxsize=8)  # it builds the model, which may take a second
def _fingerprint(_code: str, model: Own, **sizes: int) -> str:
    from ser.models import own

    return own.fingerprint(model, **sizes)


def plan(recipe: Recipe, protocol: str | None = None, table: pd.DataFrame | None = None) -> Plan:
    """Choose the clips of a recipe and split them.

    Parameters
    ----------
    recipe : Recipe
        The settings.
    protocol : str, optional
        A name from `ser.experiments.protocols.names`; the recipe's own where left out.
    table : DataFrame, optional
        The metadata table; read from ``data/interim`` where left out.

    Returns
    -------
    Plan
        Ready for `train_fold` and `run`.

    Raises
    ------
    SerError
        When a corpus, a class or the protocol is not there.
    """
    protocol = protocol or recipe.protocol
    protocols.get(protocol)
    table = metadata.read_table() if table is None else table
    chosen = metadata.label_table(table, recipe)
    folds, left_out = protocols.make_folds(chosen, protocol), chosen.attrs["left_out"]
    if recipe.extra_corpora:  # they are only trained on, in every fold
        others = dataclasses.replace(recipe, corpora=recipe.extra_corpora, extra_corpora=())
        extra = metadata.label_table(table, others, every_class=False)
        twice = extra["pcm_sha256"].isin(chosen["pcm_sha256"])
        counts = Counter({"in two corpora": int(twice.sum())}) + Counter(extra.attrs["left_out"])
        left_out, extra = dict(counts + Counter(left_out)), extra[~twice]
        more = [tuple(sorted((*fold.train, *extra["clip_id"]))) for fold in folds]
        folds = [dataclasses.replace(f, train=t) for f, t in zip(folds, more, strict=True)]
        chosen = pd.concat([chosen, extra]).sort_values("clip_id", ignore_index=True)
    clips = chosen[["clip_id", "pcm_sha256", "label"]].to_numpy().tolist()
    split = [[fold.train, fold.validation, fold.test] for fold in folds]
    fingerprint = stable_hash(clips, split)
    return Plan(recipe, protocol, chosen, folds, fingerprint, left_out=left_out)
