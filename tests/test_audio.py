"""Any file or array becomes a waveform or one clear line, never another exception."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import not_root, one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ser.audio import AudioError, decode, load, peak_dbfs, to_waveform, warnings_about
from ser.config import AudioConfig
from ser.project import visible

HZ_16K = AudioConfig(sample_rate_hz=16_000)
quick = settings(deadline=None, max_examples=50)


def sine(frequency_hz=440.0, duration_s=1.0, rate_hz=16_000, amplitude=0.5):
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def write(path, samples=None, rate_hz=16_000, **options) -> Path:
    soundfile.write(path, sine() if samples is None else samples, rate_hz, **options)
    return path


def loudest_hz(waveform, rate_hz):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return np.argmax(spectrum) * rate_hz / len(waveform)


# Files that cannot be used: what was expected, what was found, what to do -------------------------


def cut(tmp_path, n_bytes, name="cut.wav"):
    whole = write(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:n_bytes])
    return tmp_path / name


def with_bytes(tmp_path, content, name="clip.wav"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
BAD = {
    "empty": (lambda d: with_bytes(d, b""), ("empty (0 bytes)", "again")),
    "no samples": (lambda d: write(d / "a.wav", np.zeros(0)), ("no samples", "again")),
    "header cut short": (lambda d: cut(d, 20), ("expected audio", "fmt", "Convert")),
    "header without data": (lambda d: cut(d, 44), ("no samples", "again")),
    "4 bytes": (lambda d: cut(d, 4), ("expected audio", "not recognised", "Convert")),
    "FLAC cut short": (lambda d: cut(d, 5000, "cut.flac"), ("expected audio", "Convert")),
    "text": (lambda d: with_bytes(d, b"Dear reader,\n" * 99), ("expected audio", "Convert")),
    "text named .raw": (lambda d: with_bytes(d, b"abc" * 99, "a.raw"), ("expected audio",)),
    "text named .mp3": (lambda d: with_bytes(d, b"abc" * 99, "a.mp3"), ("expected audio",)),
    "random bytes": (
        lambda d: with_bytes(d, np.random.default_rng(0).bytes(5000)),
        ("expected audio", "Convert"),
    ),
    "LFS pointer": (lambda d: with_bytes(d, LFS), ("Git LFS pointer", "git lfs pull")),
    "NaN": (
        lambda d: write(d / "a.wav", np.r_[sine(), np.nan], subtype="FLOAT"),
        ("NaN or infinite", "16-bit PCM"),
    ),
    "infinite": (
        lambda d: write(d / "a.wav", np.r_[sine(), -np.inf], subtype="DOUBLE"),
        ("NaN or infinite", "16-bit PCM"),
    ),
    "float64 over float32": (
        lambda d: write(d / "a.wav", np.r_[sine().astype(float), 1e300], subtype="DOUBLE"),
        ("NaN or infinite", "16-bit PCM"),
    ),
    "0.02 s": (lambda d: write(d / "a.wav", sine(duration_s=0.02)), ("0.020 s", "0.05 s")),
    "over an hour": (
        lambda d: write(d / "a.flac", np.zeros(3_700_000, np.int16), 1_000),
        ("62 minutes", "at most 60", "Cut it"),
    ),
    "4 Hz": (lambda d: write(d / "a.wav", rate_hz=4), ("67 minutes", "at most 60")),
    "100 Hz": (lambda d: write(d / "a.wav", rate_hz=100), ("expected a sample rate", "100")),
    "folder": (lambda d: d, ("expected an audio file, found a folder", "Name a file")),
    "missing": (lambda d: d / "no.wav", ("no such file", "Check")),
    "a name too long": (lambda d: d / ("a" * 300), ("Check its name",)),
    "a zero in the name": (lambda d: d / "a\0b", ("cannot be read", "Check")),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_file_is_one_line(tmp_path, case):
    make, parts = BAD[case]
    path = make(tmp_path)
    with one_line(visible(path), *parts, kind=AudioError):
        load(path, HZ_16K)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")
def test_pipe_device_and_loop_are_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with one_line("pipe.wav", "found a device or a pipe", "Save", kind=AudioError):
        load(tmp_path / "pipe.wav", HZ_16K)  # would wait for ever if it were opened
    with one_line("/dev/null", "found a device or a pipe", kind=AudioError):
        load("/dev/null", HZ_16K)
    (tmp_path / "a.wav").symlink_to(tmp_path / "b.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    with one_line("a.wav", "cannot be read", "symbolic links", kind=AudioError):
        load(tmp_path / "a.wav", HZ_16K)


def test_file_without_permission(open_folder):
    path = write(open_folder / "secret.wav")
    path.chmod(0o000)
    with (
        not_root(),
        one_line(str(path), "cannot be read", "Permission denied", "permissions", kind=AudioError),
    ):
        load(path, HZ_16K)


@quick
@given(data=st.data())
def test_damaged_bytes_never_give_another_exception(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    suffix = data.draw(st.sampled_from(["wav", "flac", "ogg", "aiff"]))
    path = write(folder / f"damaged.{suffix}", sine(duration_s=0.2))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        waveform = load(path, HZ_16K)
    except AudioError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
    else:
        assert waveform.dtype == np.float32
        assert np.isfinite(waveform).all()


# Files that can -----------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_gives_the_same_sound(tmp_path, subtype):
    waveform = load(write(tmp_path / "a.wav", subtype=subtype), HZ_16K)
    steps = 2**7 if subtype == "PCM_U8" else 2**15
    np.testing.assert_allclose(waveform, sine(), atol=1.01 / steps)
    assert waveform.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.flac", 1e-4), ("a.aiff", 1e-4), ("a.ogg", 0.1)]
)
def test_every_container(tmp_path, name, tolerance):
    waveform = load(write(tmp_path / name), HZ_16K)
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform[2000:-2000], sine()[2000:-2000], atol=tolerance)


def test_the_suffix_does_not_matter(tmp_path):
    aiff = write(tmp_path / "a.aiff")
    aiff.rename(tmp_path / "a.wav")
    np.testing.assert_allclose(load(tmp_path / "a.wav", HZ_16K), sine(), atol=1e-4)


def test_six_channels_are_averaged(tmp_path):
    channels = np.stack([(i + 1) / 6 * sine() for i in range(6)], axis=1)
    recording = decode(write(tmp_path / "a.wav", channels, subtype="FLOAT"))
    assert recording.samples.shape == (16_000, 6)
    waveform = load(tmp_path / "a.wav", HZ_16K)
    np.testing.assert_allclose(waveform, 3.5 / 6 * sine(), atol=1e-6)


def test_8_khz_is_brought_to_the_rate_of_the_model(tmp_path):
    waveform = load(write(tmp_path / "a.wav", sine(rate_hz=8_000), 8_000), HZ_16K)
    assert waveform.shape == (16_000,)
    assert loudest_hz(waveform, 16_000) == pytest.approx(440, abs=1)


def test_30_minutes_are_read(tmp_path):
    start_s = time.process_time()
    path = write(tmp_path / "a.flac", np.tile(sine(100, 1, 2_000), 1_800), 2_000)
    waveform = load(path, AudioConfig(sample_rate_hz=4_000))
    assert len(waveform) == 1_800 * 4_000
    assert time.process_time() - start_s < 30


def test_a_wav_cut_short_gives_the_samples_that_are_there(tmp_path):
    path = cut(tmp_path, 44 + 2 * 8_000)
    np.testing.assert_allclose(load(path, HZ_16K), sine()[:8_000], atol=1e-4)


def test_dc_and_clipped_recordings_are_read_and_said_to_be_so(tmp_path):
    dc = load(write(tmp_path / "dc.wav", np.full(16_000, 0.5)), HZ_16K)
    np.testing.assert_allclose(dc, 0.5, atol=1e-4)
    assert warnings_about(dc) == ["silent"]
    clipped = np.clip(sine(amplitude=5.0), -1, 1)
    loud = load(write(tmp_path / "loud.wav", clipped), HZ_16K)
    assert warnings_about(loud) == ["clipped"]


def test_names_in_any_script(tmp_path):
    path = write(tmp_path / "Größe Ωμέγα 声 ☃.wav")
    assert load(path, HZ_16K).shape == (16_000,)
    assert load(str(path), HZ_16K).shape == (16_000,)


@pytest.mark.skipif(os.name != "posix", reason="names as bytes need POSIX")
def test_a_name_that_is_not_utf_8(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    try:
        Path(os.fsdecode(name)).write_bytes(write(tmp_path / "a.wav").read_bytes())
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    assert load(os.fsdecode(name), HZ_16K).shape == (16_000,)


def test_content_hash_is_of_the_sound_not_of_the_file(tmp_path):
    samples = (sine() * 32_768).astype(np.int16)
    one = decode(write(tmp_path / "a.wav", samples))
    same = decode(write(tmp_path / "b.flac", samples))
    assert one.pcm_sha256 == same.pcm_sha256
    assert one.duration_s == 1.0
    others = [
        write(tmp_path / "c.wav", samples[:-1]),
        write(tmp_path / "d.wav", samples, 16_001),
        write(tmp_path / "e.wav", np.stack([samples, samples], axis=1)),
        write(tmp_path / "f.wav", samples.reshape(-1, 2)),
    ]
    assert len({one.pcm_sha256, *(decode(path).pcm_sha256 for path in others)}) == 5


# Arrays -------------------------------------------------------------------------------------------

floats = arrays.arrays(np.float32, st.integers(800, 1200), elements=st.floats(-1, 1, width=32))


@quick
@given(samples=floats, n_channels=st.integers(1, 8))
def test_equal_channels_are_the_channel(samples, n_channels):
    channels = np.repeat(samples[:, None], n_channels, axis=1)
    np.testing.assert_allclose(to_waveform(channels, 16_000, HZ_16K), samples, atol=1e-6)


@quick
@given(data=st.data(), kind=st.sampled_from([np.int8, np.int16, np.int32, np.int64]))
def test_integers_are_scaled_by_full_scale(data, kind):
    full = -int(np.iinfo(kind).min)
    samples = data.draw(
        arrays.arrays(kind, 1000, elements=st.integers(-full, full - 1), fill=st.just(0))
    )
    waveform = to_waveform(samples, 16_000, HZ_16K)
    np.testing.assert_allclose(waveform, samples.astype(np.float64) / full, atol=1e-7)
    assert np.abs(waveform).max() <= 1


def test_unsigned_integers_have_their_zero_in_the_middle():
    samples = np.tile(np.array([0, 64, 128, 255], np.uint8), 300)
    waveform = to_waveform(samples, 16_000, HZ_16K)
    np.testing.assert_allclose(waveform[:4], [-1, -0.5, 0, 127 / 128])


@quick
@given(
    rate_hz=st.integers(8_000, 96_000),
    target_hz=st.sampled_from([8_000, 16_000, 22_050, 48_000]),
    frequency_hz=st.floats(100, 3_000),
)
def test_resampling_keeps_frequency_duration_and_level(rate_hz, target_hz, frequency_hz):
    samples = sine(frequency_hz, 0.5, rate_hz)
    waveform = to_waveform(samples, rate_hz, AudioConfig(sample_rate_hz=target_hz))
    assert abs(len(waveform) - len(samples) * target_hz / rate_hz) <= 1
    assert loudest_hz(waveform, target_hz) == pytest.approx(frequency_hz, abs=2.1)
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, abs=0.02)


@quick
@given(one=floats, gain=st.floats(-2, 2), rate_hz=st.sampled_from([8_000, 16_000, 44_100]))
def test_linear(one, gain, rate_hz):
    one = np.resize(one, 4_000)
    other = sine(300, 4_000 / rate_hz, rate_hz)[:4_000]
    together = to_waveform(gain * one + other, rate_hz, HZ_16K)
    apart = gain * to_waveform(one, rate_hz, HZ_16K) + to_waveform(other, rate_hz, HZ_16K)
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_trimming_cuts_silence_only_at_the_ends():
    silence = np.zeros(8_000, np.float32)
    samples = np.concatenate([silence, sine(), silence, sine(), silence])
    waveform = to_waveform(samples, 16_000, AudioConfig(sample_rate_hz=16_000, trim_db=40))
    assert len(waveform) == pytest.approx(40_000, abs=4_096)
    zeros = np.zeros(16_000, np.float32)
    assert len(to_waveform(zeros, 16_000, AudioConfig(sample_rate_hz=16_000, trim_db=40))) == 16_000


def test_the_input_is_not_changed():
    for kind in (np.float32, np.float64):
        samples = sine().astype(kind)
        waveform = to_waveform(samples, 16_000, HZ_16K)
        waveform[:] = 0
        if kind is np.float64:
            np.testing.assert_array_equal(samples, sine().astype(kind))


@pytest.mark.parametrize(
    ("samples", "parts"),
    [
        (None, ("as numbers", "object")),
        ("clip.wav", ("as numbers",)),
        (3.0, ("(n_samples,)", "()")),
        ([], ("(n_samples,)", "(0,)")),
        (np.zeros((0, 2)), ("(n_samples,)", "(0, 2)")),
        (np.zeros((9, 9, 9)), ("(n_samples,)", "(9, 9, 9)")),
        (np.zeros((2, 16_000)), ("(2, 16000)", "Transpose")),
        ([[0.1, 0.2], [0.3]], ("different lengths",)),
        (np.zeros(16_000, complex), ("as numbers", "complex")),
        (np.zeros(16_000, bool), ("as numbers", "bool")),
        (np.r_[sine(), np.nan], ("NaN",)),
        (np.r_[sine(), np.inf], ("infinite",)),
        (np.r_[sine().astype(float), 1e300], ("huge",)),
        (np.full((16_000, 2), [np.inf, -np.inf]), ("infinite",)),
        (sine(duration_s=0.04), ("0.040 s", "0.05 s")),
    ],
)
def test_unusable_array_is_one_line(samples, parts):
    with one_line(*parts, kind=AudioError):
        to_waveform(samples, 16_000, HZ_16K)


@pytest.mark.parametrize(
    "rate", [0, -1, 999, 1_000_001, float("nan"), float("inf"), None, "16k", []]
)
def test_impossible_rate_is_one_line(rate):
    with one_line("sample rate", "1,000 to 1,000,000 Hz", repr(rate), kind=AudioError):
        to_waveform(sine(), rate, HZ_16K)


@pytest.mark.parametrize("rate", [16_000, 16_000.0, np.int64(16_000), np.float32(16_000)])
def test_any_number_is_a_rate(rate):
    np.testing.assert_array_equal(to_waveform(sine(), rate, HZ_16K), sine())


# Levels -------------------------------------------------------------------------------------------


@quick
@given(level_dbfs=st.floats(-90, 0))
def test_peak_is_in_decibels_of_full_scale(level_dbfs):
    samples = sine(1_000, amplitude=1.0)  # 16 samples a period: it reaches its peak
    peak = peak_dbfs(samples * 10 ** (level_dbfs / 20))
    assert peak == pytest.approx(level_dbfs, abs=1e-3)


def test_peak_of_silence():
    assert peak_dbfs(np.zeros(10)) == float("-inf")
    assert peak_dbfs(np.zeros(0)) == float("-inf")
    assert peak_dbfs(np.array([-1.0, 0.5])) == 0.0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros(100), ["silent"]),
        (np.full((100, 2), [0.5, -0.5]), ["silent"]),
        (sine(amplitude=10 ** (-75 / 20)), ["silent"]),
        (sine(amplitude=10 ** (-65 / 20)), ["quiet"]),
        (sine(amplitude=10 ** (-41 / 20)) + 0.3, ["quiet"]),
        (sine(amplitude=10 ** (-39 / 20)), []),
        (sine(amplitude=0.99), []),
        (np.clip(sine(amplitude=1.5), -1, 1), ["clipped"]),
        (np.stack([sine(), np.clip(sine(amplitude=9), -1, 1)], axis=1), ["clipped"]),
        (np.r_[sine(), 1.0], []),
    ],
)
def test_warnings(samples, expected):
    assert warnings_about(samples) == expected
