"""A reader's code as a short name that changes when what the code does changes.

Runs and cached features carry this name, so that an edited cell is never answered by an older
result. Bytecode is compared, not text: a comment changes nothing.
"""

import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def code_hash(code: Any) -> str:
    """Hash a function or class, and everything of the reader's that it uses: 12 hexadecimal digits.

    Functions and classes of a notebook or of a module of the reader's count by their bytecode, and
    so do those they call; constants of other cells by their value; what comes from an installed
    package by its name. The same in every process of one Python version.

    >>> code_hash(lambda x: x + 1) == code_hash(lambda x: x + 1)
    True
    >>> code_hash(lambda x: x + 1) == code_hash(lambda x: x + 2)
    False
    """
    parts = "\n".join(_describe("", code, set(), whose="reader"))
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def is_readers(code: Any) -> bool:
    """Tell code of a notebook, a script or a module beside it from that of installed packages."""
    name = (code.__name__ if isinstance(code, types.ModuleType) else code.__module__) or ""
    top = name.split(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    installed = top == "ser" or top in sys.stdlib_module_names or "site-packages" in file
    return name == "__main__" or not installed


def _describe(name: str, value: Any, seen: set[int], whose: str = "") -> Iterator[str]:
    """Write down one value and, where it is the reader's code, what that refers to."""
    if isinstance(value, (types.FunctionType, type, types.ModuleType)):
        yield f"{name}: {getattr(value, '__module__', '')} {value.__name__}"
        if id(value) in seen or not (whose == "reader" or is_readers(value)):
            return
        seen.add(id(value))
        if isinstance(value, types.ModuleType):
            file = Path(value.__file__ or "")
            yield hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        elif isinstance(value, type):
            members = {k: v for k, v in vars(value).items() if k[:2] != "__" or callable(v)}
            bases = {f"base {i}": base for i, base in enumerate(value.__bases__)}
            yield from _describe_all({**bases, **members}, seen)
        else:
            yield _bytecode(value.__code__)
            yield from _describe_all(_refers_to(value), seen)
    elif isinstance(value, functools.partial):
        yield f"{name}: partial"
        inner = {"function": value.func, "positional": value.args, "named": value.keywords}
        yield from _describe_all(inner, seen)
    elif hasattr(value, "__wrapped__") or isinstance(value, (staticmethod, classmethod)):
        yield from _describe(name, value.__wrapped__, seen)
    elif isinstance(value, (list, tuple, dict)):
        yield f"{name}: {type(value).__name__}"
        items = value.items() if isinstance(value, dict) else enumerate(value)
        yield from _describe_all({str(k): v for k, v in items}, seen)
    elif hasattr(value, "tobytes"):  # arrays, whose text is cut short
        yield f"{name}: {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    else:
        yield f"{name}: {_text(value)}"


def _describe_all(values: dict[str, Any], seen: set[int]) -> Iterator[str]:
    for name in sorted(values):
        yield from _describe(name, values[name], seen)


def _text(value: Any) -> str:
    """Write a value without what differs from process to process."""
    if isinstance(value, (set, frozenset)):
        return str(sorted(map(repr, value)))
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _bytecode(code: types.CodeType) -> str:
    constants = [
        _bytecode(c) if isinstance(c, types.CodeType) else _text(c) for c in code.co_consts
    ]
    return f"{code.co_code!r} {code.co_names} {code.co_varnames} {constants}"


def _refers_to(function: types.FunctionType) -> dict[str, Any]:
    """Find the values that a function takes from its cells, its closure and its defaults."""
    found: dict[str, Any] = dict(function.__kwdefaults__ or {})
    found |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
    known = function.__globals__
    found |= {name: known[name] for name in _names(function.__code__) if name in known}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not yet assigned, as in a function that calls itself
            continue
    return found


def _names(code: types.CodeType) -> set[str]:
    """List the names that code looks up, inside its comprehensions and inner functions too."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))
