"""What a training reads: parts of a feature set, and their shuffled batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from ser.config import Recipe, TrainingConfig
from ser.features import augment

CLIPS_AT_ONCE = 128


class Source(Protocol):
    """What batches are read from: a `FeatureSet`, or something that reads like one."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n_clips, n_variants, n_frames, n_features)."""

    def take(self, clips: Any, variants: Any = 0) -> np.ndarray:
        """Read features of some clips, shape (n, n_frames, n_features)."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Some clips of a feature set with their labels."""

    features: Source  # a `ser.features.dataset.FeatureSet` as a rule
    clips: np.ndarray  # positions in `features`
    labels: np.ndarray  # class of each, as its position among the recipe's classes
    extra: np.ndarray | None = None  # which clips are of corpora that are only trained on

    @property
    def is_extra(self) -> np.ndarray:
        """`extra`, or as many times False."""
        return np.zeros(len(self), bool) if self.extra is None else self.extra

    def __len__(self) -> int:
        return len(self.clips)

    def joined(self, other: Part) -> Part:
        """Put the clips of another part behind one's own; both are of one feature set."""
        return Part(
            self.features,
            np.concatenate([self.clips, other.clips]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.is_extra, other.is_extra]),
        )


class Batches(keras.utils.PyDataset):
    """Shuffled training batches: one variant of each clip per epoch, masked and mixed.

    Each clip has the weight of its class, unless ``fit`` is given ``class_weight`` (`weigh`).
    """

    def __init__(self, part: Part, recipe: Recipe, seed: int, *, weigh: bool = True) -> None:
        super().__init__()
        self.part, self.recipe, self.seed, self.weigh = part, recipe, seed, weigh
        self.n_classes = len(recipe.classes)
        self.own, self.extra = np.flatnonzero(~part.is_extra), np.flatnonzero(part.is_extra)
        share = recipe.training.extra_share
        self.n_extra = min(len(self.extra), round(len(self.own) * share / (1 - share)))
        steps = -(-(len(self.own) + self.n_extra) // recipe.training.batch_size)
        self.passes = -(-recipe.training.min_steps // steps)
        times = np.where(part.is_extra, self.n_extra / max(1, len(self.extra)), 1.0)
        self.class_weights = class_weights(part.labels, self.n_classes, recipe.training, times)
        self.start_epoch(0)

    def start_epoch(self, epoch: int, logs: Any = None) -> None:
        """Draw the order and the variants of an epoch; what a callback calls as it begins.

        Keras' own `on_epoch_end` will not do: it is called before the first epoch, too.
        """
        self.epoch = epoch
        rng = np.random.default_rng([self.seed, epoch])
        passes = [self._one_pass(rng) for _ in range(self.passes)]
        training = self.recipe.training
        most = training.max_steps and training.max_steps * training.batch_size
        self.order, self.variants = (
            np.concatenate(arrays)[:most] for arrays in zip(*passes, strict=True)
        )

    def _one_pass(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.own
        if self.n_extra:
            drawn = rng.choice(self.extra, self.n_extra, replace=False)
            chosen = np.concatenate([self.own, drawn])
        order = rng.permutation(chosen)
        return order, rng.integers(self.part.features.shape[1], size=len(self.part))[order]

    def __len__(self) -> int:
        return -(-len(self.order) // self.recipe.training.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        training = self.recipe.training
        rng = np.random.default_rng([self.seed, self.epoch, 1 + index])
        within = slice(index * training.batch_size, (index + 1) * training.batch_size)
        chosen = self.order[within]
        batch = self.part.features.take(self.part.clips[chosen], self.variants[within])
        labels = self.part.labels[chosen]
        targets = np.eye(self.n_classes, dtype=np.float32)[labels]
        batch = augment.mask(batch, self.recipe.masking, rng=rng)
        batch, targets = augment.mixup(batch, targets, training.mixup_alpha, rng=rng)
        return (batch, targets, self.class_weights[labels]) if self.weigh else (batch, targets)


def class_weights(
    labels: np.ndarray, n_classes: int, config: TrainingConfig, times: np.ndarray | None = None
) -> np.ndarray:
    """Weigh each class by the inverse of its frequency."""
    if not config.class_weights:
        return np.ones(n_classes, np.float32)
    times = np.ones(len(labels)) if times is None else times
    counts = np.bincount(labels, weights=times, minlength=n_classes)
    return (times.sum() / (n_classes * np.maximum(counts, 1))).astype(np.float32)


def statistics(
    part: Part, through: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Measure mean and deviation of every feature over training clips."""
    count, total, squares = 0, np.zeros(()), np.zeros(())
    clips = part.clips[~part.is_extra]
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        frames = part.features.take(clips[start : start + CLIPS_AT_ONCE])
        frames = frames if through is None else through(frames)
        frames = frames[np.any(frames != 0, axis=-1)].astype(np.float64)
        count += len(frames)
        total = total + frames.sum(axis=0)
        squares = squares + (frames**2).sum(axis=0)
    mean = total / max(count, 1)
    return mean, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0.0))
