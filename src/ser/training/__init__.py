"""Fit one fold: batches, callbacks, class weights, resume. Test clips never come in here."""

from ser.models import backend

backend.load()  # quietly; the modules here import Keras

from ser.training.batches import Batches, Part, class_weights, statistics  # noqa: E402
from ser.training.callbacks import ProgressLine, UnweightedAverageRecall  # noqa: E402
from ser.training.fitting import fit, predict, whole  # noqa: E402
