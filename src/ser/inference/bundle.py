"""A model bundle: a folder that answers without TensorFlow and librosa.

It holds one graph, from waveform to calibrated probabilities, in several formats, and a card
(``bundle.json``) with labels, sample rate and checksums. `ser.export.writer` writes it; this module
reads it, and needs NumPy and onnxruntime only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ser.project import SerError, read_json, unknown

CARD = "bundle.json"
FORMAT = 1
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


def read_card(folder: Path) -> dict[str, Any]:
    """Read a bundle's card."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise SerError(f"{folder}: no bundle there. Expected a folder with {CARD}.")
    card = read_json(path)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise SerError(f"{path}: expected a bundle of format {FORMAT}, found {found!r}.")
    return card


def load(folder: Path, kind: str = "onnx", *, n_threads: int = 0) -> Bundle:
    """Open a bundle."""
    folder = Path(folder)
    card = read_card(folder)
    if kind not in card["files"]:
        raise unknown(f"{folder}: no {kind} file", card["files"], kind, word="It holds")
    data = _checked(folder / FILES[kind], card["files"][kind]["sha256"])
    return Bundle(card, _onnx(data, n_threads) if kind == "onnx" else _litert(data, card))


def _checked(path: Path, expected: str) -> bytes:
    if not path.is_file():
        raise SerError(f"{path}: missing from its bundle. Export or download the bundle again.")
    data = path.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != expected:
        raise SerError(
            f"{path}: damaged or changed since it was exported (SHA-256 {found[:12]}…, expected "
            f"{expected[:12]}…). Export or download the bundle again."
        )
    return data


def _onnx(data: bytes, n_threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(waveform: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {"waveform": waveform}), strict=True))

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
