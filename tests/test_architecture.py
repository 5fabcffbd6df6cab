"""The shape of the package: rooms in one order, no circle, small modules, light entry points."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ser

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import room_sizes

ROOMS = re.findall(r"``(\w+)``", ser.__doc__)
CORE = ROOMS[: ROOMS.index("experiments") + 1]
OUTER = {"ser.studies", "ser.export", "ser.inference.page", "ser.inference.server", "ser.cli"}
LIGHT = ("ser", "ser.config", "ser.corpora", "ser.inference", "ser.plots", "ser.cli")

MODULES = room_sizes.modules()
GRAPH = room_sizes.graph()

# lines, docstrings included
PACKAGE, NOTEBOOKS, MODULE, FUNCTION = 15_550, 11_550, 350, 60
LONGER = {"ser.config": 570}  # than a module may be

each_module = pytest.mark.parametrize("name", MODULES)


def room(name):
    return name.split(".")[1]


def test_every_module_is_in_a_room():
    assert {room(name) for name in MODULES if name not in ("ser", "ser.__main__")} == set(ROOMS)


@each_module
def test_imports_go_one_way(name):
    if name in ("ser", "ser.__main__"):
        return
    for other in GRAPH[name] - {"ser"}:
        assert ROOMS.index(room(other)) <= ROOMS.index(room(name)), (
            f"imports {other}, which is later"
        )
        if room(name) in CORE:
            assert not any(f"{other}.".startswith(f"{one}.") for one in OUTER), f"imports {other}"


def test_no_circle():
    assert len(list(graphlib.TopologicalSorter(GRAPH).static_order())) == len(MODULES)


@each_module
def test_modules_and_functions_are_small_and_documented(name):
    tree = room_sizes.parse(MODULES[name])
    lines, _, _ = room_sizes.sizes(MODULES[name])
    assert lines <= LONGER.get(name, MODULE), f"{lines} lines"
    assert ast.get_docstring(tree)
    assert not name.endswith("utils")
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= FUNCTION, f"{node.name} has {length} lines"


def test_the_package_stays_small(capsys):
    room_sizes.main()
    printed = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{printed}")
    lines = {name: room_sizes.sizes(file)[0] for name, file in MODULES.items()}
    reached = room_sizes.reachable()
    assert sum(lines.values()) <= PACKAGE
    assert sum(lines[name] for name in reached) <= NOTEBOOKS
    assert f"{sum(lines.values()):,}" in printed
    assert {"ser.plots.sound", "ser.evaluation.scores", "ser.project"} <= reached  # not empty
    far = ("ser.studies", "ser.export", "ser.cli", "ser.inference.server", "ser.inference.guard")
    assert not any(name.startswith(far) for name in reached)


def test_entry_points_stay_light():
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT}:\n"
        "    importlib.import_module(name)\n"
        "    found = {'tensorflow', 'keras', 'librosa'} & set(sys.modules)\n"
        "    assert not found, f'{name} imports {found}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr


@each_module
def test_nothing_of_a_machine_is_written_down(name):
    text = MODULES[name].read_text(encoding="utf-8")
    assert not re.search(r"""(?<![\w.}/])/(home|Users|work|root|mnt|tmp)\b""", text)


# The tool itself --------------------------------------------------------------------------------


def test_imports_are_found_in_functions_and_names_are_told_from_modules():
    known = dict.fromkeys(("ser", "ser.a", "ser.a.b", "ser.c"))
    code = "from ser import a\nfrom ser.a import b, name\ndef f():\n    import ser.c\nimport os"
    assert room_sizes.imports(ast.parse(code), known) == {"ser.a", "ser.a.b", "ser.c"}


def test_a_notebook_is_read_without_its_shell_commands(tmp_path):
    cell = '{"cell_type": "code", "source": ["if True:\\n", "    %cd ser\\n", "import ser.plots"]}'
    (tmp_path / "00_x.ipynb").write_text(f'{{"cells": [{cell}, {{"cell_type": "markdown"}}]}}')
    assert room_sizes.reachable([tmp_path / "00_x.ipynb"]) >= {
        "ser",
        "ser.plots",
        "ser.plots.style",
    }


def test_lines_are_counted(tmp_path):
    (tmp_path / "x.py").write_text(
        '"""One\ntwo."""\n\n# why\ndef f():\n    """Say."""\n    return 1\n'
    )
    assert room_sizes.sizes(tmp_path / "x.py") == (7, 2, 3)
