"""The ladder: rung a leaks as published work does, and each rung above it leaks less."""

import dataclasses
import json
import shutil

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import EMOTIONS, TINY, one_line
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ser import experiments, inference, models, plots
from ser.cli import show
from ser.config import ModelConfig, TrainingConfig
from ser.corpora import metadata
from ser.experiments import recipes
from ser.features import dataset
from ser.project import SerError
from ser.studies import ladder
from ser.studies import leaderboard as summary
from ser.studies.ladder import FAST, Ladder, Rows, coarse
from ser.studies.rungs import RUNGS, n_parts, split

RECIPE = dataclasses.replace(
    TINY,
    model=ModelConfig(
        architecture="cnn_lstm",
        options={"filters": [4], "pool_sizes": [6], "lstm_units": 4, "dense_units": 4},
    ),
    training=TrainingConfig(epochs=2, batch_size=8, patience=FAST["patience"]),
)

# Splits -------------------------------------------------------------------------------------------


def make_table(corpora, n_labels=2, same_sound=()):
    """A labelled table; `corpora` holds (speakers, texts) of each, every speaker says every text
    with every label; `same_sound` holds pairs of rows that are one recording."""
    rows = [
        {
            "clip_id": f"{number}-{speaker:02d}-{text:02d}-{label}",
            "corpus": f"corpus{number}",
            "speaker": f"corpus{number}/{speaker:02d}",
            "statement": f"text {text}",
            "label": EMOTIONS[label],
        }
        for number, (n_speakers, n_texts) in enumerate(corpora)
        for speaker in range(n_speakers)
        for text in range(n_texts)
        for label in range(n_labels)
    ]
    table = pd.DataFrame(rows)
    sounds = table["clip_id"].tolist()
    for one, other in same_sound:
        sounds[other % len(sounds)] = sounds[one % len(sounds)]
    return table.assign(pcm_sha256=sounds)


shapes = st.lists(st.tuples(st.integers(3, 6), st.integers(2, 6)), min_size=1, max_size=2)
pairs = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), max_size=4)
seeds = st.integers(0, 20)
quick = settings(deadline=None, max_examples=20)


def clips_of(found):
    """Clips of training, validation and test part."""
    return [set(part[:, 0]) for part in (found.train, found.validation, found.test)]


def values_of(table, column, clips):
    return set(table[column].iloc[sorted(clips)])


def check_honest(table, found, n_variants):
    """No clip and no recording in two parts; only training clips come in variants."""
    parts = clips_of(found)
    assert all(parts)
    assert sum(map(len, parts)) == len(set().union(*parts)) <= len(table)
    sounds = [values_of(table, "pcm_sha256", part) for part in parts]
    assert sum(map(len, sounds)) == len(set().union(*sounds))
    rows = sorted(map(tuple, found.train))
    assert rows == [(clip, variant) for clip in sorted(parts[0]) for variant in range(n_variants)]
    for part, clips in ((found.validation, parts[1]), (found.test, parts[2])):
        assert len(part) == len(clips)
        assert not part[:, 1].any()
    return parts


def try_split(table, rung, seed, n_variants=2, part=0):
    """Split; tables that identical recordings leave too little of are not what is tested here."""
    try:
        return split(table, rung, seed, n_variants, part)
    except SerError as error:
        if table["pcm_sha256"].is_unique or "too few" not in str(error):
            raise
        assume(False)


@quick
@given(shape=shapes, seed=seeds, n_variants=st.integers(2, 4))
def test_rung_a_leaks(shape, seed, n_variants):
    table = make_table(shape)
    found = split(table, "a", seed, n_variants)
    np.testing.assert_array_equal(found.validation, found.test)  # the epoch is chosen on the test
    rows = [tuple(row) for row in np.concatenate([found.train, found.test])]
    assert len(rows) == len(set(rows)) == len(table) * n_variants
    assert len(found.test) == round(0.2 * len(rows))
    train, _, test = clips_of(found)
    assert train & test  # copies of a clip on both sides, as different variants
    assert {v for c, v in found.test if c in train} != {0}
    assert set(found.train[:, 1]) == set(range(n_variants))


@quick
@given(shape=shapes, seed=seeds, n_variants=st.integers(1, 4), same=pairs)
def test_rung_b_parts_clips(shape, seed, n_variants, same):
    table = make_table(shape, same_sound=same)
    found = try_split(table, "b", seed, n_variants)
    parts = check_honest(table, found, n_variants)
    assert len(set().union(*parts)) == len(table)
    assert 0.1 * len(table) - 1 <= len(parts[2]) <= 0.45 * len(table)  # of few clips, one is a lot
    assert parts[2]


@quick
@given(shape=shapes, seed=seeds, n_variants=st.integers(1, 4), same=pairs)
def test_rung_c_parts_texts(shape, seed, n_variants, same):
    table = make_table(shape, same_sound=same)
    found = try_split(table, "c", seed, n_variants)
    parts = check_honest(table, found, n_variants)
    for corpus, rows in table.groupby("corpus"):
        train, validation, test = (
            values_of(table, "statement", part & set(rows.index)) for part in parts
        )
        assert not test & (train | validation)
        if rows["statement"].nunique() > 2:
            assert not train & validation, corpus
        assert len(train) >= 1 or same


@quick
@given(shape=shapes, seed=seeds, n_variants=st.integers(1, 4), same=pairs)
def test_rung_d_parts_speakers(shape, seed, n_variants, same):
    table = make_table(shape, same_sound=same)
    assert n_parts(table, "d") == 1
    found = try_split(table, "d", seed, n_variants)
    parts = check_honest(table, found, n_variants)
    speakers = [values_of(table, "speaker", part) for part in parts]
    assert sum(map(len, speakers)) == len(set().union(*speakers))
    # all a test speaker said is tested
    assert parts[2] == set(np.flatnonzero(table["speaker"].isin(speakers[2])))


@quick
@given(n_texts=st.integers(2, 30), seed=seeds, n_variants=st.integers(1, 3), same=pairs)
def test_two_speakers_are_tested_in_turn(n_texts, seed, n_variants, same):
    table = make_table([(2, n_texts)], same_sound=same)
    assert [n_parts(table, rung) for rung in RUNGS] == [1, 1, 1, 2]
    tested = set()
    for part in range(2):
        found = try_split(table, "d", seed, n_variants, part)
        train, validation, test = check_honest(table, found, n_variants)
        words = [values_of(table, "statement", clips) for clips in (train, validation)]
        assert not words[0] & words[1]
        speakers = [values_of(table, "speaker", clips) for clips in (train, validation, test)]
        assert speakers[0] == speakers[1] != speakers[2]
        tested |= test
    assert tested == set(range(len(table)))


@pytest.mark.parametrize("n_groups", range(5, 15))
@pytest.mark.parametrize("rung", "bd")
def test_five_seeds_test_disjoint_clips(rung, n_groups):
    table = make_table([(n_groups, 1)], n_labels=2 if rung == "d" else 1)  # clips, or speakers
    tested = [clips_of(split(table, rung, seed, 2))[2] for seed in range(5)]
    assert sum(map(len, tested)) == len(set().union(*tested))
    if n_groups in (5, 10):
        assert set().union(*tested) == set(range(len(table)))


@pytest.mark.parametrize("rung", RUNGS)
def test_splits_follow_from_the_seed_alone(rung):
    table = make_table([(10, 8)])
    one, same, other = (split(table, rung, seed, 3) for seed in (1, 1, 2))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(one, part), getattr(same, part))
    assert set(map(tuple, one.test)) != set(map(tuple, other.test))


def test_identical_recordings_are_never_parted():
    # the same sound as two texts of two speakers: rungs c and d would part it by their columns
    table = make_table([(5, 5)], same_sound=[(0, 49)])
    assert table["pcm_sha256"].nunique() == len(table) - 1
    assert table["speaker"].iloc[0] != table["speaker"].iloc[49]
    assert table["statement"].iloc[0] != table["statement"].iloc[49]
    left_out = 0
    for rung in "bcd":
        for seed in range(5):
            parts = check_honest(table, split(table, rung, seed, 2), 2)
            left_out += len(table) - len(set().union(*parts))
    assert left_out > 0  # once at least one of the two had to go


@pytest.mark.parametrize(
    ("rung", "shape", "parts"),
    [
        ("e", [(5, 5)], ("no rung 'e'", "Allowed: a, b, c, d")),
        ("b", [(1, 1)], ("a split by pcm_sha256 needs at least 3", "found 1")),
        ("c", [(5, 5), (5, 1)], ("rung c", "corpus1 holds fewer than two texts")),
        ("c", [(1, 2)], ("rung c", "4 clips of 1 speakers are too few")),
        ("d", [(1, 9)], ("a split by speaker needs at least 3", "found 1")),
        ("d", [(2, 1)], ("rung d", "4 clips of 2 speakers are too few")),
    ],
)
def test_splits_that_cannot_be_made(rung, shape, parts):
    with one_line(*parts):
        split(make_table(shape), rung, 0, 2)


def test_units_are_all_trainings_seed_by_seed():
    many, two = make_table([(5, 5)]), make_table([(2, 5)])
    assert Ladder(RECIPE, many).units((3, 1)) == [
        (rung, seed, 0) for seed in (3, 1) for rung in "abcd"
    ]
    assert [(rung, part) for rung, _, part in Ladder(RECIPE, two).units((0,))] == [
        *[(rung, 0) for rung in "abcd"],
        ("d", 1),
    ]


# A ladder -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory, demo_shelf, three_speakers):
    """A project with a finished ladder; tests leave it as it is."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(root))
        patch.setenv("SER_CORPORA", str(demo_shelf))
        ladder.run(RECIPE, seeds=(0,), table=three_speakers)
    return root


@pytest.fixture
def climbed(root, monkeypatch, demo_shelf):
    """The report folder of that ladder."""
    monkeypatch.setenv("SER_ROOT", str(root))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    return root / "reports" / "ladder" / "tiny"


@pytest.fixture
def features(climbed, three_speakers):
    """The feature set that the ladder was trained on, from its cache."""
    chosen = metadata.label_table(three_speakers, RECIPE)
    front_end = dataset.FrontEnd(RECIPE.audio, RECIPE.features, RECIPE.augmentation)
    return dataset.build(chosen, front_end, n_jobs=1, progress=False)


def run_of(root, rung):
    (folder,) = root.glob(f"models/runs/ladder-tiny/*/{rung}-seed-0-part-0")
    return folder


def frames_of(batch):
    return batch[np.any(batch != 0, axis=-1)].astype(np.float64)


def test_report_folder(climbed):
    tables = {f"predictions-{rung}.csv" for rung in RUNGS}
    assert {file.name for file in climbed.iterdir()} == {*tables, "metrics.json", "recipe.json"}
    metrics = json.loads((climbed / "metrics.json").read_text())
    assert metrics["chance"] == pytest.approx(1 / 3)
    assert experiments.recipe_of(climbed) == RECIPE
    for rung, title in RUNGS.items():
        found = metrics[rung]
        assert (found["title"], found["n_trainings"], found["n_seeds"]) == (title, 1, 1)
        assert found["epochs"] == [2]
        predictions = pd.read_csv(climbed / f"predictions-{rung}.csv")
        assert len(predictions) == found["test_rows"]
        np.testing.assert_allclose(predictions[list(EMOTIONS)].sum(axis=1), 1, atol=1e-3)
        hits = predictions[list(EMOTIONS)].idxmax(axis=1) == predictions["label"]
        assert found["accuracy"]["mean"] == pytest.approx(hits.mean())
        recalls = hits.groupby(predictions["label"]).mean()
        assert found["uar"]["mean"] == pytest.approx(recalls.mean())
        assert found["n_speakers"] == predictions["speaker"].nunique()
        assert (found["accuracy"]["interval_95"] is None) == (found["n_speakers"] == 1)
    assert metrics["n_parameters"] > 100


def test_predictions_are_those_of_the_test_rows(climbed, features):
    for rung in RUNGS:
        predictions = pd.read_csv(climbed / f"predictions-{rung}.csv")
        found = predictions[["clip_id", "variant"]].to_records(index=False).tolist()
        test = split(features.table, rung, 0, 2).test
        clip_ids = features.table["clip_id"]
        assert sorted(found) == sorted((clip_ids[clip], variant) for clip, variant in test)
        truth = features.table.set_index("clip_id").loc[predictions["clip_id"]]
        assert predictions["label"].tolist() == truth["label"].tolist()
        assert predictions["speaker"].tolist() == truth["speaker"].tolist()
        assert set(predictions["variant"]) == ({0, 1} if rung == "a" else {0})


@pytest.mark.parametrize("rung", RUNGS)
def test_only_rung_a_normalises_with_test_rows(climbed, root, features, rung):
    parts = split(features.table, rung, 0, 2)
    train, test = (features.take(rows[:, 0], rows[:, 1]) for rows in (parts.train, parts.test))
    mean, deviation = np.zeros(13), np.ones(13)
    if rung == "a":
        everything = frames_of(np.concatenate([train, test]))
        mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    train, test = (
        np.where(np.any(part != 0, axis=-1, keepdims=True), (part - mean) / deviation, 0)
        for part in (train, test)
    )
    model = models.load(run_of(root, rung) / "model.keras")
    layer = model.get_layer("standardise")
    heard = frames_of(train)
    np.testing.assert_allclose(layer.mean, heard.mean(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(layer.deviation, heard.std(axis=0), rtol=1e-3)
    probabilities = pd.DataFrame(model.predict_on_batch(test.astype(np.float32)))
    keys = [features.table["clip_id"].iloc[parts.test[:, 0]].to_numpy(), parts.test[:, 1]]
    expected = probabilities.set_index(keys).sort_index().to_numpy()
    written = pd.read_csv(climbed / f"predictions-{rung}.csv")
    written = written.set_index(["clip_id", "variant"]).sort_index()[list(EMOTIONS)].to_numpy()
    np.testing.assert_allclose(written, expected, atol=1e-3)


def test_rows_normalise_frames_and_leave_padding_at_zero(features):
    rows = np.array([[5, 0], [5, 1], [0, 1], [35, 0]])
    plain = Rows(features, rows)
    assert plain.shape == (4, 1, 60, 13)
    expected = np.stack([features.take([clip], variant)[0] for clip, variant in rows])
    np.testing.assert_array_equal(plain.take([0, 1, 2, 3]), expected)
    np.testing.assert_array_equal(plain.take([2, 0], [0, 0]), expected[[2, 0]])
    assert np.abs(expected[0] - expected[1]).max() > 0.1  # variants differ
    mean, deviation = np.linspace(-5, 5, 13), np.linspace(0.5, 2, 13)
    found = Rows(features, rows, mean, deviation).take([3, 1, 0, 2])
    expected = expected[[3, 1, 0, 2]]
    frames = np.any(expected != 0, axis=-1)
    assert 0 < frames.sum() < frames.size  # some padding, some speech
    assert found.dtype == np.float32
    assert not found[~frames].any()
    np.testing.assert_allclose(
        found[frames], ((expected - mean) / deviation)[frames], rtol=1e-4, atol=1e-4
    )


def test_a_finished_ladder_is_not_trained_again_and_fast_goes_to_local(
    climbed, root, three_speakers, capsys
):
    # FAST changes nothing of so small a ladder, so its units are those that are there
    before = {file: file.stat().st_mtime_ns for file in root.glob("models/runs/*/*/*/*")}
    assert len([file for file in before if file.name == "run.json"]) == 4
    metrics = (climbed / "metrics.json").read_bytes()
    assert ladder.run(RECIPE, seeds=(0,), table=three_speakers) == climbed
    local = ladder.run(RECIPE, seeds=(0,), table=three_speakers, fast=True)
    assert capsys.readouterr().out.count("36 clips × 2 variants, 4 trainings, 4 of them done") == 2
    assert local == root / "reports" / "local" / "ladder" / "tiny"
    for folder in (climbed, local):
        assert (folder / "metrics.json").read_bytes() == metrics
    assert {file: file.stat().st_mtime_ns for file in root.glob("models/runs/*/*/*/*")} == before


def test_a_killed_ladder_redoes_only_what_is_missing(
    climbed, root, three_speakers, tmp_path, monkeypatch, capsys
):
    copy = shutil.copytree(root, tmp_path / "copy")
    monkeypatch.setenv("SER_ROOT", str(copy))
    shutil.rmtree(copy / "reports")
    (run_of(copy, "b") / "run.json").unlink()
    before = {rung: (run_of(copy, rung) / "predictions.csv").stat().st_mtime_ns for rung in RUNGS}
    target = ladder.run(RECIPE, seeds=(0,), table=three_speakers)
    assert "4 trainings, 3 of them done" in capsys.readouterr().out
    after = {rung: (run_of(copy, rung) / "predictions.csv").stat().st_mtime_ns for rung in RUNGS}
    assert [rung for rung in RUNGS if after[rung] != before[rung]] == ["b"]
    for rung in RUNGS:
        name = f"predictions-{rung}.csv"
        expected = pd.read_csv(climbed / name)
        pd.testing.assert_frame_equal(pd.read_csv(target / name), expected, atol=1e-3)


def test_a_ladder_in_progress_reports_what_is_there(climbed, root, three_speakers, tmp_path):
    chosen = metadata.label_table(three_speakers, RECIPE)
    whole = Ladder(RECIPE, chosen)
    assert whole.folder == run_of(root, "a").parent
    wanted = whole.units((0, 1))
    target = ladder.gather(whole, wanted, tmp_path / "report")
    metrics = json.loads((target / "metrics.json").read_text())
    for rung in RUNGS:
        assert (metrics[rung]["n_trainings"], metrics[rung]["n_trainings_wanted"]) == (1, 2)
    nothing = ladder.gather(whole, [], tmp_path / "nothing")
    assert list(json.loads((nothing / "metrics.json").read_text())) == ["chance"]


def test_models_of_a_ladder_are_not_offered_for_use(climbed):
    # rung a's has heard its test clips
    assert experiments.runs() == []
    with one_line("newest: no model there"):
        inference.find_model("newest")


def test_a_coarse_ladder_keeps_the_share_of_every_speaker_and_class():
    table = make_table([(10, 50)], n_labels=3).assign(path="")
    recipe = dataclasses.replace(RECIPE, training=TrainingConfig(epochs=60, patience=20))
    fast = coarse(recipe, table)
    assert (fast.recipe.training.epochs, fast.recipe.training.patience) == (
        FAST["epochs"],
        FAST["patience"],
    )
    some = fast.table
    assert len(some) == pytest.approx(FAST["clips"], rel=0.03)
    counts = some.groupby(["speaker", "label"]).size()
    assert len(counts) == 30
    assert counts.nunique() == 1
    assert some.index.tolist() == list(range(len(some)))
    assert some["clip_id"].is_monotonic_increasing
    assert some["clip_id"].is_unique
    assert len(coarse(recipe, table.iloc[:600]).table) == 600


def test_systems_are_recipes_with_a_claim_one_for_each_source():
    sources = {recipes.CLAIMS[name].system for name in recipes.CLAIMS}
    assert {recipes.CLAIMS[name].system for name in ladder.SYSTEMS} == sources
    assert len(set(ladder.SYSTEMS)) == len(ladder.SYSTEMS)


# Tables and figure --------------------------------------------------------------------------------


@pytest.fixture
def several(climbed, tmp_path):
    """A folder with that ladder three times: as a recipe with a number, with a range, without."""
    for name in ("tess", "mfcc-attention-2-augmented", "tiny"):
        shutil.copytree(climbed, tmp_path / "ladder" / name)
    return tmp_path / "ladder"


def test_the_table_holds_every_rung_and_its_claim(several, climbed):
    table = ladder.write_table(several)
    assert table["recipe"].tolist() == [
        name for name in sorted(path.name for path in several.glob("*/")) for _ in RUNGS
    ]
    assert table["rung"].tolist() == [*"abcd"] * 3
    metrics = json.loads((climbed / "metrics.json").read_text())
    for row in table.to_dict("records"):
        for score in ("accuracy", "uar"):
            assert row[score] == metrics[row["rung"]][score]["mean"]
            limits = metrics[row["rung"]][score]["interval_95"]
            if limits is None:
                assert pd.isna(row[f"{score}_low"])
                assert pd.isna(row[f"{score}_high"])
            else:
                assert limits == [row[f"{score}_low"], row[f"{score}_high"]]
    claims = table.groupby("recipe")[["claim_low", "claim_high"]].first().astype(float)
    assert claims.loc["tess"].tolist() == [0.969, 0.969]
    assert claims.loc["mfcc-attention-2-augmented"].tolist() == [0.60, 0.65]
    assert claims.loc["tiny"].isna().all()
    written = pd.read_csv(several / "ladder.csv")
    assert list(written) == list(table)
    np.testing.assert_allclose(written["accuracy"], table["accuracy"], atol=1e-4)


def test_no_ladder_says_how_to_make_one(tmp_path):
    with one_line("no ladder under", "ser ladder RECIPE"):
        ladder.write_table(tmp_path)


def test_the_table_for_readers(several):
    table = ladder.write_table(several)
    lines = summary.ladder_table(table).splitlines()
    assert len(lines) == 2 + 3
    assert len({line.count("|") for line in lines}) == 1
    assert "| a: as published | b: other clips | c: other texts | d: other speakers |" in lines[0]
    cells = {line.split("|")[1].strip(" `"): line.split("|") for line in lines[2:]}
    assert cells["tess"][2].strip() == "96.9"
    assert cells["mfcc-attention-2-augmented"][2].strip() == "60-65"
    assert cells["tiny"][2].strip() == "–"
    for row in table.to_dict("records"):
        cell = cells[row["recipe"]]["abcd".index(row["rung"]) + 3]
        assert cell.strip().startswith(f"{100 * row['accuracy']:.1f}")
    assert all(line[-3].strip() == "33.3" for line in cells.values())
    assert all(line[-2].strip() == "1" for line in cells.values())  # seeds


def test_a_ladder_without_claim_and_interval_can_be_shown(climbed, capsys):
    table = ladder.write_table(climbed.parent)
    assert table["claim_low"].isna().all()
    assert table["accuracy_low"].isna().tolist() == [False, False, False, True]  # d: one speaker
    line = summary.ladder_table(table).splitlines()[2]
    assert line.startswith("| `tiny` | – |")
    assert line.count("(") == 3
    show.show_ladder(table, climbed.parent)
    text = capsys.readouterr().out
    assert "published accuracy no number" in text
    assert [line.split(":")[0] for line in text.splitlines()[2:6]] == [*"abcd"]
    assert text.endswith("written: reports/ladder/ladder.csv\n")
    assert "nan" not in line + text


def test_the_figure_shows_claim_rungs_chance_and_listeners(several):
    table = ladder.write_table(several)
    with plots.style():
        axes = plots.ladder(table, human=0.41)
        plain = plots.ladder(table[table["recipe"] == "tiny"])
    assert [ax.get_title("left") for ax in axes] == list(dict.fromkeys(table["recipe"]))
    for ax, (_, rows) in zip(axes, table.groupby("recipe", sort=False), strict=True):
        drawn = [line.get_xydata().tolist() for line in ax.lines]
        assert [[x, y] for x, y in zip((1, 2, 3, 4), rows["accuracy"], strict=True)] in drawn
        heights = [line.get_ydata()[0] for line in ax.lines]
        assert 0.41 in heights
        assert rows["chance"].iloc[0] in heights
        assert [label.get_text() for label in ax.get_xticklabels()] == ["claim", *"abcd"]
        claimed = pd.notna(rows["claim_low"].iloc[0])
        texts = [text.get_text() for text in ax.texts]
        assert ("no number" in texts) != claimed
        if claimed:
            middle = (rows["claim_low"].iloc[0] + rows["claim_high"].iloc[0]) / 2
            assert any(points == [[0, middle]] for points in drawn)
    legend = [text.get_text() for text in axes[0].get_figure().legends[0].get_texts()]
    assert len(legend) == len(set(legend)) == 4
    assert len(plain) == 1
    assert 0.41 not in [line.get_ydata()[0] for line in plain[0].lines]
    plt.close("all")


# Listeners ----------------------------------------------------------------------------------------

VOTES = """\
"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"
"1","1001_IEO_NEU_XX","N","59","N","62","N","69"
"2","1001_IEO_HAP_LO","N","50","H","60","H","70"
"3","1001_IEO_HAP_MD","H","50","H","60","H","70"
"4","1001_IEO_SAD_HI","A:N","50:50","S","60","S","70"
"5","1001_IEO_ANG_HI","A:N","40:40","A","60","A","70"
"6","1002_IEO_ANG_HI","A:D:F","40:40:40","A","60","A","70"
"""


def test_listeners_share_ties(tmp_path):
    file = tmp_path / "summaryTable.csv"
    file.write_text(VOTES)
    found = ladder.human_accuracy(file)
    anger = (1 / 2 + 1 / 3) / 2
    assert (found["n_clips"], found["n_ties"]) == (6, 3)
    assert found["accuracy"] == pytest.approx((1 + 0 + 1 + 0 + 1 / 2 + 1 / 3) / 6)
    assert found["uar"] == pytest.approx((1 + 1 / 2 + 0 + anger) / 4)
    heard = pd.DataFrame(found["confusion"], found["classes"], found["classes"])
    as_angry = [5 / 6, 1 / 3, 1 / 3, 0, 1 / 2, 0]
    assert heard.loc["angry"].tolist() == pytest.approx(as_angry, abs=0.01)
    assert heard.sum(axis=1).tolist() == pytest.approx([2, 0, 0, 2, 1, 1], abs=0.02)


def test_another_file_than_the_votes_is_one_line(tmp_path):
    file = tmp_path / "finishedResponses.csv"
    file.write_text("clipName,respEmo\n1001_IEO_NEU_XX,N\n")
    with one_line(str(file), "FileName and VoiceVote", "summaryTable.csv"):
        ladder.human_accuracy(file)
