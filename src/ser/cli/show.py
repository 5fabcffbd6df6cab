"""Results as text for a terminal, and as CSV."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from ser.corpora.folders import accounted
from ser.inference.windows import clock
from ser.project import shown, some, visible

if TYPE_CHECKING:
    import pandas as pd

    from ser.inference import Prediction
    from ser.inference.live import Tick

BAR = 30  # characters of a probability of 1
NOBODY = "(nobody speaks)"


def console() -> Console:
    """Give the console to print on: words wrap in a terminal, and lines stay whole in a pipe."""
    found = Console(highlight=False)
    found.soft_wrap = not found.is_terminal
    return found


def plain(text: Any) -> str:
    """Write text from outside as it is: neither the terminal nor Rich takes a part for an order."""
    return "\n".join(escape(visible(line)) for line in str(text).split("\n"))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: str = "") -> None:
    """Print a table; columns named in `right` are set flush right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for name in map(plain, columns):
        drawn.add_column(name, justify="right" if name and name in right.split(",") else "left")
    for row in rows:
        drawn.add_row(*(plain(cell) for cell in row))
    out = console()
    if out.soft_wrap:
        out.width = 10_000  # a pipe has no width
    out.print(drawn)


def percent(value: float, interval: Any = None) -> str:
    """Write a share as ``62.8 % [58.3, 65.1]``."""
    if interval is None or any(limit is None or limit != limit for limit in interval):
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def show_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Print the metrics of a run or report."""
    console().print(
        f"{plain(shown(folder))}: {metrics['n_clips']} test clips of {metrics['n_speakers']} "
        f"speakers, {metrics['n_seeds']} seed(s)"
    )
    if files := metrics.get("files"):
        console().print(plain(accounted(files["used"], files["left_out"])))
    if lost := metrics.get("left_out"):
        each = some([f"{clip} ({why})" for clip, why in lost.items()], 3)
        console().print(f"left out, {len(lost)} clips that could not be read: {plain(each)}")
    names = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro F1"}
    rows = [(n, percent(metrics[k]["mean"], metrics[k]["interval_95"])) for k, n in names.items()]
    table(["", "mean, 95 % over speakers"], rows)
    recalls = [
        (name, percent(values["recall"]), values["support"])
        for name, values in metrics["per_class"].items()
    ]
    table(["class", "recall", "clips"], recalls, right="recall,clips")
    for trained, tested in metrics["per_pair"].items():
        cells = [f"{name} {percent(values['uar'])}" for name, values in tested.items()]
        console().print(plain(f"UAR, trained on {trained}: {', '.join(cells)}"))


def show_corpora(counts: pd.DataFrame) -> None:
    """Print what `ser.corpora.metadata.summary` counts, a column for each corpus."""
    facts = [(name, *map("{:.4g}".format, row)) for name, *row in counts.T.itertuples()]
    table(["", *counts.index], facts, right=",".join(counts.index))


def show_robustness(path: Path) -> None:
    """Print UAR under each condition."""
    import pandas as pd  # takes half a second, which `ser predict` has not

    rows = [
        (c["condition"], percent(c["uar"], (c["low"], c["high"])), percent(c["confidence"]))
        for c in pd.read_csv(path).to_dict("records")
    ]
    table(["condition", "UAR, 95 % over speakers", "confidence"], rows, right="confidence")
    console().print(f"written: {plain(shown(path))}")


def show_ladder(rows: pd.DataFrame, folder: Path) -> None:
    """Print ladders, a line for each rung."""
    for name, of_recipe in rows.groupby("recipe", sort=False):
        low, high = of_recipe["claim_low"].iloc[0], of_recipe["claim_high"].iloc[0]
        claim = "no number" if low != low else f"{100 * low:.1f}"
        claim += f" to {100 * high:.1f}" if low < high else ""
        chance = percent(of_recipe["chance"].iloc[0])
        console().print(f"{name}: published accuracy {claim}; chance {chance}")
        cells = [
            (
                f"{row['rung']}: {row['title']}",
                percent(row["accuracy"], (row["accuracy_low"], row["accuracy_high"])),
                percent(row["uar"]),
                row["seeds"],
            )
            for row in of_recipe.to_dict("records")
        ]
        table(["rung", "accuracy, 95 %", "UAR", "seeds"], cells, right="UAR,seeds")
    console().print(f"written: {plain(shown(folder))}/ladder.csv")


def show_answer(name: str, answer: Prediction, *, short_width: int = 0) -> None:
    """Print the answer about one recording: a bar for each class, or a line for each stretch.

    With `short_width`, only one line, in which the answer begins behind so many characters.
    """
    out = console()
    sure = "yellow" if answer.uncertain or answer.no_speech else "green"
    begin = plain(f"{visible(name)}:".ljust(short_width))
    out.print(f"{begin} [bold {sure}]{plain(answer.headline)}[/]")
    if short_width:
        return
    if answer.in_windows:
        for part in answer.segments:
            span = f"{clock(part.start_s)} to {clock(part.end_s)}"
            out.print(f"  {span}  {bar(part.label, part.probabilities[part.label])}".rstrip())
    else:
        ordered = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        for label, value in ordered:
            out.print(f"  {bar(label, value)}".rstrip())
    for warning in answer.warnings:
        out.print(f"  [dim]note:[/] {plain(warning)}")


def bar(name: str, share: float) -> str:
    """Draw a probability."""
    return f"{plain(f'{name:10s}')}{100 * share:5.1f} %  {'█' * round(BAR * share):{BAR}s}"


class AnswersCsv:
    """Write answers as CSV, line by line as they come.

    A row for each recording and, of one heard in windows, one for each stretch of speech.
    """

    def __init__(self, out: TextIO, classes: Sequence[str]) -> None:
        names = ["file", "part", "start_s", "end_s", "label", *classes]
        self.out = out
        self.table = _csv(out, [*names, "uncertain", "no_speech", "model", "warnings", "error"])

    def add(self, name: str, answer: Prediction) -> None:
        """Add the rows of one recording."""
        whole = {
            "file": name,
            "part": "recording",
            "start_s": 0.0,
            "end_s": round(answer.duration_s, 3),
            "label": answer.label,
            "uncertain": answer.uncertain,
            "no_speech": answer.no_speech,
            "model": answer.model,
            "warnings": "; ".join(answer.warnings),
        }
        self.table.writerow({**whole, **_rounded(answer.probabilities)})
        for part in answer.segments if answer.in_windows else ():
            span = {"start_s": part.start_s, "end_s": part.end_s, "label": part.label}
            row = {"file": name, "part": "segment", "model": answer.model, **span}
            self.table.writerow({**row, **_rounded(part.probabilities)})
        self.out.flush()  # whoever stops this keeps what was answered

    def fail(self, name: str, reason: str) -> None:
        """Add a recording that could not be answered."""
        self.table.writerow({"file": name, "part": "recording", "error": reason})
        self.out.flush()


def with_progress(names: Sequence[str], *, from_n: int = 0) -> Iterator[str]:
    """Give names one by one; to who watches, with a bar and the time left, if there are so many."""
    out = Console(stderr=True)
    if len(names) < from_n or not out.is_terminal:
        yield from names
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # what is printed meanwhile goes above the bar, unless it goes into a file
    with Progress(
        *columns, console=out, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        yield from bar.track(names)


def _csv(out: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    rows = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    rows.writeheader()
    return rows


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in probabilities.items()}


def show_live(ticks: Iterable[Tick], classes: Sequence[str]) -> list[Tick]:
    """Show answers as they come: a bar for each class that moves, or lines where nobody watches."""
    from rich.live import Live

    out, seen = console(), []
    watched = Live(console=out, auto_refresh=False) if out.is_terminal else contextlib.nullcontext()
    with contextlib.suppress(KeyboardInterrupt), watched as live:
        for tick in ticks:
            seen.append(tick)
            if live is not None:
                live.update(_bars(tick, classes), refresh=True)
            else:
                share = f"{100 * tick.probabilities[tick.label]:5.1f} %" if tick.label else ""
                out.print(f"{clock(tick.time_s)}  {plain(tick.label or NOBODY):16s}{share}")
    return seen


def _bars(tick: Tick, classes: Sequence[str]) -> str:
    lines = [f"{clock(tick.time_s)}  {plain(tick.label or NOBODY)}"]
    for name in classes:
        mark = "[bold]" if name == tick.label else "[not bold]"
        lines.append(f"{mark}  {bar(name, tick.probabilities.get(name, 0.0))}[/]")
    return "\n".join([*lines, "[dim]Ctrl-C ends[/]"])


def show_heard(ticks: Sequence[Tick]) -> None:
    """Sum up what was heard live."""
    if not ticks:
        console().print("nothing was heard.")
        return
    labels = [tick.label for tick in ticks if tick.label]
    slowest_ms = 1e3 * max(tick.latency_s for tick in ticks)
    console().print(
        f"{clock(ticks[-1].time_s)} heard, {len(labels)} of {len(ticks)} answers; the slowest took "
        f"{slowest_ms:.0f} ms."
    )
    counts = Counter(labels).most_common()
    table(["answers", ""], [(name, percent(times / len(labels))) for name, times in counts])


def live_csv(ticks: Sequence[Tick], classes: Sequence[str]) -> str:
    """Write live answers as CSV, a row for each moment; empty cells where nobody spoke."""
    text = io.StringIO()
    rows = _csv(text, ["time_s", "label", *classes, "latency_s"])
    for tick in ticks:
        row = {"time_s": tick.time_s, "label": tick.label, "latency_s": round(tick.latency_s, 4)}
        rows.writerow({**row, **_rounded(tick.probabilities)})
    return text.getvalue()
