"""Arrays and tables become Matplotlib Axes; nothing is shown or saved.

Every function takes `ax`, where to draw (a new figure where it is left out), and returns it. A
notebook calls `use_style` once; other code draws inside ``with style():``. Whatever is drawn from
the demo corpus goes through `mark_demo`. Colours are those of Okabe & Ito (2008), which remain
apart under every common colour vision deficiency.
"""

from ser.plots.clips import class_counts, duration_histogram
from ser.plots.confidence import (
    confidence_by_class,
    confidence_histogram,
    probabilities,
    reliability_diagram,
    risk_coverage,
)
from ser.plots.corpora import class_balance, speaker_levels
from ser.plots.curves import precision_recall, roc
from ser.plots.drawing import cnn_lstm_attention
from ser.plots.embedding import embedding
from ser.plots.lessons import (
    change,
    compare_trainings,
    speaker_independent_split,
    spectrogram_grid,
    trends,
    who_is_where,
)
from ser.plots.relevance import relevance, shares
from ser.plots.results import confusion_matrix, cross_corpus, metric_bars, per_speaker_recall
from ser.plots.sound import (
    attention,
    attention_over_spectrogram,
    explanation,
    feature_map,
    mfcc,
    spectrogram,
    timeline,
    waveform,
)
from ser.plots.studies import ladder, robustness, score_against
from ser.plots.style import STYLE, mark_demo, restyle, style, use_style
from ser.plots.training import architecture, training_curves

__all__ = [
    "STYLE",
    "architecture",
    "attention",
    "attention_over_spectrogram",
    "change",
    "class_balance",
    "class_counts",
    "cnn_lstm_attention",
    "compare_trainings",
    "confidence_by_class",
    "confidence_histogram",
    "confusion_matrix",
    "cross_corpus",
    "duration_histogram",
    "embedding",
    "explanation",
    "feature_map",
    "ladder",
    "mark_demo",
    "metric_bars",
    "mfcc",
    "per_speaker_recall",
    "precision_recall",
    "probabilities",
    "relevance",
    "reliability_diagram",
    "restyle",
    "risk_coverage",
    "robustness",
    "roc",
    "score_against",
    "shares",
    "speaker_independent_split",
    "speaker_levels",
    "spectrogram",
    "spectrogram_grid",
    "style",
    "timeline",
    "training_curves",
    "trends",
    "use_style",
    "waveform",
    "who_is_where",
]
