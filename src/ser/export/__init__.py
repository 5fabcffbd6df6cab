"""A trained model becomes files that run without TensorFlow, librosa or even Python."""

from ser.models import backend

backend.load()  # quietly; the modules here import Keras
