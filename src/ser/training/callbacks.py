"""What happens after each epoch: state on disk, a readable line, a metric Keras does not have."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from keras import ops

from ser import models
from ser.config import TrainingConfig
from ser.project import writing

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "uar",
    "val_loss",
    "val_accuracy",
    "val_uar",
    "learning_rate",
    "seconds",
)


@keras.saving.register_keras_serializable("ser")
class UnweightedAverageRecall(keras.metrics.Metric):
    """Mean of the recalls of the classes that occur (UAR, balanced accuracy)."""

    def __init__(self, n_classes: int, name: str = "uar", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.n_classes = n_classes
        self.hits = self.add_weight(name="hits", shape=(n_classes,), initializer="zeros")
        self.clips = self.add_weight(name="clips", shape=(n_classes,), initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count; class weights do not matter here."""
        label = ops.argmax(y_true, axis=-1)
        hit = ops.cast(ops.equal(label, ops.argmax(y_pred, axis=-1)), "float32")
        one_hot = ops.one_hot(label, self.n_classes)
        self.hits.assign_add(ops.sum(one_hot * hit[:, None], axis=0))
        self.clips.assign_add(ops.sum(one_hot, axis=0))

    def result(self) -> Any:
        """Give the UAR so far, 0 to 1."""
        occurs = ops.cast(self.clips > 0, "float32")
        recalls = self.hits / ops.maximum(self.clips, 1.0)
        return ops.sum(recalls) / ops.maximum(ops.sum(occurs), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Give what `__init__` needs."""
        return {**super().get_config(), "n_classes": self.n_classes}


def dropout_states(model: keras.Model) -> list[keras.Variable]:
    """List the states of a model's random generators, which Keras does not save with it."""
    found = model.non_trainable_variables
    return [variable for variable in found if variable.path.endswith("seed_generator_state")]


class RunState(keras.callbacks.Callback):
    """Save the history, then the model with its optimiser, after each epoch."""

    def __init__(self, folder: Path, history: list[dict[str, float]]) -> None:
        super().__init__()
        self.folder, self.history = folder, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock and note the rate this epoch is trained at."""
        self.started_s = time.perf_counter()
        self.learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save."""
        row = {key: float(value) for key, value in (logs or {}).items()}
        row |= {
            "epoch": epoch + 1,
            "learning_rate": self.learning_rate,
            "seconds": time.perf_counter() - self.started_s,
        }
        self.history.append({column: row.get(column, math.nan) for column in HISTORY_COLUMNS})
        with writing(self.folder / "history.csv") as temporary:
            pd.DataFrame(self.history).to_csv(temporary, index=False, float_format="%.6g")
        states = [ops.convert_to_numpy(state).tolist() for state in dropout_states(self.model)]
        with writing(self.folder / "last.keras") as temporary:
            self.model.save(temporary)
            models.describe(temporary, {"dropout": states})


class WholeCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keras's ModelCheckpoint, but a kill while it writes leaves the former file as it was."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save aside, then rename."""
        target = Path(str(self.filepath))  # type: ignore[has-type]
        aside = target.with_name(f".aside-{target.name}")
        aside.unlink(missing_ok=True)  # cut short by a kill or a full disk
        self.filepath = str(aside)
        try:
            super().on_epoch_end(epoch, logs)
        finally:
            self.filepath = str(target)
        if aside.exists():
            aside.replace(target)


class ProgressLine(keras.callbacks.Callback):
    """Print a line now and then: often enough to follow, seldom enough to read afterwards."""

    def __init__(
        self, title: str, history: list[dict[str, float]], epochs: int, every: int = 5
    ) -> None:
        super().__init__()
        self.title, self.history, self.epochs, self.every = title, history, epochs, every

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print every few epochs."""
        if self.history and (epoch == 0 or (epoch + 1) % self.every == 0):
            self._print()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Print the last epoch where it was not printed."""
        last = int(self.history[-1]["epoch"]) if self.history else 0
        if last and last != 1 and last % self.every:
            self._print()

    def _print(self) -> None:
        row = self.history[-1]
        best = max(past["val_uar"] for past in self.history)
        validation = (
            f" · validation {row['val_loss']:.3f}, {100 * row['val_uar']:4.1f} %"
            f" (best {100 * best:.1f})"
        )
        print(
            f"{self.title} · epoch {int(row['epoch']):3d}/{self.epochs}"
            f" · loss {row['loss']:.3f}, UAR {100 * row['uar']:4.1f} %"
            f"{'' if math.isnan(row['val_loss']) else validation} · {row['seconds']:.1f} s",
            flush=True,
        )


WATCHED = {"epoch": "epochs_done"}  # Keras does not let a quantity be called epoch


class NextEpoch(keras.callbacks.Callback):
    """Draw each epoch's batches before it, and count it after it."""

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        self.batches.start_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count, unless training has diverged."""
        if logs and math.isfinite(logs["loss"]):
            logs[WATCHED["epoch"]] = epoch + 1


def _cosine_rate(config: TrainingConfig, epoch: int, rate: float) -> float:
    if epoch < config.warmup_epochs:
        return config.learning_rate * (epoch + 1) / (config.warmup_epochs + 1)
    share = (epoch - config.warmup_epochs) / max(1, config.epochs - config.warmup_epochs)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


class Averaged(keras.callbacks.SwapEMAWeights):
    """Put the averaged weights into the model at the end of an epoch, and take them out again."""

    def __init__(self, resumed: bool) -> None:
        super().__init__(swap_on_epoch=True)
        self._ema_weights_in_model = resumed

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Swap in the last epoch too, where Keras drops what a longer training needs."""
        if not self._ema_weights_in_model:
            self._swap_variables()
            self._ema_weights_in_model = True


def watched_name(config: TrainingConfig) -> str:
    """Give the name that Keras knows the monitored quantity by."""
    return WATCHED.get(config.monitor, config.monitor)


def mode_of(config: TrainingConfig) -> str:
    """Say whether less or more of the monitored quantity is better: min or max."""
    return "min" if config.monitor == "val_loss" else "max"


def watchers(
    config: TrainingConfig,
) -> tuple[keras.callbacks.EarlyStopping, keras.callbacks.Callback]:
    """Make what ends the training, and what moves the learning rate."""
    watched: dict[str, Any] = {"monitor": watched_name(config), "mode": mode_of(config)}
    stopping = keras.callbacks.EarlyStopping(**watched, patience=config.patience)
    if config.schedule == "cosine":
        return stopping, keras.callbacks.LearningRateScheduler(partial(_cosine_rate, config))
    plateau = keras.callbacks.ReduceLROnPlateau(
        **watched,
        patience=config.reduce_patience,
        factor=config.reduce_factor,
        min_lr=1e-6,
    )
    return stopping, plateau


class Restore(keras.callbacks.Callback):
    """Put back what the watchers knew: Keras clears it when training begins."""

    def __init__(self, *watchers: keras.callbacks.Callback) -> None:
        super().__init__()
        self.known = [(watcher, dict(vars(watcher))) for watcher in watchers]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put it back."""
        for watcher, state in self.known:
            vars(watcher).update({k: v for k, v in state.items() if k != "_model"})
