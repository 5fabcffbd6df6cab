"""Features are librosa's, have the announced shapes and names, and mean what their names say."""

import dataclasses

import librosa
import numpy as np
import pytest
from conftest import one_line, warnings_are_errors
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from ser import corpora
from ser.audio import load
from ser.config import FEATURE_KINDS, PRETRAINED_KINDS, STATISTICS, AudioConfig, FeatureConfig
from ser.features.extraction import (
    compute,
    extract,
    feature_names,
    fit_length,
    to_rows,
)
from ser.project import AudioError

RATE_HZ = 22_050
SIZES = {
    "mfcc": 40,
    "log_mel": 128,
    "chroma": 12,
    "spectral_contrast": 7,
    "zero_crossing_rate": 1,
    "rms": 1,
}
quick = settings(deadline=None, max_examples=25)

PLAIN = sorted({*FEATURE_KINDS} - {*PRETRAINED_KINDS})


pytestmark = warnings_are_errors


def tone(frequency_hz, duration_s=1.0, rate_hz=RATE_HZ, amplitude=0.5):
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def voice_like(duration_s=1.0, seed=0):
    """Harmonics with vibrato, noise and a pause: something in every band."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * 150 * t + 3 * np.sin(2 * np.pi * 5 * t)
    sound = sum(np.sin(k * phase) / k for k in range(1, 30)) + 0.05 * rng.standard_normal(len(t))
    return (0.1 * sound * (np.sin(2 * np.pi * t) > -0.5)).astype(np.float32)


def librosa_features(kind, y, n_fft=2048, hop=512):
    return {
        "mfcc": lambda: librosa.feature.mfcc(
            y=y, sr=RATE_HZ, n_mfcc=40, n_fft=n_fft, hop_length=hop
        ),
        "log_mel": lambda: librosa.power_to_db(
            librosa.feature.melspectrogram(y=y, sr=RATE_HZ, n_fft=n_fft, hop_length=hop)
        ),
        "chroma": lambda: librosa.feature.chroma_stft(
            y=y, sr=RATE_HZ, n_fft=n_fft, hop_length=hop, tuning=0.0
        ),
        "spectral_contrast": lambda: librosa.feature.spectral_contrast(
            y=y, sr=RATE_HZ, n_fft=n_fft, hop_length=hop
        ),
        "zero_crossing_rate": lambda: librosa.feature.zero_crossing_rate(
            y, frame_length=n_fft, hop_length=hop
        ),
        "rms": lambda: librosa.feature.rms(y=y, frame_length=n_fft, hop_length=hop),
    }[kind]().T


# The same as librosa ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(("n_fft", "hop"), [(2048, 512), (1024, 300)])
def test_every_kind_is_librosas(kind, n_fft, hop):
    config = FeatureConfig(kinds=(kind,), n_fft=n_fft, hop_length=hop)
    ours = extract(voice_like(), RATE_HZ, config)
    np.testing.assert_allclose(ours, librosa_features(kind, voice_like(), n_fft, hop), atol=1e-4)


def test_demo_speech_as_the_published_notebooks_do_it(demo_shelf):
    paths = sorted(demo_shelf.rglob("*.opus"))[::24]
    assert len(paths) == 3
    for path in paths:
        check_mfcc(path)


@pytest.mark.real
def test_real_speech_as_the_published_notebooks_do_it(real_speech):
    paths = [path for path, _ in corpora.scan("ravdess", real_speech)[0][::288]]
    assert len(paths) == 5
    for path in paths:
        check_mfcc(real_speech / path)


def check_mfcc(path):
    y, rate_hz = librosa.load(path)
    expected = librosa.feature.mfcc(y=y, sr=rate_hz, n_mfcc=40).T
    ours = extract(load(path, AudioConfig()), RATE_HZ, FeatureConfig())
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=1e-6)


def test_deltas_are_librosas():
    plain = extract(voice_like(), RATE_HZ, FeatureConfig(kinds=("mfcc", "rms")))
    stacked = extract(voice_like(), RATE_HZ, FeatureConfig(kinds=("mfcc", "rms"), n_deltas=2))
    assert stacked.shape == (len(plain), 3 * 41)
    np.testing.assert_array_equal(stacked[:, :41], plain)
    for order in (1, 2):
        expected = librosa.feature.delta(plain.T, order=order, mode="nearest").T
        found = stacked[:, 41 * order : 41 * (order + 1)]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_delta_of_a_rising_level_is_its_slope():
    ramp = np.linspace(0.1, 0.5, RATE_HZ, dtype=np.float32) * np.sign(tone(200))
    values = extract(ramp, RATE_HZ, FeatureConfig(kinds=("rms",), n_deltas=1))[8:-8]
    slope = 0.4 * 512 / RATE_HZ
    np.testing.assert_allclose(values[:, 1], slope, rtol=0.1)


def test_values_do_not_depend_on_the_number_of_threads():
    config = FeatureConfig(kinds=("mfcc", "chroma"))
    several = extract(voice_like(), RATE_HZ, config)
    with threadpool_limits(1):
        np.testing.assert_array_equal(extract(voice_like(), RATE_HZ, config), several)


# Statistics ---------------------------------------------------------------------------------------

NUMPYS = {
    "mean": lambda frames: frames.mean(axis=0),
    "std": lambda frames: np.sqrt(np.square(frames - frames.mean(axis=0)).mean(axis=0)),
    "min": lambda frames: np.sort(frames, axis=0)[0],
    "max": lambda frames: np.sort(frames, axis=0)[-1],
}


@quick
@given(
    n_found=st.integers(1, 40),
    n_frames=st.integers(1, 30),
    statistics=st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True).map(tuple),
    seed=st.integers(0, 99),
)
def test_statistics_are_numpys_over_the_first_frames(n_found, n_frames, statistics, seed):
    frames = np.random.default_rng(seed).normal(5, 1, (n_found, 3)).astype(np.float32)
    config = FeatureConfig(n_frames=n_frames, statistics=statistics)
    rows = to_rows(frames, config)
    assert rows.shape == (config.n_rows, 3) == (len(statistics), 3)
    assert rows.dtype == np.float32
    for row, name in zip(rows, statistics, strict=True):
        np.testing.assert_allclose(row, NUMPYS[name](frames[:n_frames]), rtol=1e-5, atol=1e-5)
    # what is cut off decides nothing, and without statistics the frames stay as they are
    frames[n_frames:] = 99
    np.testing.assert_array_equal(to_rows(frames, config), rows)
    plain = to_rows(frames, FeatureConfig(n_frames=n_frames))
    np.testing.assert_array_equal(plain, fit_length(frames, n_frames))


@pytest.mark.parametrize("n_frames", [20, 400])
def test_statistics_of_a_recording_leave_padding_out(n_frames):
    config = FeatureConfig(kinds=("mfcc", "rms"), n_frames=n_frames, statistics=STATISTICS)
    frames = extract(voice_like(), RATE_HZ, config)
    assert 20 < len(frames) < 400
    found = compute(voice_like(), RATE_HZ, AudioConfig(), config)
    assert found.shape == (4, 41)
    for row, name in zip(found, STATISTICS, strict=True):
        np.testing.assert_allclose(row, NUMPYS[name](frames[:n_frames]), rtol=1e-4, atol=1e-4)


# Shapes and names ---------------------------------------------------------------------------------


@quick
@given(
    kinds=st.lists(st.sampled_from(PLAIN), min_size=1, unique=True).map(tuple),
    n_samples=st.integers(1, 8_000),
    hop=st.sampled_from([128, 500, 512, 2_000]),
    n_fft=st.sampled_from([512, 1_000, 2_048]),
    n_deltas=st.integers(0, 2),
    n_frames=st.integers(1, 80),
)
def test_shape_is_as_announced(kinds, n_samples, hop, n_fft, n_deltas, n_frames):
    config = FeatureConfig(
        kinds=kinds, hop_length=hop, n_fft=n_fft, n_deltas=n_deltas, n_frames=n_frames, n_mels=40
    )
    waveform = voice_like()[:n_samples]
    values = extract(waveform, RATE_HZ, config)
    assert values.shape == (1 + max(n_samples, n_fft) // hop, len(feature_names(config)))
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert np.isfinite(values).all()
    if n_samples / RATE_HZ >= 0.05:
        assert compute(waveform, RATE_HZ, AudioConfig(), config).shape == (
            n_frames,
            values.shape[1],
        )


@pytest.mark.parametrize("kind", PLAIN)
def test_names_say_which_column_is_which(kind):
    names = feature_names(FeatureConfig(kinds=(kind,)))
    assert len(names) == SIZES[kind]
    assert len(set(names)) == len(names)
    assert all(name.startswith(kind) for name in names)


def test_a_stack_is_its_kinds_side_by_side():
    config = FeatureConfig(kinds=("rms", "mfcc", "chroma", "spectral_contrast"), n_deltas=1)
    stacked, names = extract(voice_like(), RATE_HZ, config), feature_names(config)
    assert len(set(names)) == len(names) == 2 * 60
    for kind in config.kinds:
        alone = extract(voice_like(), RATE_HZ, FeatureConfig(kinds=(kind,)))
        columns = [i for i, name in enumerate(names) if name.split(" ")[0] == kind]
        np.testing.assert_array_equal(stacked[:, columns], alone)
    assert names[60:] == [f"delta {name}" for name in names[:60]]


def test_a_frame_is_centred_on_its_time():
    click = np.zeros(RATE_HZ, np.float32)
    click[RATE_HZ // 2] = 1
    config = FeatureConfig(kinds=("log_mel",), hop_length=128)
    level = extract(click, RATE_HZ, config).mean(axis=1)
    heard = np.flatnonzero(level > level.min() + 1) * 128 / RATE_HZ
    assert heard.mean() == pytest.approx(0.5, abs=128 / RATE_HZ)


# What they mean -----------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency_hz", [220, 440, 1_000, 3_000, 8_000])
def test_a_tone_lands_in_its_mel_band(frequency_hz):
    values = extract(tone(frequency_hz), RATE_HZ, FeatureConfig(kinds=("log_mel",)))
    centres_hz = librosa.mel_frequencies(130, fmin=0, fmax=RATE_HZ / 2)[1:-1]
    nearest = np.argmin(np.abs(centres_hz - frequency_hz))
    assert abs(int(values[20].argmax()) - nearest) <= 1


@pytest.mark.parametrize(("frequency_hz", "pitch_class"), [(440, 9), (261.63, 0), (392.0, 7)])
@pytest.mark.parametrize("octave", [1, 2, 4])
def test_a_tone_lands_in_its_chroma_bin(frequency_hz, pitch_class, octave):
    values = extract(tone(frequency_hz * octave), RATE_HZ, FeatureConfig(kinds=("chroma",)))
    assert values[20].argmax() == pitch_class


@quick
@given(gain_db=st.floats(-20, 10))
def test_chroma_and_crossings_do_not_depend_on_the_level(gain_db):
    config = FeatureConfig(kinds=("chroma", "zero_crossing_rate"))
    plain = extract(voice_like(), RATE_HZ, config)
    louder = extract((10 ** (gain_db / 20) * voice_like()).astype(np.float32), RATE_HZ, config)
    np.testing.assert_allclose(louder, plain, atol=2e-3)


def test_gain_moves_only_the_first_cepstral_coefficient():
    noise = np.random.default_rng(0).normal(0, 0.05, RATE_HZ).astype(np.float32)
    plain, louder = (extract(g * noise, RATE_HZ, FeatureConfig()) for g in (1, np.float32(10)))
    moved = louder - plain
    np.testing.assert_allclose(moved[:, 0], 20 * np.sqrt(128), rtol=1e-3)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-2)


@pytest.mark.parametrize("kind", ["mfcc", "log_mel", "rms"])
def test_relative_to_the_loudest_how_far_it_was_turned_up_does_not_count(kind):
    config = FeatureConfig(kinds=(kind,), level="relative")
    loud = extract(voice_like(), RATE_HZ, config)
    quiet = extract(0.03 * voice_like(), RATE_HZ, config)
    np.testing.assert_allclose(quiet, loud, rtol=1e-4, atol=1e-3)
    absolute = extract(voice_like(), RATE_HZ, dataclasses.replace(config, level="absolute"))
    if kind == "mfcc":
        np.testing.assert_allclose(loud[:, 1:], absolute[:, 1:], atol=1e-3)
        assert np.ptp(loud[:, 0] - absolute[:, 0]) < 1e-2
    else:
        assert loud.max() == pytest.approx({"log_mel": 0, "rms": 1}[kind], abs=1e-5)
        shift = loud - absolute if kind == "log_mel" else loud - absolute / absolute.max()
        assert np.ptp(shift) < 1e-3
    assert not np.allclose(loud, absolute, atol=0.1)


def test_rms_and_crossings_of_a_tone():
    values = extract(
        tone(1_000, amplitude=0.5), RATE_HZ, FeatureConfig(kinds=("rms", "zero_crossing_rate"))
    )[8:-8]
    np.testing.assert_allclose(values[:, 0], 0.5 / np.sqrt(2), rtol=0.01)
    np.testing.assert_allclose(values[:, 1], 2 * 1_000 / RATE_HZ, rtol=0.02)


def test_contrast_is_larger_for_a_tone_than_for_noise():
    config = FeatureConfig(kinds=("spectral_contrast",))
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    band = 2  # 400 to 800 Hz
    of_tone = extract(tone(600) + 0.01 * noise, RATE_HZ, config)[20, band]
    assert of_tone > 1.5 * extract(noise, RATE_HZ, config)[20, band]


def test_mel_range():
    config = FeatureConfig(kinds=("log_mel",), fmin_hz=1_000, fmax_hz=4_000, n_mels=40)
    inside, outside = (extract(tone(f), RATE_HZ, config)[20].max() for f in (2_000, 400))
    assert inside > outside + 30


# Length -------------------------------------------------------------------------------------------


@quick
@given(n=st.integers(0, 30), n_frames=st.integers(1, 30))
def test_padding_with_zeros_or_cutting_at_the_end(n, n_frames):
    values = np.arange(1, 2 * n + 1, dtype=np.float32).reshape(n, 2)
    fitted = fit_length(values, n_frames)
    assert fitted.shape == (n_frames, 2)
    assert fitted.dtype == np.float32
    kept = min(n, n_frames)
    np.testing.assert_array_equal(fitted[:kept], values[:kept])
    assert not fitted[kept:].any()


def test_compute_is_mixing_resampling_extracting_and_fitting():
    stereo = np.stack([voice_like(), voice_like()], axis=1)
    whole = compute(stereo, RATE_HZ, AudioConfig(), FeatureConfig(n_frames=60))
    np.testing.assert_allclose(
        whole[:44], extract(voice_like(), RATE_HZ, FeatureConfig()), atol=1e-3
    )
    assert np.any(whole[43] != 0)
    assert not whole[44:].any()


def test_silence_is_not_taken_for_padding():
    values = compute(np.zeros(RATE_HZ), RATE_HZ, AudioConfig(), FeatureConfig())
    assert np.all(np.any(values[:44] != 0, axis=1))


@pytest.mark.parametrize("kind", PLAIN)
def test_very_short_input(kind):
    config = FeatureConfig(kinds=(kind,), n_deltas=2, n_frames=10)
    shortest = voice_like()[: round(0.05 * RATE_HZ) + 1]
    values = compute(shortest, RATE_HZ, AudioConfig(), config)
    assert values.shape == (10, 3 * SIZES[kind])
    assert np.isfinite(values).all()
    assert np.isfinite(extract(np.ones(1, np.float32), RATE_HZ, config)).all()


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8_000, 12_800])
def test_spectral_contrast_needs_a_high_rate(rate_hz):
    with one_line("spectral_contrast", "12,800 Hz", str(rate_hz), "sample_rate_hz"):
        extract(tone(400), rate_hz, FeatureConfig(kinds=("mfcc", "spectral_contrast"), n_mels=40))


def test_spectral_contrast_at_the_lowest_rate_it_can():
    config = FeatureConfig(kinds=("spectral_contrast",))
    assert extract(tone(400), 12_801, config).shape[1] == 7


def test_spectral_contrast_needs_a_window_that_resolves_its_bands():
    with one_line("spectral_contrast", "at least 111 samples", "found 110", "n_fft"):
        extract(tone(400), RATE_HZ, FeatureConfig(kinds=("spectral_contrast",), n_fft=110))
    config = FeatureConfig(kinds=("spectral_contrast",), n_fft=112, hop_length=56)
    assert np.isfinite(extract(voice_like(), RATE_HZ, config)).all()


@pytest.mark.parametrize(
    ("fmin_hz", "fmax_hz", "found"),
    [(0, 8_001, "0 to 8001"), (8_000, None, "8000 to 8000"), (500, 400, "500 to 400")],
)
def test_mel_range_outside_the_rate(fmin_hz, fmax_hz, found):
    config = FeatureConfig(fmin_hz=fmin_hz, fmax_hz=fmax_hz)
    with one_line("fmin_hz to fmax_hz", "0 to 8000 Hz", f"found {found}"):
        extract(tone(400), 16_000, config)


def test_unusable_samples():
    with one_line("NaN", kind=AudioError):
        compute(np.full(RATE_HZ, np.nan), RATE_HZ, AudioConfig(), FeatureConfig())
    with one_line("at least 0.05 s", kind=AudioError):
        compute(np.zeros(100), RATE_HZ, AudioConfig(), FeatureConfig())
