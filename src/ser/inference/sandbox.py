"""Decode a file that a stranger sent: in a process of its own, with limits on time and memory."""

import contextlib
import multiprocessing
import os
import sys
import threading
from pathlib import Path
from typing import Any

from ser.audio import Recording, decode
from ser.formats import Limits
from ser.project import AudioError

MAX_BYTES = 20_000_000
LIMITS = Limits(longest_s=120.0, most_values=150_000_000)
COMPUTING_S = 3  # of a processor
TIMEOUT_S = 15.0  # by the clock, on a busy machine
START_S = 30.0  # a process may need so long to begin on a busy machine; decoding has not begun then
MEMORY_BYTES = 2_000_000_000
_AT_ONCE = threading.BoundedSemaphore(2)


def decode_aside(path: Path | str, *, timeout_s: float = TIMEOUT_S) -> Recording:
    """Read a recording without trusting it."""
    path = Path(path)
    size = path.stat().st_size if path.is_file() else 0
    if size > MAX_BYTES:
        raise AudioError(
            f"the file has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are taken. Cut or "
            "compress it."
        )
    method = "forkserver" if sys.platform == "linux" else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["ser.audio", "av"])
    with _AT_ONCE:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(str(path), theirs), daemon=True)
        child.start()
        theirs.close()
        try:
            found = None
            with contextlib.suppress(EOFError, OSError):
                if ours.poll(START_S) and ours.recv() == "begun" and ours.poll(timeout_s):
                    found = ours.recv()
        finally:
            child.kill()
            child.join()
            ours.close()
    if found is None:
        raise AudioError(
            f"the file was not decoded within {min(timeout_s, COMPUTING_S):.0f} s and the memory "
            "it may take. Convert it to WAV or FLAC."
        )
    if isinstance(found, str):
        raise AudioError(found)
    return found


def _work(path: str, results: Any) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CPU, (COMPUTING_S, COMPUTING_S + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(OSError):  # what libraries say of it is nobody's to read
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    results.send("begun")
    try:
        results.send(decode(path, LIMITS))
    except AudioError as error:
        results.send(str(error).replace(f"{path}: ", "the recording: "))
    except Exception as error:
        results.send(f"the recording: cannot be decoded ({type(error).__name__}).")
