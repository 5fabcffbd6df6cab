"""Measure training against plain `model.fit` on arrays, on real RAVDESS, in one run.

Writes ``reports/bench/training.json``. Each measurement has a process of its own; they take turns,
and the best of each counts, so that a busy moment of the machine does not decide.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from typing import Any

import numpy as np

from ser import experiments
from ser.config import changed
from ser.experiments import recipes
from ser.models import backend
from ser.project import paths, shown, write_json

RECIPES = ("mfcc-attention", "best-scratch")
ANSWERED = ("mfcc-attention-augmented", "cnn-transformer")
WAYS = ("plain", "pipeline", "random", "answer")
ANSWERS = 100
EPOCHS, ROUNDS = 4, 2  # the first epoch traces the graph and does not count
BARS = {"input_overhead": 0.10}


def measure(name: str, way: str) -> float:
    """Give the seconds of one epoch over the training clips of the first fold.

    Parameters
    ----------
    name : str
        A recipe.
    way : {"plain", "pipeline", "random", "answer"}
        ``plain``: Keras as it comes, all features in one array. ``pipeline``: as `ser train`.
        ``random``: the same, but each batch is one of a few random ones that lie in memory.
        ``answer``: no training; processor seconds of one clip through the network.
    """
    if way == "plain":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # TensorFlow's own choice on this processor
    keras: Any = backend.load()
    from ser import models
    from ser.training import fitting as training

    short = {"training.epochs": EPOCHS, "training.patience": EPOCHS, "training.refit": False}
    recipe = changed(recipes.get(name), short)
    plan = experiments.plan(recipe, "ravdess-luna5")
    _, parts = experiments.load_parts(plan, 0, names=("train", "validation"), progress=False)
    train = parts["train"]
    if way == "answer":
        return _answer(recipe, train)
    if way == "plain":
        x = train.features.take(train.clips)
        y = np.eye(len(recipe.classes), dtype=np.float32)[train.labels]
        model = models.build(
            recipe.model, n_frames=x.shape[1], n_features=x.shape[2], n_classes=y.shape[1]
        )
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        clock = _clock(keras)
        model.fit(
            x,
            y,
            batch_size=recipe.training.batch_size,
            epochs=EPOCHS,
            verbose=0,
            callbacks=[clock],
        )
        return min(clock.seconds[1:])
    if way == "random":
        training.Batches = _random(training.Batches)  # type: ignore[misc]
    clock = _clock(keras)
    folder = paths().runs / "bench" / f"{name}-{way}-{os.getpid()}"
    training.fit(recipe, train, parts["validation"], folder, seed=0, every=0, callbacks=[clock])
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return min(clock.seconds[1:])


def _answer(recipe: Any, train: Any) -> float:
    """Give the processor seconds that the network of a recipe takes for one clip, alone."""
    from ser import models

    clips = train.features.take(train.clips[:1])
    _, n_frames, n_features = clips.shape
    n_classes = len(recipe.classes)
    model = models.build(
        recipe.model, n_frames=n_frames, n_features=n_features, n_classes=n_classes
    )
    for _ in range(5):
        model.predict_on_batch(clips)
    began_s = time.process_time()
    for _ in range(ANSWERS):
        model.predict_on_batch(clips)
    return (time.process_time() - began_s) / ANSWERS


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):
        """Time the steps of each epoch, without validation and files."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began_s = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ended_s = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(self.ended_s - self.began_s)

    return Clock()


def _random(batches: type) -> type:
    class Random(batches):  # type: ignore[misc,valid-type]
        """Batches of the same shapes that need no work."""

        def __getitem__(self, index: int) -> Any:
            if not hasattr(self, "ready"):
                rng = np.random.default_rng(0)
                self.ready = []
                for i in range(2):
                    x, y, weight = super().__getitem__(i)
                    self.ready.append((rng.normal(size=x.shape).astype(np.float32), y, weight))
                last = super().__getitem__(len(self) - 1)
                self.ready.append(last)
            return self.ready[2] if index == len(self) - 1 else self.ready[index % 2]

    return Random


def compare(name: str) -> dict[str, float]:
    """Measure a recipe in every way; of those in `ANSWERED`, only how fast it answers."""
    ways = WAYS if name in RECIPES else ("answer",)
    n_clips = len(experiments.plan(recipes.get(name), "ravdess-luna5").folds[0].train)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            command = [sys.executable, __file__, name, way]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds[way].append(float(done.stdout.splitlines()[-1]))
    best = {way: min(values) for way, values in seconds.items()}
    if name not in RECIPES:
        return {"answer_ms": 1e3 * best["answer"]}
    return {
        "clips_per_epoch": n_clips,
        "plain_clips_per_s": n_clips / best["plain"],
        "pipeline_clips_per_s": n_clips / best["pipeline"],
        "speedup": best["plain"] / best["pipeline"],
        "step_ms": 1e3 * best["pipeline"] / -(-n_clips // recipes.get(name).training.batch_size),
        "input_overhead": best["pipeline"] / best["random"] - 1,
        "answer_ms": 1e3 * best["answer"],
    }


def main() -> int:
    """Measure and write; or, for another process, do one measurement and print it."""
    if len(sys.argv) == 3:
        print(measure(*sys.argv[1:]))
        return 0
    result: dict[str, Any] = {name: compare(name) for name in (*RECIPES, *ANSWERED)}
    result["bars"] = BARS
    result["machine"] = {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=2))
    write_json(paths().reports / "bench" / "training.json", result)
    print(f"written: {shown(paths().reports / 'bench' / 'training.json')}")
    missed = [name for name in RECIPES if result[name]["input_overhead"] > BARS["input_overhead"]]
    for name in missed:
        print(f"MISSED: input overhead of {name} is {result[name]['input_overhead']:.1%}")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
