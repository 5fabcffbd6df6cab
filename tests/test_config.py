"""Settings: to JSON and back, a hash that means something, errors that name what is allowed."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import one_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser import config
from ser.config import (
    AudioConfig,
    AugmentationConfig,
    FeatureConfig,
    MaskingConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
    from_dict,
    load_recipe,
    stable_hash,
    to_dict,
)
from ser.experiments import recipes
from ser.project import paths, shown

BASE = {"name": "mine", "corpora": ["demo"], "classes": ["angry", "sad"]}

# One other value of every field. A new field without an entry here fails a test below.
OTHERS = {
    AudioConfig: {"sample_rate_hz": 16_000, "trim_db": 30.0},
    FeatureConfig: {
        "kinds": ("mfcc", "rms"),
        "n_mfcc": 20,
        "n_mels": 64,
        "n_chroma": 24,
        "n_fft": 1024,
        "hop_length": 256,
        "fmin_hz": 50.0,
        "fmax_hz": 8000.0,
        "level": "relative",
        "n_deltas": 1,
        "n_frames": 100,
        "statistics": ("mean", "std"),
        "encoder": "whisper-tiny.en",
        "states": (2, 3),
    },
    AugmentationConfig: {
        "n_variants": 2,
        "noise_p": 0.1,
        "noise_snr_db": (0.0, 30.0),
        "pitch_p": 0.1,
        "pitch_semitones": (-1.0, 2.0),
        "stretch_p": 0.1,
        "stretch_rate": (0.8, 1.1),
        "gain_p": 0.1,
        "gain_db": (-3.0, 6.0),
        "shift_p": 0.1,
        "shift_fraction": (-0.1, 0.2),
        "room_p": 0.1,
        "band_pass_p": 0.1,
        "speed_p": 0.1,
        "speed_rate": (0.8, 1.2),
        "custom_p": {"echo": 0.5},
        "seed": 1,
    },
    MaskingConfig: {
        "n_time_masks": 1,
        "max_time_frames": 10,
        "n_feature_masks": 1,
        "max_feature_bins": 3,
    },
    ModelConfig: {"architecture": "other", "options": {"lstm_units": 64}, "members": 2},
    TrainingConfig: {
        "epochs": 2,
        "batch_size": 16,
        "min_steps": 9,
        "max_steps": 90,
        "learning_rate": 1e-4,
        "clip_norm": None,
        "weight_decay": 0.01,
        "label_smoothing": 0.1,
        "class_weights": False,
        "extra_share": 0.2,
        "extra_epochs": 3,
        "mixup_alpha": 0.2,
        "monitor": "val_uar",
        "patience": 3,
        "reduce_patience": 2,
        "reduce_factor": 0.1,
        "schedule": "cosine",
        "warmup_epochs": 2,
        "ema_momentum": 0.9,
        "refit": True,
    },
}
NEEDED = {
    "refit": {"monitor": "epoch"},
}  # what a field's other value goes with
PARTS = {
    "audio": AudioConfig,
    "features": FeatureConfig,
    "augmentation": AugmentationConfig,
    "masking": MaskingConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
}


# Strategies -------------------------------------------------------------------------------------

PLAIN = sorted({*config.FEATURE_KINDS} - {*config.PRETRAINED_KINDS})
names = st.text("abcdefghij_", min_size=1, max_size=8)
shares = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def within(low, high):
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted).map(tuple)


audio_configs = st.builds(
    AudioConfig,
    sample_rate_hz=st.integers(4_000, 192_000),
    trim_db=st.none() | st.floats(0.1, 90),
)
feature_configs = st.builds(
    FeatureConfig,
    kinds=st.lists(st.sampled_from(PLAIN), min_size=1, unique=True).map(tuple),
    n_mfcc=st.integers(1, 40),
    n_mels=st.integers(40, 128),
    n_fft=st.integers(8, 2048).map(lambda half: 2 * half),
    hop_length=st.integers(1, 2048),
    fmin_hz=st.floats(0, 1000),
    fmax_hz=st.none() | st.floats(2000, 8000),
    n_deltas=st.integers(0, 2),
    n_frames=st.integers(1, 400),
    statistics=st.lists(st.sampled_from(config.STATISTICS), unique=True).map(tuple),
)
augmentation_configs = st.builds(
    AugmentationConfig,
    n_variants=st.integers(0, 64),
    noise_p=shares,
    room_p=shares,
    noise_snr_db=within(-20, 60),
    pitch_semitones=within(-24, 24),
    stretch_rate=within(0.6, 2),
    gain_db=within(-40, 40),
    shift_fraction=within(-1, 1),
    seed=st.integers(),
)
masking_configs = st.builds(MaskingConfig, n_time_masks=st.integers(0, 5))
model_configs = st.builds(ModelConfig, options=st.dictionaries(names, json_values, max_size=3))
training_configs = st.builds(
    TrainingConfig,
    learning_rate=st.floats(1e-9, 10),
    clip_norm=st.none() | st.floats(0.01, 10),
    class_weights=st.booleans(),
    monitor=st.sampled_from(["val_loss", "val_accuracy", "val_uar", "epoch"]),
)
recipe_values = st.builds(
    Recipe,
    name=names,
    description=st.text(max_size=20),
    corpora=st.lists(names, min_size=1, max_size=3).map(tuple),
    classes=st.lists(names, min_size=2, max_size=4, unique=True).map(tuple),
    merge=st.dictionaries(names, names, max_size=2),
    audio=audio_configs,
    features=feature_configs,
    augmentation=augmentation_configs,
    masking=masking_configs,
    model=model_configs,
    training=training_configs,
)


# JSON and hash ----------------------------------------------------------------------------------


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(value=recipe_values)
def test_json_round_trip(value):
    text = json.dumps(to_dict(value), allow_nan=False)
    back = from_dict(Recipe, json.loads(text))
    assert back == value
    assert stable_hash(back) == stable_hash(value)
    for part, kind in PARTS.items():
        inner = getattr(value, part)
        assert from_dict(kind, json.loads(json.dumps(to_dict(inner)))) == inner


@pytest.mark.parametrize("kind", OTHERS)
def test_defaults_round_trip_and_are_what_an_empty_file_gives(kind):
    assert from_dict(kind, {}) == kind()
    assert from_dict(kind, to_dict(kind())) == kind()


@pytest.mark.parametrize("kind", OTHERS)
def test_every_field_has_another_value_in_these_tests(kind):
    assert set(OTHERS[kind]) == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("part", "field"), [(part, field) for part, kind in PARTS.items() for field in OTHERS[kind]]
)
def test_hash_changes_with_every_field_that_decides_a_result(part, field):
    base = Recipe(**BASE)
    inner = dataclasses.replace(getattr(base, part), **NEEDED.get(field, {}))
    other = dataclasses.replace(inner, **{field: OTHERS[PARTS[part]][field]})
    assert other != inner
    assert stable_hash(other) != stable_hash(inner)
    assert stable_hash(dataclasses.replace(base, **{part: other})) != stable_hash(base)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("corpora", ("ravdess",)),
        ("extra_corpora", ("ravdess",)),
        ("classes", ("sad", "angry")),
        ("classes", ("angry", "sad", "calm")),
        ("merge", {"calm": "sad"}),
    ],
)
def test_hash_changes_with_the_data(field, value):
    base = Recipe(**BASE)
    assert stable_hash(dataclasses.replace(base, **{field: value})) != stable_hash(base)


def test_hash_does_not_change_with_name_description_and_protocol():
    # the folds themselves are part of a run's fingerprint
    base = Recipe(**BASE)
    other = dataclasses.replace(base, name="other", description="…", protocol="cross-corpus")
    assert stable_hash(other) == stable_hash(base)
    assert set(to_dict(base)) == {
        *BASE,
        "description",
        "extra_corpora",
        "merge",
        "protocol",
        *PARTS,
    }


def test_hash_does_not_depend_on_how_a_value_was_written():
    one = ModelConfig(options={"filters": (4, 8), "kernel_size": 3})
    other = ModelConfig(options={"kernel_size": 3, "filters": [4, 8]})
    assert stable_hash(one) == stable_hash(other)
    assert stable_hash(AudioConfig(trim_db=30)) == stable_hash(AudioConfig(trim_db=30.0))
    assert stable_hash({"a": 1, "ä": 2}) == stable_hash({"ä": 2, "a": 1})
    assert stable_hash("a", "b") != stable_hash("ab")


def test_hash_is_the_same_in_another_process():
    script = (
        "from ser.config import *; from ser.experiments.recipes import get\n"
        "print(stable_hash(get('mfcc-attention'), {'b': 1, 'a': [None, 'é']}))"
    )
    expected = stable_hash(recipes.get("mfcc-attention"), {"a": [None, "é"], "b": 1})
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-X", "utf8", "-c", script]
        answer = subprocess.check_output(command, env=environment, text=True)
        assert answer.strip() == expected
    assert len(expected) == 12
    assert int(expected, 16) >= 0


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AudioConfig().sample_rate_hz = 8_000


def test_a_model_takes_frames_or_one_row_per_statistic():
    assert FeatureConfig(n_frames=50).n_rows == 50
    assert FeatureConfig(n_frames=50, statistics=("max",)).n_rows == 1
    assert FeatureConfig(n_frames=2, statistics=config.STATISTICS).n_rows == 4


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_misspelled_field_of_a_part_names_the_allowed_ones(part):
    field = next(iter(OTHERS[PARTS[part]]))
    allowed = ", ".join(OTHERS[PARTS[part]])
    with one_line(
        "mine.json", f"{part}.{field}s", f"Did you mean {field!r}?", f"Allowed: {allowed}"
    ):
        from_dict(Recipe, {**BASE, part: {f"{field}s": 1}}, source="mine.json")
    with one_line(f"{field}s", f"Allowed: {allowed}"):
        from_dict(PARTS[part], {f"{field}s": 1})


def test_misspelled_field_of_a_recipe():
    with one_line("'trainig'", "Did you mean 'training'?", "Allowed: name, description, corpora"):
        from_dict(Recipe, {**BASE, "trainig": {}})
    with one_line("'zzz'", "Allowed: name"):
        from_dict(Recipe, {**BASE, "zzz": {}})


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"audio": {"sample_rate_hz": "fast"}}, ("audio.sample_rate_hz", "integer", "'fast'")),
        ({"audio": {"sample_rate_hz": 100}}, ("audio.sample_rate_hz", "4000", "found 100")),
        ({"audio": {"trim_db": -1}}, ("audio.trim_db", "greater than 0", "-1")),
        ({"audio": {"trim_db": float("inf")}}, ("audio.trim_db", "finite", "inf")),
        ({"audio": 16_000}, ("audio", "dictionary", "16000")),
        ({"features": {"kinds": ["mfc"]}}, ("features", "no feature named 'mfc'", "mfcc, log_mel")),
        ({"features": {"kinds": []}}, ("features", "at least one")),
        ({"features": {"kinds": ["rms", "rms"]}}, ("features", "only once")),
        ({"features": {"n_mfcc": 129}}, ("features", "n_mfcc (129)", "n_mels (128)")),
        ({"features": {"n_fft": 2047}}, ("features.n_fft", "multiple of 2", "2047")),
        (
            {"features": {"statistics": ["mean", "median"]}},
            ("features.statistics", "'mean', 'std', 'min' or 'max'", "'median'"),
        ),
        ({"features": {"n_deltas": 3}}, ("features.n_deltas", "2", "found 3")),
        ({"augmentation": {"noise_p": 1.5}}, ("augmentation.noise_p", "1", "1.5")),
        ({"augmentation": {"gain_db": [3, 1]}}, ("gain_db must be (low, high)", "(3, 1)")),
        ({"augmentation": {"gain_db": [3]}}, ("augmentation.gain_db", "required")),
        ({"augmentation": {"stretch_rate": [0, 1]}}, ("stretch_rate", "0.6 to 2", "(0, 1)")),
        ({"augmentation": {"pitch_semitones": [-30, 0]}}, ("pitch_semitones", "-24 to 24")),
        ({"augmentation": {"noise_snr_db": [float("nan"), 1]}}, ("noise_snr_db", "finite")),
        ({"model": {"options": {"x": float("nan")}}}, ("model", "JSON")),
        ({"model": {"options": {"x": object}}}, ("model", "JSON")),
        ({"training": {"monitor": "loss"}}, ("training.monitor", "'val_loss'", "'loss'")),
        (
            {"training": {"min_steps": 9, "max_steps": 8}},
            ("training", "max_steps 8 is less than min_steps 9"),
        ),
        ({"training": {"refit": True}}, ("training", "refit needs monitor 'epoch'", "'val_loss'")),
        ({"training": {"epochs": 1.5}}, ("training.epochs", "integer", "1.5")),
        ({"classes": ["angry"]}, ("classes", "at least two")),
        ({"classes": ["angry", "angry"]}, ("classes", "only once")),
        ({"corpora": []}, ("corpora", "at least 1")),
        ({"extra_corpora": ["savee", "demo"]}, ("extra_corpora", "none of corpora", "'demo'")),
        ({"merge": {"calm": 3}}, ("merge.calm", "string", "3")),
        ({"name": "../../etc"}, ("name", "'../../etc'")),
        ({"name": ""}, ("name", "''")),
    ],
)
def test_wrong_values_name_the_field_and_what_was_found(change, parts):
    with one_line("mine.json", *parts):
        from_dict(Recipe, {**BASE, **change}, source="mine.json")


@pytest.mark.parametrize("values", [None, [], "mfcc", 3])
def test_something_else_than_a_dictionary(values):
    with one_line("settings", "dictionary"):
        from_dict(Recipe, values)


def test_recipe_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(BASE), encoding="utf-8")
    assert load_recipe(path) == Recipe(**BASE)
    path.write_text(json.dumps({**BASE, "audio": {"rate": 1}}), encoding="utf-8")
    with one_line(str(path), "audio.rate", "Allowed: sample_rate_hz"):
        load_recipe(path)
    path.write_text("{")
    with one_line(str(path), "expected JSON"):
        load_recipe(path)
    with one_line(str(tmp_path / "no.json"), "cannot be read"):
        load_recipe(tmp_path / "no.json")


# Folders ----------------------------------------------------------------------------------------


def test_paths_follow_ser_root(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    assert paths().root == tmp_path
    assert paths().metadata == tmp_path / "data" / "interim" / "metadata.parquet"
    for name in ("raw", "interim", "processed", "models", "runs", "reports"):
        assert tmp_path in getattr(paths(), name).parents
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_ROOT", "here")
    assert paths().root == tmp_path / "here"
    monkeypatch.setenv("SER_ROOT", "~/here")
    assert paths().root == Path.home() / "here"


def test_without_ser_root_the_repository_is_the_project(monkeypatch):
    monkeypatch.delenv("SER_ROOT", raising=False)
    assert (paths().root / "pyproject.toml").exists()


def test_shown_paths_are_relative_inside_the_project(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "project"))
    assert shown(tmp_path / "project" / "models" / "runs") == "models/runs"
    assert shown(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")


def test_an_older_recipe_is_read():
    old = {
        **BASE,
        "model": {
            "architecture": "states_lstm",
            "options": {"join": "concatenate", "n_states": 2, "heads": 0},
        },
        "training": {"start": None, "encoder_rate": 1.0, "epochs": 3},
    }
    read = from_dict(Recipe, old)
    assert read.training.epochs == 3
    assert read.model == ModelConfig(architecture="encoder_states", options={"heads": 0})
    old["training"]["encoder_rate"] = 0.1
    with one_line("settings", "no field 'training.encoder_rate'"):
        from_dict(Recipe, old)


@pytest.fixture(autouse=True)
def echo():
    """An augmentation under that name, for each test."""
    config.CUSTOM["augmentations"]["echo"] = lambda samples, sample_rate_hz, rng: samples
    yield
    del config.CUSTOM["augmentations"]["echo"]


def test_settings_name_what_a_reader_registered():
    one = AugmentationConfig(custom_p={"echo": 0.5})
    assert from_dict(AugmentationConfig, to_dict(one)) == one
    first = stable_hash(Recipe(**BASE, augmentation=one))
    config.CUSTOM["augmentations"]["echo"] = lambda samples, sample_rate_hz, rng: -samples
    assert stable_hash(Recipe(**BASE, augmentation=one)) != first
    with one_line("no feature named 'f0'", "Allowed: mfcc", "register('f0')"):
        from_dict(FeatureConfig, {"kinds": ["f0"]})
    with one_line("no augmentation named 'eco'", "Allowed: echo", "register('eco')"):
        from_dict(AugmentationConfig, {"custom_p": {"eco": 1.0}})


def test_wrong_settings_are_one_line_wherever_they_are_made():
    recipe = Recipe(**BASE)
    with one_line("TrainingConfig: no field 'epoch'. Did you mean 'epochs'?"):
        dataclasses.replace(recipe.training, epoch=3)
    with one_line("Recipe: no field 'epochs'. Allowed: name"):
        dataclasses.replace(recipe, epochs=3)
    with one_line("FeatureConfig: n_mfcc: ", "found 'many'"):
        FeatureConfig(n_mfcc="many")
    for wrong in (None, ["training.epochs"], {5: 1}):
        with one_line("expected settings such as {'training.epochs': 3}, found"):
            config.changed(recipe, wrong)
    for make in (
        lambda: FeatureConfig(n_mfcc=200),
        lambda: config.changed(recipe, {"features.n_mfcc": 200}),
    ):
        with one_line("n_mfcc (200) must not exceed n_mels (128).") as caught:
            make()
        assert "{" not in str(caught.value)  # which value is wrong, not all of its group
        assert "found" not in str(caught.value)
