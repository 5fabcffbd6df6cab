"""Execute notebooks top to bottom with papermill, and say where everything is."""

import argparse
import sys
import time
from pathlib import Path

import nbformat
import papermill

from ser.project import Paths

ROOT = Path(__file__).parents[1]


def parameters_of(notebook: Path, values: dict) -> dict:
    """Keep the values whose names the notebook's parameters cell assigns."""
    cells = nbformat.read(notebook, as_version=4).cells
    text = "\n".join(c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    return {k: v for k, v in values.items() if any(x.startswith(f"{k} ") for x in text.split("\n"))}


def main() -> int:
    """Run the notebooks named on the command line, in that order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", default="demo")
    parser.add_argument("--recipe", default="mfcc-attention-augmented")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("notebooks", nargs="+")
    options = parser.parse_args()
    folder = ROOT / "reports" / "executed" / options.corpora.replace(",", "-")
    folder.mkdir(parents=True, exist_ok=True)
    values = {"CORPORA": options.corpora, "RECIPE": options.recipe, "EPOCHS": options.epochs}
    began = time.perf_counter()
    for number, name in enumerate(options.notebooks, 1):
        source, target = ROOT / "notebooks" / f"{name}.ipynb", folder / f"{name}.ipynb"
        print(f"[{number}/{len(options.notebooks)}] {name}", flush=True)
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=parameters_of(source, values),
                kernel_name="python3",
                cwd=str(ROOT / "notebooks"),
                progress_bar=sys.stderr.isatty(),
                extra_arguments=["--log-level=ERROR"],
            )
        except papermill.PapermillExecutionError as error:
            print(f"{name}, cell {error.exec_count}: {error.ename}: {error.evalue}")
            print(f"The notebook up to there: {target.relative_to(ROOT)}")
            return 1
    print(f"\nDone in {time.perf_counter() - began:.0f} s.")
    print(f"Notebooks with their outputs: {folder.relative_to(ROOT)}/")
    if runs := Paths(ROOT).finished_runs():
        print(f"Model:   {(runs[0] / 'model.keras').relative_to(ROOT)}")
    local = sorted(
        (ROOT / "reports" / "local").glob("*/*/metrics.json"), key=lambda f: f.stat().st_mtime
    )
    if local:
        print(f"Figures and metrics: {local[-1].parent.relative_to(ROOT)}/")
    print("Look at them: make lab")
    return 0


if __name__ == "__main__":
    sys.exit(main())
