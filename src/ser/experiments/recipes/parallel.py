"""A mel spectrogram seen by a CNN and by a BiLSTM with attention side by side, RAVDESS.

The source, "Emotion Recognition Using CNN and LSTM", describes ``ParallelModel(num_emotions=8)``:
convolutions over the mel spectrogram, a bidirectional LSTM with attention, fused before the
softmax. It reports no number; code derived from it claims 94-97 %. Its functions are offered under
their own names in `ser.studies.published`.

Left open, and chosen here: 64 log-mel bands, a hop of 1,024 samples and 87 frames (4 seconds),
normalised by mean and deviation of the training clips; three Conv2D blocks of 8, 16 and 32
filters, each halving time and bands; LSTM of 64 units in each direction over pairs of frames; the
LSTM sits beside the convolutions, not behind them, as the name says; no augmentation.
"""

from ser.config import FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.corpora.base import EMOTIONS
from ser.experiments.recipes.claims import Claim

RECIPES = (
    Recipe(
        name="parallel",
        description="log-mel, RAVDESS, eight classes; CNN beside a BiLSTM with attention",
        corpora=("ravdess",),
        classes=EMOTIONS,
        protocol="ravdess-luna5",
        features=FeatureConfig(kinds=("log_mel",), n_mels=64, hop_length=1024, n_frames=87),
        model=ModelConfig(architecture="cnn_beside_lstm"),
        training=TrainingConfig(epochs=60, batch_size=32, patience=10, reduce_patience=4),
    ),
)
CLAIMS = {
    "parallel": Claim(
        "Emotion Recognition Using CNN and LSTM", "no number; derived code claims 94-97 %"
    )
}
