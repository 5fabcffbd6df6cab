"""A web page: record, upload or pick an example, and see what the model answers and why.

It binds to this machine unless told otherwise. What is sent is decoded in a process of its own
(`ser.inference.sandbox`) and removed with its answer.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from ser import formats, plots
from ser.audio import to_waveform
from ser.inference import sandbox
from ser.inference.model import Model, Prediction
from ser.project import SerError, first_line

if TYPE_CHECKING:
    import gradio
    from matplotlib.figure import Figure

AT_ONCE = 2
WAITING = 64
FORGET_S = 600  # what was sent and never asked about is removed when older; looked for as often
TITLE = "How does this voice sound?"
HINT = (
    "Record a few seconds, upload a recording (at most "
    f"{sandbox.MAX_SECONDS:.0f} s, {sandbox.MAX_BYTES / 1e6:.0f} MB) or pick an example. "
    "The answer says how acted emotions of trained speakers would have sounded, not how anybody "
    "feels. What you send is removed with its answer."
)
# on a telephone, numbers in the card's tables are not broken into digits; wide ones scroll
STYLE = """
.prose { overflow-x: auto }
.prose th, .prose td { overflow-wrap: normal !important; word-break: normal !important }
"""
EXAMPLES = ("angry", "happy", "neutral", "sad")
Answer = tuple[str, "dict[str, float] | None", "Figure | None"]
_DRAWING = threading.Lock()  # Matplotlib draws for one at a time


def answer(model: Model, path: str | None) -> Answer:
    """Answer for one file."""
    if path is None:
        return "Record, upload or pick something first.", None, None
    if not Path(path).is_file():
        return "The recording was removed with its answer: send it again.", None, None
    try:
        recording = sandbox.decode_aside(path)
        samples, rate = recording.samples, recording.sample_rate_hz
        found = model.predict(recording)  # with what it says about the file
        return _message(found), found.probabilities or None, _draw(model, samples, rate, found)
    except SerError as error:
        text = str(error).replace(str(path), "the recording")
        return f"**No answer:** {text}", None, None


def _message(found: Prediction) -> str:
    lines = [f"### {found.headline}", *(f"- {warning}" for warning in found.warnings)]
    return "\n".join([*lines, "", f"Answered by {found.model}."])


def _draw(model: Model, samples: np.ndarray, rate: float, found: Prediction) -> Figure | None:
    if found.no_speech or (not found.in_windows and found.attention is None):
        return None  # no answer, or a model without attention: there is nothing to draw
    with _DRAWING, plots.style():
        figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
        if found.attention is None:
            plots.timeline(samples, rate, found.segments, model.classes, ax)
        else:
            heard, hertz = to_waveform(samples, rate, model.audio), model.audio.sample_rate_hz
            plots.attention_over_spectrogram(heard, hertz, *found.attention, ax)
        plt.close(figure)
        return figure


def build(model: Model, card: str, examples: Sequence[Path] = ()) -> gradio.Blocks:
    """Lay the page out."""
    try:
        import gradio
    except ImportError as error:
        raise SerError("the web page needs gradio: pip install 'ser-honest[app]'.") from error

    kept = {path.name for path in examples}

    def respond(path: str | None) -> Answer:
        try:
            return answer(model, path)
        finally:
            if path is not None and Path(path).name not in kept:
                Path(path).unlink(missing_ok=True)

    with gradio.Blocks(
        title="Speech emotion", analytics_enabled=False, delete_cache=(FORGET_S, FORGET_S)
    ) as page:
        gradio.Markdown(f"# {TITLE}\n{HINT}")
        with gradio.Tab("Try it"), gradio.Row():
            with gradio.Column(min_width=320):
                sound = gradio.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    label="your voice",
                    buttons=[],
                )
                ask = gradio.Button("Answer", variant="primary", elem_id="ask")
                other = gradio.UploadButton(
                    "Upload a video or another format",  # the box above takes audio/* only
                    file_types=sorted(formats.SUFFIXES),
                )
                if examples:
                    gradio.Examples([[str(path)] for path in examples], [sound], label="examples")
            with gradio.Column(min_width=320):
                message = gradio.Markdown(elem_id="message")
                label = gradio.Label(
                    label="probabilities",
                    num_top_classes=len(model.classes),
                    show_heading=False,
                )
                gradio.Markdown("Where the model listened: the white line is its attention.")
                picture = gradio.Plot(show_label=False)
        with gradio.Tab("About the model"):
            gradio.Markdown(card)
        shown = [message, label, picture]
        ask.click(respond, [sound], shown, concurrency_limit=AT_ONCE, api_name="answer")
        other.upload(respond, [other], shown, concurrency_limit=AT_ONCE, api_name="upload")
    page.queue(max_size=WAITING)
    return page


def card_of(model: Model, folder: Path) -> str:
    """Give what there is to say about a model."""
    written = folder / "README.md"
    if folder.is_dir() and written.is_file():
        text = written.read_text(encoding="utf-8")
        return re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL)  # the Hub's header
    recipe = (model.card.get("recipe") or {}).get("name", "unknown")
    return (
        f"Recipe: {recipe}. Classes: {', '.join(model.classes)}. It hears the first "
        f"{model.longest_s:.1f} s of a recording. This model has no card: do not rely on it."
    )


def serve(
    model: Model, card: str, *, host: str = "127.0.0.1", port: int = 7860, wait: bool = True
) -> Any:
    """Open the page until Ctrl-C."""
    matplotlib.use("Agg")
    folder = tempfile.TemporaryDirectory(prefix="ser-app-")
    page = build(model, card, _examples(Path(folder.name)))
    weakref.finalize(page, folder.cleanup)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            quiet=True,
            show_error=False,
            max_file_size=sandbox.MAX_BYTES,
            footer_links=[],
            css=STYLE,
            enable_monitoring=False,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise SerError(
            f"port {port} of {host} cannot be opened ({first_line(error)}). Name "
            "another with --port."
        ) from error
    if wait:
        print(f"open http://{host}:{port} in a browser; Ctrl-C ends.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            page.block_thread()
        page.close()
    return page


def _examples(folder: Path) -> list[Path]:
    """Take a few clips of the demo corpus."""
    from ser.corpora import demo

    found: dict[str, Path] = {}
    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name in clips.namelist():
            clip = demo.parse(PurePosixPath(name))
            if clip and clip.emotion in EXAMPLES and clip.emotion not in found:
                found[clip.emotion] = folder / f"synthetic-{clip.emotion}.opus"
                found[clip.emotion].write_bytes(clips.read(name))
    return list(found.values())
