"""The command `ser`: a thin shell over the package."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ser.errors import SerError

if TYPE_CHECKING:
    from ser.config import Recipe
    from ser.experiment import Plan

app = typer.Typer(
    help="Speech emotion recognition whose numbers cannot leak.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(help="Get the corpora, or use folders you already have.", no_args_is_help=True)
app.add_typer(data, name="data")

RecipeName = Annotated[str, typer.Argument(help="A name from `ser recipes`, or a JSON file.")]
Corpora = Annotated[
    Optional[str],  # noqa: UP045  typer reads the annotation on Python 3.10 too
    typer.Option("--corpora", "-c", help="Names with commas between, or `all`."),
]
Protocol = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--protocol", "-p", help="A name from `ser protocols`."),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Processes at the same time.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@data.command("list")
def data_list() -> None:
    """Show every corpus: whether it is here, its licence, how to get it."""
    from ser import corpora

    here = corpora.available()
    for name in corpora.names():
        corpus = corpora.get(name)
        state = f"here: {here[name]}" if name in here else "not here"
        clips = f"{corpus.n_clips} clips" if corpus.n_clips else "made on this machine"
        typer.echo(f"{name:10s} {corpus.title} ({corpus.language}, {clips}) — {state}")
        typer.echo(f"{'':10s} licence: {corpus.licence}")


@data.command("add")
def data_add(
    name: Annotated[str, typer.Argument(help="Name of the corpus, such as ravdess.")],
    path: Annotated[Path, typer.Argument(help="Folder that holds it, nested in any way.")],
) -> None:
    """Use a folder you already have, where it lies."""
    from ser import corpora

    typer.echo(f"{name}: using {corpora.adopt(name, path)}. Next: ser metadata --corpora {name}")


@data.command("download")
def data_download(
    names: Annotated[list[str], typer.Argument(help="Names from `ser data list`.")],
    source: Annotated[str, typer.Option(help="auto, archive or kaggle.")] = "auto",
) -> None:
    """Download corpora; one that fails does not stop the others."""
    from ser.corpora.download import download_all

    failed = [outcome for outcome in download_all(names, source=source) if outcome.error]
    if failed:
        raise SerError("\n".join(str(outcome.error) for outcome in failed))


@app.command()
def metadata(corpora: Corpora = "all", jobs: Jobs = 2) -> None:
    """Read all clips and write the metadata table."""
    from ser import corpora as registry
    from ser import metadata as table
    from ser.config import shown

    result = table.build(registry.choose(corpora or "all"), n_jobs=jobs)
    path = table.write_table(result.table)
    typer.echo(table.summary(result.table).to_string())
    for problem in result.problems:
        typer.echo(f"cannot be read: {problem.path}: {problem.reason}", err=True)
    for stranger in result.unknown:
        typer.echo(f"unknown name, left out: {stranger}", err=True)
    typer.echo(f"{len(result.table)} clips: {shown(path)}")


@app.command()
def features(
    recipe: RecipeName = "mfcc-attention",
    corpora: Corpora = None,
    jobs: Jobs = -1,
    cluster: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Address of a Dask scheduler, tcp://HOST:8786."),
    ] = None,
    repair: Annotated[
        bool, typer.Option(help="Check what is cached, redo what is damaged.")
    ] = False,
) -> None:
    """Compute the features of a recipe that are not cached yet."""
    from ser import metadata as table
    from ser import store
    from ser.config import shown

    chosen = _recipe(recipe, corpora)
    clips = table.label_table(table.read_table(), chosen)
    front_end = store.FrontEnd(chosen.audio, chosen.features, chosen.augmentation)
    result = store.build(clips, front_end, n_jobs=jobs, cluster=cluster, repair=repair)
    for problem in result.problems.itertuples():
        typer.echo(f"left out: {problem.clip_id}: {problem.reason}", err=True)
    typer.echo(
        f"{result.shape[0]} clips × {result.shape[1]} variants of {result.shape[2]} frames × "
        f"{result.shape[3]} features; {result.n_computed} clips computed now: "
        f"{shown(front_end.folder)}"
    )


@app.command()
def train(
    recipe: RecipeName = "mfcc-attention",
    corpora: Corpora = None,
    protocol: Protocol = None,
    fold: Annotated[int, typer.Option(help="Which fold, from 0.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and variants.")] = 0,
    epochs: Annotated[int, typer.Option(help="Upper limit; 0 for the recipe's.")] = 0,
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard logs.")] = False,
) -> None:
    """Train one fold; the same command goes on where it was stopped."""
    from ser import experiment
    from ser.config import shown

    plan = _plan(recipe, corpora, protocol, epochs)
    folder = experiment.train_fold(plan, fold, seed, tensorboard=tensorboard)
    typer.echo(f"run folder: {shown(folder)}. Next: ser evaluate {shown(folder)}")


@app.command()
def run(
    recipe: RecipeName,
    protocol: Protocol = None,
    corpora: Corpora = None,
    seeds: Annotated[str, typer.Option(help="Seeds with commas between.")] = "0,1,2",
    jobs: Jobs = 1,
    epochs: Annotated[int, typer.Option(help="Upper limit; 0 for the recipe's.")] = 0,
) -> None:
    """Cross-validate a recipe and write its report; resumable."""
    from ser import experiment, terminal

    try:
        numbers = tuple(int(part) for part in seeds.split(","))
    except ValueError as error:
        raise SerError(f"--seeds: expected numbers like 0,1,2, found {seeds!r}.") from error
    plan = _plan(recipe, corpora, protocol, epochs)
    folder = experiment.run(plan.recipe, plan.protocol, seeds=numbers, n_jobs=jobs)
    terminal.show_report(folder, as_json=False)


@app.command()
def evaluate(
    folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help="A run or report folder; the newest run where left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the metrics of a run or a report, computed from its predictions."""
    from ser import experiment, terminal

    if folder is None:
        finished = experiment.runs()
        if not finished:
            raise SerError("no finished run. Train one with `ser train`.")
        folder = finished[0]
    terminal.show_report(folder, as_json=as_json)


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Recordings, any format and rate.")],
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--model", "-m", help="A .keras file or a run folder; else the newest run."),
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
def recipes() -> None:
    """List the recipes."""
    from ser.recipes import RECIPES

    for name, recipe in RECIPES.items():
        typer.echo(f"{name:26s} {recipe.description}")


@app.command()
def protocols() -> None:
    """List the ways to split."""
    from ser.protocols import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        typer.echo(f"{name:26s} {protocol.description}")


@app.command()
def report() -> None:
    """Write the results table of the README, and its figure, anew from `reports/`."""
    from ser import summary

    for path in summary.update():
        typer.echo(f"written: {path}")


def _recipe(name: str, corpora: str | None) -> Recipe:
    from ser import corpora as registry
    from ser import recipes as known
    from ser.config import load_recipe

    recipe = load_recipe(Path(name)) if name.endswith(".json") else known.get(name)
    return known.on_corpora(recipe, registry.choose(corpora)) if corpora else recipe


def _plan(name: str, corpora: str | None, protocol: str | None, epochs: int) -> Plan:
    from ser import experiment

    recipe = _recipe(name, corpora)
    if epochs:
        training = dataclasses.replace(recipe.training, epochs=epochs)
        recipe = dataclasses.replace(recipe, training=training)
    return experiment.plan(recipe, protocol)


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


if __name__ == "__main__":
    main()
