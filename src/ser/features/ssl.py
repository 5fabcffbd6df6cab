"""States of wav2vec 2.0, HuBERT, WavLM and their kin, through Hugging Face's `transformers`.

An extra (``pip install 'ser-honest[ssl]'``): PyTorch and `transformers` come with it. Any name on
the hub goes, and any folder that ``save_pretrained`` wrote.
"""

import functools
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ser.project import SerError, first_line


def states(
    waveform: np.ndarray, sample_rate_hz: int, name: str, numbers: Sequence[int]
) -> list[np.ndarray]:
    """Compute states of the encoder of that name, each of shape (n_steps, width)."""
    import torch

    model, front_end = _load(name)
    if max(numbers) > model.config.num_hidden_layers:
        raise SerError(
            f"{name}: features.states must be 0 to {model.config.num_hidden_layers}, "
            f"found {max(numbers)}."
        )
    inputs = front_end(waveform, sampling_rate=sample_rate_hz, return_tensors="pt")
    with torch.inference_mode():
        found = model(inputs.input_values, output_hidden_states=True).hidden_states
    return [found[number][0].numpy() for number in numbers]


def origin(name: str) -> list[str]:
    """Tell versions apart: of the two packages, and of the files where the encoder is a folder."""
    packages = ("torch", "transformers")
    versions = [package for package in packages if find_spec(package)]
    files = sorted(Path(name).glob("*")) if Path(name).is_dir() else []
    times = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return [f"{package} {version(package)}" for package in versions] + times


@functools.lru_cache(maxsize=8)
def width(name: str) -> int:
    """Tell the width of one state."""
    return int(_from(name, "AutoConfig").hidden_size)


@functools.lru_cache(maxsize=1)
def _load(name: str) -> tuple[Any, Any]:
    model = _from(name, "AutoModel", use_safetensors=True).eval()
    return model, _from(name, "AutoFeatureExtractor")


def _from(name: str, kind: str, **options: Any) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise SerError(
            f"encoder {name}: features of kind ssl need transformers and PyTorch: "
            "pip install 'ser-honest[ssl]'."
        ) from error
    transformers.utils.logging.disable_progress_bar()
    try:
        return getattr(transformers, kind).from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise SerError(
            f"encoder {name!r} cannot be had ({first_line(error)}). Expected a name on the "
            "Hugging Face hub, with weights in safetensors, or a folder that save_pretrained wrote."
        ) from error
