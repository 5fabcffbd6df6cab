"""Execute notebooks top to bottom, in the order given, and say where everything is.

With --commit they run with the parameters that stand in them, and replace those under notebooks/:
outputs cleaned, with digests of the code and of the reports that they belong to.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import notebook_outputs
import notebook_stats
import papermill

from ser.project import paths, shown

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"


def parameters_of(notebook: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Keep the values whose names the notebook's parameters cell assigns."""
    cells = nbformat.read(notebook, as_version=4).cells
    text = "\n".join(c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    return {k: v for k, v in values.items() if any(x.startswith(f"{k} ") for x in text.split("\n"))}


def execute(names: list[str], values: dict[str, Any], folder: Path) -> str:
    """Run notebooks with papermill; give what went wrong, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        source, target = FOLDER / f"{name}.ipynb", folder / f"{name}.ipynb"
        print(f"[{number}/{len(names)}] {name}", flush=True)
        began = time.perf_counter()
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=parameters_of(source, values),
                kernel_name="python3",
                cwd=str(FOLDER),
                progress_bar=sys.stderr.isatty(),
                extra_arguments=["--log-level=ERROR"],
            )
        except papermill.PapermillExecutionError as error:
            return (
                f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"The notebook up to there: {shown(target)}"
            )
        print(f"    {time.perf_counter() - began:.0f} s", flush=True)
    return ""


def commit(names: list[str], folder: Path) -> str:
    """Run notebooks as they stand, and replace them; give what went wrong, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        began = time.perf_counter()
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        for cell in notebook_outputs.code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        client = nbclient.NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=None,
            record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
        )
        problems = []
        try:
            client.execute()
        except nbclient.exceptions.CellExecutionError as error:
            problems.append(f"{error.ename}: {error.evalue}")
        notebook_outputs.clean(notebook)
        problems += notebook_outputs.problems(notebook)
        if problems:  # what is committed stays; what came out can be looked at
            aside = folder / f"{name}.ipynb"
            aside.write_text(notebook_outputs.as_text(notebook), encoding="utf-8")
            return "\n".join([f"{name} stays as it was:", *problems, f"See {shown(aside)}"])
        done.append((name, notebook))
        write(done[-1:])
        print(f"    {time.perf_counter() - began:.0f} s", flush=True)
    write(done)  # again: a later one may have made reports that an earlier one reads
    notebook_stats.main()
    return ""


def write(done: list[tuple[str, nbformat.NotebookNode]]) -> None:
    """Put notebooks with their digests into place."""
    for name, notebook in done:
        notebook_outputs.stamp(notebook)
        file = FOLDER / f"{name}.ipynb"
        file.write_text(notebook_outputs.as_text(notebook), encoding="utf-8")


def main() -> int:
    """Run the notebooks named on the command line, in that order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", help="CORPORA, where a notebook has it")
    parser.add_argument("--recipe", help="RECIPE; where left out, the notebooks' own")
    parser.add_argument("--epochs", type=int, help="EPOCHS; where left out, the notebooks' own")
    parser.add_argument("--commit", action="store_true", help="replace those under notebooks/")
    parser.add_argument("notebooks", nargs="+", metavar="NAME", help="such as 03_features")
    options = parser.parse_args()
    names = [Path(name).stem for name in options.notebooks]
    if missing := [name for name in names if not (FOLDER / f"{name}.ipynb").is_file()]:
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.ipynb")))
        parser.error(f"no notebook {', '.join(missing)}. There are: {there}.")
    given = {"CORPORA": options.corpora, "RECIPE": options.recipe, "EPOCHS": options.epochs}
    values = {name: value for name, value in given.items() if value}
    if options.commit and values:
        parser.error("--commit runs notebooks with their own parameters; leave the others out.")
    folder = paths().reports / "executed"
    began = time.perf_counter()
    if options.commit:
        wrong = commit(names, folder / "not-committed")
    else:
        folder /= (options.corpora or "own").replace(",", "-").replace(" ", "")
        wrong = execute(names, values, folder)
    if wrong:
        print(wrong)
        return 1
    print(f"\nDone in {time.perf_counter() - began:.0f} s.")
    print(f"Notebooks with their outputs: {shown(FOLDER if options.commit else folder)}/")
    if runs := paths().finished_runs():
        print(f"Model:   {shown(runs[0] / 'model.keras')}")
    local = sorted(
        (paths().reports / "local").glob("*/*/metrics.json"), key=lambda f: f.stat().st_mtime
    )
    if local:
        print(f"Figures and metrics: {shown(local[-1].parent)}/")
    print("Look at them: make lab")
    return 0


if __name__ == "__main__":
    sys.exit(main())
