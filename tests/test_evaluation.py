"""Metrics are what scikit-learn says, intervals behave, and bad tables are refused."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ser import evaluation

AB = ("a", "b")
FOUR = ("angry", "happy", "neutral", "sad")


def table_of(rows, classes=AB):
    """Predictions from (clip, speaker, seed, label, probabilities of all classes or but one)."""
    out = []
    for clip, speaker, seed, label, *values in rows:
        values += [1 - sum(values)] * (len(classes) - len(values))
        out.append((f"x/{clip}", f"x/{speaker}", 0, seed, label, *values))
    return pd.DataFrame(out, columns=["clip_id", "speaker", "fold", "seed", "label", *classes])


def simulate(n_speakers=10, n_seeds=2, n_each=3, *, skill=1.0, seed=0, classes=FOUR):
    """Draw predictions of a model whose skill varies from speaker to speaker."""
    rng = np.random.default_rng(seed)
    levels = skill + rng.normal(0, 0.4, n_speakers)
    sizes = (n_speakers, len(classes), n_each, n_seeds)
    who, code, repetition, run = (axis.ravel() for axis in np.indices(sizes))
    logits = rng.normal(size=(len(who), len(classes)))
    logits[np.arange(len(who)), code] += levels[who]
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    clips = [f"{w:03d}-{c}-{r}" for w, c, r in zip(who, code, repetition, strict=True)]
    labels = np.array(classes)[code]
    rows = zip(clips, [f"{w:03d}" for w in who], run, labels, *values.T, strict=True)
    return table_of(rows, classes).assign(fold=who % 5)


def facts_of(predictions):
    """A metadata table: odd speakers are male and of another corpus."""
    clips = predictions.drop_duplicates("clip_id")
    odd = clips["speaker"].str[-3:].astype(int) % 2 == 1
    corpus, sex = np.where(odd, "second", "first"), np.where(odd, "male", "female")
    return pd.DataFrame({"clip_id": clips["clip_id"], "corpus": corpus, "sex": sex})


def columns(values):
    return dict(zip(FOUR, values.T, strict=True))


# By hand ----------------------------------------------------------------------------------------

SMALL = table_of(
    [
        ("1", "s1", 0, "a", 0.9),  # right
        ("2", "s1", 0, "a", 0.6),  # right
        ("3", "s1", 0, "a", 0.2),  # wrong
        ("4", "s2", 0, "a", 0.7),  # right
        ("5", "s2", 0, "b", 0.8),  # wrong
        ("6", "s2", 0, "b", 0.1),  # right
    ]
)


def test_a_small_case_by_hand():
    found = evaluation.metrics(SMALL, AB)
    assert found["macro_f1"]["mean"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    # both speakers 0.625, s1 alone 2/3 (it has no b), s2 alone 0.75
    uar = {"mean": (3 / 4 + 1 / 2) / 2, "std": 0.0, "interval_95": pytest.approx([0.625, 0.75])}
    assert found["uar"] == uar
    accuracy = pytest.approx(4 / 6)  # of each speaker too
    assert found["accuracy"]["mean"] == accuracy
    assert found["accuracy"]["interval_95"] == [accuracy, accuracy]
    assert found["per_class"]["a"] == {
        "precision": 3 / 4,
        "recall": 3 / 4,
        "recall_interval_95": pytest.approx([2 / 3, 1.0]),  # only s1, or only s2
        "f1": 3 / 4,
        "support": 4,
    }
    assert found["per_speaker"]["x/s1"]["uar"] == pytest.approx(2 / 3)
    assert found["per_speaker"]["x/s2"]["uar"] == pytest.approx((1 + 1 / 2) / 2)
    assert (found["n_clips"], found["n_speakers"], found["n_seeds"]) == (6, 2, 1)
    assert evaluation.confusion(SMALL, AB).tolist() == [[3, 1], [1, 1]]
    assert evaluation.confusion(SMALL, AB[::-1]).tolist() == [[1, 1], [1, 3]]


def test_std_is_over_seeds_and_the_mean_their_mean():
    again = SMALL.assign(seed=7)
    again.loc[2, ["a", "b"]] = [0.9, 0.1]  # the second seed gets clip 3 right
    both = pd.concat([again, SMALL])
    found = evaluation.metrics(both, AB)
    seeds = [(3 / 4 + 1 / 2) / 2, (1 + 1 / 2) / 2]  # by rising seed
    assert found["per_seed"] == pytest.approx(seeds)
    assert found["uar"]["mean"] == pytest.approx(np.mean(seeds))
    assert found["uar"]["std"] == pytest.approx(np.std(seeds, ddof=1))
    assert (found["n_clips"], found["per_class"]["a"]["support"]) == (6, 4)
    assert evaluation.confusion(both, AB).sum() == 12


def test_the_interval_is_that_of_a_plain_loop_over_draws():
    predictions = simulate(5, 2)
    speakers = [rows for _, rows in predictions.groupby("speaker")]
    draws = []
    for times in np.random.default_rng(3).multinomial(5, np.full(5, 0.2), size=60):
        drawn = pd.concat([speakers[i] for i in np.repeat(range(5), times)])
        of_seed = [
            sk.balanced_accuracy_score(rows["label"], rows[list(FOUR)].idxmax(axis=1))
            for _, rows in drawn.groupby("seed")
        ]
        draws.append(np.mean(of_seed))
    found = evaluation.metrics(predictions, FOUR, n_bootstrap=60, seed=3)["uar"]["interval_95"]
    assert found == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_one_speaker_has_no_interval_and_no_comparison():
    one = SMALL[SMALL["speaker"] == "x/s2"]
    found = evaluation.metrics(one, AB)
    assert found["uar"]["interval_95"] is found["per_class"]["b"]["recall_interval_95"] is None
    compared = evaluation.paired_bootstrap(one, one, AB)
    assert compared["p_value"] is compared["interval_95"] is None


def test_groups_come_from_the_table():
    predictions = simulate()
    found = evaluation.metrics(predictions, FOUR, facts_of(predictions), n_bootstrap=100)
    male = predictions[predictions["speaker"].str[-3:].astype(int) % 2 == 1]
    alone = evaluation.metrics(male, FOUR, n_bootstrap=100)
    assert list(found["per_sex"]) == ["female", "male"]
    assert list(found["per_corpus"]) == ["first", "second"]
    for group in (found["per_sex"]["male"], found["per_corpus"]["second"]):
        assert group == {
            "uar": alone["uar"]["mean"],
            "interval_95": alone["uar"]["interval_95"],
            "accuracy": alone["accuracy"]["mean"],
            "n_clips": 60,
            "n_speakers": 5,
        }
    about = {name: found["per_speaker"]["x/001"][name] for name in ("sex", "corpus", "n_clips")}
    assert about == {"sex": "male", "corpus": "second", "n_clips": 12}
    assert set(found["per_fold"]) == {"0", "1", "2", "3", "4"}
    without = evaluation.metrics(predictions, FOUR, n_bootstrap=100)
    assert (without["per_sex"], without["per_pair"]) == ({}, {})
    unknown = evaluation.metrics(predictions, FOUR, facts_of(predictions).assign(sex=""))
    assert list(unknown["per_sex"]) == ["unknown"]
    with one_line("lacks 1 predicted clips (first: 'x/000-0-0')"):
        evaluation.metrics(predictions, FOUR, facts_of(predictions).iloc[1:])


def test_pairs_of_corpora():
    clips = simulate(n_speakers=6)
    corpus = np.select([clips["fold"] % 3 == 0, clips["fold"] % 3 == 1], ["x", "y"], "z")
    table = clips.assign(corpus=corpus, sex="").drop_duplicates("clip_id")
    parts = [
        simulate(n_speakers=6, skill=skill, seed=1)[corpus != trained].assign(trained_on=trained)
        for trained, skill in (("x", 3.0), ("y", 0.0), ("z", 1.0))
    ]
    predictions = pd.concat(parts)
    with one_line("a clip twice for one seed"):
        evaluation.metrics(predictions.drop(columns="trained_on"), FOUR, table)
    found = evaluation.metrics(predictions, FOUR, table)["per_pair"]
    names = {row: list(cells) for row, cells in found.items()}
    assert names == {"x": ["y", "z"], "y": ["x", "z"], "z": ["x", "y"]}
    of_clip = table.set_index("clip_id")["corpus"].to_dict()
    for part in parts:
        for tested, group in part.groupby(part["clip_id"].map(of_clip)):
            alone = evaluation.metrics(group.drop(columns="trained_on"), FOUR)
            assert found[part["trained_on"].iloc[0]][tested]["uar"] == alone["uar"]["mean"]


def test_metrics_are_json_without_nan_and_the_same_every_time():
    classes = (*FOUR, "calm")
    predictions = simulate(7, classes=classes)
    predictions = predictions[predictions["label"] != "calm"]  # a class that is only predicted
    folds_differ = predictions.assign(fold=np.arange(len(predictions)) % 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, again, other = (
            evaluation.metrics(folds_differ, classes, facts_of(predictions), seed=seed)
            for seed in (1, 1, 2)
        )
    assert json.loads(json.dumps(first, allow_nan=False)) == first == again
    assert set(first["per_class"]) == set(FOUR)
    assert first["uar"]["interval_95"] != other["uar"]["interval_95"]
    assert first["uar"]["mean"] == other["uar"]["mean"]


# Properties -------------------------------------------------------------------------------------


@st.composite
def any_predictions(draw):
    """Predictions of a model about which nothing is known."""
    n_clips, n_classes = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    n_speakers, n_seeds = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    classes = tuple("vwxyz"[:n_classes])
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    about = zip(rng.integers(n_speakers, size=n_clips), rng.choice(classes, n_clips), strict=True)
    rows = [
        (clip, speaker, seed, label, *rng.dirichlet(np.full(n_classes, 0.5)))
        for clip, (speaker, label) in enumerate(about)
        for seed in range(n_seeds)
    ]
    return table_of(rows, classes), classes


@given(any_predictions(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_agreement_with_scikit_learn_in_any_order_of_rows(case, random):
    predictions, classes = case
    found = evaluation.metrics(predictions, classes, n_bootstrap=50)
    order = random.sample(range(len(predictions)), len(predictions))
    shuffled = evaluation.metrics(predictions.iloc[order], classes, n_bootstrap=50)
    assert shuffled == {**found, "ece": pytest.approx(found["ece"])}  # a sum, in another order
    wanted, of_class = [], []
    for _, rows in predictions.groupby("seed"):
        guess = rows[list(classes)].idxmax(axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that are only predicted
            wanted.append(
                (
                    sk.balanced_accuracy_score(rows["label"], guess),
                    sk.accuracy_score(rows["label"], guess),
                    sk.f1_score(rows["label"], guess, average="macro", zero_division=0),
                )
            )
        of_class.append(
            sk.precision_recall_fscore_support(
                rows["label"], guess, labels=list(classes), zero_division=0
            )
        )
    for name, value in zip(("uar", "accuracy", "macro_f1"), np.mean(wanted, axis=0), strict=True):
        assert found[name]["mean"] == pytest.approx(value)
        low, high = found[name]["interval_95"] or (0, 1)
        assert 0 <= low <= high <= 1
    means = dict(zip(classes, np.mean(of_class, axis=0).T, strict=True))
    for name, one in found["per_class"].items():
        told = [one[key] for key in ("precision", "recall", "f1", "support")]
        assert told == pytest.approx(means[name])
    assert 0 <= found["ece"] <= 1
    counts = evaluation.confusion(predictions, classes).sum(axis=1)
    assert counts.tolist() == [(predictions["label"] == name).sum() for name in classes]
    assert evaluation.reliability(predictions, classes)["n_clips"].sum() == len(predictions)


@pytest.mark.parametrize("score", [1.0, 0.0])
def test_perfect_and_always_wrong_predictions(score):
    predictions = simulate(4)
    right = np.eye(4)[pd.Index(FOUR).get_indexer(predictions["label"])]
    told = right if score else np.roll(right, 1, axis=1)
    found = evaluation.metrics(predictions.assign(**columns(told)), FOUR, n_bootstrap=50)
    for name in ("uar", "accuracy", "macro_f1"):
        assert found[name] == {"mean": score, "std": 0.0, "interval_95": [score, score]}
    assert found["ece"] == 1 - score  # sure of everything


def test_intervals_hold_the_estimate_and_shrink_with_more_speakers():
    widths = {}
    for n_speakers in (8, 128):
        found = [
            evaluation.metrics(simulate(n_speakers, 1, seed=seed), FOUR, n_bootstrap=300)["uar"]
            for seed in range(4)
        ]
        assert all(one["interval_95"][0] < one["mean"] < one["interval_95"][1] for one in found)
        widths[n_speakers] = np.mean([np.diff(one["interval_95"]) for one in found])
    assert widths[128] < 0.4 * widths[8]  # a quarter, by the square root of their number


def test_speakers_are_drawn_not_clips():
    """Twenty clips that a speaker says all alike are worth one clip, not twenty."""
    rows = [
        (f"{speaker}-{label}-{i}", f"{speaker}", 0, label, float((label == "a") == (speaker < 5)))
        for speaker in range(10)
        for label in AB
        for i in range(20)
    ]
    low, high = evaluation.metrics(table_of(rows), AB)["uar"]["interval_95"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), abs=0.05)  # clips give 0.1


# Calibration ------------------------------------------------------------------------------------


def calibrated(n_clips=6000, *, sharpen=1.0):
    """Labels drawn from the very probabilities; `sharpen` then makes these too sure."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(4), size=n_clips)
    labels = (true.cumsum(axis=1) < rng.random((n_clips, 1))).sum(axis=1).clip(0, 3)
    sharp = true**sharpen / (true**sharpen).sum(axis=1, keepdims=True)
    about = {"clip_id": [f"x/{i}" for i in range(n_clips)], "speaker": "x/1", "seed": 0}
    about |= {"fold": np.arange(n_clips) % 5, "label": np.array(FOUR)[labels]}
    return pd.DataFrame({**about, **columns(sharp)}), true


def test_reliability_by_hand():
    bins = evaluation.reliability(SMALL, AB, n_bins=5)
    assert bins["bin_low"].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    # confidences 0.9 0.6 0.8 0.7 0.8 0.9; an upper edge belongs to its bin
    assert bins["n_clips"].tolist() == [0, 0, 1, 3, 2]
    assert bins["confidence"].iloc[2:].tolist() == pytest.approx([0.6, 2.3 / 3, 0.9])
    assert bins["accuracy"].iloc[2:].tolist() == pytest.approx([1, 1 / 3, 1])
    assert bins["accuracy"].iloc[:2].isna().all()
    error = (0.4 * 1 + abs(2.3 / 3 - 1 / 3) * 3 + 0.1 * 2) / 6
    assert evaluation.expected_calibration_error(SMALL, AB, n_bins=5) == pytest.approx(error)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_temperature_is_found_again(temperature):
    predictions, true = calibrated(sharpen=temperature)
    error = evaluation.expected_calibration_error(predictions, FOUR)
    assert error < 0.02 if temperature == 1 else error > 0.1
    found = evaluation.fit_temperature(predictions, FOUR)
    assert found == pytest.approx(temperature, rel=0.08)
    again = evaluation.with_temperature(predictions, FOUR, found)
    np.testing.assert_allclose(again[list(FOUR)], true, atol=0.03)
    across = evaluation.cross_calibrated(predictions, FOUR)
    assert (across["clip_id"] == predictions["clip_id"]).all()
    assert evaluation.expected_calibration_error(across, FOUR) < 0.03


def test_a_temperature_changes_no_decision():
    predictions = simulate()
    changed = evaluation.with_temperature(predictions, FOUR, 2.5)
    before, after = (evaluation.decisions(p, FOUR) for p in (predictions, changed))
    np.testing.assert_array_equal(before[1], after[1])
    assert (after[2] < before[2]).mean() > 0.9
    same = evaluation.with_temperature(predictions, FOUR, 1.0)
    np.testing.assert_allclose(same[list(FOUR)], predictions[list(FOUR)], atol=1e-9)


def test_a_fold_is_calibrated_by_the_others_alone():
    predictions = simulate()
    own = predictions["fold"] == 2
    other_label = predictions["label"].map(dict(zip(FOUR, FOUR[::-1], strict=True)))
    spoilt = predictions.assign(label=predictions["label"].where(~own, other_label))
    first, second = (
        evaluation.cross_calibrated(p, FOUR)[list(FOUR)] for p in (predictions, spoilt)
    )
    np.testing.assert_array_equal(first[own], second[own])
    assert np.abs(first[~own] - second[~own]).to_numpy().max() > 1e-3
    with one_line("at least two folds"):
        evaluation.cross_calibrated(predictions.assign(fold=0), FOUR)


def test_risk_and_coverage_by_hand():
    told = [("1", "a", 0.9), ("2", "b", 0.8), ("3", "a", 0.8), ("4", "b", 0.4)]
    predictions = table_of([(clip, "1", 0, label, value) for clip, label, value in told])
    curve = evaluation.risk_coverage(predictions, AB)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.6]
    assert curve["coverage"].tolist() == [0.25, 0.75, 1.0]
    np.testing.assert_allclose(curve["accuracy"], [1, 2 / 3, 3 / 4])
    for wanted, found in ((0.7, 0.6), (0.8, 0.9), (0.0, 0.6)):
        assert evaluation.uncertain_below(predictions, AB, wanted) == pytest.approx(found)


def test_above_the_threshold_answers_are_as_right_as_was_asked_for():
    predictions = simulate()
    temperature, threshold = evaluation.calibrate(predictions, FOUR, 0.6)
    assert temperature == evaluation.fit_temperature(predictions, FOUR)
    calm = evaluation.with_temperature(predictions, FOUR, temperature)
    truth, guess, confidence = evaluation.decisions(calm, FOUR)
    right = truth == guess
    assert right.mean() < 0.6 <= right[confidence >= threshold].mean()
    with one_line("100% of the answers", "found at most", "Ask for less"):
        evaluation.calibrate(predictions, FOUR, 1.0)


def test_decisions_take_the_first_of_equals():
    rows = table_of([("1", "s", 0, "b", 0.5), ("2", "s", 0, "a", 0.2)])
    truth, guess, confidence = evaluation.decisions(rows, AB)
    assert (truth.tolist(), guess.tolist()) == ([1, 0], [0, 1])
    assert confidence.tolist() == pytest.approx([0.5, 0.8])


# Comparison and trend ---------------------------------------------------------------------------


def test_a_recipe_does_not_differ_from_itself():
    predictions = simulate()
    found = evaluation.paired_bootstrap(predictions, predictions.sample(frac=1), FOUR)
    same = {"difference": 0, "interval_95": [0, 0], "p_value": 1, "n_speakers": 10}
    assert {name: found[name] for name in same} == same


def test_a_better_recipe_is_found_out_and_the_order_only_turns_the_sign():
    weak, strong = simulate(20, 1, skill=0.5), simulate(20, 3, skill=1.5, seed=1)
    there = evaluation.paired_bootstrap(weak, strong, FOUR)
    back = evaluation.paired_bootstrap(strong, weak, FOUR)
    assert there["first"] == evaluation.metrics(weak, FOUR)["uar"]["mean"]
    assert there["difference"] == there["second"] - there["first"] == -back["difference"]
    assert there["interval_95"][0] > 0
    assert back["interval_95"] == pytest.approx([-x for x in there["interval_95"][::-1]])
    assert 0 < there["p_value"] == back["p_value"] < 0.01


def test_the_p_value_is_about_uniform_where_there_is_no_difference():
    values = []
    for seed in range(40):
        pair = (simulate(12, 1, 2, seed=seed + other) for other in (0, 500))
        values.append(evaluation.paired_bootstrap(*pair, FOUR, n_bootstrap=200)["p_value"])
    assert sum(value < 0.05 for value in values) <= 8  # 2 expected; few speakers give some more
    assert 0.3 < np.mean(values) < 0.7


def test_pairing_takes_away_what_speakers_have_in_common():
    base = simulate(20, 1)
    nearly = base.copy()
    nearly.loc[nearly.index[::40], list(FOUR)] = 0.25  # six clips become guesses
    paired = evaluation.paired_bootstrap(base, nearly, FOUR)["interval_95"]
    alone = evaluation.metrics(base, FOUR)["uar"]["interval_95"]
    assert np.diff(paired) < 0.5 * np.diff(alone)


@pytest.mark.parametrize("change", [{"speaker": "x/other"}, {"label": "b"}, None])
def test_a_comparison_needs_the_same_clips(change):
    other = SMALL.assign(**change) if change else SMALL.iloc[1:]
    with one_line("same clips", "'x/1' differs", "same protocol"):
        evaluation.paired_bootstrap(SMALL, other, AB)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.integers(3, 40))
@settings(max_examples=25, deadline=None)
def test_a_polynomial_is_found_again(coefficients, n_epochs):
    history = pd.DataFrame({"loss": np.polyval(coefficients, np.arange(1, n_epochs + 1))})
    found = evaluation.polynomial_trend(history, "loss")
    assert found == pytest.approx(coefficients, abs=1e-5)


def test_a_trend_needs_its_column_and_enough_epochs():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    with one_line("no column 'lost'. Allowed: epoch, loss"):
        evaluation.polynomial_trend(history, "lost")
    with one_line("degree 2 needs at least 3 epochs, found 2"):
        evaluation.polynomial_trend(history, "loss")
    assert evaluation.polynomial_trend(history, "loss", degree=1) == pytest.approx([-1, 3])


# Refusals ---------------------------------------------------------------------------------------


def with_value(column, value):
    table = SMALL.astype({column: object})
    table.loc[1, column] = value
    return table


NO_NUMBER = "an empty cell, or a probability that is no number: clip_id x/2"
BAD = {
    "no columns": ("found no seed, b", SMALL.drop(columns=["seed", "b"])),
    "no row": ("found no row", SMALL.iloc[:0]),
    "NaN": (NO_NUMBER, with_value("a", np.nan)),
    "no speaker": (NO_NUMBER, with_value("speaker", None)),
    "no number": (NO_NUMBER, with_value("a", "much")),
    "other sum": ("probabilities that do not sum to 1: clip_id x/2", with_value("a", 0.5)),
    "outside": (
        "a probability outside 0 to 1: clip_id x/2",
        SMALL.assign(a=[0.5, -0.6] * 3, b=[0.5, 1.6] * 3),
    ),
    "label": ("an unknown label: clip_id x/2", with_value("label", "c")),
    "twice": ("a clip twice for one seed: clip_id x/1", with_value("clip_id", "x/1")),
    "seeds": (
        "a clip that other seeds have not: clip_id x/2",
        pd.concat([SMALL, SMALL.assign(seed=1).drop(index=1)]),
    ),
    "labels": (
        "a clip with more than one label: clip_id x/2",
        pd.concat([SMALL, with_value("label", "b").assign(seed=1)]),
    ),
    "speakers": (
        "a clip with more than one speaker: clip_id x/2",
        pd.concat([SMALL, with_value("speaker", "x/s2").assign(seed=1)]),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_in_one_line(name):
    message, table = BAD[name]
    for function in (
        evaluation.check_predictions,
        evaluation.metrics,
        evaluation.confusion,
        evaluation.reliability,
        evaluation.fit_temperature,
        evaluation.risk_coverage,
        lambda table, classes: evaluation.paired_bootstrap(SMALL, table, classes),
    ):
        with one_line(message):
            function(table, AB)


def test_a_good_table_passes_and_so_does_one_rounded_on_disk(tmp_path):
    predictions = simulate()
    predictions.to_csv(tmp_path / "predictions.csv", index=False, float_format="%.4f")
    read = pd.read_csv(tmp_path / "predictions.csv")
    there, back = evaluation.metrics(predictions, FOUR), evaluation.metrics(read, FOUR)
    assert back["uar"] == there["uar"]
