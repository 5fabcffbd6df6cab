"""Without pretraining, as good as we could make it so far: an ensemble of residual BiLSTMs.

Not from any one source. Eight waveform variants of each clip (pitch, tempo, speed perturbation,
noise; gain, which has no effect here), level-invariant MFCC and chroma at 32 ms; each feature
normalised twice, by the training clips and by the clip itself; convolutions along time, a
bidirectional LSTM, attentive statistics, and beside them statistics of the clip; three such
networks in one model, half a cosine, averaged weights. The settings were chosen on validation
speakers (``reports/search.md`` says what else was tried); the numbers come from models that were
then trained on training and validation speakers together, for a fixed number of epochs.

`best-scratch` trains on its own corpus only. `best-scratch-all` first trains on all other corpora,
whose speakers are in no test, and begins every fold with those weights. `cnn-transformer` has a
Transformer encoder in place of the LSTM. `best-scratch-released` is one network on all five
corpora: its cross-validation says what to expect of a small model that is trained on everybody
(``ser train --everything``).
"""

import dataclasses
from typing import Any

from ser.config import (
    AudioConfig,
    AugmentationConfig,
    FeatureConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from ser.corpora.base import EMOTIONS
from ser.experiments.recipes.claims import Claim

_OPTIONS = {"normalise": "both", "filters": 64, "pool_size": 4, "statistics_dropout": 0.5}
BEST = Recipe(
    name="best-scratch",
    description="MFCC and chroma, residual convolutions, BiLSTM, attentive statistics; committee",
    corpora=("ravdess",),
    classes=EMOTIONS,
    protocol="ravdess-luna5",
    audio=AudioConfig(sample_rate_hz=16_000, trim_db=40),
    features=FeatureConfig(
        kinds=("mfcc", "chroma"),
        n_mfcc=34,
        n_mels=64,
        n_fft=1024,
        hop_length=512,
        n_frames=128,
        fmax_hz=8000.0,
        level="relative",
    ),
    augmentation=AugmentationConfig(
        n_variants=8,
        speed_p=0.6,
        speed_rate=(0.87, 1.15),
        pitch_p=0.5,
        pitch_semitones=(-2.5, 2.5),
        stretch_p=0.4,
        stretch_rate=(0.87, 1.15),
        noise_p=0.5,
        gain_p=0.5,
    ),
    model=ModelConfig(architecture="residual", options=_OPTIONS, members=3),
    training=TrainingConfig(
        epochs=50,
        batch_size=64,
        min_steps=6,
        max_steps=64,
        learning_rate=3e-3,
        schedule="cosine",
        warmup_epochs=3,
        ema_momentum=0.99,
        monitor="epoch",
        refit=True,
    ),
)

# For a model to give away: all corpora, the classes that more than one of them has, and variants as
# people record, over telephones, in rooms, in noise.
RELEASED: dict[str, Any] = {
    "corpora": ("ravdess", "crema_d", "tess", "savee", "emodb"),
    "classes": tuple(name for name in EMOTIONS if name != "calm"),
    "merge": {"calm": "neutral"},
    "protocol": "speaker-independent",
    "augmentation": AugmentationConfig(
        n_variants=4,
        speed_p=0.5,
        speed_rate=(0.87, 1.15),
        pitch_p=0.3,
        stretch_p=0.2,
        room_p=0.3,
        band_pass_p=0.3,
        noise_p=0.5,
        noise_snr_db=(3.0, 30.0),
        gain_p=0.0,
    ),
}
RECIPES = (
    BEST,
    dataclasses.replace(
        BEST,
        name="best-scratch-all",
        description="best-scratch, trained on all other corpora first",
        extra_corpora=("crema_d", "tess", "savee", "emodb"),
        training=dataclasses.replace(BEST.training, extra_epochs=30, extra_share=0.0),
    ),
    dataclasses.replace(
        BEST,
        name="cnn-transformer",
        description="best-scratch with a Transformer encoder in place of the LSTM",
        model=dataclasses.replace(BEST.model, options={**_OPTIONS, "sequence": "transformer"}),
    ),
    dataclasses.replace(
        BEST,
        name="best-scratch-released",
        description="one such network on all five corpora, seven classes: the small released model",
        model=dataclasses.replace(BEST.model, members=1),
        training=dataclasses.replace(BEST.training, epochs=60),
        **RELEASED,
    ),
)
CLAIMS: dict[str, Claim] = {}
