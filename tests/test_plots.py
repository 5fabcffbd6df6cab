"""What is drawn is what was given, labelled with units, and nothing is cut off."""

import inspect
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from ser import features, plots
from ser.config import AudioConfig, FeatureConfig, to_dict
from ser.project import SerError

EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SAMPLE_RATE_HZ = 22_050
SOUND = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(33_075) / SAMPLE_RATE_HZ)).astype(np.float32)
TIMES_S = (np.arange(20) + 0.5) * 0.1
WEIGHTS = np.where(TIMES_S < 1.5, np.hanning(20), 0) / np.hanning(20)[TIMES_S < 1.5].sum()

COSTS = pd.DataFrame(
    [("small", 4, 0.4, 0.3, 0.5), ("small", 16, 0.5, 0.4, 0.6), ("big", 8, 0.6, np.nan, np.nan)],
    columns=["name", "speakers", "uar", "low", "high"],
)
BINS = pd.DataFrame(
    {
        "bin_low": np.linspace(0, 0.8, 5),
        "bin_high": np.linspace(0.2, 1, 5),
        "n_clips": [0, 10, 20, 30, 40],
        "confidence": [np.nan, 0.3, 0.5, 0.7, 0.9],
        "accuracy": [np.nan, 0.35, 0.5, 0.5, 0.8],
    }
)
DRAW = np.random.default_rng(0)
CLIPS = pd.DataFrame(
    {
        "corpus": DRAW.choice(["crema_d", "emodb", "ravdess", "savee", "tess"], 3000),
        "emotion": DRAW.choice([*EIGHT, ""], 3000),
        "duration_s": DRAW.uniform(1.2, 5.4, 3000),
    }
)
WHO = np.random.default_rng(1).integers(60, size=3000)  # speaks in each, 12 in each corpus
SPOKEN = CLIPS.assign(
    corpus=np.array(["crema_d", "emodb", "ravdess", "savee", "tess"])[WHO % 5],
    speaker=WHO.astype(str),
    sex=np.where(WHO % 3 == 0, "female", np.where(WHO % 3 == 1, "male", "")),
    peak_dbfs=-WHO / 3 - np.random.default_rng(2).uniform(0, 10, 3000),
)
CONFIDENCE = np.linspace(1, 0.2, 81)  # a model that is right more often where it is surer
CURVE = pd.DataFrame(
    {"threshold": CONFIDENCE, "coverage": np.arange(1, 82) / 81, "accuracy": CONFIDENCE}
)
STRETCHES = [
    SimpleNamespace(start_s=start, end_s=end, label=label)
    for start, end, label in ((0.1, 0.8, "angry"), (1.0, 1.5, "sad"), (1.6, 2.4, "angry"))
]
COUNTS = np.eye(8, dtype=int) * 90 + np.arange(64).reshape(8, 8)
SPEAKERS = {
    f"ravdess/{i + 1:02d}": {"uar": (7 * i % 24) / 24, "sex": ("male", "female")[i % 2]}
    for i in range(24)
}
PAIRS = {  # the second's speakers are too few for an interval
    "emodb": {
        "savee": {"uar": 0.41, "interval_95": None},
        "tess": {"uar": 0.3, "interval_95": (0.2, 0.45)},
    },
    "savee": {"emodb": {"uar": 0.72, "interval_95": (0.66, 0.79)}},
}
WHOLE = {
    name: {"mean": 0.5, "std": 0.01, "interval_95": [0.4, 0.6]}
    for name in ("uar", "accuracy", "macro_f1")
}
MEASURED = np.array([0.95, 0.8, 0.7, 0.4, 0.6, 0.55, 0.5, 0.45])
RUNGS = pd.DataFrame(  # two recipes on four rungs: one with a claim, one without
    {
        "recipe": ["one"] * 4 + ["two"] * 4,
        "rung": list("abcd") * 2,
        "accuracy": MEASURED,
        "accuracy_low": MEASURED - 0.05,
        "accuracy_high": MEASURED + 0.04,
        "chance": 0.125,
        "claim_low": [0.6] * 4 + [None] * 4,
        "claim_high": [0.65] * 4 + [None] * 4,
    }
)


def history(n_epochs=30):
    epochs = np.arange(1, n_epochs + 1)
    columns = {
        "epoch": epochs,
        "loss": 2.0 / epochs,
        "accuracy": 1 - 0.8 / epochs,
        "val_loss": 0.5 + 0.001 * (epochs - 12.0) ** 2,
        "val_accuracy": 0.6 - 0.4 / epochs,
        "val_uar": 0.6 - 0.0005 * (epochs - 20.0) ** 2,
    }
    return pd.DataFrame(columns)


def conditions(fall=0.1):
    """Three conditions, each worse than the one before; the last without an interval."""
    uar = 0.7 - fall * np.arange(3)
    names = ["as recorded", "telephone, 8 kHz", "noise, 5 dB"]
    high = [*(uar[:2] + 0.05), np.nan]
    return pd.DataFrame({"condition": names, "uar": uar, "low": uar - 0.05, "high": high})


def layer(name, sources, *shape, parameters=0, kind="Dense"):
    """What `plots.architecture` looks at of a Keras layer."""
    made = type(kind, (), {"name": name, "count_params": lambda _: parameters})()
    made.output = SimpleNamespace(shape=(None, *shape))
    made.input = [source.output for source in sources]
    return made


def branched_model():
    inputs = layer("features", [], 174, 40, kind="InputLayer")
    convolution = layer("conv", [inputs], 174, 40, 16, parameters=160, kind="Conv2D")
    norm = layer("norm", [convolution], 174, 40, 16, parameters=64, kind="BatchNormalization")
    mask = layer("mask", [inputs], 87, 1)
    pool = layer("pool", [norm], 87, 20, 16)
    hide = layer("hide", [pool, mask], 87, 320)
    lstm = layer("lstm", [hide], 87, 256, parameters=1_000_000)
    pooled = layer("average", [lstm, mask], 256)
    layers = [inputs, convolution, mask, norm, pool, hide, lstm, pooled]
    return SimpleNamespace(name="branched", layers=layers)


TIME, AMPLITUDE = "time (s)", "amplitude\n(full scale is 1)"
GUESSED = "confidence of the decision (%)"
SPEECH = DRAW.normal(size=24_000)
STEPS = (np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 0.3, 0.7)
PLACES = pd.DataFrame(
    {"of the time": [0.2, 0.6, 0.2], "of the attention": [0.1, 0.2, np.nan]},
    index=["before", "speech", "after"],
)

# name: what its function takes before `ax`, and after it; labels of the axes
ALL = {
    "training_curves": ((history(),), {}, ("epoch", "loss (cross-entropy, nats)")),
    "confusion_matrix": (
        (COUNTS, EIGHT),
        {},
        ("predicted class", "true class (number of decisions)"),
    ),
    "reliability_diagram": ((BINS,), {}, ("confidence (%)", "accuracy (%)")),
    "confidence_histogram": ((CONFIDENCE, CONFIDENCE > 0.5), {}, (GUESSED, "number of decisions")),
    "confidence_by_class": (
        (np.arange(96) % 8, np.linspace(0.2, 1, 96), np.arange(96) > 50, EIGHT),
        {},
        (GUESSED, ""),
    ),
    "risk_coverage": (
        (CURVE,),
        {"threshold": 0.6},
        ("clips that get an answer (%)", "accuracy of the answers (%)"),
    ),
    "ladder": ((RUNGS, 0.45), {}, ("", "test accuracy (%)")),
    "score_against": ((COSTS, "speakers"), {"chance": 0.125}, ("speakers", "UAR (%)")),
    "timeline": ((np.sin(np.arange(40_000)), 16_000, STRETCHES, EIGHT), {}, (TIME, AMPLITUDE)),
    "robustness": (({"ours": conditions()},), {"chance": 0.125}, ("UAR (%)", "")),
    "cross_corpus": ((PAIRS,), {}, ("tested on", "trained on")),
    "metric_bars": (
        ({"train": {"uar": 1.0, "accuracy": 1.0}, "test": WHOLE},),
        {"chance": 0.125},
        ("", "score (%)"),
    ),
    "per_speaker_recall": ((SPEAKERS,), {}, ("speaker", "UAR of the speaker (%)")),
    "probabilities": ((EIGHT, np.eye(8)[2]), {}, ("probability (%)", "")),
    "waveform": ((SOUND, SAMPLE_RATE_HZ), {}, (TIME, AMPLITUDE)),
    "spectrogram": ((SOUND, SAMPLE_RATE_HZ), {}, (TIME, "frequency (Hz)")),
    "feature_map": ((np.eye(30, 12), SAMPLE_RATE_HZ), {}, (TIME, "feature index")),
    "attention_over_spectrogram": (
        (SPEECH, 16_000, WEIGHTS, TIMES_S),
        {},
        (TIME, "frequency (Hz)"),
    ),
    "relevance": (
        (SOUND, SAMPLE_RATE_HZ, {"occlusion": (WEIGHTS, TIMES_S), "attention": (WEIGHTS, TIMES_S)}),
        {"speech": [(0.2, 0.6), (0.8, 1.2)]},
        (TIME, AMPLITUDE),
    ),
    "shares": ((PLACES,), {}, ("", "share (%)")),
    "roc": (
        (dict.fromkeys(EIGHT, STEPS),),
        {},
        ("clips of other classes taken for it (%)", "clips of the class found (%)"),
    ),
    "precision_recall": (
        (dict.fromkeys(EIGHT, STEPS),),
        {},
        ("recall: clips of the class found (%)", "precision of the answer (%)"),
    ),
    "embedding": ((DRAW.normal(size=(96, 2)), np.resize(EIGHT, 96)), {}, ("", "")),
    "class_counts": ((CLIPS,), {}, ("emotion", "number of clips")),
    "duration_histogram": ((CLIPS,), {}, ("duration (s)", "clips of the corpus (%)")),
    "speaker_levels": ((SPOKEN,), {}, ("highest peak of a clip (dB re full scale)", "")),
    "architecture": ((branched_model(),), {}, ("", "")),
}
OPTIONS = {"confusion_matrix": {"show": "both"}, "training_curves": {"trend_degree": None}}


@pytest.fixture(autouse=True)
def no_figure_left_open():
    plt.close("all")
    yield
    plt.close("all")


# All of them ------------------------------------------------------------------------------------


def test_every_public_plot_is_tested():
    helpers = {"restyle", "style", "use_style"}
    helpers |= {"explanation", "class_balance", "attention"}  # whole figures, and a part of one
    helpers |= {"change", "cnn_lstm_attention", "speaker_independent_split", "spectrogram_grid"}
    helpers |= {"compare_trainings", "trends", "who_is_where"}  # in test_notebook_code
    offered = {name for name, thing in vars(plots).items() if inspect.isfunction(thing)}
    assert offered - helpers == set(ALL)


def drawn_texts(figure):
    """Text that is seen: ticks keep labels outside the axis' view, where none is drawn."""
    figure.canvas.draw()  # places the ticks
    hidden = set()
    for ax in figure.axes:
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            if not ax.axison:
                hidden |= {axis.label, *axis.get_ticklabels(which="both")}
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not min(limits) - 1e-9 <= tick.get_loc() <= max(limits) + 1e-9:
                    hidden |= {tick.label1, tick.label2}
    return [
        text
        for text in set(figure.findobj(Text)) - hidden
        if text.get_visible() and text.get_text().strip() and text.get_window_extent().width
    ]


def check_texts(figure):
    """No text leaves the figure, and no two overlap."""
    boxes = []
    for text in drawn_texts(figure):
        box = text.get_window_extent()
        inside = (box.x0 >= -1, box.y0 >= -1, box.x1 <= figure.bbox.x1 + 1)
        assert all(inside) and box.y1 <= figure.bbox.y1 + 1, f"{text.get_text()!r} is cut off"
        if text.get_rotation() not in (0, 90):
            continue
        for other, there in boxes:
            wide = min(box.x1, there.x1) - max(box.x0, there.x0) > 1
            high = min(box.y1, there.y1) - max(box.y0, there.y0) > 2
            assert not (wide and high), f"{text.get_text()!r} over {other!r}"
        boxes.append((text.get_text(), box))


@pytest.mark.parametrize("name", ALL)
def test_a_plot_is_one_labelled_figure_with_every_text_to_be_read(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("a plot must not show()"))
    first, options, labels = ALL[name]
    for more in ({}, OPTIONS.get(name)) if name in OPTIONS else ({},):
        with plots.style():
            settings = dict(plt.rcParams)
            axes = getattr(plots, name)(*first, **options, **more)
            assert dict(plt.rcParams) == settings
            one = np.ravel(axes)[0]
            assert plt.get_fignums() == [one.figure.number]
            assert (one.get_xlabel(), one.get_ylabel()) == labels
            check_texts(one.figure)
        plt.close("all")


@pytest.mark.parametrize("name", ALL)
def test_a_plot_draws_into_the_axes_it_is_given(name):
    first, options, _ = ALL[name]
    given = plt.subplots(1, 2)[1] if name in ("training_curves", "ladder") else plt.subplots()[1]
    assert getattr(plots, name)(*first, given, **options) is given
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("at", "message"), [((1.4, 0.5), "'here' is cut off"), ((0.5, 0.5), "'here' over 'here'")]
)
def test_the_check_of_texts_can_fail(at, message):
    figure, ax = plt.subplots()
    for position in (at, (0.5, 0.5)):
        ax.text(*position, "here", transform=ax.transAxes)
    with pytest.raises(AssertionError, match=message):
        check_texts(figure)


def test_style_is_left_as_it_was_and_use_style_stays():
    before = dict(plt.rcParams)
    with plots.style():
        assert list(plt.rcParams["figure.figsize"]) == [8.0, 4.5]
    assert dict(plt.rcParams) == before
    with plt.rc_context():
        plots.use_style()
        assert plt.rcParams["axes.titlelocation"] == "left"


def test_what_others_drew_can_be_given_our_look():
    with plt.style.context("ggplot"):
        _, ax = plt.subplots()
        (line,) = ax.plot([1, 2], [3, 4], color="green")
        assert ax.get_facecolor() != (1, 1, 1, 1)
    plots.restyle(ax)
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert [ax.spines[side].get_visible() for side in ("top", "right", "left")] == [0, 0, 1]
    assert line.get_color() == "green"


# One by one -------------------------------------------------------------------------------------


def lines(ax):
    return {str(one.get_label()).strip(): one for one in ax.lines}


def texts(artists):
    return [text.get_text() for text in artists]


def legend(ax):
    return texts(ax.get_legend().get_texts())


def heights(ax):
    return [[patch.get_height() for patch in bars] for bars in ax.containers]


def test_a_timeline_has_one_colour_for_each_answer():
    ax = plots.timeline(np.ones((50_000, 2)) / 2, 16_000, STRETCHES, EIGHT)
    spans = [patch for patch in ax.patches if patch.get_alpha() == 0.35]
    assert [span.get_x() for span in spans] == pytest.approx([0.1, 1.0, 1.6])
    colours = [span.get_facecolor() for span in spans]
    assert colours[0] == colours[2] != colours[1]
    assert legend(ax) == ["angry", "sad"]
    assert ax.get_xlim() == pytest.approx((0, 50_000 / 16_000), abs=0.01)
    assert plots.timeline(np.ones(100), 16_000, [], EIGHT).get_legend() is None


def test_robustness_goes_from_top_to_bottom():
    ax = plots.robustness({"first": conditions(), "second": conditions(0.2)}, chance=0.125)
    assert texts(ax.get_yticklabels()) == conditions()["condition"].tolist()
    assert ax.yaxis_inverted()
    first, second = lines(ax)["first"], lines(ax)["second"]
    np.testing.assert_allclose(second.get_xdata(), [0.7, 0.5, 0.3])
    assert (first.get_ydata() != second.get_ydata()).all()
    assert legend(ax) == ["first", "second", "chance (12.5 %)"]
    asked_more = {"first": conditions().iloc[:2], "second": conditions(0.2)}
    ax = plots.robustness(asked_more)
    assert texts(ax.get_yticklabels()) == conditions()["condition"].tolist()
    assert np.isnan(lines(ax)["first"].get_xdata()).tolist() == [False, False, True]


def test_a_score_against_a_cost():
    ax = plots.score_against(COSTS, "speakers", label="training speakers")
    assert (ax.get_xlabel(), ax.get_xscale()) == ("training speakers", "log")
    found = {name: line.get_xdata().tolist() for name, line in lines(ax).items()}
    assert found == {"small": [4, 16], "big": [8]}
    (whiskers,) = ax.collections  # no interval, no whisker
    assert [line[:, 1].tolist() for line in whiskers.get_segments()] == [[0.3, 0.5], [0.4, 0.6]]
    assert texts(ax.get_xticklabels()) == ["4", "8", "16"]
    apart = COSTS.assign(speakers=[1e3, 1e6, 4e3])
    assert len(plots.score_against(apart, "speakers").get_xticks()) > 3


@pytest.mark.parametrize(("monitor", "epoch"), [("val_loss", 12), ("val_uar", 20)])
def test_training_curves_draw_the_history_and_mark_the_epoch_that_was_kept(monitor, epoch):
    told = history()
    loss, accuracy = plots.training_curves(told, monitor=monitor)
    assert accuracy.get_ylabel() == "accuracy and UAR (%)"
    for ax, label, column in (
        (loss, "training", "loss"),
        (loss, "validation", "val_loss"),
        (accuracy, "training accuracy", "accuracy"),
        (accuracy, "validation accuracy", "val_accuracy"),
        (accuracy, "validation UAR", "val_uar"),
    ):
        assert lines(ax)[label].get_xdata().tolist() == told["epoch"].tolist()
        assert lines(ax)[label].get_ydata().tolist() == told[column].tolist()
        assert list(lines(ax)[f"epoch kept: {epoch} (best {monitor})"].get_xdata()) == [epoch] * 2


@pytest.mark.parametrize(
    ("coefficients", "formula"),
    [
        ([0.001, -0.024, 0.644], "0.001 e$^2$ − 0.024 e + 0.644"),
        ([-2.5e-4, 0, 1], "−2.5·10$^{-4}$ e$^2$ "),
    ],
)
def test_training_curves_give_the_trend_with_its_coefficients(coefficients, formula):
    told = history().assign(val_loss=lambda one: np.polyval(coefficients, one["epoch"]))
    loss, accuracy = plots.training_curves(told)
    fits = {label: line for label, line in lines(loss).items() if label.startswith("fit")}
    label, fit = list(fits.items())[1]
    assert label.startswith(f"fit: {formula}")
    assert fit.get_ydata() == pytest.approx(told["val_loss"].to_numpy())
    assert {one.get_linestyle() for one in fits.values()} == {"--"}
    assert sum("fit" in text for text in legend(accuracy)) == 2  # not of UAR


def test_curves_without_validation():
    without = history().assign(val_loss=np.nan, val_accuracy=np.nan, val_uar=np.nan)
    loss, accuracy = plots.training_curves(without, monitor="epoch")
    for ax in (loss, accuracy):
        assert not any("validation" in name for name in lines(ax))
        assert "epoch kept: 30 (the last)" in lines(ax)
    assert 2 < loss.get_ylim()[1] < 2.2


@pytest.mark.parametrize(("n_epochs", "degree"), [(1, 2), (2, 2), (30, None)])
def test_curves_without_a_trend(n_epochs, degree):
    axes = plots.training_curves(history(n_epochs), trend_degree=degree)
    assert not any("fit" in text for ax in axes for text in legend(ax))


def test_confusion_matrix_shows_percent_of_each_row_and_its_size():
    ax = plots.confusion_matrix(np.array([[150, 50], [0, 1000]]), ("calm", "sad"))
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0, 1]]
    assert texts(ax.texts) == ["75", "25", "", "100"]
    assert texts(ax.get_yticklabels()) == ["calm (200)", "sad (1,000)"]
    assert texts(ax.get_xticklabels()) == ["calm", "sad"]


def test_confusion_matrix_tells_few_from_none_and_counts_where_asked():
    few = np.array([[1999, 1], [0, 0]])
    found = {
        show: texts(plots.confusion_matrix(few, ("calm", "sad"), show=show).texts)
        for show in ("percent", "both")
    }
    assert found["percent"] == ["100", "<1", "–", "–"]
    assert found["both"] == ["100 %\n1,999", "<1 %\n1", "–", "–"]


def test_numbers_in_the_confusion_matrix_stand_out():
    shares = np.arange(0, 101, 100 // 7)[:8]  # the diagonal goes from none to nearly all
    ax = plots.confusion_matrix(np.diag(shares) + np.diag(100 - shares)[:, ::-1], EIGHT)
    picture = ax.images[0]
    for text, share in zip(ax.texts, picture.get_array().ravel(), strict=True):
        channels = np.array(picture.cmap(picture.norm(share))[:3])
        linear = np.where(channels < 0.0405, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        background = linear @ [0.2126, 0.7152, 0.0722]
        ink = 1.0 if text.get_color() == "white" else 0.0
        contrast = (max(ink, background) + 0.05) / (min(ink, background) + 0.05)
        assert contrast > 3  # WCAG 2.1, large or bold text


def test_risk_coverage_marks_the_threshold():
    _, everything, mark = plots.risk_coverage(CURVE, threshold=0.6).get_lines()
    assert everything.get_label() == "all answers: 20 % right"
    assert mark.get_label() == "confidence from 60 %: 51 % of the clips, 60 % right"
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((41 / 81, 0.6))


def test_reliability_diagram_leaves_out_empty_bins():
    ax = plots.reliability_diagram(BINS)
    accuracy, gap = heights(ax)
    assert accuracy == [0.35, 0.5, 0.5, 0.8]
    assert gap == pytest.approx([-0.05, 0, 0.2, 0.1])
    assert "calibration error 10.5 %" in legend(ax)  # (0.05 · 10 + 0.2 · 30 + 0.1 · 40) / 100


@pytest.mark.parametrize(
    ("correct", "told", "medians"),
    [
        (
            [0, 0, 0, 1, 1],
            ["right: 2 decisions, median 92 %", "wrong: 3 decisions, median 41 %"],
            [0.915, 0.41],
        ),
        ([1] * 5, ["right: 5 decisions, median 42 %", "wrong: 0 decisions"], [0.42]),
    ],
)
def test_confidence_histogram_counts_right_and_wrong(correct, told, medians):
    confidence = np.array([0.31, 0.41, 0.42, 0.91, 0.92])
    ax = plots.confidence_histogram(confidence, np.array(correct, bool))
    assert legend(ax) == told
    assert [one.get_xdata()[0] for one in ax.lines] == pytest.approx(medians)


def test_confidence_by_class_puts_each_clip_with_its_true_class():
    confidence = np.array([0.2, 0.3, 0.4, 0.7, 0.8, 0.9])
    first = np.arange(6) < 3
    ax = plots.confidence_by_class(np.where(first, 0, 1), confidence, first, ("calm", "sad"))
    assert texts(ax.get_yticklabels()) == ["calm", "sad"]
    assert legend(ax) == ["right", "wrong"]
    medians = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert {0.3, 0.8} <= {round(float(value), 3) for value in medians}


def test_metric_bars_take_whole_metrics_groups_and_plain_numbers():
    groups = {
        "train": {"uar": 0.9},
        "crema_d": {"uar": 0.3, "interval_95": [0.25, 0.35], "accuracy": 0.31},
        "test": WHOLE,
        "one speaker": {"uar": 0.7, "interval_95": None},
    }
    ax = plots.metric_bars(groups, names=("uar", "accuracy"), chance=0.125)
    assert heights(ax) == [[0.9], [0.3], [0.5], [0.7], [0.31], [0.5]]
    whiskers = [path.vertices[:, 1].tolist() for one in ax.collections for path in one.get_paths()]
    assert whiskers == [[0.25, 0.35], [0.4, 0.6], [0.4, 0.6]]
    assert texts(ax.texts) == ["90.0", "30.0", "50.0", "70.0", "31.0", "50.0"]
    assert sorted(legend(ax)) == ["UAR", "accuracy", "chance (12.5 %)"]
    assert texts(ax.get_xticklabels()) == list(groups)


def test_cross_corpus_has_a_row_per_corpus_trained_on():
    ax = plots.cross_corpus(PAIRS)
    assert texts(ax.get_yticklabels()) == ["emodb", "savee"]
    assert texts(ax.get_xticklabels()) == ["emodb", "savee", "tess"]
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    measured = {(1, 0): "41", (2, 0): "30\n20 to 45", (0, 1): "72\n66 to 79"}
    assert cells == {**dict.fromkeys(((0, 0), (1, 1), (2, 1)), "–"), **measured}


def test_per_speaker_recall_is_sorted_and_coloured_by_sex():
    told = {
        "ravdess/01": {"uar": 0.5, "sex": "male"},
        "ravdess/02": {"uar": 0.2, "sex": "female"},
        "ravdess/03": {"uar": 0.8, "sex": "male"},
    }
    ax = plots.per_speaker_recall(told)
    assert texts(ax.get_xticklabels()) == ["02", "01", "03"]
    bars = sorted((bar for one in ax.containers for bar in one), key=lambda bar: bar.get_x())
    assert [bar.get_height() for bar in bars] == [0.2, 0.5, 0.8]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours[0] != colours[1] == colours[2]
    assert "male (n = 2, mean 65.0 %)" in legend(ax)
    assert lines(ax)["mean of all (50.0 %)"].get_ydata()[0] == pytest.approx(0.5)


def test_speakers_of_several_corpora_or_in_great_number():
    two = plots.per_speaker_recall({"x/1": {"uar": 0.1}, "y/1": {"uar": 0.2}})
    assert texts(two.get_xticklabels()) == ["x/1", "y/1"]
    many = plots.per_speaker_recall({f"x/{i}": {"uar": i / 100} for i in range(91)})
    assert many.get_xlabel() == "91 speakers, lowest first"
    assert "speakers (n = 91, mean 45.0 %)" in legend(many)


def test_probabilities_point_out_the_largest():
    ax = plots.probabilities(("angry", "calm", "sad"), np.array([0.2, 0.7, 0.1]))
    bars = ax.containers[0]
    assert [bar.get_width() for bar in bars] == [0.2, 0.7, 0.1]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours[0] == colours[2] != colours[1]
    assert ax.yaxis_inverted()
    assert texts(ax.texts) == ["20.0", "70.0", "10.0"]


def test_waveform_is_in_seconds_and_about_zero():
    ax = plots.waveform(SOUND, SAMPLE_RATE_HZ)
    assert ax.lines[0].get_ydata() == pytest.approx(SOUND)
    assert ax.lines[0].get_xdata()[SAMPLE_RATE_HZ] == 1.0
    assert ax.get_xlim() == (0, 1.5)
    low, high = ax.get_ylim()
    assert low == -high < -0.5


def test_silence_can_be_drawn():
    for draw in (plots.waveform, plots.spectrogram):
        draw(np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ).figure.canvas.draw()


def test_spectrogram_has_a_tone_where_it_is():
    ax = plots.spectrogram(SOUND, SAMPLE_RATE_HZ)
    picture = ax.collections[0]
    values = picture.get_array().reshape(128, -1)
    loudest = np.unravel_index(np.argmax(values), values.shape)[0]
    heights_hz = np.unique(np.asarray(picture.get_coordinates())[..., 1])
    assert abs(heights_hz[loudest : loudest + 2].mean() - 1000) < 40
    assert (values.max(), values.min() >= -80.001) == (0, True)
    assert ax.figure.axes[1].get_ylabel() == "level (dB re maximum)"


def test_a_feature_map_has_a_row_for_each_feature():
    config = FeatureConfig(n_mfcc=13, hop_length=256)
    expected = features.extract(SOUND, SAMPLE_RATE_HZ, config)
    picture = plots.feature_map(expected, SAMPLE_RATE_HZ, config=config).images[0]
    assert np.asarray(picture.get_array()) == pytest.approx(expected.T)
    step_s = 256 / SAMPLE_RATE_HZ
    ends = (-step_s / 2, (len(expected) - 0.5) * step_s)
    assert picture.get_extent()[:2] == pytest.approx(ends)


def test_feature_map_is_symmetric_about_zero_and_not_ruled_by_the_first_feature():
    values = np.random.default_rng(0).normal(size=(100, 5))
    values[:, 0] = -500
    low, high = plots.feature_map(values, SAMPLE_RATE_HZ).images[0].get_clim()
    assert -low == high and 2 < high < 4


def test_attention_is_drawn_at_its_time_and_padding_is_not():
    ax = plots.attention_over_spectrogram(SOUND, SAMPLE_RATE_HZ, WEIGHTS, TIMES_S)
    right = next(one for one in ax.figure.axes if one.patches)
    values, edges, _ = right.patches[0].get_data()
    assert values == pytest.approx(100 * WEIGHTS[TIMES_S < 1.5])
    assert edges == pytest.approx(np.arange(16) * 0.1)
    assert right.get_xlim() == ax.get_xlim() == (0, 1.5)


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_an_explanation_shows_what_the_model_can_tell(kind):
    def cannot(*_):
        raise SerError("a bundle shows attention only")

    model = SimpleNamespace(
        audio=AudioConfig(sample_rate_hz=16_000),
        longest_s=1.5,
        card={"features": to_dict(FeatureConfig(kinds=(kind,)))},
        attributions=lambda *_: np.pad(np.ones((30, 40)), ((0, 20), (0, 0))),
    )
    answer = SimpleNamespace(
        label="sad", headline="sad (70 %)", in_windows=False, attention=(WEIGHTS, TIMES_S)
    )
    with plots.style():
        figure = plots.explanation(model, SPEECH, 16_000, answer)
        check_texts(figure)
        first = "where the model listened; its answer: sad (70 %)"
        titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
        assert titles == [first, "what spoke for sad (red) and against it (blue)"]
        lower = next(ax for ax in figure.axes if ax.images)
        assert lower.images[0].get_array().shape == (40, 30)  # without the padding
        assert lower.get_ylabel() == {"log_mel": "mel band", "mfcc": "feature"}[kind]
        model.attributions = cannot
        figure = plots.explanation(model, SPEECH, 16_000, answer)
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")] == [first]


def test_class_counts_add_up():
    ax = plots.class_counts(CLIPS)
    names = texts(ax.get_xticklabels())
    assert names[-1] == "other"
    totals = [(CLIPS["emotion"] == name.replace("other", "")).sum() for name in names]
    assert np.sum(heights(ax), axis=0).tolist() == totals
    assert texts(ax.texts) == [f"{total:,}" for total in totals]
    assert f"crema_d ({(CLIPS['corpus'] == 'crema_d').sum():,} clips)" in legend(ax)
    assert len({to_hex(bars[0].get_facecolor()) for bars in ax.containers}) == 5


def test_duration_histogram_compares_corpora_of_any_size():
    table = pd.DataFrame({"corpus": ["a"] * 3 + ["b"], "duration_s": [1.0, 1.0, 2.0, 2.0]})
    ax = plots.duration_histogram(table, n_bins=2)
    tops = [patch.get_xy()[:, 1].max() for patch in ax.patches[::2]]
    assert tops == pytest.approx([200 / 3, 100])
    assert legend(ax) == ["a (median 1.0 s)", "b (median 2.0 s)"]


@pytest.mark.parametrize("n_corpora", [1, 2, 5])
def test_class_balance_counts_every_clip_once_in_the_panel_of_its_corpus(n_corpora):
    table = SPOKEN[SPOKEN["corpus"].isin(sorted(set(SPOKEN["corpus"]))[:n_corpora])]
    with plots.style():
        axes = plots.class_balance(table)
        check_texts(axes[0].figure)
    names = texts(axes[0].get_yticklabels())
    assert names[-1] == "other"
    for ax, (corpus, clips) in zip(axes, table.groupby("corpus"), strict=True):
        assert ax.get_title(loc="left") == f"{corpus}\n{len(clips):,} clips"
        totals = [(clips["emotion"] == name.replace("other", "")).sum() for name in names]
        assert texts(ax.texts) == [f"{total:,}" for total in totals]
        widths = [[bar.get_width() for bar in bars] for bars in ax.containers]
        assert np.sum(widths, axis=0).tolist() == totals
        by_sex = clips["sex"].replace("", "unknown").value_counts()
        assert np.sum(widths, axis=1).tolist() == [by_sex[n] for n in ("female", "male", "unknown")]


def test_speaker_levels_shows_each_speaker_once():
    ax = plots.speaker_levels(SPOKEN)
    dots = np.concatenate([dots.get_offsets() for dots in ax.collections])
    medians = SPOKEN.groupby("speaker")["peak_dbfs"].median()
    assert sorted(dots[:, 0]) == pytest.approx(sorted(medians))
    assert len(legend(ax)) == 4


# Architectures ----------------------------------------------------------------------------------


def arrows(ax):
    return [text for text in ax.texts if getattr(text, "arrow_patch", None)]


def test_architecture_names_every_layer_once_and_draws_what_feeds_what():
    ax = plots.architecture(branched_model())
    shown = [text for text in texts(ax.texts) if text]
    assert sorted(", ".join(shown[::2]).split(", ")) == sorted(
        one.name for one in branched_model().layers
    )
    assert "conv, norm" in shown  # same shape: one block
    assert "174×40×16 · 224 parameters" in shown
    assert "87×256 · 1,000,000 parameters" in shown
    assert ax.get_title() == "branched: 1,000,224 parameters"
    at = {text.get_text(): text.get_position() for text in ax.texts}
    assert at["features"][1] > at["conv, norm"][1] > at["lstm"][1] > at["average"][1]
    assert at["mask"][1] == at["pool"][1]  # side by side, just above what needs them
    assert at["mask"][0] > at["pool"][0]
    assert len(arrows(ax)) == 8  # one per pair of blocks that are connected


def test_a_plain_chain_without_known_inputs_is_a_column():
    layers = [layer("one", [], 10), layer("two", [], 5)]
    ax = plots.architecture(SimpleNamespace(name="chain", layers=layers))
    at = {text.get_text(): text.get_position() for text in ax.texts}
    assert at["one"][0] == at["two"][0] and at["one"][1] > at["two"][1]
    assert len(arrows(ax)) == 1


def test_architecture_of_keras_models():
    import keras

    inputs = keras.Input((6,), name="features")
    shared = keras.layers.Dense(6, name="shared")
    left = shared(inputs)  # a layer that is used twice, and branches
    right = keras.layers.Dense(4, name="right")(shared(left))
    both = keras.layers.Concatenate(name="both")([keras.layers.ReLU(name="left")(left), right])
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(both), name="odd")
    ax = plots.architecture(model)
    assert ax.get_title() == f"odd: {model.count_params()} parameters"
    shown = texts(ax.texts)
    after = dict(itertools.pairwise(shown))
    expected = {"right": "4 · 28 parameters", "both": "10", "out": "2 · 22 parameters"}
    assert {name: after[name] for name in expected} == expected
    ends = [keras.layers.Dense(3, name=name) for name in ("first", "third")]
    chain = keras.Sequential(
        [keras.Input((3,)), ends[0], keras.layers.ReLU(name="second"), ends[1]]
    )
    assert {"first, second", "third"} <= set(texts(plots.architecture(chain).texts))


def test_plots_and_evaluation_are_light():
    script = (
        "import sys, ser.evaluation; assert not {'matplotlib', 'sklearn'} & set(sys.modules);"
        "import ser.plots; assert not {'keras', 'tensorflow', 'librosa'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.real
def test_real_speech_can_be_drawn():
    folder = Path(os.environ.get("SER_CORPORA", "")) / "ravdess" / "Actor_01"
    found = sorted(folder.rglob("*.flac")) + sorted(folder.rglob("*.wav"))
    if not os.environ.get("SER_CORPORA") or not found:
        pytest.skip("no RAVDESS: set SER_CORPORA to the folder that holds it")
    from ser import audio

    samples = audio.load(found[0], audio.AudioConfig(sample_rate_hz=SAMPLE_RATE_HZ))
    _, axes = plt.subplots(2, 1, layout="constrained")
    for draw, ax in zip((plots.waveform, plots.spectrogram), axes, strict=True):
        draw(samples, SAMPLE_RATE_HZ, ax)
    assert len({ax.get_xlim() for ax in axes}) == 1  # they line up
