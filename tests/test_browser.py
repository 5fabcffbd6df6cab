"""The page without a server, in a real browser: it answers as the package does, and alone."""

import contextlib
import csv
import io
import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import SMALL, made_once, one_line, ser_command
from odd_files import BAD, odd_files

from ser.audio import decode
from ser.inference import browser, bundle, load_model
from ser.project import SerError

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import bench_page
from bench_page import ask, loaded

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
if bench_page.CHROMIUM is None:
    pytest.skip("no Chromium was found: apt install chromium", allow_module_level=True)

RATE = 16_000
CLOSE = 0.05  # of a probability: browsers decode and resample a little differently
REAL = [SMALL.with_name(name) for name in ("small", "whisper-tiny")]


def site(folder, *bundles):
    """A page in a folder of a folder, as GitHub Pages serves it."""
    try:
        browser.write(folder / "a" / "page", {path.name: path for path in bundles})
    except SerError as error:
        if "cannot be reached" in str(error) or "does not answer" in str(error):
            pytest.skip(f"ONNX Runtime for browsers cannot be fetched: {error}")
        raise


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page with the small model is served."""
    folder = made_once(tmp_path_factory, "page", lambda folder: site(folder, SMALL))
    with bench_page.served(folder) as root:
        yield f"{root}a/page/"


@pytest.fixture(scope="module")
def playwright():
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright):
    return playwright.chromium.launch(
        executable_path=bench_page.CHROMIUM, args=list(bench_page.ARGUMENTS)
    )


@pytest.fixture(scope="module")
def view(chromium, address):
    """The page, loaded; what it asks for from then on is in `view.requests`."""
    context = chromium.new_context()
    view = context.new_page()
    view.problems, view.requests = [], []
    view.on("pageerror", lambda error: view.problems.append(str(error)))
    view.on("console", lambda line: line.type == "error" and view.problems.append(line.text))
    view.goto(address)
    loaded(view)
    view.wait_for_timeout(300)
    context.on("request", lambda request: view.requests.append(request.url))
    return view


@pytest.fixture(scope="module")
def python():
    return load_model(SMALL)


def clip_of(demo_shelf, number):
    return sorted(demo_shelf.rglob("*.opus"))[number]


def saved(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def speech(demo_shelf, *numbers, rate=RATE):
    """Clips in turn, with a second of silence after each."""
    parts = [decode(clip_of(demo_shelf, number)) for number in numbers]
    return np.concatenate(
        [np.pad(soxr.resample(p.samples[:, 0], p.sample_rate_hz, rate), (0, rate)) for p in parts]
    )


def assert_same(found, expected):
    assert "error" not in found
    assert (found["label"], found["no_speech"]) == (expected.label, expected.no_speech)
    for name, share in expected.probabilities.items():
        assert found["probabilities"][name] == pytest.approx(share, abs=CLOSE)
    assert found["warnings"] == expected.warnings
    assert found["duration_s"] == pytest.approx(expected.duration_s, abs=0.05)


# What it answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 30, 61])
def test_a_clip_is_answered_as_in_python(view, python, demo_shelf, number):
    clip = clip_of(demo_shelf, number)
    found, expected = ask(view, clip), python.predict(clip)
    assert_same(found, expected)
    headline = found.pop("headline")
    assert re.sub(r"\d+ %", "", headline) == re.sub(r"\d+ %", "", expected.headline)
    assert list(found) == ["file", *expected.as_dict()]
    assert list(found["segments"][0]) == list(expected.as_dict()["segments"][0])


def test_a_long_recording_is_answered_in_the_same_stretches(view, python, demo_shelf, tmp_path):
    path = saved(tmp_path / "long.flac", speech(demo_shelf, 2, 40, 61, 12))
    found, expected = ask(view, path), python.predict(path)
    assert found["in_windows"]
    assert_same(found, expected)
    assert [s["label"] for s in found["segments"]] == [s.label for s in expected.segments]
    for ours, theirs in zip(found["segments"], expected.segments, strict=True):
        assert (ours["start_s"], ours["end_s"]) == pytest.approx(
            (theirs.start_s, theirs.end_s), abs=0.04
        )
    lengths = np.array([s["end_s"] - s["start_s"] for s in found["segments"]])
    for name, share in found["probabilities"].items():  # the headline is made of the timeline
        of_name = [s["probabilities"][name] for s in found["segments"]]
        assert share == pytest.approx(lengths @ of_name / lengths.sum(), abs=1e-9)
    assert view.locator("#timeline .stretch").count() == len(found["segments"])
    assert view.locator("#parts tbody tr").count() == len(found["segments"])


def test_the_csv_is_that_of_the_command_line(view, demo_shelf, tmp_path, predict):
    path = saved(tmp_path / "long.flac", speech(demo_shelf, 2, 40, 12))
    ask(view, path)
    with view.expect_download() as download:
        view.click("#csv")
    assert download.value.suggested_filename == "long.csv"
    found = list(csv.reader(io.StringIO(Path(download.value.path()).read_text())))
    expected = list(csv.reader(io.StringIO(predict(path, "--csv")[1])))
    assert [len(row) for row in found] == [len(row) for row in expected]
    for ours, theirs in itertools.chain.from_iterable(
        zip(*rows, strict=True) for rows in zip(found[1:], expected[1:], strict=True)
    ):
        if re.fullmatch(r"[\d.]+", theirs):
            assert float(ours) == pytest.approx(float(theirs), abs=CLOSE)
        else:
            assert ours == theirs.replace(str(path), "long.flac").replace("models/small", "small")
    assert found[0] == expected[0]


def test_quality_is_judged_as_in_python(view, python, demo_shelf, tmp_path):
    voice = speech(demo_shelf, 30)
    noise = np.random.default_rng(0).normal(size=2 * RATE) / 20
    sounds = {
        "silent": np.zeros(2 * RATE),
        "offset": np.full(2 * RATE, 0.5),
        "quiet": voice / np.abs(voice).max() / 200,
        "clipped": np.clip(20 * voice, -1, 1),
        "short": voice[6_000:12_000],
        "noise": noise,
        "noise for long": np.tile(noise, 4),
    }
    for name, samples in sounds.items():
        path = saved(tmp_path / f"{name}.wav", samples, subtype="FLOAT")
        assert_same(ask(view, path), python.predict(path))
    whole = saved(tmp_path / "whole.wav", voice).read_bytes()
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole[: 2 * len(whole) // 3])
    found = ask(view, cut)
    assert_same(found, python.predict(cut))
    assert [note.split(":")[0] for note in found["warnings"]] == ["cut short"]
    assert found["warnings"][0] in view.inner_text("#notes")


def test_what_is_no_recording_gets_one_line(view, tmp_path, demo_shelf):
    files = {
        "empty.wav": (b"", "the file is empty"),
        "text.wav": (b"this is no sound", "expected a recording"),
        "pointer.wav": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        "head.wav": (saved(tmp_path / "x.wav", np.zeros(RATE)).read_bytes()[:40], "expected a rec"),
        "moment.wav": (saved(tmp_path / "y.wav", np.ones(320) / 2).read_bytes(), "0.020 s long"),
        "nan.wav": (
            saved(tmp_path / "z.wav", np.full(RATE, np.nan), subtype="FLOAT").read_bytes(),
            "NaN or infinite",
        ),
    }
    for name, (data, message) in files.items():
        (tmp_path / name).write_bytes(data)
        (line,) = ask(view, tmp_path / name)["error"].splitlines()
        assert message.lower() in line.lower()
        assert view.inner_text("#headline") == "No answer"
        assert message.lower() in view.text_content("#status").lower()
    assert ask(view, clip_of(demo_shelf, 30))["label"]  # and it goes on answering


def test_another_rate_is_as_soxr_gives_it(view):
    noise = np.random.default_rng(0).normal(size=3_000).astype(np.float32) / 5
    run = """async ({ samples, from, to }) => {
        const { resample } = await import("./sound.js");
        return Array.from(resample(Float32Array.from(samples), from, to));
    }"""
    for rate in (8_000, 22_050, 44_100, 48_000):
        given = {"samples": noise.tolist(), "from": rate, "to": RATE}
        found = np.array(view.evaluate(run, given))
        expected = soxr.resample(noise, rate, RATE)
        assert len(found) == len(expected)
        inner = slice(200, -200)
        assert np.abs(found - expected)[inner].max() < 0.01 * np.abs(expected).max()


def test_attention_begins_where_the_front_end_trims(view):
    import librosa

    noise = np.random.default_rng(0).normal(size=3_000).astype(np.float32) / 5
    voice = np.concatenate([noise / 1_000, noise, noise / 500]).astype(np.float32)
    run = """async (samples) => {
        const { trimmed } = await import("./sound.js");
        return trimmed(Float32Array.from(samples), 40);
    }"""
    _, edges = librosa.effects.trim(voice, top_db=40)
    assert view.evaluate(run, voice.tolist()) == list(edges)


# How it behaves -----------------------------------------------------------------------------------


def test_after_loading_it_asks_for_nothing_and_may_ask_nobody_else(view, address, demo_shelf):
    before = len(view.requests)
    ask(view, clip_of(demo_shelf, 12))
    view.click("#examples button >> nth=0")
    bench_page.answer(view)
    asked = [url for url in view.requests[before:] if not url.startswith("blob:")]
    assert asked == []
    with bench_page.served(Path(__file__).parent) as elsewhere:
        reach = "url => fetch(url).then(() => 'reached', (error) => error.name)"
        for place in (view, *view.workers):
            assert place.evaluate(reach, elsewhere) == "TypeError"
            assert place.evaluate(reach, address) == "reached"
        assert (
            view.evaluate(  # no picture either, and no form
                """url => new Promise((resolve) => {
                const image = new Image();
                image.onload = () => resolve("reached");
                image.onerror = () => resolve("refused");
                image.src = url;
            })""",
                f"{elsewhere}x.png",
            )
            == "refused"
        )
    assert view.workers
    assert view.evaluate("document.cookie + localStorage.length + sessionStorage.length") == "00"
    view.problems = [line for line in view.problems if "Content Security Policy" not in line]


def test_it_works_without_a_network(chromium, address, demo_shelf, python):
    context = chromium.new_context()
    first = context.new_page()
    first.goto(address)
    loaded(first)
    context.set_offline(True)
    second = context.new_page()
    second.goto(address)
    clip = clip_of(demo_shelf, 30)
    assert_same(ask(second, clip), python.predict(clip))
    kept = second.evaluate(
        """async () => {
            const all = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
            return (await Promise.all(all.map((one) => one.keys()))).flat().map(({ url }) => url);
        }"""
    )
    assert all(url.startswith(address) for url in kept)  # the page's own files and nothing else
    context.close()


def test_it_can_be_used_by_keyboard(view, demo_shelf):
    ask(view, clip_of(demo_shelf, 12))
    view.click("h1")  # where Tab begins
    reached = {}
    for _ in range(20):
        view.keyboard.press("Tab")
        one = view.evaluate("document.activeElement.id || document.activeElement.tagName")
        reached[one] = view.evaluate(
            "getComputedStyle(document.activeElement.closest('#drop') ||"
            " document.activeElement).outlineStyle"
        )
    assert list(reached)[:3] == ["record", "file", "BUTTON"]
    assert {"player", "csv", "json", "SUMMARY"} <= set(reached)
    assert [one for one, outline in reached.items() if outline == "none" and one != "player"] in (
        [],
        ["BODY"],
    )  # a player draws its own
    view.focus("#examples button >> nth=1")
    view.keyboard.press("Enter")
    bench_page.answer(view)
    assert view.inner_text("#headline") in view.text_content("#status")
    names = view.locator("button, input, select, audio, svg[role], canvas").evaluate_all(
        "all => all.filter((one) => one.checkVisibility()).map((one) => one.ariaLabel"
        " || one.textContent.trim() || one.labels?.[0]?.textContent.trim())"
    )
    assert all(names)


CONTRAST = """() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
        .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (one) => {
        for (; one; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor);
            if (colour[3] !== 0) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement;
        if (!texts.currentNode.textContent.trim() || !one.checkVisibility()) continue;
        if (one.closest(":disabled, .visually-hidden, svg, noscript")) continue;
        const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([texts.currentNode.textContent.trim(), ratio]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark_and_at_any_width(view, scheme, tmp_path, demo_shelf):
    view.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    clipped = np.clip(20 * speech(demo_shelf, 30), -1, 1)
    path = saved(tmp_path / "a-long-name-without-a-space-in-it-that-does-not-fit.wav", clipped)
    ask(view, path)
    view.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    contrasts = view.evaluate(CONTRAST)
    assert len(contrasts) > 30
    assert [text for text, ratio in contrasts if ratio < 4.5] == []
    for width in (360, 400, 768, 1280, 1600):
        view.set_viewport_size({"width": width, "height": 800})
        assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.evaluate("document.getAnimations().length") == 0
    view.emulate_media()


def test_nothing_went_wrong_on_the_page(view):
    assert [line for line in view.problems if "Content Security Policy" not in line] == []


def test_it_can_be_installed(view, address):
    found = view.evaluate("fetch('manifest.webmanifest').then((answer) => answer.json())")
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in found["icons"]}
    session = view.context.new_cdp_session(view)
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} <= {"in-incognito"}  # as test browsers are


# The microphone -----------------------------------------------------------------------------------


@pytest.fixture
def speaking(playwright, address, demo_shelf, tmp_path):
    """A browser whose microphone hears speech over and over; and its process."""
    voice = saved(tmp_path / "voice.wav", speech(demo_shelf, 2, 30, 61, rate=48_000), 48_000)
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path / "profile"),
        executable_path=bench_page.CHROMIUM,
        args=[
            *bench_page.ARGUMENTS,
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={voice}",
        ],
    )
    view = context.pages[0]
    view.goto(address)
    loaded(view)
    yield view
    context.close()


def test_it_answers_while_somebody_speaks_and_then_about_all_of_it(speaking):
    speaking.click("#record")
    speaking.wait_for_selector("#live:visible #lines .line[d*=L]", state="attached")
    sync_api.expect(speaking.locator("#headline")).to_have_text(re.compile(r"\d %"))
    speaking.wait_for_timeout(3_000)
    speaking.click("#record")
    found = bench_page.answer(speaking)
    assert found["file"] == "recording.wav"
    assert 3 < found["duration_s"] < 30
    assert found["label"]
    assert not speaking.locator("#live").is_visible()
    heard_again = speaking.evaluate("document.getElementById('player').duration")
    assert heard_again == pytest.approx(found["duration_s"], abs=0.01)


# The sweeps ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(chromium, tmp_path_factory):
    """The page with both released models."""
    folder = made_once(tmp_path_factory, "whole-page", lambda folder: site(folder, *REAL))
    with bench_page.served(folder) as root:
        view = chromium.new_page()
        view.goto(f"{root}a/page/")
        loaded(view)
        yield view


@pytest.mark.slow
@pytest.mark.parametrize("model", bench_page.MODELS)
def test_clips_of_five_corpora_are_answered_as_in_python(whole, real_speech, model):
    whole.select_option("#model", model)
    found = bench_page.compare(whole, bench_page.sample(200), model)
    assert found["clips"] == 200
    assert found["largest_difference"] < CLOSE
    assert found["same_answer"] >= 0.99


@pytest.mark.slow
def test_the_large_model_answers_when_it_has_arrived_and_either_can_be_chosen(whole, demo_shelf):
    assert ask(whole, clip_of(demo_shelf, 30))["model"] == "whisper-tiny"
    whole.select_option("#model", "small")
    whole.wait_for_selector("text=answered by small")
    assert bench_page.answer(whole)["model"] == "small"


@pytest.mark.slow
def test_every_odd_file_is_answered_or_refused_and_none_stops_the_page(view, tmp_path):
    for number, (name, data, leads_to) in enumerate(odd_files()):
        path = tmp_path / f"{number}-{Path(name).name}"
        path.write_bytes(data)
        found = ask(view, path)
        if leads_to == BAD:
            assert "error" in found or found["no_speech"], name
        assert "something went wrong" not in found.get("error", ""), name


@pytest.mark.slow
def test_two_minutes_of_speech_take_no_more_memory_than_one(playwright, address, demo_shelf):
    found = bench_page.speak(playwright, address, clip_of(demo_shelf, 30), bench_page.LIVE_S)
    assert found["live_growth_mb"] < bench_page.BARS["live_growth_mb"]
    assert found["live_latency_ms"] < 500


# Firefox ------------------------------------------------------------------------------------------


class Firefox:
    """Debian's Firefox, driven by its own protocol (Marionette): Playwright needs a build apart."""

    def __init__(self, profile):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (profile / "user.js").write_text(f'user_pref("marionette.port", {port});')
        command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.pipe = until(lambda: contact(port), "a connection")
        self.receive()
        self.call("WebDriver:NewSession")

    def receive(self):
        length = b""
        while not length.endswith(b":"):
            length += self.pipe.recv(1)
        return json.loads(self.pipe.recv(int(length[:-1]), socket.MSG_WAITALL))

    def call(self, name, **values):
        message = json.dumps([0, 1, f"{name}", values]).encode()
        self.pipe.sendall(b"%d:%s" % (len(message), message))
        _, _, error, found = self.receive()
        assert error is None, error
        return found

    def run(self, script):
        return self.call("WebDriver:ExecuteScript", script=f"return {script}", args=[])["value"]


def contact(port):
    with contextlib.suppress(OSError):
        return socket.create_connection(("127.0.0.1", port))


def until(found, what, seconds=120):
    for _ in range(5 * seconds):
        if value := found():
            return value
        time.sleep(0.2)
    raise AssertionError(f"no {what} within {seconds} s")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("firefox-esr"), reason="apt install firefox-esr")
def test_firefox_answers_the_same(address, python, demo_shelf, tmp_path):
    firefox = Firefox(tmp_path)
    try:
        firefox.call("WebDriver:Navigate", url=address)
        until(lambda: firefox.run("document.documentElement.dataset.state === 'loaded'"), "model")
        place = firefox.call("WebDriver:FindElement", using="css selector", value="#file")
        (element,) = place["value"].values()
        for number in (2, 30):
            clip = clip_of(demo_shelf, number)
            firefox.call("WebDriver:ElementSendKeys", id=element, text=str(clip))
            until(lambda: not firefox.run("document.getElementById('look').hidden"), "answer")
            expected = python.predict(clip)
            shares = firefox.run(
                "[...document.querySelectorAll('#bars .share')].map((one) => one.textContent)"
            )
            for share, theirs in zip(shares, expected.probabilities.values(), strict=True):
                assert int(share.split()[0]) == pytest.approx(100 * theirs, abs=100 * CLOSE)
            assert expected.label in firefox.run("document.getElementById('headline').textContent")
    finally:
        firefox.process.kill()
        firefox.process.wait()


# A model of one's own -----------------------------------------------------------------------------


def test_a_model_of_ones_own_goes_into_the_page(chromium, one_bundle, demo_shelf, tmp_path):
    folder = tmp_path / "here" / "mine"
    shown = ser_command("export", one_bundle / "bundle", "--page", folder)
    if "cannot be reached" in shown.stderr:
        pytest.skip(shown.stderr)
    assert shown.returncode == 0, shown.stderr
    assert "python -m http.server" in shown.stdout
    clip = clip_of(demo_shelf, 30)
    with bench_page.served(tmp_path) as root:
        view = chromium.new_page()
        view.goto(f"{root}here/mine/")
        found = ask(view, clip)
        limits = view.inner_text("#limits")
        view.close()
    assert_same(found, load_model(one_bundle / "bundle").predict(clip))
    assert found["model"] == "bundle"
    assert "This model has no card: do not rely on it." in limits


def test_what_cannot_become_a_page_is_one_line(tmp_path):
    with one_line("no bundle there"):
        browser.write(tmp_path / "page", {"x": tmp_path})
    card = json.loads((SMALL / bundle.CARD).read_text())
    card["files"] = {"litert": {**card["files"]["onnx"], "file": "model.tflite"}}
    card[bundle.OWN_SUM] = bundle.own_sum(card)
    (tmp_path / bundle.CARD).write_text(json.dumps(card))
    with one_line("no onnx file", "litert"):
        browser.write(tmp_path / "page", {"x": tmp_path})
    for arguments in (["small"], ["small", "--to", tmp_path / "x"]):
        assert "--page FOLDER" in ser_command("export", *arguments).stderr
    assert not (tmp_path / "page").exists()
