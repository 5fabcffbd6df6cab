"""States of wav2vec 2.0, HuBERT, WavLM and their kin, through Hugging Face's `transformers`.

An extra (``pip install 'ser-honest[ssl]'``): PyTorch and `transformers` come with it. Any name on
the hub goes, and any folder that ``save_pretrained`` wrote.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ser.config import FeatureConfig
from ser.features.encoders import LONGEST, SAMPLE_RATE_HZ, side_by_side
from ser.project import SerError, first_line


def states(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Compute states of the encoder that a configuration names."""
    import torch

    model, front_end = _load(config.encoder or "")
    if max(config.states) > model.config.num_hidden_layers:
        raise SerError(
            f"{config.encoder}: features.states must be 0 to {model.config.num_hidden_layers}, "
            f"found {max(config.states)}."
        )
    inputs = front_end(waveform[:LONGEST], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        found = model(inputs.input_values, output_hidden_states=True).hidden_states
    return side_by_side([found[number][0].numpy() for number in config.states], config)


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
