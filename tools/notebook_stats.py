"""Count what a reader of the notebooks meets: lines per cell, words, figures, definitions.

Prints a table, and writes it to reports/notebooks.csv.
"""

import ast
import csv
import io
import re
import statistics
import sys
from pathlib import Path
from typing import Any

import nbformat
from notebook_outputs import code_cells

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "reports" / "notebooks.csv"


def is_plumbing(source: str) -> bool:
    """Tell the set-up cell, the same everywhere, from cells that are written to be read."""
    return "google.colab" in source


def words(markdown: str) -> int:
    """Count the words of prose: without links' addresses, badges, and what is code."""
    text = re.sub(r"```.*?```|`[^`]*`", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r" \1 ", text)
    return len(re.findall(r"[^\W\d_][\w'’-]*", text))


def definitions(source: str) -> int:
    """Count functions and classes that a cell defines."""
    code = "\n".join(line for line in source.splitlines() if line.lstrip()[:1] not in ("%", "!"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return sum(isinstance(node, kinds) for node in ast.walk(ast.parse(code)))


def count(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Count one notebook; the set-up cell is left out."""
    cells = [cell for cell in code_cells(notebook) if not is_plumbing(cell.source)]
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in cells]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    outputs = [output for cell in cells for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    return {
        "code cells": len(cells),
        "median lines": f"{statistics.median(lines):g}",
        "longest cell": max(lines),
        "words": sum(map(words, prose)),
        "figures": sum(kind.startswith("image/") for kind in kinds),
        "definitions": sum(definitions(cell.source) for cell in cells),
    }


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Write the table as text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main() -> int:
    """Count all notebooks."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    rows = [{"notebook": f.stem, **count(nbformat.read(f, as_version=4))} for f in files]
    TABLE.write_text(as_csv(rows), encoding="utf-8")
    for row in [{name: name for name in rows[0]}, *rows]:
        first, *others = row.items()
        print(f"{first[1]:24s}" + "".join(f"{value:>{len(name) + 2}}" for name, value in others))
    print(f"\n{TABLE.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
