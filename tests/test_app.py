"""The web page in a real browser, and what it does with files that are none."""

import concurrent.futures
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import SMALL, one_line
from test_export import speech

from ser.audio import AudioError, decode
from ser.inference import load_model, sandbox
from ser.inference.speech import find_speech

gradio = pytest.importorskip("gradio", reason="needs the extra `app`")

import httpx  # noqa: E402  Gradio brings it

from ser.inference import guard, server  # noqa: E402
from ser.inference import page as app  # noqa: E402

CLASSES = "|".join(load_model(SMALL).classes)
CARD = "# The card\nIntended for a test."
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 120_000  # for a state that comes at last on any machine; never for a time


@pytest.fixture(scope="module")
def clip(demo_shelf):
    return sorted(demo_shelf.rglob("*.opus"))[12]  # a clear one


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def served():
    """The page, running on a free port."""
    running = server.serve(load_model(SMALL), CARD, port=free_port(), wait=False)
    yield running
    running.close()
    assert not running.folder.exists()


@pytest.fixture(scope="module")
def page(served):
    return served.url


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


@pytest.mark.slow
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
    message, shares, drawing = app.answer(model, str(clip))
    assert re.match(rf"### (uncertain, most likely )?({CLASSES}) \(\d+ %\)", message)
    assert message.endswith(f"\nAnswered by {model.name}.")
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert 'role="img" aria-label="Spectrogram of 0:0' in drawing
    assert app.answer(model, None) == ("Record or upload something first.", None, None)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    message, _, drawing = app.answer(model, str(tmp_path / "silent.wav"))
    assert "silent" in message
    assert drawing is None


def test_the_page_says_all_that_the_command_says(clip, tmp_path, predict):
    """Of a long, overdriven recording that is cut short: each stretch and note, and the model."""
    long = np.concatenate([np.pad(w, 16_000) for w in speech(clip.parents[3], 3)])
    soundfile.write(tmp_path / "long.wav", 30 * long, 16_000)
    whole = (tmp_path / "long.wav").read_bytes()
    (tmp_path / "long.wav").write_bytes(whole[: int(0.9 * len(whole))])
    message, _, drawing = app.answer(load_model(SMALL), str(tmp_path / "long.wav"))
    _, said, _ = predict(tmp_path / "long.wav")
    said = said.replace(f"{tmp_path / 'long.wav'}: ", "")
    stretches = re.findall(r"(\d:\d\d\.\d to \d:\d\d\.\d) +(\w+) +([\d.]+) %", said)
    assert len(stretches) >= 2
    for span, label, percent in stretches:
        assert f"- {span}: {label} ({float(percent):.0f} %)" in message
    notes = re.findall(r"note: (.+)", said)
    assert len(notes) >= 2
    for note in notes:
        assert f"- {note}\n" in message
    assert message.startswith(f"### {said.splitlines()[0]}\n")
    seconds = 0.9 * len(long) / 16_000
    assert f"Waveform of 0:{seconds:04.1f}" in drawing
    assert ">0:04<" in drawing  # the axis counts as the player does


def test_attention_stands_where_it_was_paid(tmp_path, clip, monkeypatch):
    """A model counts its steps from the first speech; the page from the start."""
    model = load_model(SMALL)
    samples, rate = soundfile.read(clip)
    drawn = []
    monkeypatch.setattr(app.plots, "attention", lambda *found: drawn.append(found))
    for number, lead_s in enumerate((0.0, 2.0)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.concatenate([np.zeros(int(lead_s * rate)), samples]), rate)
        app.answer(model, str(path))
    (weights, times_s, duration_s, _), (_, later_s, longer_s, _) = drawn
    assert times_s[0] < 0.1  # the middle of the first step
    # a lead is cut off up to where somebody speaks
    speech_s = find_speech(*soundfile.read(path))[0][0]
    assert later_s[0] - times_s[0] == pytest.approx(speech_s, abs=0.02)
    assert 2.0 < speech_s < 2.5
    assert longer_s - duration_s == pytest.approx(2.0, abs=0.001)
    assert weights.sum() == pytest.approx(1, abs=1e-3)


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
            server.serve(load_model(SMALL), CARD, port=port, wait=False)


def test_a_recording_that_was_removed_must_be_sent_again(tmp_path):
    message, *_ = app.answer(load_model(SMALL), str(tmp_path / "gone.wav"))
    assert message == "The recording was removed with its answer: send it again."


def test_in_a_notebook_what_was_answered_is_removed_too(tmp_path, clip):
    """`build` without a server: Gradio's own upload, in a folder of its own."""
    folder = tmp_path / "hash"
    folder.mkdir()
    shutil.copy(clip, folder / "voice.opus")
    (function, *_) = app.build(load_model(SMALL), CARD).fns.values()
    message, *_ = function.fn(str(folder / "voice.opus"))
    assert message.startswith("### ")
    assert not folder.exists()
    assert function.fn(str(folder / "voice.opus")) == (gradio.skip(),) * 3  # the answer stays


# Who may ask, and for what ------------------------------------------------------------------------


def send(page, path, name="voice.opus", **headers):
    files = {"files": (name, Path(path).read_bytes())}
    return httpx.post(f"{page}/gradio_api/upload", files=files, headers=headers, timeout=60)


def ask_for(page, path, **more):
    data = {"path": path, "meta": {"_type": "gradio.FileData"}, **more}
    return httpx.post(f"{page}/gradio_api/call/answer", json={"data": [data]}, timeout=60)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:{port}"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:{port}"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:{port}"}, 421),
        ({"host": "127.0.0.1.evil.example:{port}"}, 421),
        ({"host": "0.0.0.0:{port}"}, 421),
        ({"host": "[::1"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://127.0.0.1:{port}"}, 200),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "empty"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),  # a link
    ],
)
def test_only_this_page_may_ask(page, headers, status):
    port = httpx.URL(page).port
    headers = {name: value.format(port=port) for name, value in headers.items()}
    found = httpx.get(f"{page}/config", headers=headers)
    assert found.status_code == status
    for name, value in guard.HEADERS.items():
        assert found.headers[name] == value
    if status != 200:
        assert "access-control-allow-origin" not in found.headers
        assert "\n" not in found.text


def test_a_page_for_all_computers_has_their_addresses_and_its_own_name(tmp_path):
    name = socket.gethostname()
    everywhere = guard.Guard(None, tmp_path, "0.0.0.0")
    for host in ("192.168.1.7:7860", "[fe80::1]:7860", "localhost", name, f"{name}.local:7860"):
        assert everywhere.is_own(host)
    for host in ("evil.example", "192.168.1.7.evil.example", "", "1.2.3.4.5", "[::1"):
        assert not everywhere.is_own(host)
    named = guard.Guard(None, tmp_path, "voice.example")
    assert named.is_own("voice.example:7860")
    assert not named.is_own("192.168.1.7")


def test_what_the_page_does_not_need_is_not_there(page):
    names = (
        "gradio_api/runs monitoring gradio_api/deep_link login gradio_api/proxy=http://a.example"
    )
    for name in names.split():
        assert httpx.get(f"{page}/{name}").status_code == 404, name
    assert httpx.post(f"{page}/gradio_api/process_recording").status_code == 404
    assert httpx.get(f"{page}/gradio_api/app_id").status_code == 200
    with httpx.stream("GET", f"{page}/gradio_api/heartbeat/a-1") as beats:
        assert beats.status_code == 200
    assert httpx.post(f"{page}/gradio_api/queue/join", content=b"{" * 200_000).status_code == 413
    assert httpx.post(f"{page}/gradio_api/queue/join", content=b"{").status_code == 400
    assert httpx.post(f"{page}/gradio_api/queue/join", content=b"[" * 50_000).status_code == 400
    assert httpx.post(f"{page}/gradio_api/queue/join", content=iter([b"{}"])).status_code == 411


def test_files_that_were_not_sent_are_neither_shown_nor_heard(page, served, tmp_path, clip):
    (sent,) = send(page, clip).json()
    secret = tmp_path / "secret.wav"
    shutil.copy(clip, secret)
    others = (secret, "http://a.example/a.wav", f"{Path(sent).parent}/../../../{secret}", 7, [1])
    for other in others:
        assert ask_for(page, other if isinstance(other, (int, list)) else str(other)).is_error
        assert httpx.get(f"{page}/gradio_api/file={other}").status_code == 404, other
    assert httpx.get(f"{page}/gradio_api/file={served.folder}/lock").status_code == 404
    assert secret.is_file()
    found = httpx.get(f"{page}/gradio_api/file={sent}")
    assert found.content == clip.read_bytes()
    served.guard.forget(sent)
    assert httpx.get(f"{page}/gradio_api/file={sent}").status_code == 403
    assert uploads(served) == []


def uploads(served):
    return [path for path in served.folder.iterdir() if path.name != "lock"]


def wait_until(true, seconds=60):
    end_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.02)


def test_equal_uploads_are_two(page, served, clip):
    (first,), (second,) = send(page, clip).json(), send(page, clip, "../../a.exe").json()
    assert first != second
    assert Path(second).name == "recording"  # what it was called does not count
    served.guard.forget(first)
    assert Path(second).read_bytes() == clip.read_bytes()
    served.guard.forget(second)
    assert uploads(served) == []


def test_what_is_no_upload_is_refused(page, served, clip, monkeypatch):
    url = f"{page}/gradio_api/upload"
    assert httpx.post(url, content=b"voice").status_code == 400
    assert httpx.post(url, data={"files": "voice"}).status_code == 400
    two = [("files", ("a.wav", b"a")), ("files", ("b.wav", b"b"))]
    assert httpx.post(url, files=two).status_code == 400
    monkeypatch.setattr(sandbox, "MAX_BYTES", 1_000)
    assert httpx.post(url, files={"files": b"a" * 200_000}).status_code == 413
    monkeypatch.undo()
    assert (served.guard.receiving, served.guard.kept, uploads(served)) == (0, {}, [])


def test_no_more_is_stored_than_may_be(page, served, clip, monkeypatch):
    (sent,) = send(page, clip).json()
    monkeypatch.setattr(guard, "MAX_STORED", 2 * clip.stat().st_size)
    found = send(page, clip)
    assert (found.status_code, found.text) == (
        503,
        "too much is waiting for answers: try again later.",
    )
    served.guard.forget(sent)
    assert (served.guard.receiving, served.guard.kept) == (0, {})
    (sent,) = send(page, clip).json()
    served.guard.forget(sent)


def test_what_nobody_asks_about_is_forgotten(page, served, clip, monkeypatch):
    monkeypatch.setattr(guard, "FORGET_S", 0.5)
    send(page, clip)
    wait_until(lambda: uploads(served) == [] and served.guard.kept == {})


def part_of_upload(page, clip, connection):
    url = httpx.URL(page)
    begin = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    )
    connection.sendall(begin.encode() + clip.read_bytes()[:5_000])


def test_an_upload_that_breaks_off_leaves_nothing(page, served, clip):
    with socket.create_connection(("127.0.0.1", httpx.URL(page).port)) as connection:
        part_of_upload(page, clip, connection)
        wait_until(lambda: served.guard.receiving > 0)
    wait_until(lambda: served.guard.receiving == 0)
    assert uploads(served) == []


def test_an_upload_that_never_ends_is_given_up(page, served, clip, monkeypatch):
    monkeypatch.setattr(guard, "FORGET_S", 0.5)
    with socket.create_connection(("127.0.0.1", httpx.URL(page).port)) as connection:
        part_of_upload(page, clip, connection)
        connection.settimeout(60)
        assert b" 408 " in connection.recv(100)
    assert served.guard.receiving == 0


def test_what_a_killed_server_left_is_removed_at_the_next_start():
    code = (
        "import time; from ser.inference import guard\n"
        "with guard.folder_of_uploads() as folder:\n"
        "    (folder / 'a').mkdir(); print(folder, flush=True); time.sleep(600)"
    )
    servers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, alive = (Path(server.stdout.readline().strip()) for server in servers)
    try:
        servers[0].kill()
        servers[0].wait()
        assert killed.is_dir()
        with guard.folder_of_uploads() as mine:
            assert not killed.exists()
            assert alive.is_dir()
        assert not mine.exists()
    finally:
        servers[1].kill()
        servers[1].wait()
    shutil.rmtree(alive)


def answers_of(page, paths):
    """Upload and ask as Gradio's own client does, all at once."""
    from gradio_client import Client, handle_file

    patient = {"timeout": WAIT_MS / 1_000}
    client = Client(page, verbose=False, download_files=False, httpx_kwargs=patient)
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as together:
        return list(
            together.map(
                lambda path: client.predict(handle_file(str(path)), api_name="/answer")[0], paths
            )
        )


def test_twenty_equal_ones_at_once_are_all_answered_and_nothing_is_kept(page, served, clip):
    answers = answers_of(page, [clip] * 20)
    assert len(answers) == 20
    assert len(set(answers)) == 1
    assert answers[0].startswith("### ")
    assert (served.guard.kept, uploads(served)) == ({}, [])


@pytest.fixture
def command(tmp_path):
    """`ser app` in a process of its own."""
    started = []

    def start(*options):
        port = free_port()
        words = ["-m", "ser", "app", "-m", str(SMALL), "--port", str(port), *options]
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        said = process.stdout.readline()
        if "--host" in options:
            assert f"{socket.gethostname()}:{port}. Only with https" in said
            said = process.stdout.readline()
        assert said == f"open http://127.0.0.1:{port} in a browser; Ctrl-C ends.\n"
        return process, f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_end_of_the_server_removes_what_was_sent(command, clip, tmp_path):
    for end in (signal.SIGTERM, signal.SIGINT):
        process, page = command()
        send(page, clip)
        assert len(list(tmp_path.glob("ser-app-*/*/recording.opus"))) == 1
        with socket.create_connection(("127.0.0.1", httpx.URL(page).port)) as connection:
            part_of_upload(page, clip, connection)  # it does not wait for this one
            process.send_signal(end)
            assert process.wait(30) == {signal.SIGTERM: 143, signal.SIGINT: 0}[end]
        assert list(tmp_path.glob("ser-app-*")) == []


@pytest.mark.slow
def test_a_page_for_all_computers_answers_at_its_own_address(command):
    (address,) = {
        found[4][0] for found in socket.getaddrinfo(socket.gethostname(), 80, socket.AF_INET)
    }
    _, page = command("--host", "0.0.0.0")
    assert httpx.get(page.replace("127.0.0.1", address)).status_code == 200
    assert httpx.get(page, headers={"host": "evil.example"}).status_code == 421


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_hundreds_at_once_lose_nothing_and_take_little_memory(command, clip, tmp_path):
    """100 at once, beside 300 who never finish to upload; then 400 more, one after the other."""
    import psutil

    process, page = command()
    samples, rate = soundfile.read(clip)
    paths = [tmp_path / f"voice-{number}.wav" for number in range(50)]
    for number, path in enumerate(paths):  # every two are equal
        soundfile.write(path, (1 - number / 200) * samples, rate)
    slow = [socket.create_connection(("127.0.0.1", httpx.URL(page).port)) for _ in range(300)]
    for connection in slow:
        part_of_upload(page, clip, connection)
    answers = answers_of(page, paths * 2)
    assert len(answers) == 100
    assert [found for found in answers if not found.startswith("### ")] == []
    # how far a voice was turned up does not count, but for the 16 bits of its file
    found = [re.search(r"(\w+) \((\d+) %\)", answer).groups() for answer in answers]
    assert len({label for label, _ in found}) == 1
    assert np.ptp([int(percent) for _, percent in found]) <= 1
    for _ in range(16):
        assert all(one.startswith("### ") for one in answers_of(page, paths[:25]))
    taken_mb = psutil.Process(process.pid).memory_info().rss / 1e6
    print(f"after 500 answers the server takes {taken_mb:.0f} MB")
    assert taken_mb < 600
    for connection in slow:
        connection.close()
    wait_until(lambda: not list(tmp_path.glob("ser-app-*/*/*")))


# With one -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def playwright():
    if CHROMIUM is None:
        pytest.skip("no Chromium was found: apt install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright):
    yield start_chromium(playwright)


def start_chromium(playwright, *more):
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *more]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture
def view(browser):
    """A window; whatever it asks of another machine is noted."""
    opened = []

    def window(**options):
        context = browser.new_context(**options)
        context.set_default_timeout(WAIT_MS)
        opened.append(context)
        found = context.new_page()
        found.elsewhere = []
        found.on("request", lambda request: found.elsewhere.append(request.url))
        return found

    yield window
    for context in opened:
        context.close()


def upload(view, page, path):
    view.goto(page)
    view.wait_for_selector("input[type=file]", state="attached")
    view.set_input_files("input[type=file]", str(path))


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const read = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => below.map((v, i) => i < 3 ? top[i] * top[3] + v * (1 - top[3]) : 1);
  const light = colour => colour.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = {}, texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement, box = one.getBoundingClientRect();
    const text = texts.currentNode.textContent.trim();
    if (!text || !box.width || ["SCRIPT", "STYLE"].includes(one.tagName)
        || !one.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
    const style = getComputedStyle(one);
    const colour = read(one.ownerSVGElement ? style.fill : style.color), layers = [];
    for (let at = one; at; at = at.parentElement) {
      layers.unshift(read(getComputedStyle(at).backgroundColor));
      colour[3] *= getComputedStyle(at).opacity;
    }
    const below = layers.reduce((sum, layer) => over(layer, sum), [255, 255, 255, 1]);
    const [a, b] = [light(over(colour, below)), light(below)].sort((a, b) => b - a);
    found[text] = Math.min(found[text] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return found;
}"""


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [
        (390, 844, "dark"),
        pytest.param(390, 844, "light", marks=pytest.mark.slow),
        pytest.param(1280, 900, "dark", marks=pytest.mark.slow),
        pytest.param(1280, 900, "light", marks=pytest.mark.slow),
    ],
)
def test_upload_a_clip_and_see_the_answer(page, view, clip, width, height, scheme):
    view = view(viewport={"width": width, "height": height}, color_scheme=scheme)
    upload(view, page, clip)  # and no click
    view.wait_for_selector("#message h3")
    assert re.search(rf"({CLASSES}) \(\d+ %\)", view.inner_text("#message"))
    assert f"Answered by {load_model(SMALL).name}." in view.inner_text("#message")
    for name in CLASSES.split("|"):
        assert name in view.inner_text("body")
    drawing = view.wait_for_selector("#picture [role=img]")
    assert drawing.get_attribute("aria-label").startswith("Spectrogram of 0:0")
    view.wait_for_selector("time:text('0:0')")
    contrast = view.evaluate(CONTRAST)
    assert {"Answer", "probabilities", "time (min:s)"} <= contrast.keys()
    assert {text: ratio for text, ratio in contrast.items() if ratio < 4.5} == {}
    assert view.evaluate("document.documentElement.scrollWidth") <= width + 1
    headline = view.locator("#message h3").bounding_box()
    assert headline["y"] + headline["height"] < height  # to be seen without scrolling
    assert view.locator("img:not([alt])").count() == 0
    if folder := os.environ.get("SER_SCREENSHOTS"):
        view.screenshot(path=f"{folder}/answer-{width}-{scheme}.png", full_page=True)
    view.get_by_role("tab", name="About the model").click()
    view.wait_for_selector("text=Intended for a test.")
    assert {text: ratio for text, ratio in view.evaluate(CONTRAST).items() if ratio < 4.5} == {}
    own = (page, "data:", "blob:")
    assert [url for url in view.elsewhere if not url.startswith(own)] == []


def test_a_second_click_keeps_the_answer_and_the_player_plays(page, view, clip, served):
    view = view()
    upload(view, page, clip)
    view.wait_for_selector("#message h3")
    wait_until(lambda: uploads(served) == [])
    said = view.inner_text("#message")
    with view.expect_response(re.compile("queue/data")):
        view.click("#ask")
    view.get_by_label("Play", exact=True).click()
    view.wait_for_selector("time:text('0:01')")
    assert view.inner_text("#message") == said


def test_upload_a_text_file_and_see_the_message(page, view, tmp_path):
    bad = tmp_path / "note.wav"
    bad.write_text("this is no sound")
    view = view()
    upload(view, page, bad)
    view.wait_for_selector("#message strong")
    shown = view.inner_text("body")
    assert "No answer: the recording: expected audio" in shown
    assert str(tmp_path) not in shown
    assert "/tmp" not in shown


def test_a_recording_is_answered_by_itself(page, playwright, clip, tmp_path):
    """Into a microphone that plays a clip over and over."""
    samples, rate = soundfile.read(clip)
    soundfile.write(tmp_path / "microphone.wav", samples, rate, subtype="PCM_16")
    browser = start_chromium(
        playwright,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}",
    )
    context = browser.new_context(permissions=["microphone"])
    context.set_default_timeout(WAIT_MS)
    view = context.new_page()
    view.goto(page)
    view.get_by_label("Record audio").click()
    assert not view.is_visible(".if-none")
    view.get_by_role("button", name="Record", exact=True).click()
    view.wait_for_selector("time:text('0:03')")
    view.get_by_role("button", name="Stop", exact=True).first.click()
    view.wait_for_selector("#message h3")
    browser.close()


def test_the_page_says_where_there_is_no_microphone(page, view):
    view = view()
    view.add_init_script("navigator.mediaDevices.enumerateDevices = async () => []")
    view.goto(page)
    view.wait_for_selector(".if-none")
    assert "upload a recording" in view.inner_text(".if-none")
    assert not view.is_visible(".if-insecure")


def test_other_computers_hear_that_they_need_https(page, view):
    """A browser gives a microphone to this machine's own address only with https."""
    view = view()
    view.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    view.goto(page)
    view.wait_for_selector(".if-insecure")
    assert "https" in view.inner_text(".if-insecure")
