"""A page without a server: bundles answer in the browser of whoever opens it.

Its sources are ``docs/page``. ONNX Runtime for browsers (MIT) is fetched once, as published.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ser.audio import decode
from ser.corpora import demo
from ser.corpora.base import Archive
from ser.inference import bundle
from ser.project import SerError, cannot_write, unknown

ENGINE = Archive(
    "https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz",
    "onnxruntime-web-1.30.0.tgz",
    "sha256:d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    33_106_585,
)
WASM = "ort-wasm-simd-threaded.wasm"
PARTS = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", WASM)
DETECTOR = Path(__file__).with_name("silero_vad.onnx")
LARGE = (".wasm", ".onnx")  # kept for offline use when they are asked for; the rest at once
EXPECTED = re.compile(r"^UAR ([\d.]+ %).*guessing gives ([\d.]+ %)", re.MULTILINE)  # of a card
EXAMPLES = {
    "angry": "ravdess/Actor_16/03-01-05-02-01-01-16.opus",
    "fearful": "ravdess/Actor_10/03-01-06-02-01-01-10.opus",
    "neutral": "ravdess/Actor_06/03-01-01-01-01-01-06.opus",
}
PAUSE_S = 0.8  # between those of the example that holds all of them


def write(folder: Path, bundles: Mapping[str, Path]) -> Path:
    """Put the page together; the first bundle answers at once, the last when it has arrived."""
    models = []
    for name, source in bundles.items():
        card = bundle.read_card(source)
        if "onnx" not in card["files"]:
            raise unknown(f"{source}: no onnx file", card["files"], "onnx", word="It holds")
        found = EXPECTED.search(_text(source / "README.md"))
        expected = {"uar": found[1], "chance": found[2]} if found else None
        about: dict[str, Any] = {"name": name, "folder": f"models/{name}", "expected": expected}
        models.append({**about, "bytes": card["files"]["onnx"]["bytes"]})
    engine = _fetched()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*_sources(), DETECTOR):
            shutil.copyfile(file, folder / file.name)
        for name, data in {**engine, **_examples()}.items():
            (folder / name).write_bytes(data)
        for name, source in bundles.items():
            (folder / "models" / name).mkdir(parents=True, exist_ok=True)
            for part in (bundle.CARD, bundle.FILES["onnx"], "README.md"):
                if (source / part).is_file():
                    shutil.copyfile(source / part, folder / "models" / name / part)
        titles = [{"file": name, "title": Path(name).stem} for name in _examples()]
        about = {"models": models, "examples": titles, "engine": len(engine[WASM])}
        (folder / "page.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        _seal(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _sources() -> list[Path]:
    """Find the page's own files: in the checkout, or where its wheel put them."""
    checkout = Path(__file__).resolve().parents[3] / "docs" / "page"
    if checkout.is_dir():
        return [file for file in checkout.iterdir() if file.is_file()]
    installed = metadata.files("ser-honest") or ()
    return [Path(str(f.locate())) for f in installed if f.parent.parts[-2:] == ("ser", "page")]


def _fetched() -> dict[str, bytes]:
    """Give the files of the engine by name."""
    try:
        import pooch

        from ser.corpora.fetch import fetch
    except ImportError as error:
        raise SerError("making a page needs pooch: pip install 'ser-honest[train]'.") from error
    home = Path(pooch.os_cache("ser-honest"))  # for all projects of this user
    with tarfile.open(fetch(ENGINE, home)) as package:
        members = {name: package.extractfile(f"package/dist/{name}") for name in PARTS}
        return {name: member.read() for name, member in members.items() if member}


def _examples() -> dict[str, bytes]:
    """Take clips of the demo corpus, and join them into one that is longer."""
    found, waveforms = {}, []
    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name, clip in EXAMPLES.items():
            found[f"{name}.opus"] = clips.read(clip)
            recording = decode(found[f"{name}.opus"])
            pause = np.zeros(int(PAUSE_S * recording.sample_rate_hz), np.float32)
            waveforms += [recording.samples[:, 0], pause]
    joined = io.BytesIO()
    rate = recording.sample_rate_hz
    soundfile.write(joined, np.concatenate(waveforms), rate, format="OGG", subtype="OPUS")
    return {**found, "all in turn.opus": joined.getvalue()}


def _seal(folder: Path) -> None:
    """Tell the service worker which files there are, and a version that follows their content."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "sw.js")
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    names = [file.relative_to(folder).as_posix() for file in files if file.suffix not in LARGE]
    path = folder / "sw.js"
    text = path.read_text(encoding="utf-8").replace('"development"', json.dumps(version))
    path.write_text(text.replace('["./"]', json.dumps(["./", *names])), encoding="utf-8")
