"""A page without a server: bundles answer in the browser of whoever opens it.

Its sources are ``docs/page``. ONNX Runtime for browsers (MIT) is fetched once, as published.
"""

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ser.corpora.base import Archive
from ser.inference import bundle
from ser.project import cannot_write, unknown

ENGINE = Archive(
    "https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz",
    "onnxruntime-web-1.30.0.tgz",
    "sha256:d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    33_106_585,
)
ENGINE_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LARGE = (".wasm", ".onnx")  # kept for offline use when they are asked for; the rest at once
EXPECTED = re.compile(r"^UAR ([\d.]+ %).*guessing gives ([\d.]+ %)", re.MULTILINE)  # of a card


def write(folder: Path, bundles: Mapping[str, Path]) -> Path:
    """Put the page together; the first bundle answers at once, the last when it has arrived."""
    models = [_described(name, source) for name, source in bundles.items()]
    archive = _fetched()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*_sources(), Path(__file__).with_name("silero_vad.onnx")):
            shutil.copyfile(file, folder / file.name)
        with tarfile.open(archive) as package:
            for name in ENGINE_FILES:
                member = package.getmember(f"package/dist/{name}").replace(name=name)
                package.extract(member, folder, filter="data")
        for name, source in bundles.items():
            (folder / "models" / name).mkdir(parents=True, exist_ok=True)
            for file in source.iterdir():
                if file.name in (bundle.CARD, bundle.FILES["onnx"], "README.md"):
                    shutil.copyfile(file, folder / "models" / name / file.name)
        about = {"models": models, "engine": (folder / ENGINE_FILES[-1]).stat().st_size}
        (folder / "page.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        _seal(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _described(name: str, source: Path) -> dict[str, Any]:
    """Say what the page needs to know of a bundle before it loads it."""
    card, written = bundle.read_card(source), source / "README.md"
    if "onnx" not in card["files"]:
        raise unknown(f"{source}: no onnx file", card["files"], "onnx", word="It holds")
    found = EXPECTED.search(written.read_text(encoding="utf-8")) if written.is_file() else None
    expected = {"uar": found[1], "chance": found[2]} if found else None
    return {"name": name, "bytes": card["files"]["onnx"]["bytes"], "expected": expected}


def _sources() -> list[Path]:
    """Find the page's own files: in the checkout, or where its wheel put them."""
    checkout = Path(__file__).resolve().parents[3] / "docs" / "page"
    if checkout.is_dir():
        return [file for file in checkout.iterdir() if file.is_file()]
    installed = metadata.files("ser-honest") or ()
    return [Path(str(f.locate())) for f in installed if f.parent.parts[-2:] == ("ser", "page")]


def _fetched() -> Path:
    import pooch  # of an extra, as is what the next line brings

    from ser.corpora.fetch import fetch

    return fetch(ENGINE, Path(pooch.os_cache("ser-honest")))  # for all projects of this user


def _seal(folder: Path) -> None:
    """Tell the service worker which files there are, and a version that follows their content."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "sw.js")
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    names = [file.relative_to(folder).as_posix() for file in files if file.suffix not in LARGE]
    path = folder / "sw.js"
    text = path.read_text(encoding="utf-8").replace('"development"', json.dumps(version))
    path.write_text(text.replace('["./"]', json.dumps(["./", *names])), encoding="utf-8")
