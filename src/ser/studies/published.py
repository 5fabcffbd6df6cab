"""`ParallelModel` and the three functions around it, under the names its authors gave them.

>>> from ser.studies.published import ParallelModel, evaluate_model, preprocess_data, train_model
>>> model = ParallelModel(num_emotions=8)

The data come from `preprocess_data`, split by speaker; everything they do is what the recipe
``parallel`` does.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser import corpora, evaluation
from ser.corpora import metadata
from ser.experiments import recipes
from ser.experiments.plans import plan
from ser.features import dataset
from ser.models import backend
from ser.project import SerError

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Data:
    """Features and labels of some clips."""

    features: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    speakers: tuple[str, ...]
    clip_ids: tuple[str, ...]


def preprocess_data(
    dataset_path: Path | str | None = None, *, corpus: str = "ravdess", fold: int = 0
) -> tuple[Data, Data, Data]:
    """Read a corpus, compute mel spectrograms, and split them by speaker."""
    if dataset_path is not None:
        corpora.adopt(corpus, Path(dataset_path))
    recipe = recipes.on_corpora(recipes.get("parallel"), (corpus,))
    the_plan = plan(recipe, table=metadata.build((corpus,)).table)
    if not 0 <= fold < len(the_plan.folds):
        raise SerError(f"protocol {the_plan.protocol} has folds 0 to {len(the_plan.folds) - 1}.")
    source = dataset.build(the_plan.table, the_plan.front_end)

    def part(clip_ids: tuple[str, ...]) -> Data:
        clips = source.positions(clip_ids)
        rows = source.table.iloc[clips]
        return Data(
            features=source.take(clips),
            labels=rows["label"].map(recipe.classes.index).to_numpy(np.int64),
            classes=recipe.classes,
            speakers=tuple(rows["speaker"]),
            clip_ids=tuple(rows["clip_id"]),
        )

    chosen = the_plan.folds[fold]
    return part(chosen.train), part(chosen.validation), part(chosen.test)


def ParallelModel(  # noqa: N802  the name its authors gave it
    num_emotions: int = 8, *, n_frames: int = 87, n_mels: int = 64, **options: Any
) -> keras.Model:
    """Build the model: convolutions beside a bidirectional LSTM with attention, fused, softmax."""
    backend.load()
    from ser import models
    from ser.config import ModelConfig

    config = ModelConfig(architecture="cnn_beside_lstm", options=options)
    return models.build(config, n_frames=n_frames, n_features=n_mels, n_classes=num_emotions)


def train_model(
    model: keras.Model, train_data: Data, val_data: Data, *, epochs: int = 60, seed: int = 0
) -> pd.DataFrame:
    """Fit a model; the weights of the epoch with the lowest validation loss stay in it."""
    keras = backend.load()
    from ser.models.layers import Standardise

    _check(model, train_data, val_data)
    keras.utils.set_random_seed(seed)
    settings = recipes.get("parallel").training
    frames = train_data.features[np.any(train_data.features != 0, axis=-1)]
    for layer in model.layers:
        if isinstance(layer, Standardise):
            layer.set_statistics(frames.mean(axis=0), frames.std(axis=0))
    model.compile(
        keras.optimizers.Adam(settings.learning_rate, clipnorm=settings.clip_norm),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    history = model.fit(
        train_data.features,
        train_data.labels,
        batch_size=settings.batch_size,
        validation_data=(val_data.features, val_data.labels),
        epochs=epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(
                patience=settings.reduce_patience, factor=settings.reduce_factor
            ),
        ],
    )
    table = pd.DataFrame(history.history)
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="epoch"), axis=0)


def evaluate_model(model: keras.Model, test_data: Data) -> dict[str, Any]:
    """Test a model."""
    _check(model, test_data)
    probabilities = model.predict(test_data.features, verbose=0).astype(np.float64)
    predictions = pd.DataFrame(probabilities, columns=list(test_data.classes)).assign(
        clip_id=test_data.clip_ids,
        speaker=test_data.speakers,
        fold=0,
        seed=0,
        label=np.array(test_data.classes)[test_data.labels],
    )
    return evaluation.metrics(predictions, test_data.classes)


def _check(model: keras.Model, *parts: Data) -> None:
    found, expected = model.output_shape[-1], len(parts[0].classes)
    if found != expected:
        raise SerError(
            f"the model has {found} classes, the data {expected} ({', '.join(parts[0].classes)}). "
            f"Build it with ParallelModel(num_emotions={expected})."
        )
    shared = set(parts[0].speakers) & set(parts[-1].speakers) if len(parts) > 1 else set()
    if shared:
        raise SerError(f"training and validation share the speaker {min(shared)}.")
