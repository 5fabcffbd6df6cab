"""The API pages of the site: the names of the package that notebooks and the README use."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def cells(notebook: Path) -> str:
    """Join the code of a notebook, without what IPython alone understands."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [
        line
        for cell in found
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    ]
    return "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in lines)


def snippets(page: Path) -> str:
    """Join the Python of a page in Markdown."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S))


def names(code: str) -> set[str]:
    """List the names of the package that code reads, each as it may be imported."""
    tree, known = ast.parse(code), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {a.asname or a.name: a.name for a in node.names if a.name.startswith("ser")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ser":
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}

    def whole(node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return known.get(node.id, "")
        if isinstance(node, ast.Attribute) and (before := whole(node.value)):
            return f"{before}.{node.attr}"
        return ""

    return set(known.values()) | {name for node in ast.walk(tree) if (name := whole(node))}


def resolve(name: str) -> tuple[str, str] | None:
    """Part a name into its module and what that holds; None where it names a module."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        rest = parts[end:]
        is_public = rest and not rest[0].startswith("_") and hasattr(module, rest[0])
        return (module.__name__, rest[0]) if is_public else None
    return None


def used(root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Give module → name → where it is used; one name for each thing, wherever imported from."""
    sources = {file.stem: cells(file) for file in sorted((root / "notebooks").glob("*.ipynb"))}
    sources["README"] = snippets(root / "README.md")
    places: dict[tuple[str, str], list[str]] = {}
    for source, code in sources.items():
        for found in sorted(filter(None, map(resolve, names(code)))):
            places.setdefault(found, []).append(source)
    homes: dict[int, tuple[str, str]] = {}
    merged: dict[tuple[str, str], set[str]] = {}
    for found in sorted(places, key=_rank):
        thing = _thing(found)
        named = inspect.isclass(thing) or inspect.isroutine(thing)
        home = homes.setdefault(id(thing), found) if named else found
        merged.setdefault(home, set()).update(places[found])
    modules: dict[str, dict[str, list[str]]] = {}
    for (module, name), where in sorted(merged.items()):
        modules.setdefault(module, {})[name] = sorted(where)
    return modules


def _thing(found: tuple[str, str]) -> Any:
    return getattr(importlib.import_module(found[0]), found[1])


def _rank(found: tuple[str, str]) -> tuple[bool, int, tuple[str, str]]:
    """Put where a thing is defined first, then the module that is easiest to type."""
    imported = getattr(_thing(found), "__module__", found[0]) != found[0]
    return imported, found[0].count("."), found


def directive(module: str, name: str) -> list[str]:
    """Write what makes autodoc describe one name."""
    thing = _thing((module, name))
    if inspect.isclass(thing):
        members = [
            member
            for member, value in vars(thing).items()
            if not member.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
            and inspect.getdoc(value)
        ]
        options = [f"   :members: {', '.join(members)}"] if members else []
        return [f".. autoclass:: {module}.{name}", *options]
    if inspect.isroutine(thing):
        return [f".. autofunction:: {module}.{name}"]
    keys = [thing] if isinstance(thing, str) else list(thing)
    return [f".. py:data:: {module}.{name}", "", "   " + ", ".join(f"``{key}``" for key in keys)]


def pages() -> dict[str, str]:
    """Write the API: an index, and a page for each module."""
    modules = used()
    written = {}
    for module, things in modules.items():
        lines = [f"# `{module}`", "", inspect.getdoc(importlib.import_module(module)) or "", ""]
        for name, where in things.items():
            links = ", ".join(
                "the README" if place == "README" else f"[{place[:2]}](../notebooks/{place}.ipynb)"
                for place in where
            )
            lines += ["```{eval-rst}", *directive(module, name), "```", ""]
            lines += ["{.used}", f"Used in {links}.", ""]
        written[f"api/{module}.md"] = "\n".join(lines)
    rows = [
        f"| [`{module}`]({module}.md) | {', '.join(f'`{name}`' for name in things)} |"
        for module, things in modules.items()
    ]
    n_names = sum(map(len, modules.values()))
    written["api/index.md"] = "\n".join(
        [
            "# API",
            "",
            f"The {n_names} names that the notebooks and the README use, with what they take, "
            "give and refuse. The rest of the package is [small enough to read]"
            "(https://github.com/speech-emotion-honest/ser/tree/main/src/ser).",
            "",
            "{.prose}",
            "| module | names |",
            "|---|---|",
            *rows,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *modules,
            "```",
            "",
        ]
    )
    return written
