"""The tables of results in the README and beside the reports, made from ``reports/`` alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ser import evaluation
from ser.experiments import protocols, recipes
from ser.project import SerError, paths, read_json, shown, write_csv, writing
from ser.studies import ladder

MARKS = {
    name: (f"<!-- {name}: begin (made by `ser report`) -->", f"<!-- {name}: end -->")
    for name in ("summary", "results", "ladder")
}
REFERENCE = "mfcc-attention"
COMPARED = (
    *("protocol", "recipe", "reference", "uar", "reference_uar"),
    *("difference", "low", "high", "p_value"),
)


def collect() -> list[dict[str, Any]]:
    """Read every committed report."""
    found = []
    for file in sorted(paths().reports.glob("*/*/metrics.json")):
        recipe, protocol = file.parts[-3:-1]
        if recipe in recipes.RECIPES:
            found.append({"recipe": recipe, "protocol": protocol, **read_json(file)})
    return sorted(found, key=lambda row: (row["protocol"], row["uar"]["mean"]))


def compare(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Compare recipes with `REFERENCE`, protocol by protocol, on the same clips."""
    found = []
    for row in rows:
        about = protocols.get(row["protocol"])
        pair = [_report(name, row["protocol"]) for name in (REFERENCE, row["recipe"])]
        if row["recipe"] == REFERENCE or about.tested != "once" or not pair[0].exists():
            continue
        if read_json(pair[0] / "metrics.json")["classes"] != row["classes"]:
            continue
        first, second = (pd.read_csv(folder / "predictions.csv") for folder in pair)
        result = evaluation.paired_bootstrap(first, second, row["classes"])
        limits = result["interval_95"] or (None, None)
        scores = [result[name] for name in ("second", "first", "difference")]
        names = row["protocol"], row["recipe"], REFERENCE
        found.append((*names, *scores, *limits, result["p_value"]))
    return pd.DataFrame(found, columns=list(COMPARED))


def _report(recipe: str, protocol: str) -> Path:
    return paths().reports / recipe / protocol


def table(rows: list[dict[str, Any]], compared: pd.DataFrame) -> str:
    """Write results as a Markdown table."""
    lines = [
        "| protocol | recipe | classes | UAR, % | 95 % over speakers | accuracy, % "
        f"| more UAR than `{REFERENCE}` | seeds | parameters |",
        "|---" * 9 + "|",
    ]
    differences = compared.set_index(["protocol", "recipe"])
    for number, row in enumerate(rows):
        name, uar = row["protocol"], row["uar"]
        best = "; ".join(map(str, protocols.get(name).published))
        if best and (number == 0 or rows[number - 1]["protocol"] != name):
            lines.append(f"| `{name}` | *published: {best}* | | | | | | | |")
        link = f"[`{row['recipe']}`]({row['recipe']}/{name}/metrics.json)"
        gain = ""
        if (name, row["recipe"]) in differences.index:
            gain = _span(differences.loc[(name, row["recipe"])])
        spread = f" ± {100 * uar['std']:.1f}" if row["n_seeds"] > 1 else ""
        limits = uar["interval_95"]
        interval = f"{100 * limits[0]:.1f} to {100 * limits[1]:.1f}" if limits else "–"
        lines.append(
            f"| `{name}` | {link} | {len(row['classes'])} "
            f"| **{100 * uar['mean']:.1f}**{spread} | {interval} "
            f"| {100 * row['accuracy']['mean']:.1f} | {gain} "
            f"| {row['n_seeds']} | {row['n_parameters'] / 1e3:,.0f} k |"
        )
    return "\n".join(lines)


def summary(rows: list[dict[str, Any]]) -> str:
    """Write the best recipe of each kind, and what others report, as a Markdown table.

    A protocol is in it where there is something to compare.
    """
    best: dict[str, dict[bool, str]] = {}
    classes: dict[str, int] = {}
    for row in rows:  # the best of a protocol is its last
        name, uar = row["protocol"], row["uar"]
        pretrained = bool(recipes.get(row["recipe"]).features.encoder)
        link = f"[{100 * uar['mean']:.1f}](reports/{row['recipe']}/{name}/metrics.json)"
        limits = " to ".join(f"{100 * limit:.0f}" for limit in uar["interval_95"] or ())
        best.setdefault(name, {})[pretrained] = f"**{link}** ({limits})" if limits else link
        classes[name] = len(row["classes"])
    lines = [
        "| protocol | classes | from scratch | Whisper encoder | published |",
        "|---" * 5 + "|",
    ]
    for name, cells in best.items():
        others = [
            f"{p.percent} {p.score.replace('accuracy', 'acc.')}{'*' * p.pretrained}"
            for p in protocols.get(name).published
        ]
        if len(cells) + bool(others) > 1:
            found = [cells.get(kind, "–") for kind in (False, True)]
            ending = f"{' | '.join(found)} | {', '.join(others) or '–'} |"
            lines.append(f"| `{name}` | {classes[name]} | {ending}")
    return "\n".join(lines)


def _span(row: Any) -> str:
    limits = (
        "" if pd.isna(row["low"]) else f" ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
    )
    return f"{100 * row['difference']:+.1f}{limits}"


def ladder_table(rows: pd.DataFrame) -> str:
    """Write the leakage ladder as a Markdown table."""
    titles = [f"{rung}: {title}" for rung, title in ladder.RUNGS.items()]
    lines = [f"| recipe | claim | {' | '.join(titles)} | chance | seeds |", "|---" * 8 + "|"]
    for name, of_recipe in rows.groupby("recipe", sort=False):
        low, high = of_recipe["claim_low"].iloc[0], of_recipe["claim_high"].iloc[0]
        claim = "–" if pd.isna(low) else f"{100 * low:.4g}"
        claim += f"-{100 * high:.4g}" if not pd.isna(low) and low < high else ""
        cells = dict.fromkeys(ladder.RUNGS, "–")
        for row in of_recipe.to_dict("records"):
            limits = ""  # of a single speaker
            if not pd.isna(row["accuracy_low"]):
                limits = f" ({100 * row['accuracy_low']:.0f}-{100 * row['accuracy_high']:.0f})"
            cells[str(row["rung"])] = f"{100 * row['accuracy']:.1f}{limits}"
        chance = 100 * of_recipe["chance"].iloc[0]
        ending = f"{chance:.1f} | {of_recipe['seeds'].min()} |"
        lines.append(f"| `{name}` | {claim} | {' | '.join(cells.values())} | {ending}")
    return "\n".join(lines)


def update() -> list[Path]:
    """Put the tables between their marks, and draw the figures of all reports."""
    from ser import plots

    rows = collect()
    if not rows:
        raise SerError(f"no report under {shown(paths().reports)}. Make one with `ser run`.")
    compared, reports = compare(rows), paths().reports
    tables = {"results": table(rows, compared)}
    ladders = reports / "ladder"
    if list(ladders.glob("*/metrics.json")):
        measured = ladder.write_table(ladders)
        tables["ladder"] = ladder_table(measured)
    texts = {  # all or none
        file: _filled(file, contents)
        for file, contents in (
            (paths().root / "README.md", {"summary": summary(rows)}),
            (reports / "README.md", tables),
        )
    }
    for file, text in texts.items():
        with writing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written = list(texts)
    if len(compared):
        written.append(reports / "comparisons.csv")
        write_csv(written[-1], compared, float_format="%.4f")
    if "ladder" in tables:
        human = ladders / "human.json"
        listeners = read_json(human)["accuracy"] if human.exists() else None
        draw = partial(plots.ladder, measured, listeners)
        written += [ladders / "ladder.csv", _drawn(ladders / "ladder.png", lambda: draw()[0])]
    for row in rows:
        written += figures(_report(row["recipe"], row["protocol"]))
    return [Path(shown(path)) for path in written]


def _filled(file: Path, contents: dict[str, str]) -> str:
    """Give the text of a file with new contents between its marks."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for name, content in contents.items():
        begin, end = MARKS[name]
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SerError(f"{shown(file)}: expected the two lines {begin!r} and {end!r} in it.")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    return text


def figures(folder: Path) -> list[Path]:
    """Draw the figures of a report."""
    from ser import plots

    predictions = pd.read_csv(folder / "predictions.csv")
    metrics = read_json(folder / "metrics.json")
    classes = metrics["classes"]
    counts = evaluation.confusion(predictions, classes)
    bins = evaluation.reliability(predictions, classes)
    drawings = {
        "confusion": lambda: plots.confusion_matrix(counts, classes),
        "speakers": lambda: plots.per_speaker_recall(metrics["per_speaker"]),
        "reliability": lambda: plots.reliability_diagram(bins),
    }
    if metrics.get("per_pair"):
        drawings["pairs"] = lambda: plots.cross_corpus(metrics["per_pair"])
    home = folder / "figures"
    return [_drawn(home / f"{name}.png", draw) for name, draw in drawings.items()]


def _drawn(path: Path, draw: Callable[[], Any]) -> Path:
    """Draw into a figure of its own, and write that."""
    import matplotlib.pyplot as plt

    from ser import plots

    with plots.style():
        figure = draw().get_figure(root=True)
        with writing(path) as temporary:
            figure.savefig(temporary, dpi=130, bbox_inches="tight")
        plt.close(figure)
    return path
