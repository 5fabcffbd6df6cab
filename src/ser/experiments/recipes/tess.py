"""MFCC of TESS, seven classes; CNN-LSTM. Two women say 200 words in every emotion.

The source, "Speech Emotion Recognition using Deep Learning", uses all 2,800 clips of TESS, MFCC, a
hybrid CNN-LSTM, batches of 32, up to 100 epochs and early stopping. It reports 96.90 % test
accuracy, F1 0.9686 and loss 0.1117.

Left open, and chosen here: 40 MFCC, a hop of 512 samples and 87 frames (2 seconds, the length of
most clips); Conv1D over time of 64 and 128 filters, LSTM of 64; early stopping after 8 epochs
without a better validation accuracy (the loss goes on falling long after all clips are right).
"""

from ser.config import FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.corpora.base import EMOTIONS
from ser.experiments.recipes.claims import Claim

RECIPES = (
    Recipe(
        name="tess",
        description="MFCC, TESS, seven classes; CNN-LSTM",
        corpora=("tess",),
        classes=tuple(name for name in EMOTIONS if name != "calm"),
        protocol="tess-cross",
        features=FeatureConfig(kinds=("mfcc",), n_frames=87),
        model=ModelConfig(architecture="cnn_lstm"),
        training=TrainingConfig(
            epochs=100, batch_size=32, monitor="val_accuracy", patience=8, reduce_patience=4
        ),
    ),
)
CLAIMS = {
    "tess": Claim(
        "Speech Emotion Recognition using Deep Learning",
        "96.90 % test accuracy, F1 0.9686, loss 0.1117",
        (0.969, 0.969),
    )
}
