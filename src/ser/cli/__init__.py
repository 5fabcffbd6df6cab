"""The command `ser`: a thin shell over the package."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ser.cli import data, experiments, use  # noqa: F401  each adds its commands, in this order
from ser.cli.options import app
from ser.project import SerError

__all__ = ["app", "main"]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Run the command; errors that users can mend are one line and exit code 2."""
    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):  # a pipe on Windows may not know UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        app()
    except SerError as error:
        if debug:
            raise
        for line in str(error).splitlines():
            typer.echo(f"ser: {line}", err=True)
        sys.exit(2)
    except Exception as error:
        if debug:
            raise
        reason = (str(error).splitlines() or [""])[0]
        typer.echo(
            f"ser: unexpected {type(error).__name__}: {reason} (a fault of this program: run "
            "again with `ser --debug …` and report it)",
            err=True,
        )
        sys.exit(1)
