"""The web page in a real browser, and what it does with files that are none."""

import concurrent.futures
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import SMALL, one_line
from test_export import speech

from ser.audio import AudioError, decode
from ser.inference import sandbox
from ser.inference.model import load_model

gradio = pytest.importorskip("gradio", reason="needs the extra `app`")

from ser.inference import page as app  # noqa: E402

CLASSES = "|".join(load_model(SMALL).classes)
CARD = "# The card\nIntended for a test."
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def clip(demo_shelf):
    return sorted(demo_shelf.rglob("*.opus"))[12]  # a clear one


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, running on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = load_model(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        running = app.serve(model, CARD, port=port, wait=False)
        yield f"http://127.0.0.1:{port}"
        running.close()


# Without a browser --------------------------------------------------------------------------------


def test_decoding_aside_gives_what_decoding_does(clip):
    found, expected = sandbox.decode_aside(clip), decode(clip)
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert found.sample_rate_hz == expected.sample_rate_hz


def test_what_cannot_be_decoded_is_one_line_without_a_path(tmp_path):
    bad = tmp_path / "secret" / "note.wav"
    bad.parent.mkdir()
    bad.write_text("this is no sound")
    with one_line("the recording: expected audio", kind=AudioError) as caught:
        sandbox.decode_aside(bad)
    assert "secret" not in str(caught.value)
    with one_line("no such file", kind=AudioError) as caught:
        sandbox.decode_aside(tmp_path / "secret" / "none.wav")
    assert "secret" not in str(caught.value)


def test_what_is_too_long_or_too_large_is_not_decoded(tmp_path, monkeypatch):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(130 * 8_000, np.int16), 8_000)
    with one_line("130 s long; at most 120 s", kind=AudioError):
        sandbox.decode_aside(path)
    monkeypatch.setattr(sandbox, "MAX_BYTES", 1_000)
    with one_line("at most 0 MB are taken", kind=AudioError):
        sandbox.decode_aside(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pipe with a name")
def test_what_takes_too_long_is_given_up(tmp_path, clip, monkeypatch):
    monkeypatch.setattr(sandbox, "_work", _sleep)
    started_s = time.monotonic()
    with one_line("not decoded within 1 s", kind=AudioError):
        sandbox.decode_aside(clip, timeout_s=1.0)
    assert time.monotonic() - started_s < 45  # of 60: a process may be slow to start


def _sleep(path, results):
    results.send("begun")
    time.sleep(60)


def test_messages(clip, tmp_path):
    model = load_model(SMALL)
    message, shares, figure = app.answer(model, str(clip))
    assert re.match(rf"### (uncertain, most likely )?({CLASSES}) \(\d+ %\)", message)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert len(figure.axes) >= 2
    assert app.answer(model, None) == ("Record, upload or pick something first.", None, None)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    message, _, _ = app.answer(model, str(tmp_path / "silent.wav"))
    assert "silent" in message
    long = np.concatenate([np.pad(w, 16_000) for w in speech(clip.parents[3], 3)])
    soundfile.write(tmp_path / "long.wav", long, 16_000)
    _, _, figure = app.answer(model, str(tmp_path / "long.wav"))
    assert figure.axes[0].get_xlim()[1] == pytest.approx(len(long) / 16_000, rel=0.01)


def test_the_card_is_the_bundles_own(tmp_path):
    model = load_model(SMALL)
    assert app.card_of(model, SMALL).startswith("# small\n")  # without the Hub's header
    assert "Recipe: best-scratch-released" in app.card_of(model, tmp_path)
    (tmp_path / "README.md").write_text("# Mine\n---\nand more\n---\n")
    assert app.card_of(model, tmp_path) == "# Mine\n---\nand more\n---\n"


def test_a_port_that_is_taken_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with one_line(f"port {port} of 127.0.0.1 cannot be opened", "--port"):
            app.serve(load_model(SMALL), CARD, port=port, wait=False)


def test_thirty_at_once_are_all_answered_and_nothing_is_kept(page, clip, tmp_path):
    from gradio_client import Client, handle_file

    client = Client(page, verbose=False, download_files=False)
    samples, rate = soundfile.read(clip)

    def ask(number):
        path = tmp_path / f"voice-{number}.wav"
        soundfile.write(path, (1 - number / 100) * samples, rate)
        return client.predict(handle_file(str(path)), api_name="/answer")[0]

    with concurrent.futures.ThreadPoolExecutor(30) as together:
        answers = list(together.map(ask, range(30)))
    assert len(answers) == 30
    assert [found for found in answers if not found.startswith("### ")] == []
    # how far a voice was turned up does not count, but for the 16 bits of its file
    found = [re.search(r"(\w+) \((\d+) %\)", answer).groups() for answer in answers]
    assert len({label for label, _ in found}) == 1
    assert np.ptp([int(percent) for _, percent in found]) <= 1
    assert list(Path(os.environ["GRADIO_TEMP_DIR"]).rglob("voice-*")) == []


def test_a_recording_that_was_removed_must_be_sent_again(tmp_path):
    message, *_ = app.answer(load_model(SMALL), str(tmp_path / "gone.wav"))
    assert message == "The recording was removed with its answer: send it again."


# With one -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium was found: apt install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


def ask(view, path):
    view.set_input_files("input[type=file]", str(path))
    view.wait_for_selector("audio, .waveform-container", state="attached", timeout=30_000)
    view.click("#ask")


@pytest.mark.parametrize("width", [1280, 400])
def test_upload_a_clip_and_see_the_answer(page, browser, clip, width):
    view = browser.new_page(viewport={"width": width, "height": 900})
    view.goto(page)
    ask(view, clip)
    view.wait_for_selector("#message h3", timeout=60_000)
    assert re.search(rf"({CLASSES}) \(\d+ %\)", view.inner_text("#message"))
    for name in CLASSES.split("|"):
        assert name in view.inner_text("body")
    view.wait_for_selector("img[src*=data], img[alt*=plot i], .matplotlib img", timeout=30_000)
    assert view.evaluate("document.documentElement.scrollWidth") <= width + 1
    if folder := os.environ.get("SER_SCREENSHOTS"):
        view.wait_for_timeout(1_000)
        view.screenshot(path=f"{folder}/answer-{width}.png", full_page=True)
        view.get_by_role("tab", name="About the model").click()
        view.wait_for_timeout(500)
        view.screenshot(path=f"{folder}/card-{width}.png", full_page=True)
    view.close()


def test_an_example_can_be_asked_about_again(page, browser):
    view = browser.new_page()
    view.goto(page)
    view.get_by_text("synthetic-angry.opus").first.click()
    view.wait_for_selector("audio, .waveform-container", state="attached", timeout=30_000)
    for _ in range(2):
        view.click("#ask")
        view.wait_for_timeout(3_000)
        view.wait_for_selector("#message h3", timeout=60_000)
    assert "removed" not in view.inner_text("#message")
    view.close()


def test_upload_a_text_file_and_see_the_message(page, browser, tmp_path):
    bad = tmp_path / "note.wav"
    bad.write_text("this is no sound")
    view = browser.new_page()
    view.goto(page)
    ask(view, bad)
    view.wait_for_selector("#message strong", timeout=60_000)
    shown = view.inner_text("body")
    assert "No answer: the recording: expected audio" in shown
    assert str(tmp_path) not in shown
    assert "/tmp" not in shown
    view.close()
