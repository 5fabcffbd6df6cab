"""Results as text for a terminal."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ser.project import shown

if TYPE_CHECKING:
    import pandas as pd


def show_report(folder: Path, *, as_json: bool) -> None:
    """Print the metrics of a run or report."""
    from ser.experiments import runner

    metrics = runner.metrics_of(folder)
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
        return
    typer.echo(
        f"{shown(folder)}: {metrics['n_clips']} test clips of {metrics['n_speakers']} speakers, "
        f"{metrics['n_seeds']} seed(s)"
    )
    for key, name in (("uar", "UAR"), ("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        value, interval = metrics[key]["mean"], metrics[key]["interval_95"]
        span = f"  [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
        typer.echo(f"  {name:10s}{100 * value:5.1f} %{span}")
    typer.echo("  recall:")
    for name, values in metrics["per_class"].items():
        typer.echo(f"    {name:10s}{100 * values['recall']:5.1f} %  of {values['support']} clips")
    for trained, tested in metrics["per_pair"].items():
        cells = [f"{name} {100 * values['uar']:.1f} %" for name, values in tested.items()]
        typer.echo(f"  UAR, trained on {trained}: {', '.join(cells)}")


def show_robustness(path: Path) -> None:
    """Print UAR under each condition."""
    import pandas as pd  # takes half a second, which `ser predict` has not

    for _, row in pd.read_csv(path).iterrows():
        span = "" if pd.isna(row["low"]) else f"  [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        sure = f"confidence {100 * row['confidence']:.0f} %"
        typer.echo(f"{row['condition']:26s}UAR {100 * row['uar']:5.1f} %{span}  {sure}")
    typer.echo(f"written: {shown(path)}")


def show_ladder(table: pd.DataFrame, folder: Path) -> None:
    """Print ladders, a line for each rung."""
    import pandas as pd

    for name, rows in table.groupby("recipe", sort=False):
        low, high = rows["claim_low"].iloc[0], rows["claim_high"].iloc[0]
        claim = "no number" if pd.isna(low) else f"{100 * low:.1f}"
        claim += "" if pd.isna(low) or low == high else f" to {100 * high:.1f}"
        claim += "" if pd.isna(low) else " % accuracy"
        typer.echo(f"{name}: published claim {claim}; chance {100 * rows['chance'].iloc[0]:.1f} %")
        for row in rows.to_dict("records"):
            span = ""  # of a single speaker
            if not pd.isna(row["accuracy_low"]):
                span = f"[{100 * row['accuracy_low']:.1f}, {100 * row['accuracy_high']:.1f}]  "
            typer.echo(
                f"  {row['rung']} {row['title']:15s} accuracy {100 * row['accuracy']:5.1f} %  "
                f"{span}UAR {100 * row['uar']:5.1f} %  {row['seeds']} seed(s)"
            )
    typer.echo(f"written: {shown(folder)}/ladder.csv")


def show_answer(answer: dict[str, Any], *, short: bool = False) -> None:
    """Print the answer about one recording, a bar for each class."""
    probability = answer["probabilities"][answer["label"]]
    doubt = "uncertain, most likely " if answer.get("uncertain") else ""
    typer.echo(f"{answer['file']}: {doubt}{answer['label']} ({100 * probability:.0f} %)")
    if not short and "timeline" not in answer:
        for name, value in sorted(answer["probabilities"].items(), key=lambda item: -item[1]):
            typer.echo(f"  {_bar(name, value)}".rstrip())
    for segment in () if short else answer.get("timeline", ()):
        share = segment["probabilities"][segment["label"]]
        span = f"{clock(segment['start_s'])} to {clock(segment['end_s'])}"
        typer.echo(f"  {span}  {_bar(segment['label'], share)}".rstrip())
    if answer.get("timeline") == []:
        typer.echo("  note: nobody speaks in it")
    for warning in answer["warnings"]:
        typer.echo(f"  note: {warning}")


def clock(seconds: float) -> str:
    """Write a time as minutes, seconds and tenths."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def as_csv(answers: Sequence[dict[str, Any]], classes: Sequence[str]) -> str:
    """Write answers as a table with commas."""
    text = io.StringIO()
    columns = ["file", "start_s", "end_s", "label", *classes, "warnings", "error"]
    table = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for answer in answers:
        if "error" in answer:
            table.writerow(answer)
            continue
        whole = {"start_s": 0.0, "end_s": round(answer["duration_s"], 3), **answer}
        for part in answer.get("timeline", [whole]):
            shares = {name: round(p, 4) for name, p in part["probabilities"].items()}
            notes = "; ".join(answer["warnings"])
            table.writerow({**part, **shares, "file": answer["file"], "warnings": notes})
    return text.getvalue()


def show_live(ticks: Iterable[Any], classes: Sequence[str]) -> list[Any]:
    """Show answers as they come: a bar for each class that moves, or lines where nobody watches."""
    from rich.console import Console
    from rich.live import Live

    console, seen = Console(), []
    watched = (
        Live(console=console, auto_refresh=False)
        if console.is_terminal
        else contextlib.nullcontext()
    )
    with contextlib.suppress(KeyboardInterrupt), watched as live:
        for tick in ticks:
            seen.append(tick)
            if live is not None:
                live.update(_bars(tick, classes), refresh=True)
            else:
                share = f"{100 * tick.probabilities[tick.label]:5.1f} %" if tick.label else ""
                typer.echo(f"{clock(tick.time_s)}  {tick.label or '(nobody speaks)':16s}{share}")
    return seen


def _bars(tick: Any, classes: Sequence[str]) -> str:
    lines = [f"{clock(tick.time_s)}  {tick.label or '(nobody speaks)'}"]
    for name in classes:
        mark = "[bold]" if name == tick.label else "[not bold]"
        lines.append(f"{mark}  {_bar(name, tick.probabilities.get(name, 0.0))}[/]")
    return "\n".join([*lines, "[dim]Ctrl-C ends[/]"])


def _bar(name: str, share: float) -> str:
    return f"{name:10s}{100 * share:5.1f} %  {'█' * round(30 * share):30s}"


def show_summary(ticks: Sequence[Any]) -> None:
    """Sum up what was heard live."""
    if not ticks:
        typer.echo("nothing was heard.")
        return
    labels = [tick.label for tick in ticks if tick.label]
    slowest_ms = 1e3 * max(tick.latency_s for tick in ticks)
    typer.echo(
        f"{clock(ticks[-1].time_s)} heard, {len(labels)} of {len(ticks)} answers; the slowest took "
        f"{slowest_ms:.0f} ms."
    )
    for name, times in Counter(labels).most_common():
        typer.echo(f"  {name:10s}{100 * times / len(labels):5.1f} % of the answers")


def live_csv(ticks: Sequence[Any], classes: Sequence[str]) -> str:
    """Write live answers as a table with commas."""
    text = io.StringIO()
    columns = ["time_s", "label", *classes, "latency_s"]
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    for tick in ticks:
        shares = {name: round(p, 4) for name, p in tick.probabilities.items()}
        row = {"time_s": tick.time_s, "label": tick.label, "latency_s": round(tick.latency_s, 4)}
        table.writerow({**row, **shares})
    return text.getvalue()
