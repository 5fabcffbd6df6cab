"""Adam that trains a pretrained encoder more slowly than what lies on top of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

_ENCODER = re.compile(r"(^|/)(conv_[12]|block_\d+_\w+|norm)/")


@keras.saving.register_keras_serializable("ser")
class SlowerEncoder(keras.optimizers.AdamW):
    """AdamW whose learning rate is another for the layers of `ser.models.whisper.encode`."""

    def __init__(self, encoder_rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder_rate = encoder_rate

    def build(self, variables: Sequence[Any]) -> None:
        """Sort the variables; by name, which is known only here."""
        super().build(variables)
        self._rates = [self.encoder_rate if _ENCODER.search(v.path) else 1.0 for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable."""
        rate = self._rates[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * rate)

    def get_config(self) -> dict[str, Any]:
        """Give what `__init__` needs."""
        return {**super().get_config(), "encoder_rate": self.encoder_rate}
