"""MFCC as a picture, three Conv2D blocks, an LSTM, attention: four stages of one project.

The source, "Voice Emotion Recognition using CNN, LSTM, and Attention", trains on RAVDESS, then
augments with noise and pitch, then joins RAVDESS, SAVEE and CREMA-D without calm, then adds
attention. It fixes 40 MFCC × 174 frames at 22,050 Hz, three blocks of Conv2D, batch normalisation,
max pooling and dropout, an LSTM of 128 units, attention and global average pooling, Adam,
categorical cross-entropy, and the three callbacks.

Left open, and chosen here: 8, 16 and 32 filters of 3 × 3 (the smallest that learned; a fold trains
in minutes on one core), pooling by 2, bidirectional LSTM, additive attention, dropout 0.2 and 0.4,
batches of 32, learning rate 0.001. The combination is six times larger: there, the first block
pools 4 frames, batches are of 64, and training ends after 15 epochs at the latest.
"6-7 classes" became six: surprised is dropped with calm, since CREMA-D has neither. The source
flattens the convolutions before the LSTM without saying along which axis; here the sequence is
time. `mfcc-attention` and `mfcc-attention-augmented` are the first two stages with attention from
the start: the reference of this project.
"""

import dataclasses

from ser.config import AugmentationConfig, FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.corpora.base import EMOTIONS
from ser.experiments.recipes.claims import Claim

SIX = ("angry", "disgust", "fearful", "happy", "neutral", "sad")

_OPTIONS = {
    "filters": [8, 16, 32],
    "kernel_size": 3,
    "pool_sizes": [[2, 2], [2, 2], [2, 2]],
    "conv_dropout": 0.2,
    "lstm_units": 128,
    "attention_units": 64,
    "head_dropout": 0.4,
}
_COARSE = {**_OPTIONS, "pool_sizes": [[4, 2], [2, 2], [2, 2]]}
_PLAIN = Recipe(
    name="mfcc-attention",
    description="MFCC 40 × 174, three Conv2D blocks, BiLSTM 128, attention; no augmentation",
    corpora=("ravdess",),
    classes=EMOTIONS,
    protocol="ravdess-luna5",
    features=FeatureConfig(kinds=("mfcc",), n_mfcc=40, n_frames=174),
    model=ModelConfig(architecture="cnn_lstm_attention", options=_OPTIONS),
    training=TrainingConfig(epochs=60, batch_size=32, patience=10, reduce_patience=4),
)
_STAGE_1 = dataclasses.replace(
    _PLAIN,
    name="mfcc-attention-1-baseline",
    description="stage 1 of 4: RAVDESS, no augmentation, no attention",
    model=ModelConfig(architecture="cnn_lstm_attention", options={**_OPTIONS, "attention": False}),
)
_STAGE_2 = dataclasses.replace(
    _STAGE_1,
    name="mfcc-attention-2-augmented",
    description="stage 2 of 4: and a copy of each clip with noise and another pitch",
    augmentation=AugmentationConfig(
        n_variants=1, noise_p=0.7, pitch_p=0.7, stretch_p=0.0, gain_p=0.0
    ),
)
_STAGE_3 = dataclasses.replace(
    _STAGE_2,
    name="mfcc-attention-3-combined",
    description="stage 3 of 4: RAVDESS, SAVEE and CREMA-D, six classes",
    corpora=("ravdess", "savee", "crema_d"),
    classes=SIX,
    protocol="combined-6",
    model=ModelConfig(architecture="cnn_lstm_attention", options={**_COARSE, "attention": False}),
    training=TrainingConfig(epochs=15, batch_size=64, patience=5, reduce_patience=2),
)
_STAGE_4 = dataclasses.replace(
    _STAGE_3,
    name="mfcc-attention-4-attention",
    description="stage 4 of 4: and attention over time",
    model=ModelConfig(architecture="cnn_lstm_attention", options=_COARSE),
)

RECIPES = (
    _PLAIN,
    dataclasses.replace(
        _PLAIN,
        name="mfcc-attention-augmented",
        description="mfcc-attention with three waveform variants of each training clip",
        augmentation=AugmentationConfig(n_variants=3),
    ),
    _STAGE_1,
    _STAGE_2,
    _STAGE_3,
    _STAGE_4,
)
_SYSTEM = "Voice Emotion Recognition using CNN, LSTM, and Attention"
_RAVDESS = Claim(_SYSTEM, "RAVDESS: about 60-65 % accuracy", (0.60, 0.65))
_COMBINED = Claim(_SYSTEM, "combined, speaker-independent: about 50-55 %", (0.50, 0.55))
CLAIMS = {
    "mfcc-attention": _RAVDESS,
    "mfcc-attention-augmented": _RAVDESS,
    "mfcc-attention-1-baseline": _RAVDESS,
    "mfcc-attention-2-augmented": _RAVDESS,
    "mfcc-attention-3-combined": _COMBINED,
    "mfcc-attention-4-attention": _COMBINED,
}
