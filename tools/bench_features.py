"""Measure the feature store against the loop of the published notebooks, on real RAVDESS.

Writes ``reports/bench/features.json``. Every ratio is measured in this one run, on this machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import librosa
import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from ser import corpora
from ser.config import AugmentationConfig, FeatureConfig
from ser.corpora import metadata
from ser.features import dataset
from ser.project import paths, write_json

BARS = {
    "cold_speedup": 1.8,
    "largest_difference_from_librosa": 1e-4,
    "second_call_speedup": 100.0,
    "clips_computed_after_adding_one": 1,
    "peak_memory_gb": 1.5,
}
FOUR = ("ravdess", "crema_d", "tess", "savee")


def published_loop(files: list[Path]) -> tuple[list[np.ndarray], float]:
    """Do what the published notebooks do."""
    began = time.perf_counter()
    result = []
    for file in files:
        samples, rate = librosa.load(file, sr=22_050)
        result.append(librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=40))
    return result, time.perf_counter() - began


def largest_difference(result: dataset.FeatureSet, reference: list[np.ndarray]) -> float:
    """Compare all values of all clips; MFCC run from about -600 to 300."""
    largest = 0.0
    for position, mfcc in enumerate(reference):
        expected = mfcc.T[:174]
        found = result.take([position])[0, : len(expected)]
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def compare(folder: Path) -> dict:
    """Time cold and warm extraction of RAVDESS, and one clip more."""
    os.environ["SER_ROOT"] = str(folder)
    table = metadata.build(("ravdess",), progress=False).table
    files = metadata.clip_paths(table)
    began = time.perf_counter()
    published_loop(files[:64])  # import and first call of librosa count on neither side …
    loop_start_s = time.perf_counter() - began
    reference, loop_s = published_loop(files)
    began = time.perf_counter()
    other = dataset.FrontEnd(features=FeatureConfig(n_mfcc=13))
    dataset.build(table.iloc[:64], other, n_jobs=2, progress=False)  # … so they are done before
    start_s = time.perf_counter() - began
    front_end = dataset.FrontEnd()
    began = time.perf_counter()
    dataset.build(table.iloc[:-1], front_end, n_jobs=2, progress=False)
    cold_s = (time.perf_counter() - began) * len(table) / (len(table) - 1)
    added = dataset.build(table, front_end, n_jobs=2, progress=False)
    warm_s = []
    for _ in range(5):
        began = time.perf_counter()
        result = dataset.build(table, front_end, n_jobs=2, progress=False)
        warm_s.append(time.perf_counter() - began)
    with threadpool_limits(1):  # a matrix product rounds otherwise when more threads share it
        same_threads, _ = published_loop(files)
    return {
        "published_loop_s": loop_s,
        "cold_s": cold_s,
        "cold_speedup": loop_s / cold_s,
        "cold_speedup_with_start_and_64_clips": (loop_start_s + loop_s) / (start_s + cold_s),
        "largest_difference_from_librosa": largest_difference(result, same_threads),
        "largest_difference_from_librosa_on_all_threads": largest_difference(result, reference),
        "second_call_s": min(warm_s),
        "second_call_speedup": cold_s / min(warm_s),
        "clips_computed_after_adding_one": added.n_computed,
    }


def four_corpora() -> None:
    """Compute four variants of 12,162 clips; run in a process of its own, whose memory is read."""
    table = metadata.build(FOUR, progress=False).table
    front_end = dataset.FrontEnd(augmentation=AugmentationConfig(n_variants=3))
    result = dataset.build(table, front_end, n_jobs=2, progress=False)
    print(json.dumps({"shape": result.shape, "problems": len(result.problems)}))


def memory(folder: Path) -> dict:
    """Watch the memory of `four_corpora` and all its workers."""
    process = subprocess.Popen(
        [sys.executable, __file__, "four-corpora"],
        env={**os.environ, "SER_ROOT": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak, began = 0, time.perf_counter()
    watched = psutil.Process(process.pid)
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        used = 0
        for one in [watched, *watched.children(recursive=True)]:
            try:
                used += one.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        peak = max(peak, used)
        time.sleep(0.25)
    reader.join()
    if process.returncode:
        raise SystemExit("the run over four corpora failed")
    return {
        "four_corpora": json.loads(output[0].splitlines()[-1]),
        "four_corpora_s": time.perf_counter() - began,
        "peak_memory_gb": peak / 1e9,
    }


def main() -> None:
    """Measure, compare with the bars, write the report."""
    report_folder = paths().reports / "bench"
    missing = [name for name in FOUR if name not in corpora.available()]
    if missing:
        raise SystemExit(f"make bench needs the real corpora; not here: {', '.join(missing)}.")
    with tempfile.TemporaryDirectory() as folder:
        result = compare(Path(folder))
        result |= memory(Path(folder))
    result["machine"] = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "librosa": librosa.__version__,
    }
    result["bars"] = BARS
    write_json(report_folder / "features.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if sys.argv[1:] == ["four-corpora"]:
        four_corpora()
    else:
        main()
