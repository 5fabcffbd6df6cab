"""Compare ways to use Whisper tiny.en: how many of its blocks, and how much of them is trained.

    python tools/compare_encoders.py [FOLD ...]

Trains on folds of `ravdess-luna5` (0 and 2 unless told otherwise), one seed, a fixed number of
epochs, and asks the validation speakers; no test speaker is asked. Writes
``reports/tuning/whisper-tiny/validation.csv``, a row as soon as it is known, and goes on from there
when it is called again. Then exports what was trained on the first fold, and measures every bundle
in turns: ``cost.csv``, next to it.
"""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser.models import backend

keras = backend.load()

from keras import layers  # noqa: E402

from ser import evaluation, experiments, models  # noqa: E402
from ser.config import FeatureConfig, Recipe, changed, to_dict  # noqa: E402
from ser.experiments import recipes  # noqa: E402
from ser.export.writer import export  # noqa: E402
from ser.inference import load_model  # noqa: E402
from ser.models import pretrained, whisper  # noqa: E402
from ser.models.layers import (  # noqa: E402
    Standardise,
    attentive_head,
    clip_statistics,
)
from ser.project import MODEL_FILE, paths, shown, writing  # noqa: E402

BLOCKS = (3, 2, 4)
TRAINED = ("linear", "head", "last block", "all blocks")
ENCODER = "whisper-tiny.en"
ENCODER_RATE = 0.1  # of the learning rate of the head
SECONDS = 3.0
ROUNDS = 40
FEATURES = FeatureConfig(
    kinds=("whisper_mel",), n_fft=400, hop_length=160, n_frames=320, level="relative"
)

_OF_ENCODER = re.compile(r"(^|/)(conv_[12]|block_\d+_\w+|norm)/")


@keras.saving.register_keras_serializable("ser")
class SlowerEncoder(keras.optimizers.AdamW):
    """AdamW that trains the layers of `ser.models.whisper.encode` more slowly than the others."""

    def build(self, variables: Sequence[Any]) -> None:
        """Sort the variables; by name, which is known only here."""
        super().build(variables)
        self._rates = [ENCODER_RATE if _OF_ENCODER.search(v.path) else 1.0 for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable."""
        rate = self._rates[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * rate)


@keras.saving.register_keras_serializable("ser")
class FineTuned(keras.Model):
    """A model whose encoder is trained more slowly than its head."""

    def compile(self, optimizer: Any, **options: Any) -> None:
        """Take the settings of an Adam."""
        settings = {**optimizer.get_config(), "weight_decay": optimizer.weight_decay or 0.0}
        super().compile(SlowerEncoder.from_config(settings), **options)


def fine_tuned(blocks: int, trainable: int, head: str = "") -> Callable[..., Any]:
    """Make the function that builds the first blocks of the encoder under a head.

    The last `trainable` blocks are trained. The head is that of `whisper-tiny-frozen`, with the
    weights of the model in the file `head` where one is given.
    """

    def build(n_frames: int, n_features: int, n_classes: int) -> Any:
        inputs = keras.Input((n_frames, n_features), name="features")
        found, mask = whisper.encode(inputs, **pretrained.get(ENCODER).sizes(blocks))
        states = [
            layers.Multiply(name=f"hide_padding_state_{number}")([found[number], mask])
            for number in (blocks - 1, blocks)
        ]
        x = layers.Concatenate(name="states")(states)
        x = layers.AveragePooling1D(2, name="step_pool")(x)
        x, mask = Standardise(name="standardise_states")(x)
        beside = clip_statistics(x, mask, x.shape[2], 0.5)
        x = layers.SpatialDropout1D(0.1, name="dropout_input")(x)
        x = layers.Dense(128, activation="relu", name="projection")(x)
        x = layers.Dropout(0.3, name="dropout_projection")(x)
        x = layers.Multiply(name="hide_padding")([x, mask])
        x = layers.AveragePooling1D(2, name="pool")(x)
        mask = layers.MaxPooling1D(2, name="mask_pool")(mask)
        x = layers.Bidirectional(layers.LSTM(64, return_sequences=True), name="lstm")(x)
        outputs = attentive_head(x, mask, beside, n_classes, heads=4, units=64, dropout=0.4)
        model = FineTuned(inputs, outputs, name="fine_tuned")
        whisper.set_weights(model, pretrained.weights(ENCODER))
        begun = {layer.name: layer for layer in models.load(head).layers} if head else {}
        for layer in model.layers:
            if layer.name in begun:
                layer.set_weights(begun[layer.name].get_weights())
            if layer.name in ("conv_1", "conv_2"):
                layer.trainable = False
            elif layer.name.startswith("block_") or layer.name == "norm":
                number = blocks if layer.name == "norm" else int(layer.name.split("_")[1])
                layer.trainable = number > blocks - trainable
        return model

    return build


def settings(trained: str, blocks: int) -> Recipe:
    """Give the recipe of a row."""
    changes: dict[str, Any] = {"training.refit": False}
    if trained in ("linear", "head"):
        name = "whisper-tiny-linear" if trained == "linear" else "whisper-tiny-frozen"
        return changed(recipes.get(name), {**changes, "features.states": [blocks - 1, blocks]})
    changes |= {
        "name": f"whisper-tiny-{blocks}-fine-tuned",
        "features": to_dict(FEATURES),
        "training.epochs": 4,
        "training.warmup_epochs": 1,
        "training.learning_rate": 3e-4,
    }
    return changed(recipes.get("whisper-tiny-frozen"), changes)


def train(trained: str, blocks: int, fold: int) -> tuple[Path, dict[str, Any]]:
    """Train a fold; give the run folder and what its validation speakers say."""
    model, recipe = None, settings(trained, blocks)
    if trained.endswith(("block", "blocks")):
        head, _ = train("head", blocks, fold)  # the head was trained before
        every = trained == "all blocks"
        model = fine_tuned(blocks, blocks if every else 1, str(head / MODEL_FILE))
    folder = experiments.train_fold(experiments.plan(recipe), fold, 0, model=model)
    predictions = pd.read_csv(folder / "predictions-validation.csv")
    found = evaluation.metrics(predictions, recipe.classes)
    return folder, {name: found[name]["mean"] for name in ("uar", "accuracy")}


def cost(folders: dict[tuple[str, int], Path]) -> Iterator[dict[str, Any]]:
    """Export models, and measure how large they are and how long they take for three seconds."""
    noise = np.random.default_rng(0).normal(0, 0.05, int(SECONDS * 16_000)).astype(np.float32)
    with tempfile.TemporaryDirectory() as home:
        rows, bundles = {}, {}
        for key, folder in folders.items():
            target = Path(home) / "-".join(map(str, key)).replace(" ", "-")
            export(folder / MODEL_FILE, target, kinds=("onnx",), half=True)
            rows[key] = {
                "trained": key[0],
                "blocks": key[1],
                "parameters": int(models.load(folder / MODEL_FILE).count_params()),
                "bundle_mb": (target / "model.onnx").stat().st_size / 1e6,
            }
            bundles[key] = load_model(target)
        times: dict[tuple[str, int], list[float]] = {key: [] for key in bundles}
        for _ in range(ROUNDS):
            for key, bundle in bundles.items():
                began = time.perf_counter()
                bundle.hear(noise, 16_000)
                times[key].append(time.perf_counter() - began)
        for key, row in rows.items():
            yield {**row, "ms": 1e3 * float(np.median(times[key]))}


def read(file: Path) -> list[dict[Hashable, Any]]:
    """Give the rows that are known; another process may write them too, for another fold."""
    return pd.read_csv(file).to_dict("records") if file.exists() else []


def main() -> int:
    """Train what is missing, then measure."""
    folds = [int(argument) for argument in sys.argv[1:]] or [0, 2]
    home = paths().reports / "tuning" / "whisper-tiny"
    file = home / "validation.csv"
    folders: dict[tuple[str, int], Path] = {}
    for fold, blocks, trained in itertools.product(folds, BLOCKS, TRAINED):
        row = {"trained": trained, "blocks": blocks, "fold": fold}
        known = any(all(other[name] == row[name] for name in row) for other in read(file))
        if known and fold != folds[0]:
            continue
        folder, found = train(trained, blocks, fold)
        folders.setdefault((trained, blocks), folder)
        if not known:
            with writing(file) as temporary:
                pd.DataFrame([*read(file), {**row, **found}]).round(4).to_csv(
                    temporary, index=False
                )
    with writing(home / "cost.csv") as temporary:
        pd.DataFrame(cost(folders)).round(2).to_csv(temporary, index=False)
    print(f"written: {shown(file)}, {shown(home / 'cost.csv')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
