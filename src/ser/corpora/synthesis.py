"""Make the demo corpus: espeak-ng speaks the takes of `ser.corpora.demo`.

The result is the same, bit by bit, every time it is made: each voice speaks in a process of its
own, and all chance comes from generators seeded by name.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import struct
import subprocess
import sys
import wave
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from ser.corpora import espeak
from ser.corpora.demo import Take, takes
from ser.corpora.prosody import delivery, seeded
from ser.project import SerError, cannot_write, paths

VERSION = 1  # raise it when any sample of the corpus changes
README = f"""Demo corpus, version {VERSION}

Synthetic speech, made on this machine by espeak-ng for trying the software out. The voices are a
program's and the emotions are rules: no number computed from it is a result.
"""

_NOISE_RMS = 12.0  # of 32,768: -69 dBFS, the floor of a quiet room
_SPEAKING_TIMEOUT_S = 120


def make_demo(root: Path | None = None, *, progress: bool = True) -> Path:
    """Write the demo corpus once."""
    root = paths().raw / "demo" if root is None else Path(root)
    if _is_made(root):
        return root
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name(f".{root.name}.lock")):
            if not _is_made(root):  # by another process, while this one waited
                _make(root, progress=progress)
    except OSError as error:
        raise cannot_write(root, error) from error
    return root


def _make(root: Path, *, progress: bool) -> None:
    aside = root.with_name(f".{root.name}-unfinished")
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    try:
        synthesise(takes(), aside, progress=progress)
        (aside / "README.txt").write_text(README, encoding="utf-8")
        if root.exists():
            shutil.rmtree(root)
        aside.replace(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_made(root: Path) -> bool:
    readme = root / "README.txt"
    found = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if root.exists() and not found.startswith("Demo corpus") and any(root.iterdir()):
        raise SerError(
            f"{root}: holds something that is not the demo corpus. Move it elsewhere and run the "
            "same command again."
        )
    return found == README


def synthesise(clips: Iterable[Take], folder: Path, *, progress: bool = True) -> None:
    """Speak takes and write them as WAV files."""
    speakers = [list(group) for _, group in itertools.groupby(clips, lambda take: take.voice)]
    total = sum(map(len, speakers))
    bar = tqdm(total=total, desc="demo corpus", unit="clip", disable=not progress)
    with bar, contextlib.closing(_spoken(speakers)) as spoken:
        for speaker, sounds in spoken:
            for take, sound in zip(speaker, sounds, strict=True):
                _write_wav(folder / take.path, _in_a_room(sound, take))
            bar.update(len(speaker))


def _spoken(
    speakers: list[list[Take]],
) -> Generator[tuple[list[Take], list[np.ndarray]], None, None]:
    with ThreadPoolExecutor(max_workers=2) as pool:  # each waits for a process of its own
        try:
            yield from zip(speakers, pool.map(_speak, speakers), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _speak(clips: Sequence[Take]) -> list[np.ndarray]:
    lines = [
        json.dumps({"text": take.text, "voice": take.voice, **delivery(take).parameters})
        for take in clips
    ]
    library, data = _find_espeak()
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(espeak.__file__)), library, "."],
            cwd=data,
            input="\n".join(lines).encode(),
            capture_output=True,
            timeout=_SPEAKING_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _no_espeak(f"no answer within {_SPEAKING_TIMEOUT_S} s") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise _no_espeak(reason[-1] if reason else f"exit code {done.returncode}")
    return _replies(done.stdout)


def _find_espeak() -> tuple[str, Path]:
    try:
        import espeakng_loader

        return espeakng_loader.get_library_path(), Path(espeakng_loader.get_data_path()).parent
    except (ImportError, RuntimeError) as error:
        raise _no_espeak(str(error)) from error


def _no_espeak(reason: str) -> SerError:
    return SerError(
        f"the demo corpus cannot be made: espeak-ng does not work ({reason}). Reinstall it with "
        "`pip install --force-reinstall espeakng-loader`, or use a real corpus: "
        "`ser data download ravdess`."
    )


def _replies(answer: bytes) -> list[np.ndarray]:
    sounds, start = [], 0
    while start < len(answer):
        (length,) = struct.unpack_from(">I", answer, start)
        start += 4 + length
        sounds.append(np.frombuffer(answer[start - length : start], dtype=np.int16))
    return sounds


def _in_a_room(sound: np.ndarray, take: Take) -> np.ndarray:
    """Add the silence around the speech and a faint noise over all, as a microphone would."""
    timing = delivery(take)
    lead, tail = (round(s * espeak.SAMPLE_RATE_HZ) for s in (timing.lead_s, timing.tail_s))
    whole = np.pad(sound.astype(np.float64), (lead, tail))
    whole += seeded("noise", take.path).normal(0, _NOISE_RMS, len(whole))
    return np.clip(np.rint(whole), -32_768, 32_767).astype("<i2")


def _write_wav(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(espeak.SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())
