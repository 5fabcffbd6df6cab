"""A trained model becomes files that run without TensorFlow, librosa or even Python."""
