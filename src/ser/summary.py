"""The README's table of results and its picture, made from ``reports/`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ser import recipes
from ser.config import paths, shown
from ser.errors import SerError
from ser.files import read_json, writing

BEGIN, END = "<!-- results: begin (made by `ser report`) -->", "<!-- results: end -->"


def collect() -> list[dict[str, Any]]:
    """Read every committed report.

    Returns
    -------
    list of dict
        ``recipe``, ``protocol`` and the contents of ``metrics.json``, by protocol, then by rising
        UAR. Reports made from the demo corpus are left out: they are not results.
    """
    found = []
    for file in sorted(paths().reports.glob("*/*/metrics.json")):
        recipe, protocol = file.parts[-3:-1]
        if recipe in recipes.RECIPES:
            found.append({"recipe": recipe, "protocol": protocol, **read_json(file)})
    return sorted(found, key=lambda row: (row["protocol"], row["uar"]["mean"]))


def table(rows: list[dict[str, Any]]) -> str:
    """Write results as a Markdown table.

    Parameters
    ----------
    rows : list of dict
        As `collect` gives them.

    Returns
    -------
    str
        One line a report; UAR and accuracy in percent, mean over seeds, with the standard
        deviation over seeds and the 95 % interval over speakers.
    """
    lines = [
        "| protocol | recipe | classes | UAR, % | 95 % over speakers | accuracy, % | seeds "
        "| parameters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        uar, accuracy = row["uar"], row["accuracy"]
        low, high = uar["interval_95"]
        link = f"[`{row['recipe']}`](reports/{row['recipe']}/{row['protocol']}/metrics.json)"
        lines.append(
            f"| `{row['protocol']}` | {link} | {len(row['classes'])} "
            f"| **{100 * uar['mean']:.1f}** ± {100 * uar['std']:.1f} "
            f"| {100 * low:.1f} to {100 * high:.1f} | {100 * accuracy['mean']:.1f} "
            f"| {row['n_seeds']} | {row['n_parameters'] / 1e3:,.0f} k |"
        )
    return "\n".join(lines)


def update() -> list[Path]:
    """Put the table into the README between its two marks, and draw each report's figures.

    Returns
    -------
    list of Path
        What was written, relative to the project.

    Raises
    ------
    SerError
        When there is no report, or the README has lost its marks.
    """
    rows = collect()
    if not rows:
        raise SerError(f"no report under {shown(paths().reports)}. Make one with `ser run`.")
    readme = paths().root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SerError(f"{shown(readme)}: expected the two lines {BEGIN!r} and {END!r} in it.")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with writing(readme) as temporary:
        temporary.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{tail}", encoding="utf-8")
    written = [readme]
    for row in rows:
        written += figures(paths().reports / row["recipe"] / row["protocol"])
    return [Path(shown(path)) for path in written]


def figures(folder: Path) -> list[Path]:
    """Draw the figures of a report.

    Parameters
    ----------
    folder : Path
        A report folder.

    Returns
    -------
    list of Path
        PNG files under ``figures/``.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    from ser import evaluation, plots

    predictions = pd.read_csv(folder / "predictions.csv")
    metrics = read_json(folder / "metrics.json")
    classes = metrics["classes"]
    drawings = {
        "confusion": lambda: plots.confusion_matrix(
            evaluation.confusion(predictions, classes), classes
        ),
        "speakers": lambda: plots.per_speaker_recall(metrics["per_speaker"]),
        "reliability": lambda: plots.reliability_diagram(
            evaluation.reliability(predictions, classes)
        ),
    }
    written = []
    for name, draw in drawings.items():
        with plots.style():
            figure = draw().get_figure(root=True)
            path = folder / "figures" / f"{name}.png"
            assert figure is not None  # a fresh Axes always has one
            with writing(path) as temporary:
                figure.savefig(temporary, dpi=130, bbox_inches="tight")
            plt.close(figure)
        written.append(path)
    return written
