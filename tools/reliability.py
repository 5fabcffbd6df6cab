"""Kill, tamper and overload; count what fails, and write it into ``reports/reliability.json``.

    python tools/reliability.py                # all of it, about half an hour on one core
    python tools/reliability.py files bundles  # these, beside what was counted before
    python tools/reliability.py --kills 5 train "run --jobs 2"

Every long command is killed at random moments, then run to its end, and what it left is compared
with a run that nobody killed. Files, bundles, models and recipes are those of the tests; the work
is done in a temporary project on a few clips of the demo corpus.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
REPORT = ROOT / "reports" / "reliability.json"
SMALL = ROOT / "models" / "small"
ENDS_WITHIN_S = 60.0  # workers, after their parent: one that just began first imports, on any load
LONGEST_S, MOST_MB = 5.0, 600.0  # for an upload
TIMES = re.compile(r'("(?:seconds|training_seconds|duration)": )[\d.]+')

# A process that has imported what is large, and forks for every command: a kill is to meet a
# command at work, not at its imports.
FORKS = """
import json, os, sys
import joblib, keras, librosa, matplotlib.pyplot, pandas, pyarrow, sklearn, tensorflow, tf2onnx
from ser import cli
from ser.corpora import download, metadata
from ser.experiments import runner
from ser.export import writer
from ser.features import dataset
print("ready", flush=True)
for line in sys.stdin:
    if child := os.fork():
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    os.setsid()
    home, arguments = json.loads(line)
    os.chdir(home)
    os.environ.update(SER_ROOT=home + "/project", SER_CORPORA=home + "/shelf")
    log = os.open(home + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["ser", *arguments.split()]
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)
"""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="ser-reliability-") as name:
        yield Path(name)


class Commands:
    """Runs `ser` in projects of its own."""

    def __init__(self) -> None:
        self.forks = subprocess.Popen(
            [sys.executable, "-c", FORKS],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.forks.stdout is not None
        assert self.forks.stdout.readline() == "ready\n"

    def run(
        self, home: Path, arguments: str, kill_after_s: float | None = None
    ) -> tuple[float, int, int, float]:
        """Run a command, or kill it; give its seconds and its exit code.

        And how many of its processes it left behind, and how many seconds the others took to end.
        """
        assert self.forks.stdin is not None
        assert self.forks.stdout is not None
        self.forks.stdin.write(json.dumps([str(home), arguments]) + "\n")
        self.forks.stdin.flush()
        process, began_s = int(self.forks.stdout.readline()), time.monotonic()
        workers: dict[int, psutil.Process] = {}
        if kill_after_s is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                watched = psutil.Process(process)
                while time.monotonic() - began_s < kill_after_s and watched.is_running():
                    if watched.status() == psutil.STATUS_ZOMBIE:
                        break
                    workers |= {child.pid: child for child in watched.children(recursive=True)}
                    time.sleep(0.02)
                workers |= {child.pid: child for child in watched.children(recursive=True)}
                os.kill(process, random.choice((signal.SIGKILL, signal.SIGTERM)))
        status = int(self.forks.stdout.readline())
        ended_s = time.monotonic()
        _, left = psutil.wait_procs(list(workers.values()), timeout=ENDS_WITHIN_S)
        waited_s = time.monotonic() - ended_s
        return ended_s - began_s, os.waitstatus_to_exitcode(status), len(left), waited_s

    def close(self) -> None:
        """End the process that forks."""
        assert self.forks.stdin is not None
        self.forks.stdin.close()
        self.forks.wait()


def content(folder: Path) -> dict[str, Any]:
    """Read all that lies in a folder, but for locks and for how long things took."""
    import pandas as pd

    from ser.inference import bundle

    found: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if file.name.endswith((".lock", "-holder", "-wal", "-shm")):
            continue
        if file.suffix == ".sqlite":
            found[name] = _rows(file)
        elif file.suffix == ".csv":
            table = pd.read_csv(file)
            found[name] = table.drop(columns=["seconds"], errors="ignore").to_csv()
        elif file.suffix == ".parquet":
            found[name] = pd.read_parquet(file).to_csv()
        elif file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                found[name] = [_steady(archive.read("model.weights.h5"))]
        elif file.suffix == ".json":
            text = TIMES.sub(r"\1 0", file.read_text())
            values = json.loads(text)
            if file.name != bundle.CARD:
                values = {k: v for k, v in values.items() if k not in ("files", "sha256")}
            found[name] = values
        else:
            found[name] = file.read_bytes()
    return found


def _steady(weights: bytes) -> list[tuple[str, bytes]]:
    """Read the arrays of an HDF5 file, which also holds when it was written."""
    import io

    import h5py

    arrays: list[tuple[str, bytes]] = []
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(
            lambda name, part: (
                arrays.append((name, part[()].tobytes()))
                if isinstance(part, h5py.Dataset)
                else None
            )
        )
    return arrays


def _rows(file: Path) -> list[Any]:
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as database:
        return sorted(database.execute("SELECT key, checksum, value FROM entries"))


@dataclasses.dataclass(frozen=True)
class Long:
    """A long command, where it writes, and what it needs to have been run before."""

    arguments: str
    writes: tuple[str, ...]
    before: tuple[str, ...] = ()
    clips: bool = True


RUNS, FEATURES = ("data/processed", "models/runs", "reports"), ("metadata -c demo",)
READY = (*FEATURES, "features tiny.json --jobs 1")
LONG = {
    "data download": Long("data download demo", ("data/raw",), clips=False),
    "metadata": Long("metadata -c demo", ("data/interim",)),
    "features": Long("features tiny.json --jobs 2", ("data/processed",), FEATURES),
    "train": Long("train tiny.json", RUNS, READY),
    "run": Long("run tiny.json --seeds 0", RUNS, READY),
    "run --jobs 2": Long("run tiny.json --seeds 0 --jobs 2", RUNS, READY),
    "export": Long(
        "export models/mine --to bundle", ("bundle",), (*READY, "train tiny.json", "link")
    ),
    "predict": Long(f"predict shelf -m {SMALL} -o out/answers.csv", ("out",)),
}


def project(home: Path, with_clips: bool) -> None:
    """Lay out the project: clips of three speakers, and a small recipe."""
    from conftest import TINY

    from ser.config import changed, to_dict
    from ser.corpora import demo

    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name in clips.namelist():
            clip = demo.parse(PurePosixPath(name))
            if (
                with_clips
                and clip.emotion in TINY.classes
                and clip.speaker[-2:] in ("01", "02", "03")
            ):
                clips.extract(name, home / "shelf" / "demo")
    (home / "tiny.json").write_text(json.dumps(to_dict(changed(TINY, {"training.epochs": 4}))))
    (home / "out").mkdir()


def kills(commands: Commands, name: str, number: int, seed: int | None = None) -> dict[str, float]:
    """Kill a command so often; compare what it leaves with a run that nobody killed."""
    with folder() as home:
        return _kill(commands, LONG[name], home, number, random.Random(seed))


def _kill(
    commands: Commands, command: Long, home: Path, number: int, rng: random.Random
) -> dict[str, float]:
    project(home, command.clips)
    work = home / "project"

    def ready() -> None:
        """Begin with what the command needs, made once."""
        for place in (work, home / "bundle", home / "out"):
            shutil.rmtree(place, ignore_errors=True)
        (home / "out").mkdir()
        if (home / "prepared").exists():
            shutil.copytree(home / "prepared", work)
            return
        work.mkdir()
        for earlier in command.before:
            if earlier == "link":
                (run,) = (work / "models" / "runs").rglob("run.json")
                shutil.copytree(run.parent, home / "models" / "mine")
            else:
                assert commands.run(home, earlier)[1] == 0, (home / "log").read_text()
        shutil.copytree(work, home / "prepared")

    def written() -> dict[str, Any]:
        places = [home if (home / place).exists() else work for place in command.writes]
        return {
            place: content(base / place) for base, place in zip(places, command.writes, strict=True)
        }

    ready()
    seconds, code, *_ = commands.run(home, command.arguments)
    assert code == 0, (home / "log").read_text()
    expected = written()
    result = dict.fromkeys(("kills", "too_late", "processes_left", "differences"), 0)
    longest_s = 0.0
    ready()
    while result["kills"] < number:
        moment_s = rng.uniform(0, seconds)
        took_s, code, left, ended_s = commands.run(home, command.arguments, moment_s)
        result["processes_left"] += left
        longest_s = max(longest_s, ended_s)
        if code >= 0:  # it was done before; it begins anew
            result["too_late"] += 1
            seconds = min(seconds, took_s)
            result["differences"] += written() != expected
            ready()
            assert result["too_late"] < 4 * number
            continue
        result["kills"] += 1
        if command.arguments.startswith("export"):  # what lies there answers at any moment
            result["differences"] += not _answers(home / "bundle")
    time.sleep(2.1)
    code = commands.run(home, command.arguments)[1]
    result["differences"] += code != 0 or written() != expected
    return {**result, "workers_end_within_s": round(longest_s, 1)}


def _answers(folder: Path) -> bool:
    from ser.inference import bundle
    from ser.project import SerError

    if not (folder / bundle.CARD).exists():
        return True
    try:
        return all(bundle.load(folder, kind) for kind in bundle.read_card(folder)["files"])
    except SerError:
        return False


# Files, bundles, models, recipes, requests -------------------------------------------------------


def one_by_one(paths: Iterable[Path], ask: Callable[[Path], Any]) -> dict[str, Any]:
    """Count what is answered, refused in a line that names the file, and what fails."""
    counts: dict[str, Any] = {"tried": 0, "answered": 0, "refused": 0, "failures": 0}
    longest_s = 0.0
    from ser.project import SerError

    for path in paths:
        counts["tried"] += 1
        began_s = time.monotonic()
        try:
            ask(path)
            counts["answered"] += 1
        except SerError as error:
            named = path.name in str(error) and "\n" not in str(error)
            counts["refused" if named else "failures"] += 1
            if not named:
                print(f"not named: {path.name}: {error}", flush=True)
        except Exception as error:
            counts["failures"] += 1
            print(f"{path.name}: {type(error).__name__}: {error}", flush=True)
        longest_s = max(longest_s, time.monotonic() - began_s)
    return {**counts, "longest_s": round(longest_s, 2)}


def files() -> dict[str, Any]:
    """Give odd files to the command; it must live and name each that it refuses."""
    from odd_files import write_all

    from ser.cli.use import predict  # noqa: F401  the shell that is meant
    from ser.inference import load_model

    model = load_model(SMALL)
    with folder() as home:
        names = write_all(home)
        return one_by_one((home / name for name in names), model.predict)


HEARD = """
import resource, sys, time
from ser.audio import decode
from ser.inference import load_model
from ser.inference.sandbox import LIMITS
from ser.project import AudioError
model = load_model(sys.argv[2])
began_s = time.process_time()
try:
    model.predict(decode(sys.argv[1], LIMITS))
except AudioError:
    pass
print(time.process_time() - began_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def hard_files() -> dict[str, Any]:
    """Hear small files that claim or unpack to gigabytes as the page does; count core seconds."""
    from test_hard_files import claiming, silence

    found = []
    with folder() as home:
        for path in (
            claiming(home / "claims-an-hour.flac", 655_350, 8, 3_599),
            claiming(home / "claims-119-s.flac", 655_350, 8, 119),
            silence(home / "655-khz.flac", 655_350, 1, 119),
            silence(home / "8-channels.flac", 96_000, 8, 119),
            silence(home / "48-khz.flac", 48_000, 2, 119),
        ):
            command = [sys.executable, "-c", HEARD, str(path), str(SMALL)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.append([float(value) for value in said.split()])
            print(f"{path.name}: {found[-1]}", flush=True)
    return {
        "tried": len(found),
        "failures": sum(seconds > LONGEST_S or mb > MOST_MB for seconds, mb in found),
        "longest_core_s": round(max(seconds for seconds, _ in found), 2),
        "memory_mb": round(max(mb for _, mb in found)),
    }


def bundles() -> dict[str, Any]:
    """Open tampered bundles and ask them."""
    import tampering
    from odd_files import speech_like

    from ser.inference import load_model

    with folder() as home:
        paths = tampering.bundles(SMALL, home, 217)
        return one_by_one(paths, lambda path: load_model(path).predict(speech_like(), 16_000))


def keras_files() -> dict[str, Any]:
    """Open tampered .keras files and ask them."""
    import tampering
    import test_export
    from odd_files import speech_like

    from ser.inference import load_model

    with folder() as home:
        clips = [speech_like(1.5, seed=number)[:, 0] for number in range(4)]
        whole = test_export.save("without attention", home / "model.keras", clips)
        paths = tampering.keras_files(whole, home, 62)
        return one_by_one(paths, lambda path: load_model(path).predict(speech_like(), 16_000))


def recipes() -> dict[str, Any]:
    """Read tampered recipes."""
    import tampering

    from ser.config import load_recipe, to_dict
    from ser.experiments import recipes as known

    with folder() as home:
        source = to_dict(known.get("best-scratch"))
        return one_by_one(tampering.recipes(source, home, 115), load_recipe)


def requests(number: int = 200) -> dict[str, Any]:
    """Ask the page at once for whole and odd files; every one is answered in words."""
    import concurrent.futures
    import socket

    from gradio_client import Client, handle_file
    from odd_files import write_all

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with folder() as home:
        odd = sorted(write_all(home))[:number]
        command = [sys.executable, "-m", "ser", "app", "-m", str(SMALL), "--port", str(port)]
        environment = {**os.environ, "GRADIO_TEMP_DIR": str(home / "uploads")}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as page:
            assert page.stdout is not None
            page.stdout.readline()
            client = Client(f"http://127.0.0.1:{port}", verbose=False, download_files=False)

            def ask(name: str) -> str:
                with contextlib.suppress(Exception):
                    return client.predict(handle_file(str(home / name)), api_name="/answer")[0]
                return ""

            with concurrent.futures.ThreadPoolExecutor(8) as together:
                said = list(together.map(ask, odd))
            memory_mb = psutil.Process(page.pid).memory_info().rss / 1e6
            page.terminate()
        lost = [name for name, text in zip(odd, said, strict=True) if not text]
        print(f"without an answer: {lost}", flush=True)
        kept = [path for path in (home / "uploads").rglob("*") if path.is_file()]
    return {
        "tried": len(odd),
        "failures": len(lost),
        "memory_mb": round(memory_mb),
        "uploads_left": len(kept),
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "files": files,
    "hard_files": hard_files,
    "bundles": bundles,
    "keras_files": keras_files,
    "recipes": recipes,
    "requests": requests,
}


def main() -> None:
    """Do what is asked for, and write it down after each part."""
    from ser.project import write_json

    reader = argparse.ArgumentParser(description="Kill, tamper and overload; count what fails.")
    reader.add_argument("parts", nargs="*", help=f"Out of {', '.join((*PARTS, *LONG))}.")
    reader.add_argument("--kills", type=int, default=20, help="How often each command is killed.")
    options = reader.parse_args()
    found = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    chosen, commands = options.parts or [*PARTS, *LONG], None
    for name in chosen:
        if name in PARTS:
            found[name] = PARTS[name]()
        else:
            commands = commands or Commands()
            found.setdefault("kills", {})[name] = kills(commands, name, options.kills)
        print(f"{name}: {found.get(name) or found['kills'][name]}", flush=True)
        write_json(REPORT, {part: found[part] for part in sorted(found)})
    if commands:
        commands.close()


if __name__ == "__main__":
    main()
