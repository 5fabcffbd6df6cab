"""Measure how soon a bundle answers, against the same model through TensorFlow and librosa.

    python tools/bench_inference.py [BUNDLE]

The other is a network of the same recipe, untrained: what its weights are costs no time. Writes
``reports/bench/inference.json``. Every ratio is measured in this one run, on this machine;
processes take turns, and the best of each counts.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ser import corpora
from ser.audio import decode
from ser.config import Recipe, from_dict
from ser.features import extraction as features
from ser.inference import load_model
from ser.inference.bundle import read_card
from ser.models import backend
from ser.project import paths, shown, write_json

ROUNDS = 5
WARM = 200
SECONDS = 3.0
BARS = {
    "fresh_process_speedup": 5.0,
    "fresh_process_s": 1.0,
    "warm_ms": 30.0,
    "times_real_time": 100.0,
    "peak_memory_mb": 400.0,
}
HIGHER_IS_BETTER = ("fresh_process_speedup", "times_real_time")


def plain_way(card: dict[str, Any], file: Path) -> Path:
    """Save a network of a bundle's recipe as a ``.keras`` file."""
    backend.load()
    from ser import models

    recipe = from_dict(Recipe, card["recipe"], source="the bundle's card")
    sizes = {"n_frames": recipe.features.n_rows, "n_classes": len(card["classes"])}
    n_features = len(features.feature_names(recipe.features))
    model = models.build(recipe.model, n_features=n_features, **sizes)
    models.save(model, file, {name: card[name] for name in ("classes", "audio", "features")})
    return file


def fresh(model: Path, clip: Path) -> tuple[float, float]:
    """Give wall-clock seconds and peak memory in megabytes of `ser predict` as a new process."""
    command = [sys.executable, "-m", "ser", "predict", str(clip), "--json", "-m", str(model)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watched, peak = psutil.Process(child.pid), 0
    while child.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.005)
    if child.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, peak / 1e6


def warm(bundle: Path, clip: Path) -> float:
    """Give the median milliseconds of an answer for three seconds, decoding left out."""
    model, recording = load_model(bundle), decode(clip)
    rate = recording.sample_rate_hz
    samples = np.resize(recording.samples[:, 0], int(SECONDS * rate))
    times = []
    for _ in range(WARM):
        began = time.perf_counter()
        model.hear(samples, rate)
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


def folder(bundle: Path, clips: list[Path]) -> tuple[float, float]:
    """Give the seconds that all clips take, decoding and guards included, and what they last."""
    model = load_model(bundle)
    began = time.perf_counter()
    total_s = sum(model.predict(clip).duration_s for clip in clips)
    return time.perf_counter() - began, total_s


def main() -> int:
    """Measure, write, and say which bar was missed."""
    bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else paths().models / "whisper-tiny"
    folder_of_file = tempfile.TemporaryDirectory()
    keras_file = plain_way(read_card(bundle), Path(folder_of_file.name) / "model.keras")
    home = corpora.locate("ravdess")
    clips = sorted(home / path for path, _ in corpora.scan("ravdess", home)[0])
    clip = min(clips, key=lambda path: abs(decode(path).duration_s - SECONDS))
    rounds = [(fresh(bundle, clip), fresh(keras_file, clip)) for _ in range(ROUNDS)]
    quick, memory = min(r[0][0] for r in rounds), max(r[0][1] for r in rounds)
    plain, plain_memory = min(r[1][0] for r in rounds), max(r[1][1] for r in rounds)
    took_s, total_s = folder(bundle, clips)
    found = {
        "fresh_process_s": quick,
        "fresh_process_keras_s": plain,
        "fresh_process_speedup": plain / quick,
        "peak_memory_mb": memory,
        "peak_memory_keras_mb": plain_memory,
        "warm_ms": warm(bundle, clip),
        "folder_clips": len(clips),
        "folder_s": took_s,
        "times_real_time": total_s / took_s,
    }
    rounded = {name: round(value, 3) for name, value in found.items()}
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    path = paths().reports / "bench" / "inference.json"
    write_json(path, {**rounded, "bars": BARS, "bundle": bundle.name, "machine": machine})
    missed = [
        name
        for name, bar in BARS.items()
        if (found[name] < bar if name in HIGHER_IS_BETTER else found[name] > bar)
    ]
    for name, value in rounded.items():
        bar = f"  (bar {BARS[name]:g})" if name in BARS else ""
        print(f"{name:24s}{value:10.3f}{bar}{'  MISSED' if name in missed else ''}")
    print(f"written: {shown(path)}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
