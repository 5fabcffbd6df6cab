"""Import Keras without the noise TensorFlow makes, and with its share of the cores."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType


def load() -> ModuleType:
    """Import Keras and start its backend, quietly."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # convolutions take half the time; TensorFlow itself uses it only from AVX-512 up
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # in models of older versions the one input is a list of one, which later ones remark upon
    warnings.filterwarnings("ignore", message="The structure of `inputs` doesn't match")
    with _native_errors_aside():
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(1))  # starts the device, which logs too
    if keras.config.backend() == "tensorflow":
        # else it counts the traces of each model; now, since at first use it sets a level itself
        sys.modules["tensorflow"].get_logger().setLevel(logging.ERROR)
    return keras


def share_cores(n_jobs: int) -> None:
    """Give this process its share of the cores; counts before Keras is imported."""
    if n_jobs > 1:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(max(1, (os.cpu_count() or 1) // n_jobs))
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"


@contextlib.contextmanager
def _native_errors_aside() -> Iterator[None]:
    """Show what TensorFlow writes while it is imported only if that fails.

    It reports missing GPU libraries on the standard error stream before its log level counts.
    """
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
