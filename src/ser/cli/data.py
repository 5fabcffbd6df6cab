"""Corpora, pretrained encoders, the metadata table, features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from ser.cli import options
from ser.cli.options import Corpora, Jobs, RecipeName, app
from ser.project import SerError

data = typer.Typer(help="Get the corpora, or use folders you already have.", no_args_is_help=True)
app.add_typer(data, name="data")
encoders = typer.Typer(help="Get pretrained speech encoders.", no_args_is_help=True)
app.add_typer(encoders, name="pretrained")


@data.command("list")
def data_list() -> None:
    """Show every corpus: whether it is here, its licence, how to get it."""
    from ser import corpora

    here = corpora.available()
    for name in corpora.names():
        corpus = corpora.get(name)
        state = f"here: {here[name]}" if name in here else "not here"
        clips = f"{corpus.n_clips} clips" if corpus.n_clips else "your own"
        facts = ", ".join(filter(None, (corpus.language, clips)))
        typer.echo(f"{name:10s} {corpus.title} ({facts}) — {state}")
        typer.echo(f"{'':10s} licence: {corpus.licence}")


@data.command("add")
def data_add(
    name: Annotated[str, Argument(help="Name of the corpus: ravdess, or one of your own.")],
    path: Annotated[Path, Argument(help="Its folder, nested in any way; or a CSV table.")],
    labels: Annotated[
        str | None, Option(help="Of your own: `folder`, or a pattern whose group is the label.")
    ] = None,
    speakers: Annotated[
        str | None, Option(help="Of your own: a pattern whose group is the speaker.")
    ] = None,
    language: Annotated[str, Option(help="Of your own: two letters, such as en.")] = "",
) -> None:
    """Use a folder you already have, where it lies.

    Examples: ser data add ravdess ~/corpora/ravdess; ser data add mine ~/recordings --labels folder
    --speakers '/(s[0-9]+)_'; ser data add mine table.csv
    """
    from ser import corpora
    from ser.corpora.folders import accounted, losses
    from ser.corpora.registry import survey

    if path.suffix.lower() == ".csv":
        name = corpora.from_table(path, name=name, language=language)
    elif labels is not None:
        name = corpora.from_folder(
            path, name=name, label=labels, speaker=speakers, language=language
        )
    else:
        folder = corpora.adopt(name, path)
        clips, left_out = survey(corpora.get(name), folder)
        for line in losses(left_out):
            typer.echo(line, err=True)
        counts = {why: len(lost) for why, lost in left_out.items() if lost}
        typer.echo(f"{name}: using {folder}. {accounted(len(clips), counts)}.")
    typer.echo(f"Next: ser metadata --corpora {name}")


@data.command("download")
def data_download(
    names: Annotated[list[str], Argument(help="Names from `ser data list`.")],
    source: Annotated[str, Option(help="auto, archive or kaggle.")] = "auto",
) -> None:
    """Download corpora; one that fails does not stop the others."""
    from ser.corpora.download import download_all

    failed = [outcome for outcome in download_all(names, source=source) if outcome.error]
    if failed:
        raise SerError("\n".join(str(outcome.error) for outcome in failed))


@encoders.command("list")
def pretrained_list() -> None:
    """Show every encoder: whether its weights are here, its size, where it comes from."""
    from ser.models import pretrained

    for name, encoder in pretrained.ENCODERS.items():
        state = "here" if pretrained.is_here(name) else "not here"
        size = f"{encoder.blocks} blocks of width {encoder.width}"
        typer.echo(f"{name:16s} {size}, {encoder.n_bytes / 1e6:.0f} MB — {state}")
        typer.echo(
            f"{'':16s} https://huggingface.co/{encoder.repository}, licence: {encoder.licence}"
        )


@encoders.command("download")
def pretrained_download(
    names: Annotated[list[str], Argument(help="Names from `ser pretrained list`.")],
) -> None:
    """Download the weights of encoders from the Hugging Face hub."""
    from ser.models import pretrained

    for name in names:
        pretrained.download(name)
        typer.echo(f"{name}: its weights are here.")


@app.command()
def metadata(corpora: Corpora = "all", jobs: Jobs = 2) -> None:
    """Read all clips and write the metadata table."""
    from ser import corpora as registry
    from ser.corpora import metadata as table
    from ser.corpora.folders import accounted
    from ser.project import shown, some

    result = table.build(registry.choose(corpora or "all"), n_jobs=jobs)
    path = table.write_table(result.table)
    typer.echo(table.summary(result.table).to_string())
    flags = result.table["flags"].str.split(",").explode().value_counts().drop("", errors="ignore")
    if len(flags):
        typer.echo(f"flagged: {some([f'{name} {n}' for name, n in flags.items()])}", err=True)
    for line in result.losses:
        typer.echo(line, err=True)
    typer.echo(f"{accounted(len(result.table), result.counts)}. Table: {shown(path)}")


@app.command()
def features(
    recipe: RecipeName = "mfcc-attention",
    corpora: Corpora = None,
    jobs: Jobs = -1,
    cluster: Annotated[
        str | None, Option(help="Address of a Dask scheduler, tcp://HOST:8786.")
    ] = None,
    repair: Annotated[bool, Option(help="Check what is cached, redo what is damaged.")] = False,
) -> None:
    """Compute the features of a recipe that are not cached yet."""
    from ser.corpora import metadata as table
    from ser.corpora.folders import accounted
    from ser.features import dataset
    from ser.project import shown

    chosen = options.recipe(recipe, corpora)
    clips = table.label_table(table.read_table(), chosen)
    front_end = dataset.FrontEnd(chosen.audio, chosen.features, chosen.augmentation)
    result = dataset.build(clips, front_end, n_jobs=jobs, cluster=cluster, repair=repair)
    if result.losses:
        typer.echo(result.losses, err=True)
    typer.echo(accounted(len(clips), clips.attrs["left_out"]))
    typer.echo(
        f"{result.shape[0]} clips × {result.shape[1]} variants of {result.shape[2]} frames × "
        f"{result.shape[3]} features; {result.n_computed} clips computed now: "
        f"{shown(front_end.folder)}"
    )
