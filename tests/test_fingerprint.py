"""Code as a name: what changes it, what does not, in this process and in another."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ser.fingerprint import code_hash, is_readers

CELL = """
import functools
from collections import deque
SIZE, TABLE = 3, {"low": [1, 2], "names": {"b", "a", "c"}}
def g(x):
    return x + 1
class Scale:
    factor = 2
    def call(self, x):
        return [v * SIZE for v in x if v in {"p", "q", "r"}]
    @staticmethod
    def plain(x):
        return x
@functools.lru_cache
def cached(x):
    return x - 7
def make(n):
    def inner(x):
        return x * n
    return inner
inner = make(5)
def f(x, depth=4, *, width=6):
    local = functools.partial(g, 8)
    return np.abs(g(x)), Scale().call(x), TABLE["low"], cached(x), inner(x), [SIZE for _ in x]
part = functools.partial(f, 9)
"""


def hashed(source, name="f"):
    """The hash of what a cell defines under a name."""
    namespace = {"__name__": "__main__", "np": np}
    exec(compile(source, "<cell>", "exec"), namespace)
    return code_hash(namespace[name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE, TABLE = 3", "SIZE, TABLE = 4"),
        ("x + 1", "x + 2"),
        ("np.abs", "np.exp"),
        ("factor = 2", "factor = 3"),
        ("v * SIZE", "v / SIZE"),
        ('"r"', '"s"'),
        ("return x\n@", "return -x\n@"),
        ("x - 7", "x - 8"),
        ("make(5)", "make(6)"),
        ("depth=4", "depth=5"),
        ("width=6", "width=7"),
        ('"low": [1, 2]', '"low": [1, 3]'),
        ('"b", "a"', '"b", "d"'),
        ("partial(g, 8)", "partial(g, 9)"),
    ],
)
def test_an_edit_changes_the_name(old, new):
    assert old in CELL
    assert hashed(CELL.replace(old, new)) != hashed(CELL)


def test_arguments_of_a_partial_count():
    assert hashed(CELL.replace("partial(f, 9)", "partial(f, 8)"), "part") != hashed(CELL, "part")


def test_comments_and_what_is_not_used_do_not_count():
    assert hashed(CELL.replace("return x + 1", "return x + 1  # more")) == hashed(CELL)
    assert hashed(CELL + "OTHER = 1\n") == hashed(CELL)


def test_the_name_is_the_same_in_another_process():
    head = "import numpy as np\nfrom ser.fingerprint import code_hash\n"
    script = f"{head}{CELL}\nprint(code_hash(f))"
    answers = {
        subprocess.check_output(
            [sys.executable, "-c", script], text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("0", "1", "2")
    }
    assert len(answers) == 1


def test_a_module_of_the_readers_counts_by_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_layers.py").write_text("def double(x):\n    return 2 * x\n")
    cell = "import own_layers\ndef f(x):\n    return own_layers.double(x)\n"
    before = hashed(cell)
    assert is_readers(sys.modules["own_layers"])
    (tmp_path / "own_layers.py").write_text("def double(x):\n    return 3 * x\n")
    assert hashed(cell) != before


def test_arrays_count_by_their_content_and_packages_by_name():
    cell = "TABLE = np.arange({})\ndef f(x):\n    return x @ TABLE\n"
    assert hashed(cell.format(5000)) == hashed(cell.format(5000))
    other = cell.replace("np.arange({})", "np.arange({}) * (1 + 1e-9)")
    assert hashed(other.format(5000)) != hashed(cell.format(5000))
    assert not is_readers(subprocess.run)
