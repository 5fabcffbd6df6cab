"""Recordings become arrays ``(n_clips, n_frames, n_features)``: extraction, augmentation, cache."""

from ser.features.custom import feature as register
from ser.features.dataset import FeatureSet, FrontEnd, build
from ser.features.extraction import (
    FRONT_END_VERSION,
    compute,
    extract,
    feature_names,
    fit_length,
    to_rows,
)
