"""What phones, browsers and cameras record: heard as WAV is, guarded as WAV is."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import SMALL, one_line, ser_command
from test_audio import loudest_hz, sine

from ser import formats
from ser.audio import AudioError, decode
from ser.cli import inputs
from ser.corpora import folders
from ser.inference import load_model, sandbox

av = pytest.importorskip("av", reason="needs the extra `formats`")

from encoded import KINDS, can_be_made, encode  # noqa: E402

FUZZING_S = 20
each_kind = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skipif(not can_be_made(name), reason="no encoder"))
        for name in KINDS
    ],
)


def make(path, seconds=2.0, kind="", channels=1, **options):
    _, rate, _ = KINDS[kind or path.name]
    samples = np.repeat(sine(440, seconds, rate)[:, None], channels, axis=1)
    return encode(path, samples, rate, kind, **options)


# Files that are heard -----------------------------------------------------------------------------


@each_kind
def test_every_kind_is_decoded_at_its_rate(tmp_path, name):
    recording = decode(make(tmp_path / name))
    samples, rate = recording.samples, recording.sample_rate_hz
    assert samples.dtype == np.float32
    assert (samples.shape[1], rate) == (1, KINDS[name][1])
    assert recording.duration_s == pytest.approx(2.0, abs=0.05)
    assert not recording.truncated
    middle = samples[rate // 4 : -rate // 4, 0]
    assert loudest_hz(middle, rate) == pytest.approx(440, abs=2)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, abs=0.1)
    data = (tmp_path / name).read_bytes()
    assert decode(data).pcm_sha256 == decode(tmp_path / name).pcm_sha256 == recording.pcm_sha256
    assert Path(name).suffix in formats.SUFFIXES


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        *(("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW")),
        *(("FLAC", s) for s in ("PCM_16", "PCM_24")),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_ffmpeg_gives_what_libsndfile_gives(tmp_path, monkeypatch, kind, subtype, channels):
    path = tmp_path / "a"
    noise = np.random.default_rng(0).uniform(-1, 1, (20_000, channels))
    soundfile.write(path, noise, 22_050, format=kind, subtype=subtype)
    monkeypatch.setattr(formats, "CONTAINERS", "wav,flac")
    kept, truncated = formats.decode(str(path), path, "", formats.Limits())
    samples = kept.whole()[0]
    expected = decode(path)
    assert (kept.sample_rate_hz, truncated) == (expected.sample_rate_hz, False)
    np.testing.assert_allclose(samples, expected.samples, atol=1e-4)
    assert samples.shape == expected.samples.shape


def test_channels_are_kept_apart(tmp_path):
    rate = 44_100
    both = np.stack([sine(300, 1, rate), sine(900, 1, rate)], axis=1)
    samples = decode(encode(tmp_path / "phone.m4a", both, rate)).samples
    found = [loudest_hz(samples[5_000:-5_000, i], rate) for i in range(2)]
    assert found == pytest.approx([300, 900], abs=3)
    assert decode(make(tmp_path / "video.mp4", channels=6)).samples.shape[1] == 6


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-8 there")
def test_the_name_does_not_matter(tmp_path):
    phone = make(tmp_path / "phone.m4a")
    expected = decode(phone).pcm_sha256
    for name in ("renamed.wav", "no suffix", "Größe ☃.m4a", "caf\udce9.m4a"):
        (tmp_path / name).write_bytes(phone.read_bytes())
        assert decode(tmp_path / name).pcm_sha256 == expected


def test_a_voice_gets_the_same_answer_as_from_a_wav(tmp_path, demo_shelf):
    model, clips = load_model(SMALL), sorted(demo_shelf.rglob("*.opus"))[3:60:12]
    for clip in clips:
        recording = decode(clip)
        wav = model.predict(recording.samples, recording.sample_rate_hz)
        for name in ("phone.m4a", "video.mp4"):
            samples, rate = recording.samples, recording.sample_rate_hz
            found = model.predict(encode(tmp_path / name, samples, rate))
            assert found.label == wav.label
            assert found.probabilities == pytest.approx(wav.probabilities, abs=0.1)
            assert not any("cut short" in warning for warning in found.warnings)


def test_the_command_answers(tmp_path, demo_shelf):
    recording = decode(sorted(demo_shelf.rglob("*.opus"))[3])
    phone = encode(tmp_path / "phone.m4a", recording.samples, recording.sample_rate_hz)
    done = ser_command("predict", phone, "-m", SMALL)
    assert done.returncode == 0, done.stderr
    expected = load_model(SMALL).predict(recording.samples, recording.sample_rate_hz)
    assert re.match(f"{phone}: (uncertain, most likely )?{expected.label} ", done.stdout)
    done = ser_command("predict", "-", "-m", SMALL, stdin=phone.read_bytes())
    assert re.match(f"-: (uncertain, most likely )?{expected.label} ", done.stdout)


def test_folders_list_them_after_what_libsndfile_reads(tmp_path):
    names = ["a.wav", "b.mp3", "c.m4a", "d.webm", "E.MP4", "f.amr", "g.3gp", "h.wma", "i.mov"]
    for name in (*names, "notes.txt", "cover.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert [str(path) for path in folders.walk(tmp_path)[0]][:2] == ["a.wav", "b.mp3"]
    assert {Path(name).name for name in inputs.expand([str(tmp_path)])} == set(names)


# Files that claim more than they hold, or are damaged ---------------------------------------------


def test_a_file_cut_short_says_so(tmp_path):
    start = {"movflags": "faststart"}  # what stands at the end tells the length otherwise
    for name, options in (("phone.m4a", start), ("browser.webm", {}), ("windows.wma", {})):
        path = make(tmp_path / name, 4.0, **options)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        recording = decode(path)
        assert 1 < recording.duration_s < 3
        assert recording.truncated
    path = make(tmp_path / "video.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with one_line(str(path), "cannot be decoded", "copy it again", kind=AudioError):
        decode(path)


def claiming(path, seconds):
    """Change the length in the header of a WebM file, in milliseconds there."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 1e3 * seconds)
    path.write_bytes(data)
    return path


def test_what_the_container_claims_is_not_believed(tmp_path):
    path = make(tmp_path / "browser.webm", 4.0)
    honest = decode(path)
    assert not honest.truncated
    for seconds in (30.0, 1e7):  # of the second nobody would think that it is true
        found = decode(claiming(path, seconds))
        assert found.pcm_sha256 == honest.pcm_sha256
        assert found.truncated
    with one_line("browser.webm: 300 minutes long; at most 60", "Cut it", kind=AudioError):
        decode(claiming(path, 18_000))
    with one_line("more than 3 s long; at most 3 s", kind=AudioError):
        decode(claiming(path, 0.01), formats.Limits(longest_s=3.0))


@pytest.mark.parametrize("name", ["phone.m4a", "raw.aac"])
def test_what_is_damaged_in_the_middle_is_missed(tmp_path, name):
    path = make(tmp_path / name, 8.0)
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 4, len(data) * 3 // 4, 400):
        data[start + 60 : start + 160] = bytes(np.random.default_rng(start).bytes(100))
    path.write_bytes(data)
    recording = decode(path)
    assert np.isfinite(recording.samples).all()
    assert 3 < recording.duration_s < 7.5
    assert recording.truncated


def test_limits_hold(tmp_path, monkeypatch):
    path = make(tmp_path / "phone.m4a", channels=2)
    with one_line("phone.m4a: 2 s of 44,100 Hz in 2 channels", "Mix it down", kind=AudioError):
        decode(path, formats.Limits(most_values=1_000))
    with monkeypatch.context() as patch, one_line("phone.m4a: takes more than", kind=AudioError):
        patch.setattr(formats, "TIMEOUT_S", 0.0)
        decode(path)
    soundfile.write(path, np.zeros((16_000, 8)), 16_000, format="WAV")
    monkeypatch.setattr(formats, "CONTAINERS", "wav")
    with one_line("at most 7 channels, found 8", kind=AudioError):
        formats.decode(str(path), path, "", formats.Limits())


def test_nothing_to_hear_is_one_line(tmp_path):
    with av.open(str(tmp_path / "mute.mp4"), "w") as file:
        pictures = file.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for frame in (grey, None):
            file.mux(pictures.encode(frame))
    (tmp_path / "hollow.aac").write_bytes(b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(10) * 50)
    with one_line("hollow.aac: expected audio", "copy it again", kind=AudioError):
        decode(tmp_path / "hollow.aac")
    with one_line("mute.mp4: holds no sound", "Name a recording", kind=AudioError):
        decode(tmp_path / "mute.mp4")


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".mp4", ".amr", ".wma", ".wav"])
def test_no_other_file_is_opened(tmp_path, suffix):
    """Playlists name files and addresses; what they name must stay unread."""
    soundfile.write(tmp_path / "secret.wav", sine(), 16_000)
    for text in (
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
        "v=0\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        "text\n" * 500,
    ):
        path = tmp_path / f"list{suffix}"
        path.write_text(text)
        with one_line("cannot be decoded", kind=AudioError):
            decode(path)


def test_what_a_stranger_sends_is_decoded_aside(tmp_path):
    path = make(tmp_path / "video.mp4")
    found, expected = sandbox.decode_aside(path), decode(path)
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert found.sample_rate_hz == expected.sample_rate_hz
    with one_line("the recording: 130 s long; at most 120 s", kind=AudioError):
        sandbox.decode_aside(make(tmp_path / "old.3gp", 130.0))
    path.write_bytes(path.read_bytes()[:-2_000])
    with one_line("the recording: expected audio", kind=AudioError) as caught:
        sandbox.decode_aside(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.slow
def test_fuzzing(tmp_path):
    """In a process of its own: a fault in a library would take it down."""
    for name in filter(can_be_made, KINDS):
        make(tmp_path / name, 0.5)
    code = f"""
import pathlib, random, time
from ser.audio import decode
from ser.project import AudioError
rng, n, heard = random.Random(0), 0, 0
seeds = [p.read_bytes() for p in sorted(pathlib.Path({str(tmp_path)!r}).iterdir())]
end = time.monotonic() + {FUZZING_S}
while time.monotonic() < end:
    data = bytearray(rng.choice(seeds) if rng.random() < 0.95 else rng.randbytes(5_000))
    for _ in range(rng.choice((1, 3, 30))):
        if len(data) < 100:
            break
        at = rng.randrange(min(len(data), rng.choice((64, 800, 10**9))))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 60)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 60))
        else:
            del data[max(64, at):]
    started = time.monotonic()
    try:
        heard += len(decode(bytes(data)).samples) > 0
    except AudioError as error:
        assert "\\n" not in str(error)
    assert time.monotonic() - started < 5, bytes(data)[:200]
    n += 1
print(n, heard)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    of_mpg123 = re.compile("libmpg123|^Note: ")
    assert [line for line in done.stderr.splitlines() if not of_mpg123.search(line)] == []
    times, heard = map(int, done.stdout.split())
    assert times > 200
    assert 0.1 * times < heard < times


# Without PyAV, and without need of it -------------------------------------------------------------


def test_without_pyav_one_line_says_what_to_do(tmp_path, monkeypatch):
    phone = make(tmp_path / "phone.m4a")
    data = phone.read_bytes()
    monkeypatch.setitem(sys.modules, "av", None)
    todo = {
        "my voice.m4a": "ffmpeg -i 'my voice.m4a' 'my voice.wav'",
        "renamed.wav": "ffmpeg -i renamed.wav renamed.flac",
    }
    for name, command in todo.items():
        (tmp_path / name).write_bytes(data)
        extra = "pip install 'ser-honest[formats]'"
        with one_line(f"{tmp_path / name}: ", "PyAV", extra, command, kind=AudioError):
            decode(tmp_path / name)
    with one_line("standard input: ", "ffmpeg -i x.m4a x.wav", kind=AudioError):
        decode(data)
    (tmp_path / "text.flac").write_text("no sound\n" * 99)
    with one_line("text.flac: expected audio", "Convert it to WAV", kind=AudioError):
        decode(tmp_path / "text.flac")
    with one_line("the recording: ", "ser-honest[formats]", kind=AudioError):
        monkeypatch.setattr(sandbox, "_work", _work_without)
        sandbox.decode_aside(phone)


def _work_without(path, results):
    sys.modules["av"] = None
    _WORK(path, results)


_WORK = sandbox._work


def test_pyav_is_imported_only_when_needed(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(), 16_000)
    code = (
        "import sys, ser.audio, ser.inference; ser.audio.decode(sys.argv[1]); print(*sys.modules)"
    )
    for path, expected in ((tmp_path / "a.wav", False), (make(tmp_path / "phone.m4a"), True)):
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("av" in done.stdout.split()) == expected


def test_the_page_takes_the_same_list(tmp_path, demo_shelf):
    gradio = pytest.importorskip("gradio", reason="needs the extra `app`")
    from ser.inference import page

    model = load_model(SMALL)
    recording = decode(sorted(demo_shelf.rglob("*.opus"))[3])
    samples, rate = recording.samples, recording.sample_rate_hz
    path = encode(tmp_path / "video.mp4", samples, rate)
    message, _, _ = page.answer(model, str(path))
    assert message.startswith(f"### {model.predict(path).headline}")
    path.write_bytes(make(tmp_path / "browser.webm", 4.0).read_bytes()[:20_000])
    assert "cut short" in page.answer(model, str(path))[0]
    buttons = page.build(model, "").blocks.values()
    (other,) = (block for block in buttons if isinstance(block, gradio.UploadButton))
    assert set(other.file_types) == formats.SUFFIXES
