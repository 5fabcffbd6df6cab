"""The command's root, and what several subcommands take."""

from __future__ import annotations

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
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeName = Annotated[str, Argument(help="A name from `ser recipes`, or a JSON file.")]
Corpora = Annotated[
    str | None, Option("--corpora", "-c", help="Names with commas between, or `all`.")
]
Protocol = Annotated[str | None, Option("--protocol", "-p", help="A name from `ser protocols`.")]
Seeds = Annotated[str, Option(help="Seeds with commas between.")]
Epochs = Annotated[int, Option(help="Upper limit; 0 for the recipe's.")]
Jobs = Annotated[int, Option("--jobs", "-j", help="Processes at the same time.")]


def numbers(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """Read numbers with commas between."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SerError(f"{option}: expected numbers like 0,1,2, found {text!r}.") from error


def recipe(name: str, corpora: str | None) -> Recipe:
    """Find a recipe by name or file, on other corpora where some are given."""
    from ser import corpora as registry
    from ser.experiments import recipes as known

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
