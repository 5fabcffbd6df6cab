"""Metrics are what scikit-learn says, intervals behave, and bad tables are refused."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from ser import evaluation
from ser.project import SerError

AB = ("a", "b")
FOUR = ("angry", "happy", "neutral", "sad")


def table_of(rows, classes=AB):
    """Predictions from (clip, speaker, seed, label, probability of the first class, …)."""
    out = []
    for clip, speaker, seed, label, *probabilities in rows:
        if len(probabilities) == len(classes) - 1:
            probabilities.append(1 - sum(probabilities))
        out.append((f"x/{clip}", f"x/{speaker}", 0, seed, label, *probabilities))
    return pd.DataFrame(out, columns=["clip_id", "speaker", "fold", "seed", "label", *classes])


def simulate(n_speakers=10, n_seeds=2, n_each=3, *, skill=1.0, seed=0, classes=FOUR):
    """Draw predictions of a model whose skill varies from speaker to speaker."""
    rng = np.random.default_rng(seed)
    rows = []
    for speaker in range(n_speakers):
        level = skill + rng.normal(0, 0.4)
        for code in range(len(classes)):
            for repetition in range(n_each):
                for run in range(n_seeds):
                    logits = rng.normal(size=len(classes)) + level * np.eye(len(classes))[code]
                    probabilities = np.exp(logits) / np.exp(logits).sum()
                    clip = f"{speaker:03d}-{code}-{repetition}"
                    rows.append((clip, f"{speaker:03d}", run, classes[code], *probabilities))
    predictions = table_of(rows, classes)
    return predictions.assign(fold=predictions["speaker"].str[-3:].astype(int) % 5)


def facts_of(predictions):
    """A metadata table: odd speakers are male and of another corpus."""
    clips = predictions.drop_duplicates("clip_id")
    odd = clips["speaker"].str[-3:].astype(int) % 2 == 1
    return pd.DataFrame(
        {
            "clip_id": clips["clip_id"],
            "corpus": np.where(odd, "second", "first"),
            "sex": np.where(odd, "male", "female"),
        }
    )


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
    assert found["uar"]["mean"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["accuracy"]["mean"] == pytest.approx(4 / 6)
    assert found["macro_f1"]["mean"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert found["uar"]["std"] == 0.0
    assert found["per_class"]["a"] == {
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 4),
        "recall_interval_95": pytest.approx([2 / 3, 1.0]),  # only s1, or only s2
        "f1": pytest.approx(3 / 4),
        "support": 4,
    }
    assert found["per_speaker"]["x/s1"]["uar"] == pytest.approx(2 / 3)  # s1 has no b
    assert found["per_speaker"]["x/s2"]["uar"] == pytest.approx((1 + 1 / 2) / 2)
    assert (found["n_clips"], found["n_speakers"], found["n_seeds"]) == (6, 2, 1)


def test_confusion_counts_rows_as_truth():
    assert evaluation.confusion(SMALL, AB).tolist() == [[3, 1], [1, 1]]
    assert evaluation.confusion(SMALL, ("b", "a")).tolist() == [[1, 1], [1, 3]]


def test_std_is_over_seeds_and_the_mean_their_mean():
    again = SMALL.assign(seed=7)
    again.loc[2, ["a", "b"]] = [0.9, 0.1]  # the second seed gets clip 3 right
    found = evaluation.metrics(pd.concat([again, SMALL]), AB)
    first, second = (3 / 4 + 1 / 2) / 2, (1 + 1 / 2) / 2
    assert found["per_seed"] == pytest.approx([first, second])  # by rising seed
    assert found["uar"]["mean"] == pytest.approx((first + second) / 2)
    assert found["uar"]["std"] == pytest.approx(np.std([first, second], ddof=1))
    assert found["n_clips"] == 6
    assert found["per_class"]["a"]["support"] == 4
    assert evaluation.confusion(pd.concat([again, SMALL]), AB).sum() == 12


def test_two_speakers_give_an_interval_over_their_draws():
    found = evaluation.metrics(SMALL, AB)
    assert found["accuracy"]["interval_95"] == pytest.approx([2 / 3, 2 / 3])  # 2 of 3 each
    # both speakers 0.625, s1 alone 2/3 (it has no b), s2 alone 0.75
    assert found["uar"]["interval_95"] == pytest.approx([0.625, 0.75])


def test_the_interval_is_that_of_a_plain_loop_over_draws():
    predictions = simulate(5, 2)
    low, high = evaluation.metrics(predictions, FOUR, n_bootstrap=60, seed=3)["uar"]["interval_95"]
    speakers = [rows for _, rows in predictions.groupby("speaker")]
    draws = []
    for times in np.random.default_rng(3).multinomial(5, np.full(5, 0.2), size=60):
        drawn = pd.concat([speakers[i] for i in np.repeat(range(5), times)])
        of_seed = [
            balanced_accuracy_score(rows["label"], rows[list(FOUR)].idxmax(axis=1))
            for _, rows in drawn.groupby("seed")
        ]
        draws.append(np.mean(of_seed))
    assert [low, high] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_one_speaker_has_no_interval():
    one = SMALL[SMALL["speaker"] == "x/s2"]
    found = evaluation.metrics(one, AB)
    assert found["uar"]["interval_95"] is None
    assert found["per_class"]["b"]["recall_interval_95"] is None


def test_groups_come_from_the_table():
    predictions = simulate()
    found = evaluation.metrics(predictions, FOUR, facts_of(predictions), n_bootstrap=100)
    male = predictions[predictions["speaker"].str[-3:].astype(int) % 2 == 1]
    alone = evaluation.metrics(male, FOUR, n_bootstrap=100)
    assert list(found["per_sex"]) == ["female", "male"]
    assert list(found["per_corpus"]) == ["first", "second"]
    for group in (found["per_sex"]["male"], found["per_corpus"]["second"]):
        assert group["uar"] == pytest.approx(alone["uar"]["mean"])
        assert group["accuracy"] == pytest.approx(alone["accuracy"]["mean"])
        assert group["interval_95"] == pytest.approx(alone["uar"]["interval_95"])
        assert (group["n_clips"], group["n_speakers"]) == (60, 5)
    assert found["per_speaker"]["x/001"]["sex"] == "male"
    assert found["per_speaker"]["x/000"]["corpus"] == "first"
    assert found["per_speaker"]["x/000"]["n_clips"] == 12
    assert set(found["per_fold"]) == {"0", "1", "2", "3", "4"}
    assert "per_sex" in found and evaluation.metrics(predictions, FOUR)["per_sex"] == {}


def test_pairs_of_corpora():
    clips = simulate(n_speakers=6, n_seeds=2)
    speaker = clips["speaker"].str[-1].astype(int)
    clips["corpus"] = np.select([speaker < 2, speaker < 4], ["x", "y"], "z")
    parts = []
    for trained, skill in (("x", 3.0), ("y", 0.0), ("z", 1.0)):
        drawn = simulate(n_speakers=6, n_seeds=2, skill=skill, seed=len(parts))
        other = drawn[clips["corpus"] != trained]
        parts.append(other.assign(trained_on=trained))
    table = clips.drop_duplicates("clip_id").assign(sex="")
    predictions = pd.concat(parts)
    with pytest.raises(SerError, match="more than once"):
        evaluation.metrics(predictions.drop(columns="trained_on"), FOUR, table)
    found = evaluation.metrics(predictions, FOUR, table)["per_pair"]
    assert {row: list(cells) for row, cells in found.items()} == {
        "x": ["y", "z"],
        "y": ["x", "z"],
        "z": ["x", "y"],
    }
    corpus = clips.set_index("clip_id")["corpus"].to_dict()
    for part in parts:
        trained = part["trained_on"].iloc[0]
        for tested, group in part.groupby(part["clip_id"].map(corpus)):
            alone = evaluation.metrics(group.drop(columns="trained_on"), FOUR)
            assert found[trained][tested]["uar"] == pytest.approx(alone["uar"]["mean"])
    assert evaluation.metrics(clips, FOUR, table)["per_pair"] == {}


def test_an_unknown_sex_is_called_unknown():
    predictions = simulate(4)
    found = evaluation.metrics(predictions, FOUR, facts_of(predictions).assign(sex=""))
    assert list(found["per_sex"]) == ["unknown"]


def test_metrics_are_json_without_nan():
    predictions = simulate(3, classes=(*FOUR, "calm"))
    predictions = predictions[predictions["label"] != "calm"]  # a class that is only predicted
    folds_differ = predictions.assign(fold=np.arange(len(predictions)) % 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluation.metrics(folds_differ, (*FOUR, "calm"), facts_of(predictions))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["per_class"]) == set(FOUR)


def test_metrics_are_the_same_every_time_and_follow_the_seed():
    predictions = simulate()
    first, again, other = (evaluation.metrics(predictions, FOUR, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["uar"]["interval_95"] != other["uar"]["interval_95"]
    assert first["uar"]["mean"] == other["uar"]["mean"]


# Properties -------------------------------------------------------------------------------------


@st.composite
def any_predictions(draw):
    """Predictions of a model about which nothing is known."""
    n_clips, n_classes = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    classes = tuple("vwxyz"[:n_classes])
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_speakers = draw(st.integers(1, 6))
    rows = [
        (clip, f"s{rng.integers(n_speakers)}", 0, classes[rng.integers(n_classes)])
        for clip in range(n_clips)
    ]
    seeds = range(draw(st.integers(1, 3)))
    rows = [(clip, who, seed, label) for clip, who, _, label in rows for seed in seeds]
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), size=len(rows))
    full = [(*row, *values) for row, values in zip(rows, probabilities, strict=True)]
    return table_of(full, classes), classes


@given(any_predictions(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_agreement_with_scikit_learn_in_any_order_of_rows(case, random):
    predictions, classes = case
    order = list(range(len(predictions)))
    random.shuffle(order)
    found = evaluation.metrics(predictions, classes, n_bootstrap=50)
    shuffled = evaluation.metrics(predictions.iloc[order], classes, n_bootstrap=50)
    assert shuffled.pop("ece") == pytest.approx(found["ece"])  # a sum, in another order
    assert shuffled == {name: value for name, value in found.items() if name != "ece"}
    uar, accuracy, f1 = [], [], []
    for _, of_seed in predictions.groupby("seed"):
        guess = of_seed[list(classes)].idxmax(axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that are only predicted
            uar.append(balanced_accuracy_score(of_seed["label"], guess))
        accuracy.append(accuracy_score(of_seed["label"], guess))
        f1.append(f1_score(of_seed["label"], guess, average="macro", zero_division=0))
    for name, values in (("uar", uar), ("accuracy", accuracy), ("macro_f1", f1)):
        assert found[name]["mean"] == pytest.approx(np.mean(values))
        low, high = found[name]["interval_95"] or (0, 1)
        assert 0 <= low <= high <= 1
    assert 0 <= found["ece"] <= 1
    rows = evaluation.confusion(predictions, classes).sum(axis=1)
    assert rows.tolist() == [(predictions["label"] == name).sum() for name in classes]
    assert evaluation.reliability(predictions, classes)["n_clips"].sum() == len(predictions)


@given(st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_perfect_and_always_wrong_predictions(seed):
    predictions = simulate(4, seed=seed)
    right = np.eye(4)[pd.Index(FOUR).get_indexer(predictions["label"])]
    for values, score in ((right, 1.0), (np.roll(right, 1, axis=1), 0.0)):
        found = evaluation.metrics(predictions.assign(**_columns(values)), FOUR, n_bootstrap=50)
        for name in ("uar", "accuracy", "macro_f1"):
            assert found[name] == {"mean": score, "std": 0.0, "interval_95": [score, score]}
        assert found["ece"] == 1 - score  # sure of everything


def _columns(values):
    return {name: values[:, i] for i, name in enumerate(FOUR)}


def test_intervals_hold_the_estimate_and_shrink_with_more_speakers():
    widths = {}
    for n_speakers in (8, 128):
        found = [
            evaluation.metrics(simulate(n_speakers, 1, seed=seed), FOUR, n_bootstrap=300)["uar"]
            for seed in range(4)
        ]
        for one in found:
            low, high = one["interval_95"]
            assert low < one["mean"] < high
        widths[n_speakers] = np.mean(
            [high - low for low, high in (o["interval_95"] for o in found)]
        )
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


def calibrated(n_clips=20_000, *, sharpen=1.0, seed=0):
    """Labels drawn from the very probabilities; `sharpen` then makes these too sure."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), size=n_clips)
    labels = (probabilities.cumsum(axis=1) < rng.random((n_clips, 1))).sum(axis=1).clip(0, 3)
    sharp = probabilities**sharpen
    frame = pd.DataFrame(sharp / sharp.sum(axis=1, keepdims=True), columns=FOUR)
    frame.insert(0, "clip_id", [f"x/{i}" for i in range(n_clips)])
    return frame.assign(speaker="x/1", fold=0, seed=0, label=np.array(FOUR)[labels])


def test_calibration_error_is_small_where_calibrated_and_large_where_overconfident():
    assert evaluation.expected_calibration_error(calibrated(), FOUR) < 0.02
    assert evaluation.expected_calibration_error(calibrated(sharpen=4), FOUR) > 0.15


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
    """Labels drawn from probabilities are calibrated; sharpen those and the sharpness is found."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(6000, 4)) * 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [FOUR[rng.choice(4, p=row)] for row in probabilities]
    sharp = probabilities**temperature
    sharp /= sharp.sum(axis=1, keepdims=True)
    rows = [
        (f"{i:05d}", f"{i % 20:03d}", 0, label, *row)
        for i, (label, row) in enumerate(zip(labels, sharp, strict=True))
    ]
    predictions = table_of(rows, FOUR)
    predictions["fold"] = predictions["speaker"].str[-3:].astype(int) % 5
    found = evaluation.fit_temperature(predictions, FOUR)
    assert found == pytest.approx(temperature, rel=0.08)
    calibrated = evaluation.with_temperature(predictions, FOUR, found)
    np.testing.assert_allclose(calibrated[list(FOUR)], probabilities, atol=0.03)
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
    spoilt = predictions.copy()
    own = spoilt["fold"] == 2
    spoilt.loc[own, "label"] = spoilt.loc[own, "label"].map(
        dict(zip(FOUR, FOUR[::-1], strict=True))
    )
    first, second = (evaluation.cross_calibrated(p, FOUR) for p in (predictions, spoilt))
    np.testing.assert_array_equal(first.loc[own, list(FOUR)], second.loc[own, list(FOUR)])
    others = first.loc[~own, list(FOUR)] - second.loc[~own, list(FOUR)]
    assert np.abs(others.to_numpy()).max() > 1e-3
    with pytest.raises(SerError, match="at least two folds"):
        evaluation.cross_calibrated(predictions.assign(fold=0), FOUR)


def test_risk_and_coverage_by_hand():
    predictions = table_of(
        [
            ("1", "1", 0, "a", 0.9),
            ("2", "1", 0, "b", 0.8),
            ("3", "1", 0, "a", 0.8),
            ("4", "1", 0, "b", 0.4),
        ]
    )
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
    calibrated = evaluation.with_temperature(predictions, FOUR, temperature)
    truth, guess, confidence = evaluation.decisions(calibrated, FOUR)
    right = truth == guess
    assert right.mean() < 0.6 <= right[confidence >= threshold].mean()
    with one_line("100% of the answers", "found at most", "Ask for less"):
        evaluation.calibrate(predictions, FOUR, 1.0)


def test_decisions_take_the_first_of_equals():
    truth, guess, confidence = evaluation.decisions(
        table_of([("1", "s", 0, "b", 0.5), ("2", "s", 0, "a", 0.2)]), AB
    )
    assert (truth.tolist(), guess.tolist()) == ([1, 0], [0, 1])
    assert confidence.tolist() == pytest.approx([0.5, 0.8])


# Comparison -------------------------------------------------------------------------------------


def test_a_recipe_does_not_differ_from_itself():
    predictions = simulate()
    found = evaluation.paired_bootstrap(predictions, predictions.sample(frac=1), FOUR)
    assert found["difference"] == 0
    assert found["interval_95"] == [0, 0]
    assert found["p_value"] == 1
    assert found["n_speakers"] == 10


def test_a_better_recipe_is_found_out_and_the_order_only_turns_the_sign():
    weak, strong = simulate(20, 1, skill=0.5), simulate(20, 3, skill=1.5, seed=1)
    there = evaluation.paired_bootstrap(weak, strong, FOUR)
    back = evaluation.paired_bootstrap(strong, weak, FOUR)
    assert there["difference"] == pytest.approx(there["second"] - there["first"])
    assert there["first"] == evaluation.metrics(weak, FOUR)["uar"]["mean"]
    assert there["interval_95"][0] > 0
    assert 0 < there["p_value"] < 0.01
    assert back["difference"] == -there["difference"]
    assert back["interval_95"] == pytest.approx([-x for x in there["interval_95"][::-1]])
    assert back["p_value"] == there["p_value"]


def test_the_p_value_is_about_uniform_where_there_is_no_difference():
    values = [
        evaluation.paired_bootstrap(
            simulate(12, 1, 2, seed=seed),
            simulate(12, 1, 2, seed=500 + seed),
            FOUR,
            n_bootstrap=200,
        )["p_value"]
        for seed in range(40)
    ]
    assert sum(value < 0.05 for value in values) <= 8  # 2 expected; few speakers give some more
    assert 0.3 < np.mean(values) < 0.7


def test_pairing_takes_away_what_speakers_have_in_common():
    base = simulate(20, 1)
    nearly = base.copy()
    nearly.loc[nearly.index[::40], list(FOUR)] = 0.25  # six clips become guesses
    found = evaluation.paired_bootstrap(base, nearly, FOUR)
    low, high = evaluation.metrics(base, FOUR)["uar"]["interval_95"]
    assert found["interval_95"][1] - found["interval_95"][0] < 0.5 * (high - low)


def test_one_speaker_gives_no_comparison():
    one = simulate(1)
    found = evaluation.paired_bootstrap(one, one, FOUR)
    assert found["p_value"] is None
    assert found["interval_95"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[1:],
        lambda table: table.assign(speaker="x/other"),
        lambda table: table.assign(label="b"),
    ],
)
def test_a_comparison_needs_the_same_clips(change):
    with pytest.raises(SerError, match=r"same clips.*'x/1' differs.*same protocol"):
        evaluation.paired_bootstrap(SMALL, change(SMALL), AB)


# Trend ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.integers(3, 40))
@settings(max_examples=25, deadline=None)
def test_a_polynomial_is_found_again(coefficients, n_epochs):
    epochs = np.arange(1, n_epochs + 1)
    history = pd.DataFrame({"epoch": epochs, "loss": np.polyval(coefficients, epochs)})
    found = evaluation.polynomial_trend(history, "loss")
    assert found == pytest.approx(coefficients, abs=1e-5)


def test_a_trend_needs_its_column_and_enough_epochs():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})
    with pytest.raises(SerError, match=r"no column 'lost'\. Allowed: epoch, loss"):
        evaluation.polynomial_trend(history, "lost")
    with pytest.raises(SerError, match="degree 2 needs at least 3 epochs, found 2"):
        evaluation.polynomial_trend(history, "loss")
    assert evaluation.polynomial_trend(history, "loss", degree=1) == pytest.approx([-1, 3])


# Refusals ---------------------------------------------------------------------------------------


def with_value(column, value, row=1):
    table = SMALL.copy().astype({column: object})
    table.loc[row, column] = value
    return table


BAD = {
    r"lack the columns seed, b\. Expected clip_id": SMALL.drop(columns=["seed", "b"]),
    "hold no row": SMALL.iloc[:0],
    r"NaN in column 'a' \(clip 'x/2'\)": with_value("a", np.nan),
    r"NaN in column 'speaker' \(clip 'x/2'\)": with_value("speaker", None),
    "probability that is no number.*'much'": with_value("a", "much"),
    r"do not sum to 1 \(clip 'x/2', sum 0.9\)": with_value("a", 0.5),
    r"outside 0 to 1 \(clip 'x/2'": SMALL.assign(a=[0.5, -0.6] * 3, b=[0.5, 1.6] * 3),
    r"unknown label 'c'\. Allowed: a, b\.": with_value("label", "c"),
    r"clip 'x/1' more than once for seed 0": with_value("clip_id", "x/1"),
    r"clip 'x/2' has 1 of 2 seeds": pd.concat([SMALL, SMALL.assign(seed=1).drop(index=1)]),
    r"clip 'x/2' more than one label": pd.concat([SMALL, with_value("label", "b").assign(seed=1)]),
    r"clip 'x/2' more than one speaker": pd.concat(
        [SMALL, with_value("speaker", "x/s2").assign(seed=1)]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_table_is_refused_in_one_line(message):
    functions = (
        evaluation.check_predictions,
        evaluation.metrics,
        evaluation.confusion,
        evaluation.reliability,
        evaluation.expected_calibration_error,
        lambda table, classes: evaluation.paired_bootstrap(SMALL, table, classes),
    )
    for function in functions:
        with pytest.raises(SerError, match=message) as error:
            function(BAD[message], AB)
        assert "\n" not in str(error.value)


def test_a_good_table_passes_and_so_does_one_rounded_on_disk(tmp_path):
    predictions = simulate()
    evaluation.check_predictions(predictions, FOUR)
    predictions.to_csv(tmp_path / "predictions.csv", index=False, float_format="%.4f")
    read = pd.read_csv(tmp_path / "predictions.csv")
    evaluation.check_predictions(read, FOUR)
    there, back = evaluation.metrics(predictions, FOUR), evaluation.metrics(read, FOUR)
    assert back["uar"] == there["uar"]


def test_a_metadata_table_that_lacks_clips_is_refused():
    predictions = simulate(3)
    with pytest.raises(SerError, match=r"lacks 1 predicted clips \(first: 'x/000-0-0'\)"):
        evaluation.metrics(predictions, FOUR, facts_of(predictions).iloc[1:])
