"""Variants are the same everywhere, change what they say and nothing else; masks and mixup."""

import dataclasses
import hashlib
import json
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import warnings_are_errors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ser.audio import load
from ser.config import AudioConfig, AugmentationConfig, MaskingConfig
from ser.features import augment

RATE_HZ = 22_050
ALL = AugmentationConfig(
    n_variants=4,
    **{f"{name}_p": 1.0 for name in augment.CHANGES},
)
NONE = AugmentationConfig(**{f"{name}_p": 0.0 for name in augment.CHANGES})
quick = settings(deadline=None, max_examples=30)


pytestmark = warnings_are_errors


def tone(frequency_hz=440.0, duration_s=1.0, amplitude=0.3):
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def noise(duration_s=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, round(duration_s * RATE_HZ)).astype(np.float32)


def only(change, waveform, seed=0, **settings):
    config = AugmentationConfig(**settings)
    rng = np.random.default_rng(seed)
    return augment.apply(waveform, RATE_HZ, config, rng=rng, only=change)


def loudest_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 8 * len(waveform)))
    return np.argmax(spectrum) * RATE_HZ / (8 * len(waveform))


def digest(waveform):
    return hashlib.sha256(waveform.tobytes()).hexdigest()[:16]


def variants(numbers=(1, 2, 3, 4), contents=("a", "b"), config=ALL):
    """Digest of each variant; the same script runs in another process below."""
    waveform = tone(300) + noise()
    return {
        f"{content}{number}": digest(
            augment.variant(waveform, RATE_HZ, config, content=content, number=number)
        )
        for content in contents
        for number in numbers
    }


# The same everywhere ------------------------------------------------------------------------------


def test_variants_are_the_same_in_another_process_and_order():
    script = (
        "import json, test_augment as t\nprint(json.dumps(t.variants((4, 2, 3, 1), ('b', 'a'))))"
    )
    answer = subprocess.check_output([sys.executable, "-c", script], cwd=Path(__file__).parent)
    assert json.loads(answer) == variants()


def test_variants_are_the_same_in_threads():
    expected = variants()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: variants(), range(4)):
            assert found == expected


def test_variants_are_the_same_while_other_threads_draw_at_random():
    expected, done = variants(), threading.Event()

    def draw():
        while not done.is_set():
            random.random()
            np.random.random()  # noqa: NPY002

    thread = threading.Thread(target=draw)
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # seconds: it gets to draw in the middle of a change
    thread.start()
    try:
        assert variants() == expected
    finally:
        sys.setswitchinterval(often)
        done.set()
        thread.join()


def test_variants_differ_from_one_another():
    found = variants()
    assert len(set(found.values())) == len(found) == 8
    other = dataclasses.replace(ALL, seed=1)
    assert not set(variants(config=other).values()) & set(found.values())


def test_more_variants_leave_the_first_ones_as_they_are():
    more = dataclasses.replace(ALL, n_variants=9)
    assert variants(config=more) == variants()
    assert augment.variants_hash(more) == augment.variants_hash(ALL)


def test_variants_hash_changes_with_every_other_setting():
    base = AugmentationConfig()
    seen = {augment.variants_hash(base)}
    fields = [f for f in dataclasses.fields(base) if f.name not in ("n_variants", "custom_p")]
    for field in fields:
        value = getattr(base, field.name)
        other = (value[0], value[1] + 0.05) if isinstance(value, tuple) else 1 - value
        seen.add(augment.variants_hash(dataclasses.replace(base, **{field.name: other})))
    same = sum(getattr(base, field.name) == 0.5 for field in fields)  # 1 - 0.5 = 0.5
    assert len(seen) == 1 + len(fields) - same


def test_changing_a_probability_does_not_change_what_the_others_draw():
    quieter = only("gain", tone(), noise_p=0.9, stretch_p=0.1)
    np.testing.assert_array_equal(quieter, only("gain", tone()))


def test_variant_0_is_the_original():
    waveform = tone()
    assert augment.variant(waveform, RATE_HZ, ALL, content="a", number=0) is waveform


@quick
@given(waveform=arrays.arrays(np.float32, 2_000, elements=st.floats(-1, 1, width=32)))
def test_no_change_where_none_is_likely(waveform):
    same = augment.variant(waveform, RATE_HZ, NONE, content="a", number=1)
    np.testing.assert_array_equal(same, waveform)
    assert same.dtype == np.float32


@pytest.mark.parametrize("change", augment.CHANGES)
def test_global_random_state_and_input_are_untouched(change):
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    waveform = tone()
    original = waveform.copy()
    result = only(change, waveform)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    np.testing.assert_array_equal(waveform, original)
    assert not np.array_equal(result, original)


@pytest.mark.parametrize("change", augment.CHANGES)
def test_global_random_state_does_not_matter(change):
    found = set()
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        found.add(digest(only(change, tone())))
    assert len(found) == 1


@pytest.mark.parametrize("change", augment.CHANGES)
@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 48_000])
def test_any_rate_and_length(change, rate_hz):
    for n in (rate_hz // 20, rate_hz):
        for waveform in (np.zeros(n, np.float32), np.resize(tone(), n)):
            rng = np.random.default_rng(0)
            result = augment.apply(waveform, rate_hz, AugmentationConfig(), rng=rng, only=change)
            assert result.dtype == np.float32
            assert result.ndim == 1
            assert np.isfinite(result).all()


def test_probability_is_the_share_of_variants_that_change():
    config = dataclasses.replace(NONE, gain_p=0.3)
    waveform = tone()[:1_200]
    changed = [
        not np.array_equal(
            augment.variant(waveform, RATE_HZ, config, content=str(i), number=1), waveform
        )
        for i in range(400)
    ]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.08)


def test_an_unknown_change_is_refused():
    with pytest.raises(ValueError, match="no change 'pich'"):
        only("pich", tone())


# What each change does ----------------------------------------------------------------------------


@quick
@given(seed=st.integers(0, 10**6), low_db=st.floats(-10, 30), span_db=st.floats(0, 20))
def test_noise_has_the_ratio_that_was_asked_for(seed, low_db, span_db):
    clean = tone(300)
    noisy = only("noise", clean, seed, noise_snr_db=(low_db, low_db + span_db))
    added = (noisy - clean).astype(np.float64)
    snr_db = 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean(added**2))
    assert low_db - 0.3 <= snr_db <= low_db + span_db + 0.3


def test_noise_ratio_on_speech(demo_shelf):
    for seed, path in enumerate(sorted(demo_shelf.rglob("*.opus"))[::24]):
        clean = load(path, AudioConfig())
        added = only("noise", clean, seed, noise_snr_db=(15, 15)) - clean
        assert 10 * np.log10(np.mean(clean**2) / np.mean(added**2)) == pytest.approx(15, abs=0.3)


@pytest.mark.parametrize("semitones", [-7, -2, 1, 5])
def test_pitch_moves_by_semitones_and_duration_stays(semitones):
    shifted = only("pitch", tone(440), pitch_semitones=(semitones, semitones))
    assert len(shifted) == RATE_HZ
    expected_hz = 440 * 2 ** (semitones / 12)
    assert loudest_hz(shifted[2_000:-2_000]) == pytest.approx(expected_hz, rel=0.01)


@pytest.mark.parametrize("rate", [0.6, 0.8, 1.25, 2.0])
def test_stretch_changes_duration_and_pitch_stays(rate):
    stretched = only("stretch", tone(440), stretch_rate=(rate, rate))
    assert len(stretched) == pytest.approx(RATE_HZ / rate, rel=0.01)
    assert loudest_hz(stretched[2_000:-2_000]) == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.25])
def test_speed_moves_pitch_and_duration_together(rate):
    faster = only("speed", tone(440), speed_rate=(rate, rate))
    assert len(faster) == pytest.approx(RATE_HZ / rate, rel=0.01)
    assert loudest_hz(faster) == pytest.approx(440 * rate, rel=0.01)
    lengths = {len(only("speed", tone(440), seed)) for seed in range(20)}
    assert len(lengths) > 10  # drawn
    assert min(lengths) >= RATE_HZ / 1.1 - 1
    assert max(lengths) <= RATE_HZ / 0.9 + 1


@pytest.mark.parametrize("rate", [0.6, 0.9, 2.0])
def test_stretch_is_the_same_every_time(rate):
    # slower than 0.5, the library draws from a generator that cannot be seeded
    for duration_s in (0.1, 0.5, 1.0):
        waveform = tone(duration_s=duration_s) + noise(duration_s)
        found = {digest(only("stretch", waveform, stretch_rate=(rate, rate))) for _ in range(3)}
        assert len(found) == 1


@quick
@given(gain_db=st.floats(-30, 30))
def test_gain_is_exact_and_not_clipped(gain_db):
    result = only("gain", tone(), gain_db=(gain_db, gain_db))
    np.testing.assert_allclose(result, 10 ** (gain_db / 20) * tone(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fraction", [-0.25, 0.1])
def test_shift_moves_silence_in(fraction):
    waveform = noise()
    shifted = only("shift", waveform, shift_fraction=(fraction, fraction))
    n = round(fraction * RATE_HZ)
    fade = round(0.01 * RATE_HZ)  # the library fades at the seam
    if n > 0:
        np.testing.assert_allclose(shifted[n + fade :], waveform[fade : RATE_HZ - n], atol=1e-6)
        assert not shifted[:n].any()
    else:
        np.testing.assert_allclose(shifted[: n - fade], waveform[-n : RATE_HZ - fade], atol=1e-6)
        assert not shifted[n:].any()


def test_room_adds_an_echo_and_keeps_the_length():
    click = np.zeros(RATE_HZ, np.float32)
    click[5_000] = 0.9
    heard = only("room", click)
    assert len(heard) == RATE_HZ
    first = int(np.flatnonzero(np.abs(heard) > 0.1 * np.abs(heard).max())[0])
    tail = heard[first + 200 : first + 4_000]
    assert 1e-4 < np.sum(tail**2) / np.sum(heard**2) < 0.99


def test_band_pass_keeps_the_middle_and_weakens_the_edges():
    plain, passed = (np.abs(np.fft.rfft(x)) ** 2 for x in (noise(5), only("band_pass", noise(5))))
    hz = np.fft.rfftfreq(5 * RATE_HZ, 1 / RATE_HZ)
    kept = {
        name: passed[(hz >= low) & (hz < high)].sum() / plain[(hz >= low) & (hz < high)].sum()
        for name, low, high in (("low", 20, 60), ("middle", 900, 2_500), ("high", 9_000, 11_000))
    }
    assert kept["low"] < 0.2 * kept["middle"]
    assert kept["high"] < 0.2 * kept["middle"]


# Masks --------------------------------------------------------------------------------------------


def padded_batch(n_clips, n_frames, n_features, rng):
    batch = rng.normal(5, 1, (n_clips, n_frames, n_features)).astype(np.float32)
    n_valid = rng.integers(0, n_frames + 1, n_clips)
    for clip, n in zip(batch, n_valid, strict=True):
        clip[n:] = 0
    return batch, n_valid


@quick
@given(
    seed=st.integers(0, 10**6),
    n_frames=st.integers(1, 40),
    n_features=st.integers(1, 12),
    time=st.tuples(st.integers(0, 2), st.integers(1, 50)),
    feature=st.tuples(st.integers(0, 2), st.integers(1, 20)),
)
def test_masks_hide_only_unpadded_stretches_of_bounded_width(
    seed, n_frames, n_features, time, feature
):
    rng = np.random.default_rng(seed)
    batch, n_valid = padded_batch(4, n_frames, n_features, rng)
    original = batch.copy()
    config = MaskingConfig(
        n_time_masks=time[0],
        max_time_frames=time[1],
        n_feature_masks=feature[0],
        max_feature_bins=feature[1],
    )
    masked = augment.mask(batch, config, rng=rng)
    np.testing.assert_array_equal(batch, original)
    assert masked.shape == batch.shape
    for clip, before, n in zip(masked, original, n_valid, strict=True):
        assert not clip[n:].any()
        if n == 0:
            continue
        mean = np.broadcast_to(before[:n].mean(axis=0), (n, n_features))
        hidden = clip[:n] != before[:n]
        np.testing.assert_allclose(clip[:n][hidden], mean[hidden], rtol=1e-5)
        if feature[0] == 0:
            rows = hidden.all(axis=1)
            np.testing.assert_array_equal(hidden.any(axis=1), rows)
            assert rows.sum() <= time[0] * min(time[1], n // 2)
        if time[0] == 0 and n > 1:
            columns = hidden.all(axis=0)
            np.testing.assert_array_equal(hidden.any(axis=0), columns)
            assert columns.sum() <= feature[0] * min(feature[1], n_features // 2)


def test_masks_are_really_there():
    batch = np.random.default_rng(0).normal(size=(20, 50, 10)).astype(np.float32)
    config = MaskingConfig(n_time_masks=1, max_time_frames=10)
    rows = (augment.mask(batch, config, rng=np.random.default_rng(0)) != batch).all(axis=2)
    widths = rows.sum(axis=1)
    assert widths.max() == 10
    assert len(set(widths)) > 4
    for row in rows:  # one stretch
        assert np.abs(np.diff(row.astype(int), prepend=0, append=0)).sum() in (0, 2)
    np.testing.assert_array_equal(
        augment.mask(batch, config, rng=np.random.default_rng(3)),
        augment.mask(batch, config, rng=np.random.default_rng(3)),
    )


def test_no_masks_give_the_batch_itself():
    batch = np.ones((2, 5, 3), np.float32)
    assert augment.mask(batch, MaskingConfig(), rng=np.random.default_rng(0)) is batch


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([0, 0, 0], 0), ([1, 1, 1], 3), ([1, 0, 0], 1), ([1, 0, 1], 3), ([0, 1, 0], 2)],
)
def test_padding_is_what_follows_the_last_frame(rows, expected):
    clip = np.array(rows, np.float32)[:, None] * np.array([0.0, 1.0])
    assert augment.n_valid_frames(clip) == expected


# Mixup --------------------------------------------------------------------------------------------


@quick
@given(seed=st.integers(0, 10**6), n_clips=st.integers(2, 16), alpha=st.floats(0.05, 4))
def test_mixup_is_convex_and_keeps_each_clip_the_larger_share(seed, n_clips, alpha):
    rng = np.random.default_rng(seed)
    batch = rng.normal(size=(n_clips, 6, 3)).astype(np.float32)
    targets = np.eye(n_clips, dtype=np.float32)  # each clip a class of its own: shares show
    mixed, soft = augment.mixup(batch, targets, alpha, rng=np.random.default_rng(seed))
    assert (mixed.shape, soft.shape) == (batch.shape, targets.shape)
    assert mixed.dtype == soft.dtype == np.float32
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    assert soft.min() >= 0
    assert np.all(np.diag(soft) >= 0.5 - 1e-6)
    assert np.all((soft > 0).sum(axis=1) <= 2)
    np.testing.assert_allclose(mixed, np.einsum("ij,jtf->itf", soft, batch), atol=1e-5)


def test_mixup_of_nothing():
    batch, targets = np.ones((3, 2, 2), np.float32), np.eye(3, dtype=np.float32)
    rng = np.random.default_rng(0)
    assert augment.mixup(batch, targets, 0.0, rng=rng)[0] is batch
    assert augment.mixup(batch[:1], targets[:1], 0.4, rng=rng)[0].shape == (1, 2, 2)


def test_smaller_alpha_mixes_less():
    batch, targets = np.zeros((2_000, 1, 1), np.float32), np.eye(2_000, dtype=np.float32)
    shares = [
        np.diag(augment.mixup(batch, targets, alpha, rng=np.random.default_rng(0))[1]).mean()
        for alpha in (0.1, 1.0, 10.0)
    ]
    assert shares[0] > shares[1] > shares[2] >= 0.5
    assert shares[1] == pytest.approx(0.75, abs=0.02)  # uniform share, folded at a half
