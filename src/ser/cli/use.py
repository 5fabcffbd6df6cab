"""Use a trained model."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from ser.cli import options, outputs
from ser.cli.options import app
from ser.project import SerError, visible

if TYPE_CHECKING:
    from ser.inference import Model, Prediction

FEW = 5  # of more recordings, each gets one line
ModelPath = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        help="A bundle, run folder or .keras file; a released model's or a "
        "recipe's name; newest. The released model where left out.",
    ),
]


@app.command(epilog="Example: ser predict recordings/ --output answers.csv")
def predict(
    files: Annotated[
        list[str], Argument(help="Recordings, folders, patterns; - for standard input.")
    ],
    model: ModelPath = None,
    as_json: Annotated[bool, Option("--json", help="For programs: one list.")] = False,
    as_csv: Annotated[bool, Option("--csv", help="For spreadsheets: a row for each.")] = False,
    plot: Annotated[
        Path | None, Option(help="Draw the (last) recording and its timeline into this image.")
    ] = None,
    explain: Annotated[
        Path | None, Option(help="Draw where the model listened, and why, into this image.")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="Write into this .csv or .json file.")
    ] = None,
    calibrate_on: Annotated[
        Path | None,
        Option(help="A folder of recordings of the same voice, unlabelled: get used to it first."),
    ] = None,
    classes: Annotated[
        str | None, Option(help="Only these are possible, with commas between.")
    ] = None,
) -> None:
    """Tell the emotion of recordings; of long ones, stretch by stretch."""
    from ser.cli import inputs, show

    kind = _format(as_json, as_csv, output)
    for image, option in ((plot, "--plot"), (explain, "--explain")):
        outputs.file(image, option, outputs.IMAGES)
    if plot is not None and plot == explain:
        raise SerError(f"--plot and --explain cannot both be {plot}. Name another file.")
    names = inputs.expand(files)
    width = min(50, 1 + max(len(visible(name)) for name in names)) if len(names) > FEW else 0
    loaded, problems = _opened(model), []
    if explain is not None and not loaded.has_attention:
        raise SerError(f"--explain: {loaded.name} has no attention layer that could be drawn.")
    loaded = _fitted(loaded, classes, calibrate_on)
    answers: list[dict[str, Any]] = []
    drawn: tuple[str | bytes, Prediction] | None = None
    with contextlib.ExitStack() as stack:
        rows = None
        if kind == ".csv":
            out = stack.enter_context(outputs.lines(output)) if output else sys.stdout
            rows = show.AnswersCsv(out, loaded.classes)
        few = sys.maxsize if rows is not None and output is None and out.isatty() else FEW + 1
        for name in show.with_progress(names, from_n=few):
            try:
                audio = inputs.piped() if name == inputs.STDIN else name
                answer = loaded.predict(audio)
            except (SerError, MemoryError) as error:
                said = str(error) or "there is not enough memory for it."
                named = name == inputs.STDIN or visible(Path(name)) in said
                said = said if named else f"{visible(name)}: {said}"
                problems.append(said)
                answers.append({"file": name, "error": said})
                if rows is not None:
                    rows.fail(name, said)
                continue
            drawn = audio, answer
            answers.append({"file": name, **answer.as_dict()})
            if rows is not None:
                rows.add(name, answer)
            elif not kind:
                show.show_answer(name, answer, short_width=width)
    if kind == ".json":
        with outputs.lines(output) if output else contextlib.nullcontext(sys.stdout) as out:
            typer.echo(json.dumps(answers, indent=2, ensure_ascii=False), out)
    if said := inputs.summary(files, len(answers) - len(problems), len(problems)):
        typer.echo(said, err=True)
    try:
        if drawn is not None:
            _draw(loaded, *drawn, plot, explain)
    except SerError as error:
        problems.append(str(error))
    if problems:
        raise SerError(*problems)


def _format(as_json: bool, as_csv: bool, output: Path | None) -> str:
    """Choose between .json, .csv and text for the terminal; refuse a file of another kind."""
    options.apart(json=as_json, csv=as_csv)
    named = ".json" if as_json else ".csv" if as_csv else ""
    outputs.file(output, "--output", (named,) if named else (".csv", ".json"))
    return named if output is None else output.suffix.lower()


def _opened(choice: str | None) -> Model:
    """Load the model, and say which it is where nobody named one."""
    from ser.inference import load_model

    model = load_model(choice)
    if choice is None:
        typer.echo(f"model: {model.name}", err=True)
    return model


def _fitted(model: Model, classes: str | None, calibrate_on: Path | None) -> Model:
    """Leave the possible classes, and get used to a voice."""
    from ser.cli import inputs

    if classes is not None:
        model = model.restricted([name.strip() for name in classes.split(",")])
    if calibrate_on is not None:
        clips = inputs.expand([str(calibrate_on)])
        model = model.adapt(clips)
        typer.echo(f"calibrated on {len(clips)} recordings in {visible(calibrate_on)}", err=True)
    return model


def _draw(model: Model, audio: Any, answer: Prediction, plot: Any, explain: Any) -> None:
    """Draw the last recording that was answered, into the images that are wanted."""
    if plot is None and explain is None:
        return
    import matplotlib.pyplot as plt

    from ser import plots
    from ser.audio import open_any
    from ser.project import writing

    samples, rate, _ = open_any(audio, None, model.audio.sample_rate_hz)
    figures: dict[Path, Any] = {}
    with plots.style():
        if plot is not None:
            ax = plots.timeline(samples, rate, answer.segments, model.classes)
            figures[plot] = ax.get_figure()
        if explain is not None:
            figures[explain] = plots.explanation(model, samples, rate, answer)
        for path, figure in figures.items():
            with writing(path) as temporary:
                figure.savefig(temporary)
            plt.close(figure)


@app.command(epilog="Example: ser listen --file my_voice.wav")
def listen(
    model: ModelPath = None,
    file: Annotated[
        Path | None, Option(help="Replay this recording as if it were spoken now.")
    ] = None,
    device: Annotated[
        str | None, Option(help="Microphone: a number or name from `python -m sounddevice`.")
    ] = None,
    save: Annotated[Path | None, Option(help="Keep what was answered in this CSV file.")] = None,
) -> None:
    """Tell the emotion while somebody speaks, twice a second; Ctrl-C ends."""
    from ser.cli import show
    from ser.inference import live
    from ser.project import writing

    options.apart(file=file, device=device)
    outputs.file(save, "--save", makes_folder=True)
    loaded = _opened(model)
    if file is not None:
        blocks = live.blocks_of_file(file)
    else:
        number = int(device) if device and device.isdigit() else device
        blocks = live.blocks_of_microphone(device=number)
    ticks = show.show_live(live.listen(loaded, blocks), loaded.classes)
    show.show_heard(ticks)
    if save is not None:
        with writing(save) as temporary:
            temporary.write_text(show.live_csv(ticks, loaded.classes), encoding="utf-8")
        typer.echo(f"written: {visible(save)}")


@app.command("app", epilog="Example: ser app --model small")
def web_page(
    model: ModelPath = None,
    host: Annotated[str, Option(help="Address to bind to; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, Option(help="Its port.")] = 7860,
) -> None:
    """Open a web page to record, upload and look; Ctrl-C ends."""
    if not 1 <= port <= 65_535:
        raise SerError(f"--port {port}: expected a number from 1 to 65535, such as 7860.")
    from ser.inference import find_model, load_model, page, server

    path = find_model(model)
    loaded = load_model(path)
    server.serve(loaded, page.card_of(loaded, path), host=host, port=port)


@app.command(epilog="Examples: ser export RUN --to my-model; ser export my-model --page my-page")
def export(
    run: Annotated[Path, Argument(help="A run folder, .keras file or, for --page, a bundle.")],
    to: Annotated[Path | None, Option("--to", help="The bundle's folder.")] = None,
    page: Annotated[
        Path | None, Option(help="Put a web page that needs no server into this folder.")
    ] = None,
    formats: Annotated[
        str, Option(help="Out of onnx, litert and litert-int8, with commas between.")
    ] = "onnx,litert,litert-int8",
    half: Annotated[bool, Option(help="Large ONNX constants in half precision.")] = False,
    calibrate: Annotated[
        Path | None,
        Option(
            help="A report of its recipe: makes probabilities true, sets a threshold, and fills "
            "the model's card."
        ),
    ] = None,
    right: Annotated[
        float | None,
        Option(help="With --calibrate: share of right answers above the threshold; else 0.8."),
    ] = None,
) -> None:
    """Make a bundle that runs without TensorFlow: ONNX, LiteRT, card and checksums."""
    from ser.inference import find_model
    from ser.inference.bundle import FILES
    from ser.project import shown, unknown

    for folder, option in ((to, "--to"), (page, "--page")):
        if folder is not None:
            outputs.folder(folder, option)
    if right is not None and calibrate is None:
        raise SerError("--right needs the answers of a report: name it with --calibrate.")
    right = 0.8 if right is None else right
    if not 0 < right <= 1:
        raise SerError(f"--right {right}: expected a share above 0 and at most 1, such as 0.8.")
    kinds = [name.strip() for name in formats.split(",")]
    for kind in sorted(set(kinds) - set(FILES)):
        raise unknown(f"--formats: no format {kind!r}", FILES, kind)
    file, temperature, threshold, voices = find_model(run), 1.0, 0.0, None
    if file.is_dir() != (to is None) or not (to or page):
        what = "a bundle already: --page FOLDER" if file.is_dir() else "no bundle yet: --to FOLDER"
        raise SerError(f"{run}: {what} is what it can be exported with.")
    if to is not None:
        from ser.export.writer import export as write
        from ser.export.writer import spread

        if calibrate is not None:
            from ser import evaluation, experiments, models

            classes = models.checked_card(file)["classes"]
            predictions = experiments.predictions_of(calibrate)
            temperature, threshold = evaluation.calibrate(predictions, classes, right)
            voices = spread(calibrate, classes, temperature)
            typer.echo(f"temperature {temperature:.2f}; uncertain below {100 * threshold:.0f} %")
        settings: Any = {"temperature": temperature, "threshold": threshold, "voices": voices}
        write(file, to, kinds=kinds, half=half, **settings)
        if calibrate is not None and (calibrate / "metrics.json").is_file():
            from ser.export import card

            card.write(to, calibrate, right=right)
        for path in sorted(to.iterdir()):
            typer.echo(f"written: {shown(path)} ({path.stat().st_size / 1e6:.2f} MB)")
    if page is not None:
        from ser.inference import browser

        folder = to or file
        browser.write(page, {folder.resolve().name: folder})
        typer.echo(f"written: {visible(page)}; see it: python -m http.server -d {visible(page)}")
