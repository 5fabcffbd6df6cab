"""Train, cross-validate, evaluate, report."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from ser.cli import options
from ser.cli.options import Corpora, Epochs, Jobs, Protocol, RecipeName, Seeds, app, at_least
from ser.project import SerError


@app.command(epilog="Example: ser train mfcc-attention --corpora demo --fold 1")
def train(
    recipe: RecipeName = "mfcc-attention",
    corpora: Corpora = None,
    protocol: Protocol = None,
    fold: Annotated[int, Option(help="Which fold, from 0.")] = 0,
    seed: Annotated[int, Option(help="Of weights, order, variants.", callback=at_least(0))] = 0,
    epochs: Epochs = 0,
    tensorboard: Annotated[bool, Option(help="Write TensorBoard logs.")] = False,
    everything: Annotated[
        bool, Option("--everything", help="Train on all speakers, test on none: to export.")
    ] = False,
) -> None:
    """Train one fold; the same command goes on where it was stopped."""
    from ser import experiments
    from ser.project import shown

    options.apart(everything=everything, fold=fold)
    plan = options.plan(recipe, corpora, protocol, epochs)
    plan = plan.on_everything() if everything else plan
    folder = experiments.train_fold(plan, fold, seed, tensorboard=tensorboard)
    after = "export" if everything else "evaluate"
    typer.echo(f"run folder: {shown(folder)}. Next: ser {after} {shown(folder)}")


@app.command(epilog="Example: ser run best-scratch --protocol savee-loso --seeds 0,1")
def run(
    recipe: RecipeName,
    protocol: Protocol = None,
    corpora: Corpora = None,
    seeds: Seeds = "0,1,2",
    jobs: Jobs = 1,
    epochs: Epochs = 0,
    force: Annotated[
        bool, Option("--force", help="Replace a report of other settings or clips, too.")
    ] = False,
) -> None:
    """Cross-validate a recipe and write its report; resumable."""
    from ser import experiments
    from ser.cli import show

    numbers = options.numbers(seeds)
    plan = options.plan(recipe, corpora, protocol, epochs)
    folder = experiments.run(plan, seeds=numbers, n_jobs=jobs, force=force)
    show.show_metrics(folder, experiments.metrics_of(folder))


@app.command(epilog="Example: ser tune mfcc-attention --corpora demo --trials 10")
def tune(
    recipe: RecipeName,
    protocol: Protocol = None,
    corpora: Corpora = None,
    trials: Annotated[int, Option(help="How many settings in all.", callback=at_least(1))] = 20,
    folds: Annotated[str, Option(help="Folds that a setting is tried on.")] = "0",
    seed: Annotated[int, Option(help="Of trainings and search.", callback=at_least(0))] = 0,
    epochs: Epochs = 0,
    space: Annotated[
        Path | None,
        Option(help="JSON file: setting to choices or range; see ser.studies.tuning.SPACE."),
    ] = None,
) -> None:
    """Search for settings on validation speakers, with Optuna; resumable."""
    from ser.project import read_json
    from ser.studies import tuning as search

    plan = options.plan(recipe, corpora, protocol, epochs)
    search.tune(
        plan.recipe,
        plan.protocol,
        space=read_json(space) if space else None,
        n_trials=trials,
        folds=options.numbers(folds, "--folds"),
        seed=seed,
    )


@app.command(epilog="Example: ser ladder tess --fast")
def ladder(
    names: Annotated[
        list[str] | None, Argument(help="Recipes; where left out, one for each published system.")
    ] = None,
    seeds: Seeds = "0,1,2",
    jobs: Jobs = 2,
    corpora: Corpora = None,
    fast: Annotated[bool, Option(help="Coarse: about 800 clips, 8 epochs, a seed.")] = False,
    votes: Annotated[
        Path | None,
        Option(help="Only this: CREMA-D's summaryTable.csv, for the line of listeners."),
    ] = None,
) -> None:
    """Show what is left of a published number when the split is honest; resumable."""
    from ser.cli import show
    from ser.project import shown
    from ser.studies import ladder as steps

    options.apart(fast=fast, seeds=seeds != "0,1,2")
    if votes is not None:
        options.apart(votes=votes, fast=fast, seeds=seeds != "0,1,2", corpora=corpora)
        typer.echo(f"written: {shown(steps.write_human(votes))}")
        return
    numbers = (0,) if fast else options.numbers(seeds)
    for recipe in [options.recipe(name, corpora) for name in names or steps.SYSTEMS]:
        folder = steps.run(recipe, seeds=numbers, n_jobs=jobs, fast=fast)
    show.show_ladder(steps.write_table(folder.parent), folder.parent)


@app.command(epilog="Example: ser robustness whisper-tiny-linear --clips 200")
def robustness(
    recipe: RecipeName,
    protocol: Protocol = None,
    corpora: Corpora = None,
    seed: Annotated[int, Option(help="Of the models that are tested.", callback=at_least(0))] = 0,
    clips: Annotated[int, Option(help="So many at random; 0: all.", callback=at_least(0))] = 0,
    jobs: Jobs = 2,
    epochs: Epochs = 0,
) -> None:
    """Test trained models on telephone, MP3, noise, reverberation and other recordings."""
    from ser.cli import show
    from ser.studies import robustness as conditions

    plan = options.plan(recipe, corpora, protocol, epochs)
    path = conditions.write(plan, seed=seed, n_clips=clips, n_jobs=jobs)
    show.show_robustness(path)


@app.command(epilog="Example: ser evaluate reports/best-scratch/savee-loso")
def evaluate(
    folder: Annotated[
        Path | None, Argument(help="A run or report folder; the newest run where left out.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="For programs.")] = False,
) -> None:
    """Print the metrics of a run or a report, computed from its predictions."""
    from ser import experiments
    from ser.cli import show

    if folder is None:
        finished = experiments.runs()
        if not finished:
            raise SerError("no finished run. Train one with `ser train`.")
        folder = finished[0]
    metrics = experiments.metrics_of(folder)
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
    else:
        show.show_metrics(folder, metrics)


@app.command(epilog="Example: ser report")
def report() -> None:
    """Write the tables of README.md and reports/README.md, and all figures, from `reports/`."""
    from ser.studies import leaderboard

    for path in leaderboard.update():
        typer.echo(f"written: {path}")


@app.command(epilog="Example: ser recipes")
def recipes() -> None:
    """List the recipes."""
    from ser.cli import show
    from ser.experiments.recipes import RECIPES

    show.table(("", ""), [(name, recipe.description) for name, recipe in RECIPES.items()])


@app.command(epilog="Example: ser protocols")
def protocols() -> None:
    """List the ways to split."""
    from ser.cli import show
    from ser.experiments.protocols import PROTOCOLS

    rows = []
    for name, protocol in PROTOCOLS.items():
        best = "; ".join(map(str, protocol.published))
        rows.append((name, f"{protocol.description}{f' [published: {best}]' if best else ''}"))
    show.table(("", ""), rows)
