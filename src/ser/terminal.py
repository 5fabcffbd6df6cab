"""Results as text for a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from ser.config import shown


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
