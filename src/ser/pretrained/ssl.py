"""States of wav2vec 2.0, HuBERT, WavLM and their kin, through Hugging Face's `transformers`.

An extra (``pip install 'ser-honest[ssl]'``): PyTorch and `transformers` come with it. Any name on
the hub goes, and any folder that ``save_pretrained`` wrote.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ser.config import FeatureConfig
from ser.errors import SerError
from ser.pretrained.front_end import LONGEST, SAMPLE_RATE_HZ, side_by_side


def states(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Compute states of the encoder that a configuration names.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        At 16 kHz, what is beyond 30 s is not heard; scaled to mean 0 and variance 1 where the
        encoder's own front end does so.
    config : FeatureConfig
        ``encoder``, ``states`` (0 is the input of the first block) and ``hop_length``, a multiple
        of 320 samples: as many steps are averaged.

    Returns
    -------
    ndarray of float32, shape (n_steps, n_states * width)
        The chosen states side by side.

    Raises
    ------
    SerError
        When the extra is not installed, the encoder cannot be had, or it has fewer states.
    """
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
    """Tell the width of one state.

    Parameters
    ----------
    name : str
        On the hub, or a folder.

    Returns
    -------
    int
        Features of one state.

    Raises
    ------
    SerError
        When the extra is not installed, or the encoder cannot be had.
    """
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
        why = str(error).strip().splitlines()[0]
        raise SerError(
            f"encoder {name!r} cannot be had ({why}). Expected a name on the Hugging Face hub, "
            "with weights in safetensors, or a folder that save_pretrained wrote."
        ) from error
