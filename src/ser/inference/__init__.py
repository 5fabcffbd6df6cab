"""A trained model and a recording become an answer. Neither TensorFlow nor librosa is imported."""

from ser.inference.loading import find_model, load_model
from ser.inference.model import Model, Prediction
from ser.inference.windows import Segment
