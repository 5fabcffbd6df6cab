"""Speech emotion recognition whose numbers cannot leak.

Data flows through the modules in this order, and each imports only from those before it:
``errors``, ``paths``, ``files``, ``config``, ``backend``, ``audio``, ``sandbox``, ``speech``,
``bundle``, ``corpora``, ``metadata``, ``protocols``, ``augment``, ``pretrained``, ``features``,
``bank``, ``store``, ``models``, ``explain``, ``callbacks``, ``optimizers``, ``batches``,
``training``, ``evaluation``, ``plots``, ``recipes``, ``plan``, ``parallel``, ``report``,
``experiment``, ``robustness``, ``tune``, ``ladder``, ``export``, ``inference``, ``timeline``,
``live``, ``recordings``, ``summary``, ``terminal``, ``app``, ``cli``.
"""

__version__ = "0.1.0"
