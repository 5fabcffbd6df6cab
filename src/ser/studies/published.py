"""`ParallelModel` and the three functions around it, under the names its authors gave them.

>>> from ser.studies.published import ParallelModel, evaluate_model, preprocess_data, train_model
>>> model = ParallelModel(num_emotions=8)

The data come from `preprocess_data`, split by speaker; everything they do is what the recipe
``parallel`` does.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ser import corpora, evaluation, experiments
from ser.config import ModelConfig, Recipe, changed
from ser.corpora import metadata
from ser.experiments import recipes
from ser.models import backend
from ser.project import SerError

if TYPE_CHECKING:
    import keras

    from ser.training import Part


@dataclasses.dataclass(frozen=True)
class Data:
    """Spectrograms and labels of some clips, and a table that says which they are."""

    part: Part
    table: pd.DataFrame
    recipe: Recipe


def preprocess_data(
    dataset_path: Path | str | None = None, *, corpus: str = "ravdess", fold: int = 0
) -> tuple[Data, Data, Data]:
    """Read a corpus, compute mel spectrograms, and split them by speaker."""
    if dataset_path is not None:
        corpora.adopt(corpus, Path(dataset_path))
    recipe = recipes.on_corpora(recipes.get("parallel"), (corpus,))
    plan = experiments.plan(recipe, table=metadata.build((corpus,)).table)
    if not 0 <= fold < len(plan.folds):
        raise SerError(f"protocol {plan.protocol} has folds 0 to {len(plan.folds) - 1}.")
    features, parts = experiments.load_parts(plan, fold)
    train, validation, test = (
        Data(part, features.table.iloc[part.clips], recipe) for part in parts.values()
    )
    return train, validation, test


def ParallelModel(  # noqa: N802  the name its authors gave it
    num_emotions: int = 8, *, n_frames: int = 87, n_mels: int = 64, **options: Any
) -> keras.Model:
    """Build the model: convolutions beside a bidirectional LSTM with attention, fused, softmax."""
    backend.load()
    from ser import models

    config = ModelConfig(architecture="cnn_beside_lstm", options=options)
    return models.build(config, n_frames=n_frames, n_features=n_mels, n_classes=num_emotions)


def train_model(
    model: keras.Model, train_data: Data, val_data: Data, *, epochs: int = 60, seed: int = 0
) -> pd.DataFrame:
    """Fit a model; the weights of the epoch with the lowest validation loss stay in it."""
    from ser.training import fit

    _check(model, train_data)
    if shared := set(train_data.table["speaker"]) & set(val_data.table["speaker"]):
        raise SerError(f"training and validation share the speaker {min(shared)}.")
    recipe = changed(train_data.recipe, {"training.epochs": epochs})
    with tempfile.TemporaryDirectory() as folder:
        parts = train_data.part, val_data.part
        _, history = fit(recipe, *parts, Path(folder), seed=seed, model=lambda: model, every=0)
    return history


def evaluate_model(model: keras.Model, test_data: Data) -> dict[str, Any]:
    """Test a model."""
    from ser.training import predict

    _check(model, test_data)
    classes = list(test_data.recipe.classes)
    frame = test_data.table[["clip_id", "speaker", "label"]].assign(fold=0, seed=0)
    frame[classes] = predict(model, test_data.part.features, test_data.part.clips).astype(float)
    return evaluation.metrics(frame, classes)


def _check(model: keras.Model, data: Data) -> None:
    found, classes = model.output_shape[-1], data.recipe.classes
    if found != len(classes):
        raise SerError(
            f"the model has {found} classes, the data {len(classes)} ({', '.join(classes)}). "
            f"Build it with ParallelModel(num_emotions={len(classes)})."
        )
