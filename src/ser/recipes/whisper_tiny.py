"""A small pretrained encoder, Whisper tiny.en, under a head of our own: frozen, and fine-tuned.

Not from any one source. States 2 and 3 of the encoder's four blocks side by side, the middle ones,
which tell more about how something is said than the last; averaged over 40 ms; four waveform
variants of each clip beside the original. The settings were chosen on validation speakers
(``reports/search.md`` says what else was tried); the numbers come from models that were then
trained on training and validation speakers together, for a fixed number of epochs.

`whisper-tiny-linear` is a linear classifier of statistics over the clip; `whisper-tiny-frozen` a
bidirectional LSTM with attentive statistics beside them. Both keep the encoder as it was released.
`whisper-tiny-released` is the latter on all five corpora: its cross-validation says what to expect
of the model in ``models/``, which was trained on everybody (``ser train --everything``).
"""

import dataclasses

from ser.config import FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.recipes import best_scratch
from ser.recipes.claims import Claim

_FROZEN = dataclasses.replace(
    best_scratch.RECIPES[0],
    name="whisper-tiny-frozen",
    description="Whisper tiny.en, states 2 and 3, frozen; BiLSTM, attentive statistics",
    features=FeatureConfig(
        kinds=("whisper",),
        encoder="whisper-tiny.en",
        states=(2, 3),
        n_fft=400,
        hop_length=640,
        n_frames=104,
    ),
    augmentation=dataclasses.replace(best_scratch.RECIPES[0].augmentation, n_variants=4),
    model=ModelConfig(
        architecture="states_lstm",
        options={"n_states": 2, "join": "concatenate", "statistics_dropout": 0.5},
    ),
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
        model=ModelConfig(
            architecture="states_lstm",
            options={"n_states": 2, "join": "concatenate", "heads": 0, "statistics_dropout": 0.5},
        ),
    ),
    _FROZEN,
    dataclasses.replace(
        _FROZEN,
        name="whisper-tiny-released",
        description="whisper-tiny-frozen on all five corpora, seven classes: the released model",
        **best_scratch.RELEASED,
    ),
)
CLAIMS: dict[str, Claim] = {}
