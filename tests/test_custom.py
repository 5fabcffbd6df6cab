"""Features and augmentations of a reader's own: registered, sent to workers, never stale."""

import dataclasses
import importlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import one_line

from ser.audio import decode, to_waveform
from ser.config import (
    CUSTOM,
    FEATURE_KINDS,
    AudioConfig,
    AugmentationConfig,
    FeatureConfig,
    from_dict,
    to_dict,
)
from ser.corpora.metadata import clip_path
from ser.features import augment, dataset, extraction, register
from ser.features.dataset import FrontEnd

SIZES = {"n_mfcc": 13, "n_mels": 40, "hop_length": 1024, "n_frames": 60}
NOTHING = {f"{name}_p": 0.0 for name in augment.CHANGES}


@pytest.fixture(autouse=True)
def nothing_registered():
    """Leave no function to other tests."""
    yield
    for functions in CUSTOM.values():
        functions.clear()


def build(table, front_end, **options):
    return dataset.build(table, front_end, **{"n_jobs": 1, "progress": False, **options})


def level(samples, sample_rate_hz, config):
    """Give the largest sample of each hop, and its square."""
    hop = config.hop_length
    padded = np.pad(samples, (0, hop - len(samples) % hop))
    peak = np.abs(padded.reshape(-1, hop)).max(axis=1)
    return np.stack([peak, peak**2], axis=1)


def define(source, name):
    """Run a cell and give the function that it defines."""
    cell = {"__name__": "__main__", "np": np}
    exec(compile(source, "<cell>", "exec"), cell)
    return cell[name]


# Features -----------------------------------------------------------------------------------------


def test_a_feature_stands_beside_the_built_in_ones(project, demo_table):
    register("level")(level)
    config = FeatureConfig(kinds=("rms", "level"), n_deltas=1, **SIZES)
    names = ["rms", "level 0", "level 1"]
    assert extraction.feature_names(config) == [*names, *(f"delta {name}" for name in names)]
    recording = decode(clip_path(demo_table.iloc[0]))
    waveform = to_waveform(recording.samples, recording.sample_rate_hz, AudioConfig())
    frames = extraction.extract(waveform, 22_050, config)
    np.testing.assert_array_equal(frames[:, 1:3], level(waveform, 22_050, config)[: len(frames)])
    front_end = FrontEnd(features=dataclasses.replace(config, statistics=("mean", "max")))
    found = build(demo_table.iloc[:2], front_end)
    assert found.shape == (2, 1, 2, 6)
    np.testing.assert_allclose(found.take([0])[0, 1], frames[:60].max(axis=0), rtol=1e-6)


CELL = "def edge(samples, rate, config):\n    return np.full(1 + len(samples) // 1024, {})"


def test_an_edited_line_is_computed_anew_and_the_old_one_found_again(project, demo_table):
    table = demo_table.iloc[:3]
    folders = []
    for value, n_computed in (("1.0", 3), ("2.0", 3), ("1.0", 0), ("1.0,  # as before\n", 0)):
        register("edge")(define(CELL.format(value), "edge"))
        front_end = FrontEnd(features=FeatureConfig(kinds=("edge",), **SIZES))
        found = build(table, front_end)
        assert found.n_computed == n_computed
        assert found.take([2])[0, 0, 0] == float(value[:3])
        folders.append(front_end.folder)
    assert folders[0] == folders[2] == folders[3] != folders[1]


def test_a_constant_of_another_cell_counts_where_nothing_is_registered_again(project, demo_table):
    function = define(CELL.format("VALUE"), "edge")
    register("edge")(function)
    front_end = FrontEnd(features=FeatureConfig(kinds=("edge",), **SIZES))
    for value in (1.0, 2.0):
        function.__globals__["VALUE"] = value
        found = build(demo_table.iloc[:3], front_end)
        assert (found.n_computed, found.take([1])[0, 0, 0]) == (3, value)
    assert CUSTOM["features"]["edge"] is function


def test_workers_get_the_function_and_not_its_name(project, demo_table):
    assert len(demo_table) >= dataset.SERIAL_BELOW_CLIPS
    for value in (3.0, 4.0):  # the second time the workers are there, and know the first
        register("edge")(define(CELL.format(value), "edge"))
        front_end = FrontEnd(features=FeatureConfig(kinds=("edge",), **SIZES))
        found = build(demo_table, front_end, n_jobs=2)
        assert found.n_computed == len(demo_table)
        assert {*found.take(range(len(found.table)))[:, 0, 0]} == {value}


def test_a_module_that_was_edited_and_loaded_again(project, demo_table, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "own_features.py"
    cell = "import numpy as np\nFACTOR = {}\n" + CELL.format("FACTOR")
    for value in (5.0, 6.0):
        file.write_text(cell.format(value))
        importlib.invalidate_caches()
        module = sys.modules.get("own_features")
        module = importlib.reload(module) if module else importlib.import_module("own_features")
        register("edge")(module.edge)
        front_end = FrontEnd(features=FeatureConfig(kinds=("edge",), **SIZES))
        found = build(demo_table, front_end, n_jobs=2)
        assert {*found.take(range(len(found.table)))[:, 0, 0]} == {value}
    monkeypatch.delitem(sys.modules, "own_features")


SCRIPT = """
import sys
import numpy as np, pandas as pd
from ser import features
from ser.config import FeatureConfig
SHIFT = 7
def helper(n):
    return np.full(n, SHIFT)
@features.register("seven")
def seven(samples, sample_rate_hz, config):
    return helper(1 + len(samples) // config.hop_length)
front_end = features.FrontEnd(features=FeatureConfig(kinds=("seven",), hop_length=1024))
found = features.build(pd.read_pickle(sys.argv[1]), front_end, n_jobs=2, progress=False)
print(found.n_computed, len(found.problems), found.take([0, 70])[:, 0, 0], front_end.folder.name)
"""


def test_a_script_run_twice(project, demo_table, tmp_path):
    demo_table.to_pickle(tmp_path / "table.pickle")
    said = [
        subprocess.check_output(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "table.pickle")], text=True
        ).split(" ", 1)
        for _ in range(2)
    ]
    assert [int(n_computed) for n_computed, _ in said] == [len(demo_table), 0]
    assert said[0][1] == said[1][1]
    assert said[0][1].startswith("0 [7. 7.]")


def several_lines(samples, sample_rate_hz, config):
    raise ValueError("not\nthis\nway")


def uneven(samples, sample_rate_hz, config):
    return np.ones((1 + len(samples) // config.hop_length, 1 + len(samples) % 3))


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        (several_lines, ("feature 'bad' failed", "ValueError: not this way.")),
        (lambda s, r, c: np.zeros((3, 4, 5)), ("'bad'", "expected an array of shape", "n_values")),
        (lambda s, r, c: np.zeros(2), ("'bad'", "a frame for each 1024 samples", "(2, 1)")),
        (lambda s, r, c: s[: 1 + len(s) // 1024] / 0, ("'bad'", "finite numbers")),
        (lambda s, r, c: ["loud"], ("'bad' failed", "could not convert")),
        (uneven, ("mfcc, bad: expected", "as many values for every recording")),
    ],
    ids=["raises", "a cube", "too short", "not finite", "text", "uneven"],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_feature_that_is_wrong_is_one_line_with_its_name(project, demo_table, function, parts):
    register("bad")(function)
    front_end = FrontEnd(features=FeatureConfig(kinds=("mfcc", "bad"), **SIZES))
    table = demo_table[:8]
    if function is uneven:
        found = build(table, front_end)
        assert len(found.table) + len(found.problems) == 8
        reasons = found.problems["reason"]
        assert all(part in reason for part in parts for reason in reasons)
        assert len(reasons) > 0
    else:
        with one_line("none of the 8 clips", *parts):
            build(table, front_end)


def test_one_recording_that_a_feature_cannot_take_is_listed(project, demo_table):
    longest = demo_table["duration_s"].max()

    def picky(samples, sample_rate_hz, config):
        assert len(samples) < sample_rate_hz * longest - 10, "too long for me"
        return np.ones(1 + len(samples) // config.hop_length)

    register("picky")(picky)
    found = build(demo_table, FrontEnd(features=FeatureConfig(kinds=("picky",), **SIZES)))
    assert (
        found.problems["reason"].str.contains("feature 'picky' failed: AssertionError: too").all()
    )
    assert 0 < len(found.problems) < len(demo_table)


@pytest.mark.parametrize("name", [*FEATURE_KINDS, "no name", ""])
def test_names_that_are_taken_or_none(name):
    with one_line(repr(name), "cannot be registered"):
        register(name)
    with one_line("'noise'", "built in"):
        augment.register("noise")


def test_a_card_that_names_what_is_not_registered_here():
    register("f0")(level)
    card = to_dict(FeatureConfig(kinds=("mfcc", "f0")))
    assert from_dict(FeatureConfig, card).kinds == ("mfcc", "f0")
    CUSTOM["features"].clear()
    with one_line("model.keras", "no feature named 'f0'", "@ser.features.register('f0')"):
        from_dict(FeatureConfig, card, source="model.keras")


def test_a_feature_of_ones_own_is_not_exported():
    pytest.importorskip("tensorflow", reason="exporting needs TensorFlow")
    from ser.export import graph

    register("level")(level)
    with one_line("level cannot be exported", "mfcc"):
        graph.graph(None, AudioConfig(), FeatureConfig(kinds=("mfcc", "level")))


# Augmentations ------------------------------------------------------------------------------------


def echo(samples, sample_rate_hz, rng):
    return samples + rng.uniform(0.2, 0.9) * np.roll(samples, 800)


def test_the_same_seed_is_the_same_variant_and_the_others_draw_as_before():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 9_000).astype(np.float32)
    make = {"content": "a", "number": 1}
    built_in = AugmentationConfig(n_variants=1, gain_p=1.0, noise_p=1.0, pitch_p=0, stretch_p=0)
    plain = augment.variant(noise, 22_050, built_in, **make)
    augment.register("echo")(echo)
    augment.register("a_half")(lambda samples, rate, rng: samples[: len(samples) // 2])
    np.testing.assert_array_equal(augment.variant(noise, 22_050, built_in, **make), plain)
    own = dataclasses.replace(built_in, custom_p={"echo": 1.0})
    found = [augment.variant(noise, 22_050, own, **make) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    late = np.roll(plain, 800)  # custom ones come after all others
    share = (found[0] - plain) @ late / (late @ late)
    assert 0.2 < share < 0.9
    np.testing.assert_allclose(found[0], plain + share * late, atol=1e-5)
    both = dataclasses.replace(own, custom_p={"echo": 1.0, "a_half": 1.0})
    assert len(augment.variant(noise, 22_050, both, **make)) == 4_500
    hashes = {augment.variants_hash(config) for config in (built_in, own, both)}
    assert len(hashes) == 3
    never = dataclasses.replace(own, custom_p={"echo": 0.0})
    np.testing.assert_array_equal(augment.variant(noise, 22_050, never, **make), plain)


def test_an_edited_augmentation_is_computed_anew_and_originals_stay(project, demo_table):
    cell = "def louder(samples, rate, rng):\n    return {} * samples"
    computed = []
    for factor in (1.5, 1.25, 1.5):
        augment.register("louder")(define(cell.format(factor), "louder"))
        config = AugmentationConfig(n_variants=1, custom_p={"louder": 1.0}, **NOTHING)
        features = FeatureConfig(kinds=("rms",), **SIZES)
        found = build(demo_table, FrontEnd(features=features, augmentation=config), n_jobs=2)
        computed.append(found.n_computed)
        original, variant = (found.take(range(5), number) for number in (0, 1))
        np.testing.assert_allclose(variant, factor * original, rtol=1e-5)
    assert computed == [len(demo_table), len(demo_table), 0]


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        (lambda s, r, g: s[:0], ("expected samples of shape (n_samples,)", "(0,)")),
        (lambda s, r, g: s[None], ("expected samples of shape", "(1, ")),
        (lambda s, r, g: s * np.nan, ("finite numbers",)),
        (lambda s, r, g: g.no_such_thing(), ("failed", "AttributeError")),
    ],
)
def test_an_augmentation_that_is_wrong_is_one_line_with_its_name(
    project, demo_table, function, parts
):
    augment.register("bad")(function)
    config = AugmentationConfig(n_variants=1, custom_p={"bad": 1.0}, **NOTHING)
    front_end = FrontEnd(features=FeatureConfig(**SIZES), augmentation=config)
    with one_line("none of the 2 clips", "augmentation 'bad'", *parts):
        build(demo_table.iloc[:2], front_end)
    with pytest.raises(ValueError, match="bad"):
        augment.apply(np.ones(99, np.float32), 22_050, config, rng=None, only="worse")
