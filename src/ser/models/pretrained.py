"""Speech encoders that others trained: which there are, and where their weights come from.

Weights are safetensors files from the official repositories of the Hugging Face hub, pinned by
revision and checksum, and kept in the hub's own cache; nothing is ever unpickled. A folder named by
``SER_PRETRAINED``, with one folder for each encoder in it, goes before that cache.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ser.project import SerError, digest, first_line, unknown

WEIGHTS_FILE = "model.safetensors"
CTRANSLATE2_FILE = "encoder_fp16.npz"
PREFIX = "model.encoder."
N_MELS = 80  # bands of the log-mel spectrogram that Whisper hears


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A released Whisper encoder."""

    repository: str
    revision: str
    sha256: str
    n_bytes: int
    width: int
    heads: int
    blocks: int
    licence: ClassVar[str] = "MIT (OpenAI's release); Apache-2.0 on the hub"

    def sizes(self, blocks: int) -> dict[str, Any]:
        """Give what `ser.models.whisper.encode` takes for the first blocks, or for all."""
        all_of_it = blocks == self.blocks
        return {"width": self.width, "heads": self.heads, "blocks": blocks, "last_norm": all_of_it}


_TINY = {"width": 384, "heads": 6, "blocks": 4}
_BASE = {"width": 512, "heads": 8, "blocks": 6}
ENCODERS = {
    "whisper-tiny": Encoder(
        "openai/whisper-tiny",
        "169d4a4341b33bc18d8881c4b69c2e104e1cc0af",
        "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
        151_061_672,
        **_TINY,
    ),
    "whisper-tiny.en": Encoder(
        "openai/whisper-tiny.en",
        "87c7102498dcde7456f24cfd30239ca606ed9063",
        "db59695928ded6043adaef491a53ef4e12da9611184d77c53baa691a60b958ad",
        151_060_136,
        **_TINY,
    ),
    "whisper-base": Encoder(
        "openai/whisper-base",
        "e37978b90ca9030d5170a5c07aadb050351a65bb",
        "07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
        290_403_936,
        **_BASE,
    ),
    "whisper-base.en": Encoder(
        "openai/whisper-base.en",
        "911407f4214e0e1d82085af863093ec0b66f9cd6",
        "d4dd5542fd6a1d35639e21384238f3bfe6c557c849d392b5905d33ee29e71db5",
        290_401_888,
        **_BASE,
    ),
}


def get(name: str) -> Encoder:
    """Look an encoder up."""
    if name not in ENCODERS:
        raise unknown(f"no encoder {name!r}", list(ENCODERS), name)
    return ENCODERS[name]


def download(name: str) -> Path:
    """Bring the weights of an encoder into the hub's cache, unless they are there."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    encoder = get(name)
    try:
        found = hf_hub_download(encoder.repository, WEIGHTS_FILE, revision=encoder.revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise SerError(
            f"{name}: the Hugging Face hub gave no {WEIGHTS_FILE} of {encoder.repository} "
            f"({first_line(error)}). Check the connection and HF_HUB_OFFLINE, and try again; or "
            f"copy the file to $SER_PRETRAINED/{name}/{WEIGHTS_FILE} from a machine that has it."
        ) from error
    _check(Path(found), encoder, remove=True)
    return Path(found)


def weights(name: str) -> dict[str, np.ndarray]:
    """Read the weights of an encoder."""
    encoder, found = get(name), _find(name)
    if found is None:
        raise SerError(
            f"the weights of {name} are not here ({encoder.n_bytes / 1e6:.0f} MB). Run "
            f"`ser pretrained download {name}`."
        )
    read = _ctranslate2 if found.name == CTRANSLATE2_FILE else _safetensors
    return read(found, encoder)


def is_here(name: str) -> bool:
    """Tell whether the weights of an encoder are on this machine."""
    return _find(name) is not None


def _find(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    encoder = get(name)
    if folder := os.environ.get("SER_PRETRAINED"):
        for file in (WEIGHTS_FILE, CTRANSLATE2_FILE):
            if (path := Path(folder).expanduser() / name / file).is_file():
                return path
    found = try_to_load_from_cache(encoder.repository, WEIGHTS_FILE, revision=encoder.revision)
    return Path(found) if isinstance(found, str) else None


def _check(path: Path, encoder: Encoder, *, remove: bool = False) -> None:
    if (found := digest(path)) == encoder.sha256:
        return
    if remove:
        path.resolve().unlink()
    raise SerError(
        f"{path}: not the released weights of {encoder.repository}: expected SHA-256 "
        f"{encoder.sha256}, found {found}. Remove the file and download it again."
    )


def _safetensors(path: Path, encoder: Encoder) -> dict[str, np.ndarray]:
    from safetensors import safe_open

    _check(path, encoder)
    with safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118
        return {
            name.removeprefix(PREFIX): file.get_tensor(name).astype(np.float32) for name in names
        }


_SAME_NAMES: tuple[tuple[str, str], ...] = (
    (r"^conv(\d)/", r"conv\1."),
    (r"^layer_norm/", "layer_norm."),
    (r"^position_encodings/encodings$", "embed_positions.weight"),
    (r"^layer_(\d+)/", r"layers.\1."),
    (r"self_attention/layer_norm/", "self_attn_layer_norm."),
    (r"self_attention/linear_1/", "self_attn.out_proj."),
    (r"ffn/layer_norm/", "final_layer_norm."),
    (r"ffn/linear_0/", "fc1."),
    (r"ffn/linear_1/", "fc2."),
    (r"gamma$", "weight"),
    (r"beta$", "bias"),
)


def _ctranslate2(path: Path, encoder: Encoder) -> dict[str, np.ndarray]:
    """Read tensors named as CTranslate2 does, whose queries, keys and values are one matrix."""
    found: dict[str, np.ndarray] = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            values = file[name].astype(np.float32)
            if "linear_0" in name and "self_attention" in name:
                layer, kind = name.split("/")[0].removeprefix("layer_"), name.rsplit("/", 1)[1]
                for part, piece in zip("qkv", np.split(values, 3), strict=True):
                    found[f"layers.{layer}.self_attn.{part}_proj.{kind}"] = piece
                continue
            for pattern, replacement in _SAME_NAMES:
                name = re.sub(pattern, replacement, name)
            found[name] = values
    if found.get("conv1.weight", np.zeros((0,))).shape != (encoder.width, N_MELS, 3):
        raise SerError(f"{path}: not the encoder of {encoder.repository} in CTranslate2's names.")
    return found
