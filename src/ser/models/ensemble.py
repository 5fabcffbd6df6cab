"""Several networks of one architecture in one model, trained side by side, averaged in use."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

SMALLEST = 1e-7  # probability whose logarithm is taken


@keras.saving.register_keras_serializable("ser")
class MeanOfMembers(keras.layers.Layer):
    """Average the probabilities of an ensemble's members."""

    def call(self, members: Sequence[Any], training: bool | None = None) -> Any:
        """Average."""
        stacked = ops.stack(members, axis=0)
        if training:
            return ops.exp(ops.mean(ops.log(ops.maximum(stacked, SMALLEST)), axis=0))
        return ops.mean(stacked, axis=0)


@keras.saving.register_keras_serializable("ser")
class MemberwiseCrossEntropy(keras.losses.Loss):
    """Categorical cross-entropy that takes probabilities as they are."""

    def __init__(
        self, label_smoothing: float = 0.0, name: str = "memberwise_cross_entropy", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Give the loss of each clip, in nats."""
        share = self.label_smoothing
        target = (1.0 - share) * y_true + share / y_true.shape[-1]
        return -ops.sum(target * ops.log(ops.maximum(y_pred, SMALLEST)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Give what `__init__` needs."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def ensemble(members: Sequence[keras.Model]) -> keras.Model:
    """Join networks into one model."""
    inputs = keras.Input(members[0].input.shape[1:], name="features")
    for number, member in enumerate(members, 1):
        member.name = f"member_{number}"
    answers = [member(inputs) for member in members]
    outputs = MeanOfMembers(name="mean_of_members")(answers)
    return keras.Model(inputs, outputs, name="ensemble")


def members_of(model: keras.Model) -> list[keras.Model]:
    """List the networks of an ensemble; any other model is its own only member."""
    if not any(isinstance(layer, MeanOfMembers) for layer in model.layers):
        return [model]
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


def single(tensor: Any) -> Any:
    """Give the one output of a model, which some versions of Keras load as a list of one."""
    return tensor[0] if isinstance(tensor, (list, tuple)) else tensor
