"""How large is the package? Lines per room, and those that notebooks 00 to 06 can reach."""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[0-6]_*.ipynb"))


def modules() -> dict[str, Path]:
    """Find the file of every module of the package."""
    found = {}
    for file in sorted((ROOT / "src" / "ser").rglob("*.py")):
        parts = file.relative_to(ROOT / "src").with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = file
    return found


def imports(tree: ast.AST, known: dict[str, Path]) -> set[str]:
    """Name the modules of the package that are imported somewhere, in functions too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in known else node.module or "")
    return names & set(known)


def graph() -> dict[str, set[str]]:
    """Say which module imports which."""
    known = modules()
    return {name: imports(parse(file), known) - {name} for name, file in known.items()}


def parse(file: Path) -> ast.Module:
    """Read a module, or the code cells of a notebook without their shell commands."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
        shell = ("%", "!")
        text = "\n".join(
            line.replace(line.lstrip(), "pass") if line.lstrip().startswith(shell) else line
            for line in lines
        )
    return ast.parse(text)


def reachable(files: list[Path] = NOTEBOOKS) -> set[str]:
    """Follow the imports of some files through the package; a module brings its packages."""
    known, edges = modules(), graph()
    waiting = set().union(*(imports(parse(file), known) for file in files))
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= (edges[name] | {name.rpartition(".")[0]}) & set(known) - found
    return found


def sizes(file: Path) -> tuple[int, int, int]:
    """Count all lines of a module, those of code, and those of docstrings."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    docstring: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node):
            docstring |= set(range(node.body[0].lineno - 1, node.body[0].end_lineno or 0))
    code = sum(
        i not in docstring and bool(line.strip()) and not line.strip().startswith("#")
        for i, line in enumerate(lines)
    )
    return len(lines), code, len(docstring)


def main() -> None:
    """Print the table."""
    rooms: dict[str, list[tuple[int, int, int]]] = {}
    near, reached = reachable(), 0
    for name, file in modules().items():
        counted = sizes(file)
        rooms.setdefault(name.split(".")[1] if "." in name else name, []).append(counted)
        reached += counted[0] if name in near else 0
    print(f"{'room':12}{'lines':>7}{'code':>7}{'docstrings':>12}{'files':>7}")
    rooms["all"] = [counted for found in rooms.values() for counted in found]
    for room, found in rooms.items():
        lines, code, docstrings = map(sum, zip(*found, strict=True))
        print(f"{room:12}{lines:7,}{code:7,}{docstrings:12,}{len(found):7}")
    print(f"notebooks 00 to 06 reach {reached:,} lines of {len(near)} modules")


if __name__ == "__main__":
    main()
