"""Results as text for a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from ser.paths import shown


def show_report(folder: Path, *, as_json: bool) -> None:
    """Print the metrics of a run or report.

    Parameters
    ----------
    folder : Path
        A run folder or a report folder.
    as_json : bool
        Print JSON instead of lines for people.
    """
    from ser import experiment

    metrics = experiment.metrics_of(folder)
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
    """Print UAR under each condition.

    Parameters
    ----------
    path : Path
        As `ser.robustness.write` gives it.
    """
    for _, row in pd.read_csv(path).iterrows():
        span = "" if pd.isna(row["low"]) else f"  [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        sure = f"confidence {100 * row['confidence']:.0f} %"
        typer.echo(f"{row['condition']:26s}UAR {100 * row['uar']:5.1f} %{span}  {sure}")
    typer.echo(f"written: {shown(path)}")


def show_ladder(table: pd.DataFrame, folder: Path) -> None:
    """Print ladders, a line for each rung.

    Parameters
    ----------
    table : DataFrame
        As `ser.ladder.write_table` makes it.
    folder : Path
        Where it lies.
    """
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


def show_answer(answer: dict[str, Any]) -> None:
    """Print the answer about one recording, a bar for each class.

    Parameters
    ----------
    answer : dict
        ``file`` and the fields of `ser.inference.Prediction`.
    """
    probability = answer["probabilities"][answer["label"]]
    typer.echo(f"{answer['file']}: {answer['label']} ({100 * probability:.0f} %)")
    for name, value in sorted(answer["probabilities"].items(), key=lambda item: -item[1]):
        typer.echo(f"  {name:10s}{100 * value:5.1f} %  {'█' * round(30 * value)}")
    for warning in answer["warnings"]:
        typer.echo(f"  note: {warning}")
