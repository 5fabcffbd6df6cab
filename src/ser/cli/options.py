"""The command's root, and what several subcommands take."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from ser.project import SerError

if TYPE_CHECKING:
    from ser.config import Recipe
    from ser.experiments import Plan


class _PredictFirst(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name != "predict")


app = typer.Typer(
    cls=_PredictFirst,
    help="Speech emotion recognition whose numbers cannot leak.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def at_least(least: int) -> Callable[[typer.CallbackParam, int], int]:
    """Make the check of an option that has a lower limit."""

    def check(param: typer.CallbackParam, value: int) -> int:
        if value < least or (least < 0 and value == 0):  # -1 processes: one for each core
            found = f"--{param.name}: expected {least} or more"
            raise SerError(f"{found}{', and not 0' if least < 0 else ''}; found {value}.")
        return value

    return check


def apart(**given: Any) -> None:
    """Refuse options that exclude each other."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if len(names) > 1:
        raise SerError(f"{' and '.join(names)} exclude each other: choose one.")


def completed(kind: str) -> Callable[[str], list[str]]:
    """Make what a shell asks for recipes or protocols when somebody presses Tab."""

    def fitting(incomplete: str) -> list[str]:
        known = importlib.import_module(f"ser.experiments.{kind}").names()
        return [name for name in known if name.startswith(incomplete)]

    return fitting


RecipeName = Annotated[
    str,
    Argument(
        help="A name from `ser recipes`, or a JSON file.", autocompletion=completed("recipes")
    ),
]
Corpora = Annotated[
    str | None, Option("--corpora", "-c", help="Names with commas between, or `all`.")
]
Protocol = Annotated[
    str | None,
    Option(
        "--protocol",
        "-p",
        help="A name from `ser protocols`.",
        autocompletion=completed("protocols"),
    ),
]
Seeds = Annotated[str, Option(help="Seeds with commas between.")]
Epochs = Annotated[int, Option(help="Upper limit; 0 for the recipe's.", callback=at_least(0))]
Jobs = Annotated[
    int, Option("--jobs", "-j", help="Processes at the same time.", callback=at_least(-1))
]


def numbers(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """Read numbers with commas between."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SerError(f"{option}: expected numbers like 0,1,2, found {text!r}.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def recipe(name: str, corpora: str | None) -> Recipe:
    """Find a recipe by name or file, on other corpora where some are given."""
    from ser import corpora as registry
    from ser.cli import outputs
    from ser.experiments import recipes as known

    outputs.project()
    found = known.get(name)
    return known.on_corpora(found, registry.choose(corpora)) if corpora else found


def plan(name: str, corpora: str | None, protocol: str | None, epochs: int) -> Plan:
    """Make the plan of a recipe."""
    from ser import experiments
    from ser.config import changed
    from ser.experiments import recipes

    chosen = recipe(name, corpora)
    if protocol and not corpora:
        chosen = recipes.on_protocol(chosen, protocol)
    if epochs:
        chosen = changed(chosen, {"training.epochs": epochs})
    return experiments.plan(chosen, protocol)
