"""Four kinds of features stacked over time, RAVDESS without neutral and surprised; CNN-LSTM.

The source, "Speech Emotion Recognition using CNN-LSTM", stacks MFCC, chromagram, spectral contrast
and log-mel spectrogram, augments with pitch, stretch and noise, weighs classes by their counts,
and fits polynomials of degree 2 to its training curves (`ser.evaluation.polynomial_trend`).
It reports 77.78 % test accuracy.

Left open, and chosen here: 40 + 12 + 7 + 128 features, a hop of 1,024 samples (46 ms) and 87
frames, which hold 4 seconds; three augmented copies of each clip; Conv1D over time of 64 and 128
filters, LSTM of 64; batches of 64.
"""

from ser.config import AugmentationConfig, FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.experiments.recipes.claims import Claim

RECIPES = (
    Recipe(
        name="ravdess-six",
        description="MFCC, chroma, contrast and log-mel over time, RAVDESS, six classes; CNN-LSTM",
        corpora=("ravdess",),
        classes=("angry", "calm", "disgust", "fearful", "happy", "sad"),
        protocol="ravdess-luna5",
        features=FeatureConfig(
            kinds=("mfcc", "chroma", "spectral_contrast", "log_mel"), hop_length=1024, n_frames=87
        ),
        augmentation=AugmentationConfig(n_variants=3, gain_p=0.0),
        model=ModelConfig(architecture="cnn_lstm"),
        training=TrainingConfig(epochs=40, batch_size=64, patience=8, reduce_patience=3),
    ),
)
CLAIMS = {
    "ravdess-six": Claim(
        "Speech Emotion Recognition using CNN-LSTM", "77.78 % test accuracy", (0.7778, 0.7778)
    )
}
