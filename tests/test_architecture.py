"""The shape of the package: one direction of imports, small modules, light entry points."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ser

ROOT = Path(ser.__file__).parent
ORDER = re.findall(r"``(\w+)``", ser.__doc__)
FILES = sorted(ROOT.rglob("*.py"))


def owner(path: Path) -> str:
    """Top-level module of the package that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Top-level modules of this package that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "ser":
            names = [f"ser.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("ser.")}
    return found


def test_every_module_has_its_place_in_the_order():
    assert {owner(path) for path in FILES} - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path):
    name = owner(path)
    if name in ("__init__", "__main__"):
        return
    for other in imported(ast.parse(path.read_text(encoding="utf-8"))) & set(ORDER):
        assert ORDER.index(other) <= ORDER.index(name), f"{name} imports {other}, which is below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    code = 0
    docstrings = 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(
            node
        ):
            first = node.body[0]
            docstrings += first.end_lineno - first.lineno + 1
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"
    code = len(text.splitlines()) - docstrings
    assert code <= 330, f"{code} lines without docstrings"
    assert path.stem != "utils"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_public_is_documented(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


@pytest.mark.parametrize("module", ["ser.inference", "ser.cli", "ser.config", "ser.corpora"])
def test_light_modules_stay_light(module):
    code = f"import {module}, sys; print([m for m in ('tensorflow', 'keras', 'librosa') if m in sys.modules])"  # noqa: E501
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert shown.stdout.strip() == "[]"


def test_nothing_of_a_machine_is_written_down():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|Users|work|root)/\w", text), path
