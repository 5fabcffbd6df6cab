"""Import Keras without the noise TensorFlow writes before it can be told not to."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType


def load() -> ModuleType:
    """Import Keras and start its backend, quietly.

    TensorFlow reports missing GPU libraries on the standard error stream before its log level
    counts. That stream is set aside meanwhile; should the import fail, what was written to it is
    shown. ``KERAS_BACKEND`` chooses another backend, as always with Keras.

    Returns
    -------
    module
        ``keras``.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _native_errors_aside():
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(1))  # starts the device, which logs too
    return keras


@contextlib.contextmanager
def _native_errors_aside() -> Iterator[None]:
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no such stream: a windowed program, a service
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
