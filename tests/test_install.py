"""A small base installation answers; everything else says which extra brings it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from conftest import SMALL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ser import cli

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ser"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FEWER_MB = 400  # than this, the base installation takes
ONLY_TESTED = {"ai_edge_litert", "espeakng_loader"}  # a user who wants them has them


def names(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


BASE = names(PYPROJECT["project"]["dependencies"])
EXTRAS = {
    extra: names(lines) for extra, lines in PYPROJECT["project"]["optional-dependencies"].items()
}
INSTALLED = packages_distributions()
EXTRA_OF = {module: extra for extra, words in cli.EXTRAS.items() for module in words.split()}


def distributions_of(module):
    """Names of what brings a module; of one that is not installed, its own."""
    return {canonicalize_name(name) for name in INSTALLED.get(module, [module])}


def imported():
    """Modules of others that the package imports anywhere, each with a file that does."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            else:
                continue
            found |= {module.partition(".")[0]: file.name for module in modules}
    return {m: f for m, f in found.items() if m != "ser" and m not in sys.stdlib_module_names}


def test_what_is_imported_is_declared():
    everything = BASE.union(*EXTRAS.values())
    for module, file in imported().items():
        assert distributions_of(module) & everything, f"{module}, imported by {file}"
        if not distributions_of(module) & BASE and module not in ONLY_TESTED:
            assert module in EXTRA_OF, f"{module}, imported by {file}, is in no extra of ser.cli"


def test_the_command_knows_what_each_extra_brings():
    for module, extra in EXTRA_OF.items():
        assert distributions_of(module) & EXTRAS[extra], f"{module} is not in [{extra}]"
        assert not distributions_of(module) & BASE, module


def installed_with(extra):
    """Names of all that pip installs for an extra, and for that, and so on."""
    found, waiting = set(), list(PYPROJECT["project"]["optional-dependencies"].get(extra, []))
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            with suppress(PackageNotFoundError):
                waiting += [] if name in found else requires(name) or []
            found.add(name)
    return found


WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {missing}:
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


def in_an_installation(extra, *arguments, script="from ser.cli import main; main()"):
    """Run `ser` in a process that cannot import what neither the base nor the extra brings."""
    there = installed_with(extra)
    missing = [module for module in EXTRA_OF if not distributions_of(module) & there]
    script = WITHOUT.replace("{missing}", repr(missing)) + script
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def clip(demo_shelf):
    return next(f for f in demo_shelf.rglob("*") if f.suffix in (".wav", ".opus", ".flac"))


def test_predicting_needs_no_extra(clip):
    done = in_an_installation(None, "predict", clip, "--model", ROOT / "models" / "small")
    assert done.returncode == 0, done.stderr
    assert "%" in done.stdout


def test_the_page_needs_its_extra_only(clip):
    pytest.importorskip("gradio", reason="needs the extra app")
    script = """
import sys
from ser.inference import page
from ser.inference import load_model
if __name__ == "__main__":
    answer, _, figure = page.answer(load_model(sys.argv[1]), sys.argv[2])
    print(answer, "<svg" in figure)
"""
    done = in_an_installation("app", ROOT / "models" / "small", clip, script=script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("True\n")


@pytest.mark.parametrize(
    ("command", "needed", "extra"),
    [
        ("train", "the training packages", "train"),
        ("metadata", "the training packages", "train"),
        ("report", "the training packages", "train"),
        ("app", "matplotlib", "app"),
    ],
)
def test_other_commands_name_the_extra(command, needed, extra, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(ROOT))
    done = in_an_installation(None, command)
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"ser: this command needs {needed}: pip install 'ser-honest[{extra}]'.\n"
    )


def test_other_missing_modules_are_faults(monkeypatch, capsys):
    def broken():
        raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert "a fault of this program" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_notices_that_its_folder_was_renamed_or_copied(tmp_path):
    """The environment's programs name the place where it was made."""
    here = tmp_path / "my project"
    shutil.copytree(ROOT / "tools", here / "tools")
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, here)
    (here / "tools" / "install.py").write_text("print('installed')")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --without-pip\n')
    python.chmod(0o755)
    make = ["make", "-C", str(here), f"PYTHON={python}", ".venv/installed"]

    def said():
        done = subprocess.run(make, capture_output=True, text=True, check=True)
        return ["venv --clear" in done.stdout, "touch .venv/installed" in done.stdout]

    assert said() == [True, True]
    assert said() == [False, False]
    (here / "requirements.txt").touch()
    assert said() == [False, True]
    here = here.rename(tmp_path / "renamed")
    make[2] = str(here)
    assert said() == [True, True]
    assert said() == [False, False]
    command = (here / ".venv" / "pyvenv.cfg").read_text()
    assert f"{here}/.venv\n" in command


@pytest.mark.slow
def test_a_fresh_installation_is_small_and_predicts(tmp_path, clip):
    source = tmp_path / "source"  # pip leaves a build folder where it installs from
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(SMALL, source / "models" / "small")
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")

    def size_mb():
        files = (tmp_path / "venv").rglob("*")
        return sum(f.stat().st_size for f in files if not f.is_symlink()) / 1e6

    def run(command, *arguments):
        command = [scripts / command, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    before = size_mb()
    done = run("python", "-m", "pip", "install", "--quiet", source)
    assert done.returncode == 0, done.stderr
    print(f"the base installation takes {size_mb() - before:.0f} MB")
    assert size_mb() - before < FEWER_MB
    package = next((tmp_path / "venv").rglob("site-packages/ser"))
    kept = {f.relative_to(PACKAGE) for f in PACKAGE.rglob("*") if f.is_file()}
    kept = {file for file in kept if "__pycache__" not in file.parts}
    assert kept <= {file.relative_to(package) for file in package.rglob("*")}
    done = run("ser", "predict", clip)  # the small model is in the package
    assert done.returncode == 0, done.stderr
    assert "%" in done.stdout
    assert done.stderr == "model: small\n"
    assert "pip install 'ser-honest[train]'" in run("ser", "train").stderr


@pytest.mark.parametrize("workflow", [*(ROOT / ".github/workflows").glob("*.yml")], ids=str)
def test_actions_are_pinned_by_commit(workflow):
    used = re.findall(r"uses: *(\S+)", workflow.read_text(encoding="utf-8"))
    assert used
    assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []
