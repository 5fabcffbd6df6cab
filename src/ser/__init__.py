"""Speech emotion recognition whose numbers cannot leak.

The rooms of this package are the stages of the work, and each imports only from those before it:
``project``, ``fingerprint``, ``config``, ``formats``, ``audio``, ``cache``, ``corpora``,
``models``, ``features``, ``training``, ``evaluation``, ``plots``, ``experiments``, ``inference``,
``export``, ``studies``, ``cli``.
"""

import os

# told before they are imported: ONNX Runtime keeps a device id and reports its use, Gradio and the
# Hugging Face hub report theirs, Gradio asks for its newest version and keeps what pages answered
os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = os.environ["GRADIO_RUN_HISTORY"] = "False"

__version__ = "0.1.0"
