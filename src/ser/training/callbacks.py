"""What happens after each epoch: state on disk, a readable line, a metric Keras does not have.

Which epoch is kept: `RunState`. Early stopping and the learning-rate schedule: `watchers`.
"""

import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ser.config import TrainingConfig
from ser.project import writing

_MEASURED = ("loss", "accuracy", "uar")
_VALIDATED = tuple(f"val_{name}" for name in _MEASURED)
HISTORY_COLUMNS = ("epoch", *_MEASURED, *_VALIDATED, "learning_rate", "seconds")


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


class RunState(keras.callbacks.Callback):
    """Remember the weights of the best epoch, and write all that a later process needs to go on.

    One file for each epoch, whole or not at all: weights, optimiser, random states of dropout, the
    kept weights and the history.
    """

    def __init__(self, file: Path, config: TrainingConfig) -> None:
        super().__init__()
        self.file, self.config = file, config
        self.history: list[dict[str, float]] = []
        self.kept: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock and note the rate this epoch is trained at."""
        self.started_s = time.perf_counter()
        self.learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the weights where they are the best so far, and write the state."""
        row = {key: float(value) for key, value in (logs or {}).items()}
        row |= {
            "epoch": epoch + 1,
            "learning_rate": self.learning_rate,
            "seconds": time.perf_counter() - self.started_s,
        }
        if self._is_better(row.get(watched(self.config)["monitor"], math.nan)):
            self.kept = self.model.get_weights()
        self.history.append({column: row.get(column, math.nan) for column in HISTORY_COLUMNS})
        arrays: dict[str, Any] = {"history": np.array(json.dumps(self.history))}
        for i, variable in enumerate(_variables(self.model)):
            arrays[f"variable {i}"] = ops.convert_to_numpy(variable)
        arrays |= {f"kept {i}": value for i, value in enumerate(self.kept)}
        with writing(self.file) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def _is_better(self, value: float) -> bool:
        """Compare with the best epoch before; what is not a number is never better."""
        past = [row[self.config.monitor] for row in self.history]
        past = [known for known in past if math.isfinite(known)]
        if not past or not math.isfinite(value):
            return math.isfinite(value)
        less = watched(self.config)["mode"] == "min"
        return value < min(past) if less else value > max(past)

    def resume(self, model: keras.Model) -> None:
        """Put the state of an earlier process into a new model, compiled as that one was.

        A file that is damaged, or of another model, raises one of many errors.
        """
        with np.load(self.file, allow_pickle=False) as saved:
            variables = _variables(model)
            values = [saved[f"variable {i}"] for i in range(len(variables))]
            kept = [saved[f"kept {i}"] for i in range(sum(n[:5] == "kept " for n in saved.files))]
            history = json.loads(str(saved["history"]))
        if any(v.shape != tuple(x.shape) for x, v in zip(variables, values, strict=True)):
            raise ValueError("of another model")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.history, self.kept = history, kept


def _variables(model: keras.Model) -> list[keras.Variable]:
    """List all that training changes, the random states of dropout included, but no metrics."""
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]


class ProgressLine(keras.callbacks.Callback):
    """Print a line for the first epoch, every few epochs, and the last.

    `past` are the epochs before, where a training goes on: their best counts.
    """

    def __init__(
        self, every: int = 5, title: str = "", past: Sequence[dict[str, float]] = ()
    ) -> None:
        super().__init__()
        self.every, self.title = every, f"{title} · " if title else ""
        self.best = max((row["val_uar"] for row in past), default=math.nan)
        self.line, self.printed = "", ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self.started_s = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print every few epochs."""
        row, validation = logs or {}, ""
        if "val_uar" in row:
            self.best = np.fmax(self.best, row["val_uar"])
            validation = (
                f" · validation {row['val_loss']:.3f}, {100 * row['val_uar']:4.1f} %"
                f" (best {100 * self.best:.1f})"
            )
        self.line = (
            f"{self.title}epoch {epoch + 1:3d}/{self.params['epochs']}"
            f" · loss {row['loss']:.3f}, UAR {100 * row['uar']:4.1f} %{validation}"
            f" · {time.perf_counter() - self.started_s:.1f} s"
        )
        if epoch == 0 or (epoch + 1) % self.every == 0:
            self._print()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Print the last epoch where it was not printed."""
        self._print()

    def _print(self) -> None:
        if self.line != self.printed:
            print(self.line, flush=True)
        self.printed = self.line


WATCHED = {"epoch": "epochs_done"}  # Keras does not let a quantity be called epoch


class CountEpochs(keras.callbacks.Callback):
    """Count the epochs, as a quantity that can be watched."""

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
        """Swap after the last epoch too: a resume needs the weights that Keras would drop."""
        if not self._ema_weights_in_model:
            self._swap_variables()
            self._ema_weights_in_model = True


def watched(config: TrainingConfig) -> dict[str, Any]:
    """Give the monitored quantity as Keras knows it, and whether less or more of it is better."""
    name = WATCHED.get(config.monitor, config.monitor)
    return {"monitor": name, "mode": "min" if name == "val_loss" else "max"}


def watchers(
    config: TrainingConfig,
) -> tuple[keras.callbacks.EarlyStopping, keras.callbacks.Callback]:
    """Make what ends the training, and what moves the learning rate."""
    stopping = keras.callbacks.EarlyStopping(**watched(config), patience=config.patience)
    if config.schedule == "cosine":
        return stopping, keras.callbacks.LearningRateScheduler(partial(_cosine_rate, config))
    patience, factor = config.reduce_patience, config.reduce_factor
    return stopping, keras.callbacks.ReduceLROnPlateau(
        **watched(config), patience=patience, factor=factor, min_lr=1e-6
    )


class Restore(keras.callbacks.Callback):
    """Put back what the watchers knew: Keras clears it when training begins."""

    def __init__(self, *watchers: keras.callbacks.Callback) -> None:
        super().__init__()
        self.known = [(watcher, dict(vars(watcher))) for watcher in watchers]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put it back."""
        for watcher, state in self.known:
            vars(watcher).update({k: v for k, v in state.items() if k != "_model"})
