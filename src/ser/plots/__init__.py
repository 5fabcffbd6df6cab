"""Arrays and tables become Matplotlib Axes: ``ax=None`` in, Axes out, never ``show()``.

A notebook calls `use_style` once; other code draws inside ``with style():``. Whatever is drawn
from the demo corpus goes through `mark_demo`. Colours are those of Okabe & Ito (2008), which
remain apart under every common colour vision deficiency.
"""

from ser.plots.architectures import architecture
from ser.plots.calibration import (
    confidence_by_class,
    confidence_histogram,
    reliability_diagram,
    risk_coverage,
)
from ser.plots.clips import class_counts, duration_histogram
from ser.plots.curves import training_curves
from ser.plots.explanation import explanation
from ser.plots.ladder import ladder
from ser.plots.results import (
    confusion_matrix,
    cross_corpus,
    metric_bars,
    per_speaker_recall,
    probabilities,
)
from ser.plots.robustness import robustness
from ser.plots.sound import (
    attention_over_spectrogram,
    attention_over_waveform,
    feature_map,
    mfcc,
    spectrogram,
    waveform,
)
from ser.plots.style import STYLE, mark_demo, restyle, style, use_style
from ser.plots.timeline import timeline
from ser.plots.trends import score_against

__all__ = [
    "STYLE",
    "architecture",
    "attention_over_spectrogram",
    "attention_over_waveform",
    "class_counts",
    "confidence_by_class",
    "confidence_histogram",
    "confusion_matrix",
    "cross_corpus",
    "duration_histogram",
    "explanation",
    "feature_map",
    "ladder",
    "mark_demo",
    "metric_bars",
    "mfcc",
    "per_speaker_recall",
    "probabilities",
    "reliability_diagram",
    "restyle",
    "risk_coverage",
    "robustness",
    "score_against",
    "spectrogram",
    "style",
    "timeline",
    "training_curves",
    "use_style",
    "waveform",
]
