"""Downloads against a real HTTP server on this machine, which can misbehave on request."""

import base64
import contextlib
import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import not_root, one_line

from ser import corpora
from ser.corpora import base, fetch, registry
from ser.corpora import download as downloads
from ser.corpora.base import Archive

NAMES = [f"ALL/DC_a{number:02d}.wav" for number in range(1, 9)]
ETAG, MODIFIED = '"one"', "Mon, 01 Jan 2024 00:00:00 GMT"


class Server(ThreadingHTTPServer):
    """Serves one body at any address; each request takes the next behaviour from a list."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.behaviours: list[str] = []  # empty: well-behaved
        self.seen: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.gate = threading.Event()  # lets a slow answer go on

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expected = "Basic " + base64.b64encode(b"somebody:secret").decode()
        self.server.seen.append((self.command, self.path, None))
        behaviours = self.server.behaviours
        if self.headers.get("Authorization") != expected:
            self.plain(401)
        elif behaviours and behaviours[0].isdigit():
            self.plain(int(behaviours.pop(0)))
        else:  # Kaggle sends its clients on to where the file is stored
            self.plain(302, location=f"{self.server.url}/stored.zip")

    def plain(self, status: int, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self) -> None:
        asked = self.headers.get("Range")
        self.server.seen.append((self.command, self.path, asked))
        behaviour = self.server.behaviours.pop(0) if self.server.behaviours else "good"
        if behaviour.isdigit():
            self.plain(int(behaviour))
            return
        if behaviour == "circle":
            self.server.behaviours.append("circle")
            self.plain(302, location=self.path)
            return
        if behaviour == "endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while not self.server.gate.is_set():
                    self.wfile.write(bytes(100_000))
            return
        body = self.server.body
        start = int(asked[6:-1]) if asked and behaviour != "ignore range" else 0
        if start >= len(body):
            self.plain(416)
            return
        self.send_response(206 if start else 200)
        if start:
            first = start - 1 if behaviour == "wrong range" else start
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", ETAG)
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.send_body(body[start:], behaviour)

    def send_body(self, body: bytes, behaviour: str) -> None:
        half = len(body) // 2
        if behaviour == "cut":
            self.wfile.write(body[:half])
            self.close_connection = True
        elif behaviour == "nothing":
            self.close_connection = True
        elif behaviour == "slow":
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.server.gate.wait(60)
        else:
            self.wfile.write(body)


def zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONTENT = {name: os.urandom(400_000) for name in NAMES}


@pytest.fixture
def server():
    server = Server(zipped(CONTENT))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """The folder for corpora of an empty project; retries follow one another quickly."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    monkeypatch.setattr(fetch, "BACKOFF_S", 0.01)
    return tmp_path / "data" / "raw"


def describe(server_url: str, body: bytes, **changes):
    """SAVEE, as if its publisher were the server on this machine and it had eight clips."""
    archive = Archive(
        url=f"{server_url}/savee.zip",
        filename="savee.zip",
        checksum=f"md5:{hashlib.md5(body).hexdigest()}",
        size_bytes=len(body),
    )
    archive = archive._replace(**changes)
    stems = "\n".join(Path(name).stem for name in NAMES)
    sha256 = hashlib.sha256(stems.encode()).hexdigest()
    return dataclasses.replace(
        base.read("savee"), archives=(archive,), n_clips=len(NAMES), names_sha256=sha256
    )


@pytest.fixture
def publish(server, monkeypatch):
    def publish(**changes):
        described = describe(server.url, server.body, **changes)
        others = {name: corpora.get(name) for name in corpora.names() if name != "savee"}
        monkeypatch.setattr(registry, "_registry", lambda: {**others, "savee": described})
        return described.archives[0]

    publish()
    return publish


def get(**options) -> Path:
    return downloads.download("savee", progress=False, **options)


def assert_complete(raw: Path) -> None:
    found = {p.relative_to(raw / "savee").as_posix(): p for p in (raw / "savee").rglob("*.wav")}
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT
    left = {path.name for path in raw.iterdir()} - {"savee", ".savee.lock"}
    assert left == set(), "the archive and the folders aside are gone"


def test_downloads_unpacks_and_tidies_up_and_once_only(server, publish, raw, capsys):
    assert downloads.download("savee") == raw / "savee"
    assert_complete(raw)
    said, bars = capsys.readouterr()
    assert "100%" in bars
    assert "unpack savee.zip" in bars
    for part in ("Research use only", "Haq and P. J. B. Jackson", "8 clips"):
        assert part in said
    assert get() == raw / "savee"
    assert "nothing to do" in capsys.readouterr().out
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("behaviours", "resumed"),
    [
        (["cut", "cut", "cut"], [False, True, True, True]),
        (["cut", "ignore range"], [False, True]),  # begins again, as the server does
        (["cut", "wrong range"], [False, True, False]),  # never joins what was not asked for
        (["500", "503", "429"], [False] * 4),  # waits out a server that is busy
    ],
)
def test_a_transfer_goes_on_whatever_the_server_does(server, publish, raw, behaviours, resumed):
    server.behaviours = behaviours
    get()
    assert_complete(raw)
    assert [asked is not None for _, _, asked in server.seen] == resumed
    starts = [int(asked[6:-1]) for _, _, asked in server.seen if asked]
    assert starts == sorted(set(starts))


def test_gives_up_on_a_server_that_stays_broken_and_keeps_what_came(server, publish, raw):
    server.behaviours = ["cut"] + ["nothing"] * fetch.ATTEMPTS
    with one_line("same command again: it goes on"):
        get()
    part = raw / ".savee-download" / "savee.zip.part"
    kept = part.read_bytes()
    assert 0 <= len(server.body) // 2 - len(kept) < fetch._PIECE_BYTES
    assert server.body.startswith(kept)
    get()
    assert server.seen[-1][2] == f"bytes={len(kept)}-"
    assert_complete(raw)


def test_one_line_where_the_file_is_gone(server, publish, raw):
    server.behaviours = ["404"]
    with one_line("404", "ser data add"):
        get()
    assert len(server.seen) == 1, "no use in asking again"
    assert not (raw / "savee").exists()


@pytest.mark.parametrize("behaviour", ["good", "cut"])
def test_wrong_bytes_are_deleted(server, publish, raw, behaviour):
    publish(checksum="sha256:" + "0" * 64)
    server.behaviours = [behaviour]
    with one_line("not what was published (expected sha256:000"):
        get()
    assert not (raw / "savee").exists()
    assert list((raw / ".savee-download").iterdir()) == []


@pytest.mark.parametrize("kind", ["another", "whole", "too long"])
def test_a_part_that_was_there_before(server, publish, raw, kind):
    folder = raw / ".savee-download"
    folder.mkdir(parents=True)
    parts = {"another": b"x" * 1000, "whole": server.body, "too long": server.body + b"x" * 10}
    (folder / "savee.zip.part").write_bytes(parts[kind])
    if kind == "another":  # found out by its checksum
        with one_line("not what was published"):
            get()
    get()
    assert_complete(raw)
    assert len(server.seen) == (0 if kind == "whole" else 2)


def test_more_than_was_announced_is_not_received(server, publish, raw):
    server.behaviours = ["endless"]
    with one_line(f"savee.zip: more than the {len(server.body):,} bytes", "has been deleted"):
        get()
    server.gate.set()
    assert list((raw / ".savee-download").iterdir()) == []
    get()
    assert_complete(raw)


def test_a_circle_of_addresses_is_named_at_once(server, publish, raw):
    server.behaviours = ["circle"]
    with one_line(f"savee.zip: 127.0.0.1:{server.server_port} sends from one address to the next"):
        get()
    assert len(server.seen) < 50


def test_no_network(publish, raw):
    publish(url="http://127.0.0.1:1/savee.zip")
    with one_line("127.0.0.1:1 cannot be reached. Check the network"):
        get()


def test_a_server_that_falls_silent(server, publish, raw, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_S", (1.0, 0.2))
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    server.behaviours = ["slow"] * 9
    with one_line("does not answer within"):
        get()
    assert 0 < (raw / ".savee-download" / "savee.zip.part").stat().st_size < len(server.body)


SCRIPT = """
import sys
from pathlib import Path
from ser import corpora
from ser.corpora import download, registry
sys.path.insert(0, {tests!r})
from test_download import describe
body = Path({body!r}).read_bytes()
registry._registry = lambda: {{"savee": describe({url!r}, body)}}
download.download("savee", progress=False)
"""


def test_killed_in_the_middle_goes_on_from_there(server, publish, raw, tmp_path):
    (tmp_path / "body").write_bytes(server.body)
    script = SCRIPT.format(
        tests=str(Path(__file__).parent), body=str(tmp_path / "body"), url=server.url
    )
    server.behaviours = ["slow"]
    process = subprocess.Popen([sys.executable, "-c", script])
    part = raw / ".savee-download" / "savee.zip.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = part.stat().st_size
    assert 0 < kept < len(server.body)
    assert not (raw / "savee").exists()
    get()
    assert server.seen[-1][2] == f"bytes={kept}-"
    assert_complete(raw)


def test_killed_while_unpacking_needs_no_second_transfer(server, publish, raw):
    (raw / ".savee-download").mkdir(parents=True)
    (raw / ".savee-download" / "savee.zip").write_bytes(server.body)
    (raw / ".savee-unpacking" / "ALL").mkdir(parents=True)
    (raw / ".savee-unpacking" / "ALL" / "DC_a99.wav").write_bytes(b"half")
    get()
    assert_complete(raw)
    assert server.seen == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_disk_full_while_receiving(server, publish, raw):
    folder = raw / ".savee-download"
    folder.mkdir(parents=True)
    (folder / "savee.zip.part").symlink_to("/dev/full")
    with one_line("the disk is full ", " finished work is kept"):
        get()


def test_disk_full_while_unpacking(server, publish, tiny_disk, raw, monkeypatch):
    small = tiny_disk(len(server.body) * 3 // 2 // 1024)
    monkeypatch.setenv("SER_ROOT", str(small))
    monkeypatch.setattr(downloads, "UNPACKED_RATIO", 0.0)
    with one_line("unpacks to 3 MB, the disk has", "MB free"):
        get()
    assert not (small / "data" / "raw" / "savee").exists()
    assert (small / "data" / "raw" / ".savee-download" / "savee.zip").exists()


def test_too_small_a_disk_is_seen_before_the_start(server, publish, raw):
    publish(size_bytes=10**18)
    with one_line("needs 4,000,000,000,000 MB, the disk has"):
        get()
    assert server.seen == []


def test_no_permission(publish, raw, open_folder, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(open_folder))
    with not_root(), one_line("no permission"):
        get()


BAD_CRC = bytearray(zipped(CONTENT))
BAD_CRC[300_000] ^= 0xFF


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (zipped({**CONTENT, "../outside.wav": b"evil"}), "names a file outside its folder"),
        (zipped({**CONTENT, "/tmp/outside.wav": b"evil"}), "names a file outside its folder"),
        (zipped({**CONTENT, "a/../../outside.wav": b""}), "names a file outside its folder"),
        (zipped({**CONTENT, "C:\\outside.wav": b"evil"}), "names a file outside its folder"),
        (b"<html>Sign in</html>", "expected a zip file"),
        (bytes(BAD_CRC), "damaged one (Bad CRC-32"),
        (zipped({NAMES[0]: b"x", "__MACOSX/ALL/DC_a02.wav": b"y"}), "holds 1 of 8 clips"),
        (zipped({f"ALL/JK_d{n:02d}.wav": b"x" for n in range(1, 9)}), "holds other clips"),
    ],
    ids=["up", "absolute", "up from within", "drive", "page", "damaged", "too few", "others"],
)
def test_a_bad_archive_leaves_nothing_behind(server, publish, raw, body, words):
    server.body = body
    publish()
    with one_line(words):
        get()
    assert not (raw / "savee").exists()
    assert list(raw.rglob("*.zip")) == []
    assert list(raw.parent.parent.rglob("*outside*")) == []


def test_an_incomplete_copy_is_named_and_not_touched(publish, raw):
    (raw / "savee").mkdir(parents=True)
    (raw / "savee" / "DC_a01.wav").write_bytes(b"x")
    with one_line("holds 1 of 8 clips"):
        get()
    assert (raw / "savee" / "DC_a01.wav").read_bytes() == b"x"


def test_an_empty_folder_is_no_copy(publish, raw):
    (raw / "savee").mkdir(parents=True)
    get()
    assert_complete(raw)


def test_two_at_once_transfer_once(server, publish, raw):
    threads = [threading.Thread(target=get) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_complete(raw)
    assert len(server.seen) == 1


def test_the_others_go_on(server, publish, raw, capsys):
    server.behaviours = ["404"]
    outcomes = downloads.download_all(["savee", "nonsense", "savee"], progress=False)
    assert [bool(outcome.path) for outcome in outcomes] == [False, False, True]
    assert "404" in outcomes[0].error
    assert "no corpus named" in outcomes[1].error
    said = capsys.readouterr().out
    assert "1 of 3 corpora are ready" in said
    assert "savee failed" in said


def test_demo_needs_no_network(raw, capsys):
    folder = downloads.download("demo", progress=False)
    assert folder == raw / "demo"
    assert "720 clips" in capsys.readouterr().out
    assert len(list(folder.rglob("*.opus"))) == 720
    for clip in list(folder.rglob("*.opus"))[:5]:
        clip.unlink()  # as made by another version of this package
    downloads.download("demo", progress=False)
    assert len(list(folder.rglob("*.opus"))) == 720


def test_an_archive_of_the_package_outlives_its_damage(publish, raw, tmp_path):
    (tmp_path / "clips.zip").write_bytes(b"no archive")
    publish(url=str(tmp_path / "clips.zip"), checksum="", size_bytes=0)
    with one_line("expected a zip file"):
        get()
    assert (tmp_path / "clips.zip").exists()


def test_a_source_that_does_not_exist(publish, raw):
    with one_line("Allowed: auto, archive, kaggle"):
        get(source="ftp")
    with one_line("Use source 'kaggle'"):
        downloads.download("tess", source="archive")


def test_ravdess_comes_from_its_public_archive():
    assert downloads._choose(corpora.get("ravdess"), "auto") == "archive"
    assert downloads._choose(corpora.get("crema_d"), "auto") == "kaggle"


KAGGLE = """
import os, sys
from kagglesdk import kaggle_env
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = {url!r}
from pathlib import Path
from ser.corpora.fetch import fetch_from_kaggle
from ser.project import SerError
try:
    print(fetch_from_kaggle("owner/speech", Path({folder!r}), progress=False))
except SerError as error:
    print(error)
    sys.exit(2)
"""


def kaggle(tmp_path, url: str, **credentials: str) -> subprocess.CompletedProcess:
    """Run the real client in a process of its own, its server replaced by ours."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KAGGLE")}
    environment |= {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "KAGGLE_CONFIG_DIR": str(home / "kaggle"),
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "NO_PROXY": "*",
        **credentials,
    }
    script = KAGGLE.format(url=url, folder=str(tmp_path / "zips"))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


SIGNED_IN = {"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": "secret"}


def test_kaggle_without_credentials_says_how_to_get_them(server, tmp_path):
    done = kaggle(tmp_path, server.url)
    assert done.returncode == 2
    assert done.stdout == f"no Kaggle credentials found. {fetch.CREDENTIALS}\n"
    assert done.stderr == ""


def test_kaggle_downloads_through_the_real_client(server, tmp_path):
    done = kaggle(tmp_path, server.url, **SIGNED_IN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "zips" / "speech.zip").read_bytes() == server.body
    assert [(method, path.split("/")[-1]) for method, path, _ in server.seen] == [
        ("POST", "DownloadDataset"),
        ("GET", "stored.zip"),
    ]


def test_kaggle_goes_on_after_a_break(server, tmp_path):
    server.behaviours = ["cut"]
    done = kaggle(tmp_path, server.url, **SIGNED_IN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "zips" / "speech.zip").read_bytes() == server.body
    assert int(server.seen[-1][2][6:-1]) > 0


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("401", "refuses the credentials"),
        ("403", "refuses the credentials"),
        ("404", "no such data set"),
        ("500", "Kaggle answers 500"),
    ],
)
def test_kaggle_refusals_are_plain(server, tmp_path, behaviour, message):
    server.behaviours = [behaviour] * 10
    done = kaggle(tmp_path, server.url, **SIGNED_IN)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stdout


def test_kaggle_out_of_reach(tmp_path):
    done = kaggle(tmp_path, "http://127.0.0.1:1", **SIGNED_IN)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot be reached" in done.stdout


def test_kaggle_corpus_from_client_to_folder(server, raw, publish, monkeypatch, tmp_path):
    """The whole path in this process: the archive that the client left is unpacked."""
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.url)
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle"))
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)
    get(source="kaggle")
    assert_complete(raw)
