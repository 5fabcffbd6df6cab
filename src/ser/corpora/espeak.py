"""Speak text with espeak-ng, from the library that the package ``espeakng-loader`` ships.

The library keeps state from one utterance to the next (phase of the voice's flutter, noise), so the
same words sound a little different the second time. Reproducible speech needs a fresh process for
each run of utterances; this file is also the program that such a process runs, which is why it
imports nothing but Python's own library.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import struct
import sys
from typing import Any, BinaryIO

SAMPLE_RATE_HZ = 22_050
CANNOT_SPEAK = 3  # exit code of the program, with one line on standard error

# Names and numbers of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_RETRIEVAL = 1
_DO_NOT_EXIT = 0x8000
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_PARAMETERS = {"rate_wpm": 1, "volume": 2, "pitch": 3, "pitch_range": 4, "word_gap": 7}
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The library, loaded and set to return samples instead of playing them."""

    def __init__(self, library: str, data: str, seed: int = 1) -> None:
        self._library = ctypes.CDLL(library)
        initialise = self._library.espeak_Initialize
        initialise.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        rate = initialise(_AUDIO_OUTPUT_RETRIEVAL, 0, os.fsencode(data), _DO_NOT_EXIT)
        if rate != SAMPLE_RATE_HZ:
            raise OSError(f"espeak_Initialize answered {rate}, expected {SAMPLE_RATE_HZ}")
        if not hasattr(self._library, "espeak_ng_SetRandSeed"):
            raise OSError("espeak-ng is older than 1.52")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._samples = array.array("h")
        self._callback = _Callback(self._keep)  # must live as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples: Any, n_samples: int, _events: Any) -> int:
        if samples and n_samples > 0:
            self._samples.frombytes(ctypes.string_at(samples, n_samples * 2))
        return 0

    def speak(self, text: str, voice: str, **parameters: int) -> bytes:
        """Speak one utterance."""
        self._samples = array.array("h")
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise OSError(f"no voice named {voice!r}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(_PARAMETERS[name], int(value), 0)
        utterance = text.encode() + b"\0"
        failed = self._library.espeak_Synth(
            utterance,
            ctypes.c_size_t(len(utterance)),
            0,
            _POSITION_CHARACTER,
            0,
            _CHARS_UTF8,
            None,
            None,
        )
        if failed or self._library.espeak_Synchronize() or not self._samples:
            raise OSError(f"no sound for {text!r} from voice {voice!r}")
        return self._samples.tobytes()


def serve(espeak: Espeak, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer each line of JSON, the arguments of `Espeak.speak`, with its samples."""
    for line in requests:
        samples = espeak.speak(**json.loads(line))
        replies.write(struct.pack(">I", len(samples)) + samples)
    replies.flush()


if __name__ == "__main__":
    try:
        serve(Espeak(library=sys.argv[1], data=sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_SPEAK)
