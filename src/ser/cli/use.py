"""Use a trained model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from ser.cli.options import app
from ser.errors import SerError


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Recordings, any format and rate.")],
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--model", "-m", help="A bundle, run folder or .keras file; else the newest."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one list.")] = False,
) -> None:
    """Tell the emotion of recordings, with a probability for each class."""
    from ser import terminal
    from ser.inference import load_model

    loaded, answers, problems = load_model(model), [], []
    for file in files:
        try:
            answer = loaded.predict(file)
        except SerError as error:
            problems.append(str(error))
            answers.append({"file": str(file), "error": str(error)})
            continue
        answers.append({"file": str(file), **dataclasses.asdict(answer)})
        if not as_json:
            terminal.show_answer(answers[-1])
    if as_json:
        typer.echo(json.dumps(answers, indent=2, ensure_ascii=False))
    if problems:
        raise SerError("\n".join(problems))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder or a .keras file.")],
    to: Annotated[Path, typer.Option("--to", help="The bundle's folder.")],
    half: Annotated[bool, typer.Option(help="Large ONNX constants in half precision.")] = False,
) -> None:
    """Make a bundle that runs without TensorFlow: ONNX, LiteRT, card and checksums."""
    from ser.export.bundle import export as write
    from ser.inference import find_model
    from ser.paths import shown

    folder = write(find_model(run), to, half=half)
    for path in sorted(folder.iterdir()):
        typer.echo(f"written: {shown(path)} ({path.stat().st_size / 1e6:.2f} MB)")
