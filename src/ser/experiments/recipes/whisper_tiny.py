"""A small pretrained encoder, Whisper tiny.en, under a head of our own.

Not from any one source. States 2 and 3 of the encoder's four blocks side by side, the middle ones,
which tell more about how something is said than the last; averaged over 40 ms; level-invariant,
which Whisper is not; four waveform variants of each clip beside the original. The settings were
chosen on validation speakers (``reports/search.md`` says what else was tried); the numbers come
from models that were then trained on training and validation speakers together, for a fixed number
of epochs.

`whisper-tiny-linear` is a linear classifier of statistics over the clip; `whisper-tiny-frozen` a
bidirectional LSTM with attentive statistics beside them. Both keep the encoder as it was released.
`whisper-tiny-committee` is three of the latter in one model, which agree on more than each alone.
`whisper-tiny-released` is the frozen one on all five corpora, with variants as people record: its
cross-validation says what to expect of a model that is trained on everybody (``ser train
--everything``).
"""

import dataclasses

from ser.config import FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.experiments.recipes.best_scratch import BEST, RELEASED
from ser.experiments.recipes.claims import Claim

_OPTIONS = {"statistics_dropout": 0.5}
_FROZEN = dataclasses.replace(
    BEST,
    name="whisper-tiny-frozen",
    description="Whisper tiny.en, states 2 and 3, frozen; BiLSTM, attentive statistics",
    features=FeatureConfig(
        kinds=("whisper",),
        encoder="whisper-tiny.en",
        states=(2, 3),
        n_fft=400,
        hop_length=640,
        n_frames=104,
        level="relative",
    ),
    augmentation=dataclasses.replace(BEST.augmentation, n_variants=4),
    model=ModelConfig(architecture="encoder_states", options=_OPTIONS),
    training=TrainingConfig(
        epochs=20,
        batch_size=64,
        min_steps=24,
        max_steps=64,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_epochs=3,
        ema_momentum=0.99,
        monitor="epoch",
        refit=True,
    ),
)

RECIPES: tuple[Recipe, ...] = (
    dataclasses.replace(
        _FROZEN,
        name="whisper-tiny-linear",
        description="Whisper tiny.en, states 2 and 3, frozen; a linear classifier of statistics",
        model=ModelConfig(architecture="encoder_states", options={**_OPTIONS, "heads": 0}),
    ),
    _FROZEN,
    dataclasses.replace(
        _FROZEN,
        name="whisper-tiny-committee",
        description="three of whisper-tiny-frozen in one model",
        model=dataclasses.replace(_FROZEN.model, members=3),
    ),
    dataclasses.replace(
        _FROZEN,
        name="whisper-tiny-released",
        description="whisper-tiny-frozen on all five corpora, seven classes: the released model",
        **RELEASED,
    ),
)
CLAIMS: dict[str, Claim] = {}
