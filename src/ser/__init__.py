"""Speech emotion recognition whose numbers cannot leak.

The rooms of this package are the stages of the work, and each imports only from those before it:
``project``, ``fingerprint``, ``config``, ``formats``, ``audio``, ``cache``, ``corpora``,
``models``, ``features``, ``training``, ``evaluation``, ``plots``, ``experiments``, ``inference``,
``export``, ``studies``, ``cli``.
"""

__version__ = "0.1.0"
