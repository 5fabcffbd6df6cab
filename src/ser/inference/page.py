"""A web page: record or upload, and see what the model answers and why.

What is sent is decoded in a process of its own (`ser.inference.sandbox`) and removed with its
answer. `ser.inference.server` serves the page.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import mlab

from ser import formats, plots
from ser.audio import to_waveform
from ser.inference import sandbox
from ser.inference.model import Model, Prediction
from ser.inference.windows import clock
from ser.project import SerError

if TYPE_CHECKING:
    import gradio
    from matplotlib.axes import Axes

AT_ONCE = 2
WAITING = 500
REMEMBERED = 1_000  # recordings that were answered
TITLE = "How does this voice sound?"
HINT = (
    f"Record a few seconds or upload a recording (at most {sandbox.LIMITS.longest_s:.0f} s, "
    f"{sandbox.MAX_BYTES / 1e6:.0f} MB). The answer says how acted emotions of trained speakers "
    "would have sounded, not how anybody feels. What you send stays on the computer that runs this "
    "page, and is removed with its answer."
)
NO_MICROPHONE = (
    '<p class="if-none" hidden>This browser finds no microphone: upload a recording.</p>'
    '<p class="if-insecure" hidden>Browsers give a microphone only to pages on the same computer '
    "or with https: upload a recording, or open the page through <code>ssh -L</code>.</p>"
)
Answer = tuple[str, "dict[str, float] | None", "str | None"]
_DRAWN: Any = {"svg.fonttype": "none", "font.family": "sans-serif", "grid.color": "#88888855"}
_DRAWING = threading.Lock()  # Matplotlib draws for one at a time


def answer(model: Model, path: str | None) -> Answer:
    """Answer for one file: text, probabilities, and a drawing as HTML."""
    if path is None:
        return "Record or upload something first.", None, None
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
    parts = found.segments if found.in_windows else ()
    return "\n".join(
        [
            f"### {found.headline}",
            *(f"- {warning}" for warning in found.warnings),
            *(
                f"- {clock(part.start_s)} to {clock(part.end_s)}: {part.label} "
                f"({100 * part.probabilities[part.label]:.0f} %)"
                for part in parts
            ),
            "",
            f"Answered by {found.model}.",
        ]
    )


def _draw(model: Model, samples: np.ndarray, rate: float, found: Prediction) -> str | None:
    if found.no_speech or (not found.in_windows and found.attention is None):
        return None  # no answer, or a model without attention: there is nothing to draw
    with _DRAWING, plots.style(), plt.rc_context(_DRAWN):
        figure, ax = plt.subplots(figsize=(5.4, 2.9), layout="constrained")
        if found.attention is None:
            plots.timeline(samples, rate, found.segments, model.classes, ax)
            seen = f"Waveform of {clock(found.duration_s)}; the answers lie behind it, in colours."
            caption = "What the model answered, stretch by stretch."
        else:
            hertz = model.audio.sample_rate_hz
            whole = to_waveform(samples, rate, dataclasses.replace(model.audio, trim_db=None))
            weights, times_s = found.attention
            _spectrogram(whole, hertz, ax)
            plots.attention(weights, times_s, len(whole) / hertz, ax)
            most = clock(float(times_s[np.argmax(weights)]))
            seen = f"Spectrogram of {clock(found.duration_s)}; most attention lies at {most}."
            caption = "Where the model listened: the white line is its attention."
        ax.set(xlim=(0, found.duration_s), xlabel="time (min:s)")
        ax.xaxis.set_major_formatter(lambda s, _: clock(s).removesuffix(".0"))  # as the player
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, dpi=100)
        plt.close(figure)
    svg = re.sub("#000000|#404040", "currentColor", drawn.getvalue())  # whether light or dark
    return (
        f'<figure style="margin: 0"><div role="img" aria-label="{seen}">'
        '<svg style="width: 100%; height: auto; fill: currentColor"'
        f"{svg.partition('<svg')[2]}</div><figcaption>{caption}</figcaption></figure>"
    )


def _spectrogram(samples: np.ndarray, sample_rate_hz: float, ax: Axes) -> None:
    """Draw what `plots.spectrogram` does, but without librosa, which takes 200 MB."""
    step = round(sample_rate_hz / 125)
    found: Any = mlab.specgram(samples, 4 * step, sample_rate_hz, noverlap=3 * step)
    power, hertz, _ = found
    level_db = 10 * np.log10(np.maximum(power, 1e-8 * power.max(initial=1e-20)))
    ax.imshow(
        level_db,
        cmap="magma",
        origin="lower",
        aspect="auto",
        extent=(0, len(samples) / sample_rate_hz, 0, hertz[-1] / 1_000),
    )
    ax.set_ylabel("frequency (kHz)")
    ax.grid(visible=False)


def build(model: Model, card: str, forget: Callable[[str], None] | None = None) -> gradio.Blocks:
    """Lay the page out; `forget` removes what was answered."""
    try:
        import gradio
    except ImportError as error:
        raise SerError("the web page needs gradio: pip install 'ser-honest[app]'.") from error

    asked: dict[str, object] = {}

    def respond(path: str | None) -> Any:
        if path is None:
            return answer(model, path)
        if asked.setdefault(path, mine := object()) is not mine:
            return (gradio.skip(),) * 3  # its answer stands on the page, or is on its way
        for old in list(asked)[:-REMEMBERED]:
            asked.pop(old, None)
        try:
            return answer(model, path)
        finally:
            (forget or _remove)(path)

    with gradio.Blocks(title="Speech emotion", analytics_enabled=False) as page:
        gradio.Markdown(f"# {TITLE}")
        with gradio.Tab("Try it"):
            with gradio.Row():
                with gradio.Column(min_width=320):
                    sound = gradio.Audio(
                        sources=["upload", "microphone"],
                        type="filepath",
                        label="your voice",
                        buttons=[],
                    )
                    gradio.Markdown(NO_MICROPHONE, sanitize_html=False)
                    with gradio.Row():
                        ask = gradio.Button("Answer", variant="primary", elem_id="ask")
                        other = gradio.UploadButton(
                            "Upload another format",  # the box above takes audio/* only
                            file_types=sorted(formats.SUFFIXES),
                        )
                with gradio.Column(min_width=320):
                    message = gradio.Markdown(elem_id="message")
                    label = gradio.Label(
                        label="probabilities",
                        num_top_classes=len(model.classes),
                        show_heading=False,
                    )
                    picture = gradio.Markdown(elem_id="picture", sanitize_html=False)
            gradio.Markdown(f"{HINT} The model is {model.name}.")
        with gradio.Tab("About the model"):
            gradio.Markdown(card)
        shown = [message, label, picture]
        gradio.on(
            [ask.click, sound.change],  # also after recording, and after cutting
            respond,
            [sound],
            shown,
            api_name="answer",
        )
        other.upload(respond, [other], shown, api_name="upload")
    return page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)  # of `respond`


def _remove(path: str) -> None:
    """Remove a file, and its folder where nothing else is in it."""
    Path(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(path).parent.rmdir()


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
