"""Fixtures that several files share: a small demo corpus, real speech, disks that are full."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import pytest
from filelock import FileLock

from ser.config import AugmentationConfig, FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.corpora import demo, metadata
from ser.project import SerError

# where changes are judged, the same examples each time; elsewhere new ones, to find what is left
examples = {"any machine": 20, "slow": 200}
for name, number in examples.items():
    hypothesis.settings.register_profile(
        name,
        deadline=None,
        derandomize="CI" in os.environ,
        print_blob=True,
        max_examples=number,
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "any machine"))


warnings_are_errors = pytest.mark.filterwarnings(  # the last wins
    "error",
    "ignore::DeprecationWarning",  # of libraries' own imports
    "ignore::ResourceWarning",  # what other tests left to the garbage collector is not ours
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

NEEDS_MORE = {"real_speech", "real_encoder"}  # fixtures that skip without corpora or weights
LONGEST = (
    *("notebooks", "export", "experiment", "training", "cells", "tune", "models", "app"),
    *("notebook_code", "pretrained", "losses", "prepare", "odd_files", "notebook_texts"),
)


def pytest_collection_modifyitems(items):
    """Begin with the files that take long, so that no worker waits for another at the end."""
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        if NEEDS_MORE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)
        if "browser" in getattr(item, "fixturenames", ()):  # hangs now and then on a busy machine
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def figures_as_matplotlib_draws_them():
    """A test that sets a style, or opens the demo corpus, leaves no mark on the next one's."""
    yield
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcdefaults()


SMALL = Path(__file__).parents[1] / "models" / "small"  # answers without TensorFlow

ACTORS = ("01", "02", "03", "04", "05", "06")  # male and female in turn
EMOTIONS = ("angry", "neutral", "sad")


@pytest.fixture(scope="session")
def demo_shelf(tmp_path_factory) -> Path:
    """A folder for SER_CORPORA: 72 clips of the demo corpus, 6 speakers, 3 emotions."""
    shelf = tmp_path_factory.mktemp("shelf")
    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name in clips.namelist():
            clip = demo.parse(PurePosixPath(name))
            if clip.emotion in EMOTIONS and clip.speaker.removeprefix("ravdess-") in ACTORS:
                clips.extract(name, shelf / "demo")
    return shelf


@pytest.fixture(scope="session")
def demo_table(demo_shelf, tmp_path_factory):
    """The metadata table of `demo_shelf`; copy before changing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(tmp_path_factory.mktemp("metadata")))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        return metadata.build(("demo",), progress=False).table


@pytest.fixture
def project(tmp_path, monkeypatch, demo_shelf) -> Path:
    """An empty project that finds the small demo corpus."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "project"))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    return tmp_path / "project"


TINY = Recipe(
    name="tiny",
    corpora=("demo",),
    classes=EMOTIONS,
    features=FeatureConfig(n_mfcc=13, n_mels=40, hop_length=1024, n_frames=60),
    augmentation=AugmentationConfig(n_variants=1, stretch_p=0.0),
    model=ModelConfig(
        options={"filters": [4], "pool_sizes": [[4, 2]], "lstm_units": 4, "attention_units": 4}
    ),
    training=TrainingConfig(epochs=2, batch_size=8, monitor="val_uar"),
)


@pytest.fixture(scope="session")
def three_speakers(demo_table):
    """36 clips of the demo corpus, which make three folds."""
    few = demo_table["speaker"].str[-2:].isin(["01", "02", "03"])
    return demo_table[few].reset_index(drop=True)


def made_once(tmp_path_factory, name, make) -> Path:
    """Give the folder that the first worker to ask for it makes, for all of them."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory, demo_shelf, three_speakers) -> Path:
    """A project with a finished cross-validation of `TINY`, two seeds; to be left as it is."""
    from ser.experiments import runner

    def make(root):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SER_ROOT", str(root))
            patch.setenv("SER_CORPORA", str(demo_shelf))
            runner.run(TINY, seeds=(0, 1), every=0, table=three_speakers)

    return made_once(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def one_bundle(tmp_path_factory, demo_shelf) -> Path:
    """A folder with an ensemble, ``model.keras``, and its ``bundle``: ONNX only, calibrated."""
    from test_export import save, speech

    from ser.export.writer import export

    def make(folder):
        folder.mkdir()
        file = save("ensemble", folder / "model.keras", speech(demo_shelf, 4))
        export(file, folder / "bundle", temperature=2.0, threshold=0.4, kinds=("onnx",))

    return made_once(tmp_path_factory, "one-bundle", make)


@pytest.fixture
def predict(monkeypatch, capsys):
    """Run `ser predict` by the small model in this process: exit code, output, errors."""

    from ser import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ser", "predict", *map(str, arguments), "-m", str(SMALL)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def clips(demo_shelf):
    """Two clips of the demo corpus."""
    return sorted(demo_shelf.rglob("*.opus"))[3:5]


@pytest.fixture(scope="session")
def real_encoder() -> Path:
    """The folder of the released weights of Whisper tiny.en."""
    folder = Path(os.environ.get("SER_PRETRAINED", "")) / "whisper-tiny.en"
    if not folder.is_dir():
        pytest.skip("set SER_PRETRAINED to a folder that holds whisper-tiny.en")
    return folder


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder of the real RAVDESS."""
    for shelf in os.environ.get("SER_CORPORA", "").split(os.pathsep):
        if shelf and (Path(shelf) / "ravdess").is_dir():
            return Path(shelf) / "ravdess"
    return pytest.skip("set SER_CORPORA to a folder with the real corpora (ravdess)")


@pytest.fixture
def tiny_disk(tmp_path):
    """Make a file system of so many kilobytes; needs Linux and root."""
    mounted = []

    def mount(kilobytes: int, name: str = "disk") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("a disk that is truly full needs Linux and root, to mount a small one")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def not_root():
    """Give up root's rights for a while: root may read and write everything."""
    if os.name != "posix":
        pytest.skip("needs POSIX permissions")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that other users reach too (pytest's own are closed to them)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def ser_command(*arguments, stdin: bytes = b"", timeout_s: float | None = None):
    """Run `ser` in a process of its own; its output comes back as text."""
    command = [sys.executable, "-m", "ser", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout_s, check=False)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


@contextlib.contextmanager
def one_line(*parts: str, kind: type[SerError] = SerError):
    """Expect an error of one line with these parts, in this order."""
    with pytest.raises(kind) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    position = 0
    for part in parts:
        assert part in message[position:], f"{part!r} is not (in this order) in: {message}"
        position = message.index(part, position) + len(part)
