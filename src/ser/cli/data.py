"""Corpora, pretrained encoders, the metadata table, features."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from ser.cli import options, outputs
from ser.cli.options import Corpora, Jobs, RecipeName, app
from ser.project import SerError

data = typer.Typer(help="Get the corpora, or use folders you already have.")
app.add_typer(data, name="data")
encoders = typer.Typer(help="Get pretrained speech encoders.")
app.add_typer(encoders, name="pretrained")


@data.command("list", epilog="Example: ser data list")
def data_list() -> None:
    """Show every corpus: whether it is here, its licence, how to get it."""
    from ser import corpora
    from ser.cli import show

    here, rows = corpora.available(), []
    for name in corpora.names():
        corpus = corpora.get(name)
        state = f"here: {here[name]}" if name in here else "not here"
        clips = f"{corpus.n_clips} clips" if corpus.n_clips else "your own"
        facts = ", ".join(filter(None, (corpus.language, clips)))
        rows.append((name, f"{corpus.title} ({facts}) — {state}\nlicence: {corpus.licence}"))
    show.table(("", ""), rows)


@data.command("add", epilog="Example: ser data add mine ~/recordings --labels folder")
def data_add(
    name: Annotated[str, Argument(help="Name of the corpus: ravdess, or one of your own.")],
    path: Annotated[Path, Argument(help="Its folder, nested in any way; or a CSV table.")],
    labels: Annotated[
        str | None, Option(help="Of your own: `folder`, or a pattern whose group is the label.")
    ] = None,
    speakers: Annotated[
        str | None, Option(help="Of your own: a pattern whose group is the speaker: '/(s[0-9]+)_'.")
    ] = None,
    language: Annotated[str, Option(help="Of your own: two letters, such as en.")] = "",
) -> None:
    """Use a folder you already have, where it lies."""
    from ser import corpora
    from ser.corpora.folders import accounted, losses
    from ser.corpora.registry import survey
    from ser.project import shown

    table = path if path.suffix.lower() == ".csv" else None
    if table and (labels or speakers):
        raise SerError(f"{path}: a table has columns for label and speaker: leave --labels out.")
    if not table and labels is None and (speakers or language):
        raise SerError("--speakers and --language are for recordings of your own: add --labels.")
    if table:
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
        typer.echo(f"{name}: using {shown(folder)}. {accounted(len(clips), counts)}.")
    typer.echo(f"Next: ser metadata --corpora {name}")


@data.command("download", epilog="Example: ser data download ravdess tess")
def data_download(
    names: Annotated[list[str], Argument(help="Names from `ser data list`.")],
    source: Annotated[str, Option(help="auto, archive or kaggle.")] = "auto",
) -> None:
    """Download corpora; one that fails does not stop the others."""
    from ser import corpora
    from ser.corpora.download import download_all

    for name in names:  # all names first: a download takes long
        corpora.get(name)
    failed = [outcome for outcome in download_all(names, source=source) if outcome.error]
    if failed:
        raise SerError(*(outcome.error for outcome in failed))


@encoders.command("list", epilog="Example: ser pretrained list")
def pretrained_list() -> None:
    """Show every encoder: whether its weights are here, its size, where it comes from."""
    from ser.cli import show
    from ser.models import pretrained

    rows = []
    for name, encoder in pretrained.ENCODERS.items():
        state = "here" if pretrained.is_here(name) else "not here"
        size = f"{encoder.blocks} blocks of width {encoder.width}, {encoder.n_bytes / 1e6:.0f} MB"
        origin = f"https://huggingface.co/{encoder.repository}, licence: {encoder.licence}"
        rows.append((name, f"{size} — {state}\n{origin}"))
    show.table(("", ""), rows)


@encoders.command("download", epilog="Example: ser pretrained download whisper-tiny.en")
def pretrained_download(
    names: Annotated[list[str], Argument(help="Names from `ser pretrained list`.")],
) -> None:
    """Download the weights of encoders from the Hugging Face hub."""
    from ser.models import pretrained

    for name in names:
        pretrained.download(name)
        typer.echo(f"{name}: its weights are here.")


@app.command(epilog="Example: ser metadata --corpora ravdess,savee")
def metadata(corpora: Corpora = "all", jobs: Jobs = 2) -> None:
    """Read all clips and write the metadata table."""
    from ser import corpora as registry
    from ser.cli import show
    from ser.corpora import metadata as table
    from ser.corpora.folders import accounted
    from ser.project import shown, some

    outputs.project()
    result = table.build(registry.choose(corpora or "all"), n_jobs=jobs)
    path = table.write_table(result.table)
    show.show_corpora(table.summary(result.table))
    flags = result.table["flags"].str.split(",").explode().value_counts().drop("", errors="ignore")
    if len(flags):
        typer.echo(f"flagged: {some([f'{name} {n}' for name, n in flags.items()])}", err=True)
    for line in result.losses:
        typer.echo(line, err=True)
    typer.echo(f"{accounted(len(result.table), result.counts)}. Table: {shown(path)}")


@app.command(epilog="Example: ser features mfcc-attention --corpora demo")
def features(
    recipe: RecipeName = "mfcc-attention",
    corpora: Corpora = None,
    jobs: Jobs = -1,
    cluster: Annotated[
        str | None, Option(help="Address of a Dask scheduler, tcp://HOST:8786.")
    ] = None,
    repair: Annotated[
        bool, Option("--repair", help="Instead: remove what is damaged from every cache.")
    ] = False,
) -> None:
    """Compute the features of a recipe that are not cached yet."""
    from ser.cache import Cache
    from ser.corpora import metadata as table
    from ser.corpora.folders import accounted, with_unread
    from ser.features import dataset
    from ser.project import paths, shown

    if repair:
        files = sorted(paths().processed.glob("*/features.sqlite"))
        for file in files:
            Cache(file).repair()
        typer.echo(f"caches checked: {len(files)}; what was damaged will be computed again.")
        return
    chosen = options.recipe(recipe, corpora)
    clips = table.label_table(table.read_table(), chosen)
    front_end = dataset.FrontEnd(chosen.audio, chosen.features, chosen.augmentation)
    result = dataset.build(clips, front_end, n_jobs=jobs, cluster=cluster)
    if result.losses:
        typer.echo(result.losses, err=True)
    lost = with_unread(clips.attrs["left_out"], len(result.problems))
    typer.echo(accounted(result.shape[0], lost))
    typer.echo(
        f"{result.shape[0]} clips × {result.shape[1]} variants of {result.shape[2]} frames × "
        f"{result.shape[3]} features; {result.n_computed} clips computed now: "
        f"{shown(front_end.folder)}"
    )
