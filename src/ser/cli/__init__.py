"""The command `ser`: a thin shell over the package."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Annotated

import typer
from typer import Option

import ser
from ser.cli import data, experiments, use  # each adds its commands
from ser.cli.options import app
from ser.project import SerError, first_line, visible

EXTRAS = {  # extra of pyproject.toml → the modules that only it brings
    "train": "audiomentations cloudpickle huggingface_hub jinja2 joblib kaggle keras librosa "
    "matplotlib pandas pooch pyarrow pyroomacoustics requests safetensors scipy seaborn sklearn "
    "tensorflow threadpoolctl",
    "listen": "sounddevice",
    "app": "fastapi gradio starlette uvicorn",
    "formats": "av",
    "export": "onnx tf2onnx",
    "tune": "optuna",
    "cluster": "distributed",
    "ssl": "torch transformers",
}


@app.callback()
def _options(  # `main` takes both out, wherever they stand
    debug: Annotated[bool, Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, Option("--version", help="Show the version.")] = False,
) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _missing_extra(error: Exception) -> str:
    """Say what to install where a module of an extra is not there; else nothing."""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    module = (error.name or "").partition(".")[0]
    extra = next((name for name, modules in EXTRAS.items() if module in modules.split()), "")
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if extra and command in EXTRAS:  # export, tune, listen and app have one of their own
        extra = command
    needed = "the training packages" if extra == "train" else module
    return f"this command needs {needed}: pip install 'ser-honest[{extra}]'." if extra else ""


def _refused(error: Exception) -> str:
    """Say what the system refused, where no step of ours knew better; else nothing."""
    said = isinstance(error, OSError) and error.strerror
    return visible(f"{getattr(error, 'filename', '') or 'the output'}: {said}.") if said else ""


def _misused(error: Exception) -> str:
    """Say what is wrong with the words of the command, and where its help is; else nothing."""
    if not hasattr(error, "format_message"):  # Click's, or Typer's own copy of Click
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "ser"
    message = visible(" ".join(error.format_message().split()))
    return f"{message}{'' if message[-1] in '.?!' else '.'} See `{command} --help`."


@contextlib.contextmanager
def _bounded_errors(most: int = 10_000) -> Iterator[None]:
    """Let libraries write so many bytes to the error stream by themselves, and no more.

    What Python writes there goes past this.
    """
    try:
        if sys.stderr.fileno() != 2:
            raise OSError
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # another stream: a test, a service
        yield
        return
    come, go = os.pipe()
    os.dup2(go, 2)
    os.close(go)
    before, sys.stderr = sys.stderr, os.fdopen(kept, "w", -1, "utf-8", "backslashreplace")

    def pass_on() -> None:
        left = most
        while said := os.read(come, 65_536):
            os.write(kept, said.replace(b"\x1b", b"?")[: max(0, left)])
            left -= len(said)

    threading.Thread(target=pass_on, daemon=True).start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        sys.stderr = before


def main() -> None:
    """Run the command; errors that users can mend are one line and exit code 2."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]  # wherever it stands
    debug = len(arguments) < len(sys.argv) - 1
    if "--version" in arguments:
        typer.echo(f"ser {ser.__version__}")
        return
    if arguments in ([], ["data"], ["pretrained"]):
        arguments.append("--help")
    for stream in (sys.stdout, sys.stderr):  # a pipe on Windows may not know UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        if "" in arguments:
            raise SerError("an argument is empty, such as a variable of the shell that is not set.")
        with _bounded_errors():
            code = app(arguments, prog_name="ser", standalone_mode=False)
        if code == 130:  # Ctrl-C, as some versions of Typer say it
            raise typer.Abort
    except typer.Abort:
        typer.echo("ser: stopped; what was finished is kept.", err=True)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        expected = str(error) if isinstance(error, SerError) else _misused(error)
        expected = expected or _missing_extra(error) or _refused(error)
        if expected:
            for line in expected.splitlines():
                typer.echo(f"ser: {line}", err=True)
            sys.exit(2)
        typer.echo(
            f"ser: unexpected {type(error).__name__}: {first_line(error)} (a fault of this "
            "program: run again with `ser --debug …` and report it)",
            err=True,
        )
        sys.exit(1)
    if code:
        sys.exit(code)
