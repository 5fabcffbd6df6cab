"""Arrays and tables become Matplotlib Axes; nothing is shown or saved.

Every function takes `ax`, where to draw (a new figure where it is left out), and returns it. A
notebook calls `use_style` once, which marks what is drawn from the demo corpus; other code draws
inside ``with style():``. Colours are those of Okabe & Ito (2008), which remain apart under every
common colour vision deficiency.
"""

from ser.plots.confidence import (
    confidence_by_class,
    confidence_histogram,
    precision_recall,
    probabilities,
    reliability_diagram,
    risk_coverage,
    roc,
)
from ser.plots.corpora import class_balance, class_counts, duration_histogram, speaker_levels
from ser.plots.drawing import cnn_lstm_attention
from ser.plots.inspection import embedding, relevance, shares
from ser.plots.lessons import (
    change,
    compare_trainings,
    speaker_independent_split,
    spectrogram_grid,
    trends,
    who_is_where,
)
from ser.plots.results import confusion_matrix, cross_corpus, metric_bars, per_speaker_recall
from ser.plots.sound import (
    attention,
    attention_over_spectrogram,
    explanation,
    feature_map,
    spectrogram,
    timeline,
    waveform,
)
from ser.plots.studies import ladder, robustness, score_against
from ser.plots.style import STYLE, restyle, style, use_style
from ser.plots.training import architecture, training_curves
