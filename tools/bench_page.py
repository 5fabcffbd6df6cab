"""Measure the page without a server in Chromium, and hold its answers against Python's.

    python tools/bench_page.py [--clips N]

Writes ``reports/bench/page.json``: bytes of a visit, seconds to the first answer, milliseconds for
a clip, and how far the answers about clips of five corpora (``SER_CORPORA``) lie from Python's.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import http.server
import json
import os
import platform
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import soxr
from page import MODELS
from tqdm.auto import tqdm

from ser import corpora
from ser.audio import decode, to_mono
from ser.inference import browser, load_model
from ser.project import paths, shown, write_json

CORPORA = ("ravdess", "crema_d", "tess", "savee", "emodb")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
PATIENCE_MS = 300_000
RATE = 16_000
LIVE_S = 120.0
BARS = {"largest_difference": 0.05, "same_answer": 0.99, "live_growth_mb": 5.0}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, as any static server would; give its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def ask(view: Any, path: Path | str) -> dict[str, Any]:
    """Give the page a file, and read its answer as it is downloaded; what it says where none is."""
    view.set_input_files("#file", str(path))
    return answer(view)


def answer(view: Any) -> dict[str, Any]:
    """Read the answer that is on its way."""
    view.wait_for_selector("#whole:visible, .failed #about", timeout=PATIENCE_MS)
    if view.locator(".failed").count():
        return {"error": view.inner_text("#about")}
    with view.expect_download() as download:
        view.click("#json")
    (found,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    return {**found, "headline": view.inner_text("#headline")}


def loaded(view: Any) -> None:
    """Wait until all models have arrived."""
    view.wait_for_selector("html[data-state=loaded]", timeout=PATIENCE_MS)


def sample(n: int) -> list[Path]:
    """Draw as many clips of each corpus, the same each time."""
    found = []
    for name in CORPORA:
        home = corpora.locate(name)
        clips = sorted(home / path for path, _ in corpora.scan(name, home)[0])
        found += random.Random(0).sample(clips, n // len(CORPORA))
    return found


def compare(view: Any, clips: list[Path], model: str) -> dict[str, Any]:
    """Ask page and package about the same files."""
    python, differences, times, others = load_model(paths().models / model), [], [], []
    for clip in tqdm(clips, desc=model):
        expected, found = python.predict(clip), ask(view, clip)
        if found.get("label") != expected.label:
            others.append(f"{clip.name}: {found['headline']} here, {expected.headline} in Python")
        shares = expected.probabilities
        if shares and found["probabilities"]:
            differences.append(max(abs(shares[n] - found["probabilities"][n]) for n in shares))
        took = re.search(r"([\d.]+) (ms|s)", view.inner_text("#took"))
        times.append(float(took[1]) * (1 if took[2] == "ms" else 1e3) if took else np.nan)
    print(*others, sep="\n")
    return {
        "clips": len(clips),
        "largest_difference": max(differences),
        "mean_difference": float(np.mean(differences)),
        "same_answer": 1 - len(others) / len(clips),
        "ms_per_clip": float(np.median(times)),
    }


def in_a_row(clips: list[Path], folder: Path) -> list[Path]:
    """Make long recordings: five clips of a corpus each, with a second of silence after each."""
    found = []
    for first in range(0, len(clips), 5):
        parts = [decode(clip) for clip in clips[first : first + 5]]
        waveforms = [soxr.resample(to_mono(p.samples), p.sample_rate_hz, RATE) for p in parts]
        path = folder / f"long-{first}.flac"
        soundfile.write(path, np.concatenate([np.pad(w, (0, RATE)) for w in waveforms]), RATE)
        found.append(path)
    return found


def speak(playwright: Any, address: str, clip: Path, seconds: float) -> dict[str, float]:
    """Let the page listen to a clip over and over: how late it answers, how its memory grows."""
    with tempfile.TemporaryDirectory() as scratch:
        voice = Path(scratch) / "voice.wav"
        recording = decode(clip)
        samples = soxr.resample(to_mono(recording.samples), recording.sample_rate_hz, 48_000)
        soundfile.write(voice, np.pad(samples, (0, 24_000)), 48_000)
        context = playwright.chromium.launch_persistent_context(
            f"{scratch}/profile",
            executable_path=CHROMIUM,
            args=[*ARGUMENTS, *MICROPHONE, f"--use-file-for-fake-audio-capture={voice}"],
        )
        view = context.pages[0]
        view.goto(address)
        loaded(view)
        view.click("#record")
        view.wait_for_selector("#live:visible")
        half = seconds / 2
        view.wait_for_timeout(1e3 * half / 2)  # to warm up
        before = memory(view, scratch, half / 2)
        view.wait_for_timeout(1e3 * half / 2)
        after = memory(view, scratch, half / 2)
        latency = view.evaluate("Number(document.getElementById('lines').dataset.latency)")
        heard = view.inner_text("#about")
        context.close()
    print(f"live: {heard}; {before:.0f} MB, then {after:.0f} MB")
    return {
        "live_s": seconds,
        "live_memory_mb": after,
        "live_growth_mb": after - before,
        "live_latency_ms": 1e3 * latency,
    }


def memory(view: Any, profile: str, seconds: float) -> float:
    """Give the least megabytes that the page's process takes within some seconds."""
    found = []
    for _ in range(int(seconds)):
        view.wait_for_timeout(1_000)
        found.append(
            sum(
                process.memory_info().rss
                for process in psutil.process_iter(["cmdline"])
                if "--type=renderer" in (line := " ".join(process.info["cmdline"] or ()))
                and profile in line
            )
        )
    return min(found) / 1e6


def visit(chromium: Any, address: str, clip: Path) -> dict[str, float]:
    """Time a first visit, and one after it: until the first answer, until all has arrived."""
    found = {}
    context = chromium.new_context()
    for name in ("first", "second"):
        view = context.new_page()
        began = time.perf_counter()
        view.goto(address, wait_until="domcontentloaded")
        ask(view, clip)
        found[f"{name}_visit_to_answer_s"] = time.perf_counter() - began
        loaded(view)
        found[f"{name}_visit_to_all_s"] = time.perf_counter() - began
        view.close()
    context.close()
    return found


def size(folder: Path) -> dict[str, float]:
    """Count what a first visit transfers, plain and as servers compress it."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    plain = {file: file.stat().st_size / 1e6 for file in files}
    packed = {file: len(gzip.compress(file.read_bytes(), 6)) / 1e6 for file in files}
    large = folder / "models" / MODELS[-1] / "model.onnx"
    return {
        "to_first_answer_mb": sum(plain.values()) - plain[large],
        "to_first_answer_compressed_mb": sum(packed.values()) - packed[large],
        "whole_mb": sum(plain.values()),
        "whole_compressed_mb": sum(packed.values()),
    }


def main() -> int:
    """Measure, write, and say which bar was missed."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    clips = sample(parser.parse_args().clips)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        site = Path(scratch) / "site"
        folder = browser.write(site / "some" / "place", {n: paths().models / n for n in MODELS})
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        machine = {"browser": f"Chromium {chromium.version}", "cores": os.cpu_count()}
        with served(site) as root:
            address = f"{root}some/place/"
            found: dict[str, Any] = {**size(folder), **visit(chromium, address, clips[0])}
            view = chromium.new_page()
            view.goto(address)
            loaded(view)
            for model in MODELS:
                view.select_option("#model", model)
                found[model] = compare(view, clips, model)
            found["in_a_row"] = compare(view, in_a_row(clips[::4], Path(scratch)), MODELS[-1])
            chromium.close()
            found.update(speak(playwright, address, clips[0], LIVE_S))
    machine.update(python=platform.python_version(), load=round(os.getloadavg()[2], 1))
    path = paths().reports / "bench" / "page.json"
    write_json(path, {**_rounded(found), "bars": BARS, "machine": machine})
    print(path.read_text(encoding="utf-8"), f"written: {shown(path)}", sep="")
    missed = [f"{name} of {model}" for model in MODELS for name in _missed(found[model])]
    missed += _missed(found)
    print(*(f"MISSED: {name}" for name in missed), sep="\n")
    return int(bool(missed))


def _missed(found: dict[str, Any]) -> list[str]:
    better = {"same_answer": 1}  # where more is
    return [
        name
        for name, bar in BARS.items()
        if name in found and better.get(name, -1) * (found[name] - bar) < 0
    ]


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value) if isinstance(value, dict) else round(value, 4)
        for name, value in found.items()
    }


if __name__ == "__main__":
    sys.exit(main())
