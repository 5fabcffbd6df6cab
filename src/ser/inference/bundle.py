"""A model bundle: a folder that answers without TensorFlow and librosa.

It holds one graph, from waveform to calibrated probabilities, in several formats, and a card
(``bundle.json``) with labels, sample rate and checksums. `ser.export.writer` writes it; this module
reads it, and needs NumPy and onnxruntime only.
"""

import functools
import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ser.project import SerError, first_line, read_json, unknown

CARD = "bundle.json"
FORMAT = 1
OWN_SUM = "card_sha256"  # of the card without it; cards of before have none
MOST_BYTES = 2_000_000_000  # of a graph
MEMORY_BYTES = 4_000_000_000  # of graphs at work; the released ones need a tenth
TIMEOUT_S = 20.0  # for a few seconds of sound
AGAIN = "Export or download the bundle again."
FILES = {"onnx": "model.onnx", "litert": "model.tflite", "litert-int8": "model-int8.tflite"}


class Bundle:
    """An opened bundle."""

    def __init__(self, card: dict[str, Any], graph: Any) -> None:
        self.card, self._graph = card, graph
        self.sample_rate_hz = int(card["sample_rate_hz"])
        self.window_s = float(card["window_s"])

    def __call__(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Answer for one waveform."""
        found = self._graph(np.ascontiguousarray(waveform, np.float32))
        return found["probabilities"], found.get("attention")


def _is_number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most


def _is_list_of_files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        kind in FILES
        and isinstance(entry, dict)
        and re.fullmatch(r"[\w-]+\.(onnx|tflite)", str(entry.get("file")))
        and re.fullmatch(r"[0-9a-f]{64}", str(entry.get("sha256")))
        and _is_number(entry.get("bytes"), 1, MOST_BYTES)
        for kind, entry in value.items()
    )


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "classes": lambda v: (
        isinstance(v, list)
        and len(v) > 1
        and all(isinstance(name, str) and name for name in v)
        and len(set(v)) == len(v)
    ),
    "audio": lambda v: isinstance(v, dict),
    "sample_rate_hz": lambda v: _is_number(v, 1_000, 1_000_000),
    "window_s": lambda v: _is_number(v, 0.05, 3_600),
    "threshold": lambda v: _is_number(v, 0, 1),
    "files": _is_list_of_files,
}


def own_sum(card: dict[str, Any]) -> str:
    """Compute the checksum of all that a card says."""
    said = {name: value for name, value in card.items() if name != OWN_SUM}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """Read a bundle's card."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise SerError(f"{folder}: no bundle there. Expected a folder with {CARD}.")
    card = read_json(path)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise SerError(f"{path}: expected a bundle of format {FORMAT}, found {found!r}.")
    if card.get(OWN_SUM, own_sum(card)) != own_sum(card):
        raise SerError(f"{path}: damaged or changed since it was exported. {AGAIN}")
    for name, fits in _FIELDS.items():
        if not fits(card.get(name)):
            found = f"{card.get(name)!r:.60}"
            raise SerError(f"{path}: {name}: found {found}, which no export writes. {AGAIN}")
    return card


def load(folder: Path, kind: str = "onnx", *, n_threads: int = 0) -> Bundle:
    """Open a bundle."""
    folder = Path(folder)
    card = read_card(folder)
    if kind not in card["files"]:
        raise unknown(f"{folder}: no {kind} file", card["files"], kind, word="It holds")
    entry = card["files"][kind]
    path = folder / entry["file"]
    data = _checked(path, entry)
    return Bundle(card, _onnx(path, data, n_threads) if kind == "onnx" else _litert(data, card))


def _checked(path: Path, entry: dict[str, Any]) -> bytes:
    if not path.is_file():
        raise SerError(f"{path}: missing from its bundle. {AGAIN}")
    if (size := path.stat().st_size) != entry["bytes"]:
        found, expected = f"{size:,} bytes", f"{entry['bytes']:,}"
    else:
        data = path.read_bytes()
        found, expected = hashlib.sha256(data).hexdigest(), entry["sha256"]
        if found == expected:
            return data
        found, expected = f"SHA-256 {found[:12]}…", f"{expected[:12]}…"
    raise SerError(
        f"{path}: damaged or changed since it was exported ({found}, expected {expected}). {AGAIN}"
    )


@functools.cache
def _limit_memory() -> None:
    """Let all graphs of this process share so much memory: anybody may have made one."""
    import onnxruntime as ort

    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    where = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(where, ort.OrtArenaCfg({"max_mem": MEMORY_BYTES}))


def _onnx(path: Path, data: bytes, n_threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.log_severity_level = 4
    _limit_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has many, which share no other class
        raise SerError(f"{path}: not a graph ({first_line(error)}). {AGAIN}") from error
    names = [output.name for output in session.get_outputs()]
    heard = [given.name for given in session.get_inputs()]
    if heard != ["waveform"] or "probabilities" not in names:
        found = f"{', '.join(heard)} to {', '.join(names)}"
        raise SerError(f"{path}: expected a graph of waveform to probabilities, found {found:.99}.")

    def run(waveform: np.ndarray) -> dict[str, np.ndarray]:
        until = onnxruntime.RunOptions()
        timer = threading.Timer(TIMEOUT_S, setattr, (until, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return dict(zip(names, session.run(names, {"waveform": waveform}, until), strict=True))
        except Exception as error:
            why = f"no answer within {TIMEOUT_S:.0f} s" if until.terminate else first_line(error)
            raise SerError(f"{path}: cannot answer ({why}). {AGAIN}") from error
        finally:
            timer.cancel()

    return run


def _litert(data: bytes, card: dict[str, Any]) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise SerError("LiteRT files need its runtime: pip install ai-edge-litert.") from error
    interpreter = Interpreter(model_content=data)
    heard = interpreter.get_input_details()[0]["index"]

    def run(waveform: np.ndarray) -> dict[str, np.ndarray]:
        interpreter.resize_tensor_input(heard, waveform.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(heard, waveform)
        interpreter.invoke()
        details = interpreter.get_output_details()
        found = [interpreter.get_tensor(output["index"]) for output in details]
        # outputs carry no names of ours: the attention has more steps than there are classes
        of_classes = [values for values in found if len(values) == len(card["classes"])]
        others = [values for values in found if len(values) != len(card["classes"])]
        answers = {"probabilities": of_classes[0]}
        return {**answers, "attention": others[0]} if others else answers

    return run
