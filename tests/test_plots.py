"""What is drawn is what was given, labelled with units, and nothing is cut off."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.text import Text

from ser import plots
from ser.config import FeatureConfig
from ser.features import extraction as features

EIGHT = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SAMPLE_RATE_HZ = 22_050


@pytest.fixture(autouse=True)
def no_figure_left_open():
    """Each test begins without figures; what it opens is closed."""
    plt.close("all")
    yield
    plt.close("all")


def sound(duration_s=1.5):
    times_s = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * 1000 * times_s)).astype(np.float32)


def costs():
    rows = [
        ("small", 4, 0.4, 0.3, 0.5),
        ("small", 16, 0.5, 0.4, 0.6),
        ("big", 8, 0.6, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=["name", "speakers", "uar", "low", "high"])


def history(n_epochs=30):
    epochs = np.arange(1, n_epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "loss": 2.0 / epochs,
            "accuracy": 1 - 0.8 / epochs,
            "uar": 1 - 0.85 / epochs,
            "val_loss": 0.5 + 0.001 * (epochs - 12.0) ** 2,
            "val_accuracy": 0.6 - 0.4 / epochs,
            "val_uar": 0.6 - 0.0005 * (epochs - 20.0) ** 2,
        }
    )


def bins():
    edges = np.linspace(0, 1, 6)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "n_clips": [0, 10, 20, 30, 40],
            "confidence": [np.nan, 0.3, 0.5, 0.7, 0.9],
            "accuracy": [np.nan, 0.35, 0.5, 0.5, 0.8],
        }
    )


def clips():
    rng = np.random.default_rng(0)
    corpora = ["crema_d", "emodb", "ravdess", "savee", "tess"]
    return pd.DataFrame(
        {
            "corpus": rng.choice(corpora, 3000, p=[0.5, 0.1, 0.2, 0.05, 0.15]),
            "emotion": rng.choice([*EIGHT, ""], 3000),
            "duration_s": rng.uniform(1.2, 5.4, 3000),
        }
    )


def speakers(n_speakers=24):
    return {
        f"ravdess/{i + 1:02d}": {"uar": (7 * i % n_speakers) / n_speakers, "sex": sex}
        for i, sex in zip(range(n_speakers), ["male", "female"] * n_speakers, strict=False)
    }


def counts():
    return np.eye(8, dtype=int) * 90 + np.arange(64).reshape(8, 8)


def result(score, low, high):
    return {
        name: {"mean": score, "std": 0.01, "interval_95": [low, high]}
        for name in ("uar", "accuracy", "macro_f1")
    }


def layer(name, source, *shape, parameters=0, kind="Dense"):
    """What `plots.architecture` looks at of a Keras layer."""
    made = type(kind, (), {})()
    made.name = name
    made.output = SimpleNamespace(shape=(None, *shape))
    inputs = [one.output for one in source]
    made.input = inputs[0] if len(inputs) == 1 else inputs
    made.count_params = lambda: parameters
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


def rungs():
    """Two recipes on four rungs: one with a claim, one without."""
    accuracy = np.array([0.95, 0.8, 0.7, 0.4, 0.6, 0.55, 0.5, 0.45])
    return pd.DataFrame(
        {
            "recipe": ["one"] * 4 + ["two"] * 4,
            "rung": list("abcd") * 2,
            "accuracy": accuracy,
            "accuracy_low": accuracy - 0.05,
            "accuracy_high": accuracy + 0.04,
            "chance": 0.125,
            "claim_low": [0.6] * 4 + [None] * 4,
            "claim_high": [0.65] * 4 + [None] * 4,
        }
    )


def conditions(fall=0.1):
    """Three conditions, each worse than the one before; the last without an interval."""
    uar = 0.7 - fall * np.arange(3)
    names = ["as recorded", "telephone, 8 kHz", "noise, 5 dB"]
    low, high = uar - 0.05, np.array([*(uar[:2] + 0.05), np.nan])
    return pd.DataFrame({"condition": names, "uar": uar, "low": low, "high": high})


def stretches():
    """Three stretches of speech, two answers."""
    spans = [(0.1, 0.8, "angry"), (1.0, 1.5, "sad"), (1.6, 2.4, "angry")]
    return [SimpleNamespace(start_s=a, end_s=b, label=label) for a, b, label in spans]


def pairs():
    """Three corpora, each on the others; the second's speakers are too few for an interval."""
    return {
        "emodb": {
            "savee": {"uar": 0.41, "interval_95": None},
            "tess": {"uar": 0.3, "interval_95": (0.2, 0.45)},
        },
        "savee": {"emodb": {"uar": 0.72, "interval_95": (0.66, 0.79)}},
    }


def curve():
    """A model that is right more often where it is surer."""
    confidence = np.linspace(1, 0.2, 81)
    return pd.DataFrame(
        {"threshold": confidence, "coverage": np.arange(1, 82) / 81, "accuracy": confidence}
    )


TIMES_S = (np.arange(20) + 0.5) * 0.1
WEIGHTS = np.where(TIMES_S < 1.5, np.hanning(20), 0) / np.hanning(20)[TIMES_S < 1.5].sum()

# name: (draw, labels of the axes)
ALL = {
    "training_curves": (lambda ax: plots.training_curves(history(), ax), None),
    "confusion_matrix": (
        lambda ax: plots.confusion_matrix(counts(), EIGHT, ax),
        ("predicted class", "true class (number of decisions)"),
    ),
    "reliability_diagram": (
        lambda ax: plots.reliability_diagram(bins(), ax),
        ("confidence (%)", "accuracy (%)"),
    ),
    "confidence_histogram": (
        lambda ax: plots.confidence_histogram(np.linspace(0.2, 1, 99), np.arange(99) > 50, ax),
        ("confidence of the decision (%)", "number of decisions"),
    ),
    "confidence_by_class": (
        lambda ax: plots.confidence_by_class(
            np.arange(96) % 8, np.linspace(0.2, 1, 96), np.arange(96) > 50, EIGHT, ax
        ),
        ("confidence of the decision (%)", ""),
    ),
    "risk_coverage": (
        lambda ax: plots.risk_coverage(curve(), ax, threshold=0.6),
        ("clips that get an answer (%)", "accuracy of the answers (%)"),
    ),
    "ladder": (lambda axes: plots.ladder(rungs(), 0.45, axes), ("", "test accuracy (%)")),
    "score_against": (
        lambda ax: plots.score_against(costs(), "speakers", ax, chance=0.125),
        ("speakers", "UAR (%)"),
    ),
    "attention_over_spectrogram": (
        lambda ax: plots.attention_over_spectrogram(
            np.random.default_rng(0).normal(size=24_000), 16_000, WEIGHTS, TIMES_S, ax
        ),
        ("time (s)", "frequency (Hz)"),
    ),
    "timeline": (
        lambda ax: plots.timeline(np.sin(np.arange(40_000)), 16_000, stretches(), EIGHT, ax),
        ("time (s)", "amplitude\n(full scale is 1)"),
    ),
    "robustness": (
        lambda ax: plots.robustness({"ours": conditions()}, ax, chance=0.125),
        ("UAR (%)", ""),
    ),
    "cross_corpus": (
        lambda ax: plots.cross_corpus(pairs(), ax),
        ("tested on", "trained on"),
    ),
    "metric_bars": (
        lambda ax: plots.metric_bars(
            {"train": {"uar": 1.0, "accuracy": 1.0}, "test": result(0.5, 0.4, 0.6)},
            ax,
            chance=0.125,
        ),
        ("", "score (%)"),
    ),
    "per_speaker_recall": (
        lambda ax: plots.per_speaker_recall(speakers(), ax),
        ("speaker", "UAR of the speaker (%)"),
    ),
    "probabilities": (
        lambda ax: plots.probabilities(EIGHT, np.array([0, 0, 1, 0, 0, 0, 0, 0]), ax),
        ("probability (%)", ""),
    ),
    "waveform": (
        lambda ax: plots.waveform(sound(), SAMPLE_RATE_HZ, ax),
        ("time (s)", "amplitude\n(full scale is 1)"),
    ),
    "spectrogram": (
        lambda ax: plots.spectrogram(sound(), SAMPLE_RATE_HZ, ax),
        ("time (s)", "frequency (Hz)"),
    ),
    "mfcc": (lambda ax: plots.mfcc(sound(), SAMPLE_RATE_HZ, ax), ("time (s)", "MFCC index")),
    "feature_map": (
        lambda ax: plots.feature_map(np.eye(30, 12), SAMPLE_RATE_HZ, ax),
        ("time (s)", "feature index"),
    ),
    "attention_over_waveform": (
        lambda ax: plots.attention_over_waveform(sound(), SAMPLE_RATE_HZ, WEIGHTS, TIMES_S, ax),
        ("time (s)", "amplitude\n(full scale is 1)"),
    ),
    "class_counts": (
        lambda ax: plots.class_counts(clips(), ax),
        ("emotion", "number of clips"),
    ),
    "duration_histogram": (
        lambda ax: plots.duration_histogram(clips(), ax),
        ("duration (s)", "clips of the corpus (%)"),
    ),
    "architecture": (lambda ax: plots.architecture(branched_model(), ax), ("", "")),
}


def visible_texts(figure):
    figure.canvas.draw()
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text.get_window_extent().width
    ]


def shown_in(ax):
    """Texts of ticks lie outside the axis' view where the tick itself is not drawn."""
    return {text for axis in (ax.xaxis, ax.yaxis) for text in axis.get_ticklabels(which="both")}


def drawn_texts(figure):
    figure.canvas.draw()  # places the ticks
    hidden = set()
    for ax in figure.axes:
        if not ax.axison:
            hidden |= shown_in(ax) | {ax.xaxis.label, ax.yaxis.label}
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            low, high = sorted((low, high))
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {tick.label1, tick.label2}
    return [text for text in visible_texts(figure) if text not in hidden]


def first(axes):
    return np.ravel(np.asarray(axes, dtype=object))[0]


# All of them ------------------------------------------------------------------------------------


def test_every_public_plot_is_tested():
    helpers = {"STYLE", "mark_demo", "restyle", "style", "use_style"}
    helpers |= {"explanation"}  # a whole figure, of a model: see test_export.py
    assert set(plots.__all__) - helpers == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_plot_makes_one_labelled_figure_and_shows_nothing(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("a plot must not show()"))
    settings = dict(plt.rcParams)
    draw, labels = ALL[name]
    ax = first(draw(None))
    assert plt.get_fignums() == [ax.figure.number]
    assert dict(plt.rcParams) == settings
    if labels:
        assert (ax.get_xlabel(), ax.get_ylabel()) == labels


@pytest.mark.parametrize("name", ALL)
def test_a_plot_draws_into_the_axes_it_is_given(name):
    several = name in ("training_curves", "ladder")
    _, given = plt.subplots(1, 2 if several else 1, squeeze=False)
    given = given[0] if several else given[0, 0]
    drawn = ALL[name][0](given)
    assert first(drawn) is first(given)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("name", ALL)
def test_no_text_is_cut_off_and_the_demo_mark_is_seen(name):
    with plots.style():
        axes = ALL[name][0](None)
        plots.mark_demo(axes)
        figure = first(axes).figure
        texts = drawn_texts(figure)
    assert "demo corpus" in [text.get_text() for text in texts]
    frame = figure.bbox
    for text in texts:
        box = text.get_window_extent()
        inside = (box.x0 >= -1, box.y0 >= -1, box.x1 <= frame.x1 + 1, box.y1 <= frame.y1 + 1)
        assert all(inside), f"{text.get_text()!r} leaves the figure"


@pytest.mark.parametrize("name", ALL)
def test_no_two_texts_overlap(name):
    with plots.style():
        axes = ALL[name][0](None)
        plots.mark_demo(axes)
        texts = drawn_texts(first(axes).figure)
    upright = [text for text in texts if text.get_rotation() in (0, 90)]
    boxes = [text.get_window_extent() for text in upright]
    for i, one in enumerate(boxes):
        for j in range(i):
            low_x, high_x = max(one.x0, boxes[j].x0), min(one.x1, boxes[j].x1)
            low_y, high_y = max(one.y0, boxes[j].y0), min(one.y1, boxes[j].y1)
            overlap = high_x - low_x > 1 and high_y - low_y > 2
            assert not overlap, f"{upright[i].get_text()!r} over {upright[j].get_text()!r}"


def test_the_check_for_cut_text_can_fail():
    figure, ax = plt.subplots()
    ax.text(1.4, 0.5, "far outside", transform=ax.transAxes)
    box = next(t for t in drawn_texts(figure) if t.get_text() == "far outside").get_window_extent()
    assert box.x1 > figure.bbox.x1


def test_what_others_drew_can_be_given_our_look():
    with plt.style.context("ggplot"):
        _, ax = plt.subplots()
        (line,) = ax.plot([1, 2], [3, 4], color="green")
        assert ax.get_facecolor() != (1, 1, 1, 1)
    plots.restyle(ax)
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert [ax.spines[side].get_visible() for side in ("top", "right", "left")] == [0, 0, 1]
    assert line.get_color() == "green"
    plt.close("all")


def test_style_is_left_as_it_was_and_use_style_stays():
    before = dict(plt.rcParams)
    with plots.style():
        assert plt.rcParams["axes.grid"] is True
        assert list(plt.rcParams["figure.figsize"]) == [8.0, 4.5]
    assert dict(plt.rcParams) == before
    with plt.rc_context():
        plots.use_style()
        assert plt.rcParams["axes.titlelocation"] == "left"


def test_the_demo_mark_goes_on_every_panel():
    axes = plt.subplots(2, 2)[1]
    plots.mark_demo(axes)
    assert all(ax.get_title(loc="right") == "demo corpus" for ax in axes.flat)


# One by one -------------------------------------------------------------------------------------


def line(ax, label):
    return next(one for one in ax.lines if str(one.get_label()).strip().startswith(label))


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def heights(ax):
    return [[patch.get_height() for patch in bars] for bars in ax.containers]


def test_a_timeline_has_one_colour_for_each_answer():
    ax = plots.timeline(np.ones((50_000, 2)) / 2, 16_000, stretches(), EIGHT)
    spans = [patch for patch in ax.patches if patch.get_alpha() == 0.35]
    assert [span.get_x() for span in spans] == pytest.approx([0.1, 1.0, 1.6])
    colours = [span.get_facecolor() for span in spans]
    assert colours[0] == colours[2] != colours[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["angry", "sad"]
    assert ax.get_xlim() == pytest.approx((0, 50_000 / 16_000), abs=0.01)
    assert plots.timeline(np.ones(100), 16_000, [], EIGHT).get_legend() is None


def test_robustness_goes_from_top_to_bottom():
    ax = plots.robustness({"first": conditions(), "second": conditions(0.2)}, chance=0.125)
    assert [label.get_text() for label in ax.get_yticklabels()] == conditions()[
        "condition"
    ].tolist()
    assert ax.yaxis_inverted()
    points = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[1].get_xdata(), [0.7, 0.5, 0.3])
    assert (points[0].get_ydata() != points[1].get_ydata()).all()
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["first", "second"]


def test_a_score_against_a_cost():
    ax = plots.score_against(costs(), "speakers", label="training speakers")
    assert ax.get_xlabel() == "training speakers"
    small, big = ax.get_lines()
    assert (small.get_xdata().tolist(), big.get_xdata().tolist()) == ([4, 16], [8])
    (whiskers,) = ax.collections  # no interval, no whisker
    assert [line[:, 1].tolist() for line in whiskers.get_segments()] == [[0.3, 0.5], [0.4, 0.6]]
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["4", "8", "16"]
    apart = costs().assign(speakers=[1e3, 1e6, 4e3])
    assert len(plots.score_against(apart, "speakers").get_xticks()) > 3
    plt.close("all")


def test_training_curves_draw_the_history():
    told = history()
    loss, accuracy = plots.training_curves(told)
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss (cross-entropy, nats)")
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "accuracy and UAR (%)")
    for ax, label, column in (
        (loss, "training", "loss"),
        (loss, "validation", "val_loss"),
        (accuracy, "training accuracy", "accuracy"),
        (accuracy, "validation accuracy", "val_accuracy"),
        (accuracy, "validation UAR", "val_uar"),
    ):
        drawn = line(ax, label)
        assert drawn.get_xdata().tolist() == told["epoch"].tolist()
        assert drawn.get_ydata().tolist() == told[column].tolist()


@pytest.mark.parametrize(("monitor", "epoch"), [("val_loss", 12), ("val_uar", 20)])
def test_training_curves_mark_the_epoch_that_was_kept(monitor, epoch):
    for ax in plots.training_curves(history(), monitor=monitor):
        kept = line(ax, "epoch kept")
        assert list(kept.get_xdata()) == [epoch, epoch]
        assert kept.get_label() == f"epoch kept: {epoch} (best {monitor})"


def test_training_curves_give_the_trend_with_its_coefficients():
    loss, accuracy = plots.training_curves(history())
    # 0.5 + 0.001 (e - 12)^2 is itself of degree 2
    fits = [one for one in loss.lines if "fit" in str(one.get_label())]
    assert "fit: 0.001 e$^2$ − 0.024 e + 0.644" in fits[1].get_label()
    assert fits[1].get_ydata() == pytest.approx(history()["val_loss"].to_numpy())
    assert {one.get_linestyle() for one in fits} == {"--"}
    assert sum("fit" in text for text in legend_texts(accuracy)) == 2  # not of UAR


def test_a_small_coefficient_is_written_as_a_power_of_ten():
    told = history().assign(val_loss=lambda one: 1 - 2.5e-4 * one["epoch"] ** 2)
    label = [str(one.get_label()) for one in plots.training_curves(told)[0].lines][3]
    assert label.strip().startswith("fit: −2.5·10$^{-4}$ e$^2$ ")


def test_curves_without_validation():
    without = history().assign(val_loss=np.nan, val_accuracy=np.nan, val_uar=np.nan)
    loss, accuracy = plots.training_curves(without, monitor="epoch")
    for ax in (loss, accuracy):
        names = [line.get_label() for line in ax.get_lines()]
        assert not any("validation" in name for name in names)
        assert "epoch kept: 30 (the last)" in names
    assert 2 < loss.get_ylim()[1] < 2.2


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_a_short_history_has_no_trend(n_epochs):
    axes = plots.training_curves(history(n_epochs))
    assert not any("fit" in text for ax in axes for text in legend_texts(ax))


def test_confusion_matrix_shows_percent_of_each_row_and_its_size():
    ax = plots.confusion_matrix(np.array([[150, 50], [0, 1000]]), ("calm", "sad"))
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0, 1]]
    assert [text.get_text() for text in ax.texts] == ["75", "25", "", "100"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["calm (200)", "sad (1,000)"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["calm", "sad"]


def test_confusion_matrix_tells_few_from_none():
    ax = plots.confusion_matrix(np.array([[999, 1], [0, 0]]), ("calm", "sad"))
    assert [text.get_text() for text in ax.texts] == ["100", "<1", "–", "–"]


def test_numbers_in_the_confusion_matrix_stand_out():
    shares = np.arange(0, 101, 100 // 7)[:8]  # the diagonal goes from none to nearly all
    ax = plots.confusion_matrix(np.diag(shares) + np.diag(100 - shares)[:, ::-1], EIGHT)
    picture = ax.images[0]
    for text, share in zip(ax.texts, picture.get_array().ravel(), strict=True):
        background = luminance(picture.cmap(picture.norm(share)))
        ink = 1.0 if text.get_color() == "white" else 0.0
        contrast = (max(ink, background) + 0.05) / (min(ink, background) + 0.05)
        assert contrast > 3  # WCAG 2.1, large or bold text


def luminance(colour):
    channels = np.array(colour[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_risk_coverage_marks_the_threshold():
    ax = plots.risk_coverage(curve(), threshold=0.6)
    _, everything, mark = ax.get_lines()
    assert everything.get_label() == "all answers: 20 % right"
    assert mark.get_label() == "confidence from 60 %: 51 % of the clips, 60 % right"
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((41 / 81, 0.6))


def test_reliability_diagram_leaves_out_empty_bins():
    ax = plots.reliability_diagram(bins())
    accuracy, gap = heights(ax)
    assert accuracy == [0.35, 0.5, 0.5, 0.8]
    assert gap == pytest.approx([-0.05, 0, 0.2, 0.1])
    error = (0.05 * 10 + 0.2 * 30 + 0.1 * 40) / 100
    assert f"calibration error {100 * error:.1f} %" in legend_texts(ax)


def test_confidence_histogram_counts_right_and_wrong():
    confidence = np.array([0.31, 0.41, 0.42, 0.91, 0.92])
    ax = plots.confidence_histogram(confidence, np.array([0, 0, 0, 1, 1], bool))
    assert legend_texts(ax) == [
        "right: 2 decisions, median 92 %",
        "wrong: 3 decisions, median 41 %",
    ]
    assert [one.get_xdata()[0] for one in ax.lines] == pytest.approx([0.915, 0.41])


def test_confidence_by_class_puts_each_clip_with_its_true_class():
    truth = np.array([0, 0, 0, 1, 1, 1])
    confidence = np.array([0.2, 0.3, 0.4, 0.7, 0.8, 0.9])
    correct = np.array([1, 1, 1, 0, 0, 0], bool)
    ax = plots.confidence_by_class(truth, confidence, correct, ("calm", "sad"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["calm", "sad"]
    assert legend_texts(ax) == ["right", "wrong"]
    medians = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert {0.3, 0.8} <= {round(float(value), 3) for value in medians}


def test_confidence_histogram_of_a_model_that_is_never_wrong():
    ax = plots.confidence_histogram(np.array([0.5, 0.6]), np.array([True, True]))
    assert legend_texts(ax)[1] == "wrong: 0 decisions"


def test_metric_bars_take_whole_metrics_groups_and_plain_numbers():
    groups = {
        "train": {"uar": 0.9},
        "crema_d": {"uar": 0.3, "interval_95": [0.25, 0.35], "accuracy": 0.31},
        "test": result(0.5, 0.45, 0.58),
        "one speaker": {"uar": 0.7, "interval_95": None},
    }
    ax = plots.metric_bars(groups, names=("uar", "accuracy"), chance=0.125)
    assert heights(ax) == [[0.9], [0.3], [0.5], [0.7], [0.31], [0.5]]
    whiskers = [path.vertices[:, 1].tolist() for one in ax.collections for path in one.get_paths()]
    assert whiskers == [[0.25, 0.35], [0.45, 0.58], [0.45, 0.58]]
    assert [text.get_text() for text in ax.texts] == [
        "90.0",
        "30.0",
        "50.0",
        "70.0",
        "31.0",
        "50.0",
    ]
    assert sorted(legend_texts(ax)) == ["UAR", "accuracy", "chance (12.5 %)"]
    assert [text.get_text() for text in ax.get_xticklabels()] == list(groups)


def test_cross_corpus_has_a_row_per_corpus_trained_on():
    ax = plots.cross_corpus(pairs())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["emodb", "savee"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["emodb", "savee", "tess"]
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {
        **dict.fromkeys(((0, 0), (1, 1), (2, 1)), "–"),
        (1, 0): "41",
        (2, 0): "30\n20 to 45",
        (0, 1): "72\n66 to 79",
    }


def test_per_speaker_recall_is_sorted_and_coloured_by_sex():
    told = {
        "ravdess/01": {"uar": 0.5, "sex": "male"},
        "ravdess/02": {"uar": 0.2, "sex": "female"},
        "ravdess/03": {"uar": 0.8, "sex": "male"},
    }
    ax = plots.per_speaker_recall(told)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["02", "01", "03"]
    bars = sorted((p for one in ax.containers for p in one), key=lambda patch: patch.get_x())
    assert [bar.get_height() for bar in bars] == [0.2, 0.5, 0.8]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours[0] != colours[1] == colours[2]
    assert "male (n = 2, mean 65.0 %)" in legend_texts(ax)
    assert line(ax, "mean of all").get_ydata()[0] == pytest.approx(0.5)


def test_speakers_without_a_known_sex_and_in_great_number():
    ax = plots.per_speaker_recall({f"x/{i}": {"uar": i / 100} for i in range(91)})
    assert ax.get_xlabel() == "91 speakers, lowest first"
    assert "speakers (n = 91, mean 45.0 %)" in legend_texts(ax)


def test_probabilities_point_out_the_largest():
    ax = plots.probabilities(("angry", "calm", "sad"), np.array([0.2, 0.7, 0.1]))
    (bars,) = (one for one in ax.containers if isinstance(one, BarContainer))
    assert [bar.get_width() for bar in bars] == [0.2, 0.7, 0.1]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours[0] == colours[2] != colours[1]
    assert ax.yaxis_inverted()
    assert [text.get_text() for text in ax.texts] == ["20.0", "70.0", "10.0"]


def test_waveform_is_in_seconds():
    samples = sound()
    ax = plots.waveform(samples, SAMPLE_RATE_HZ)
    assert ax.lines[0].get_ydata() == pytest.approx(samples)
    assert ax.lines[0].get_xdata()[SAMPLE_RATE_HZ] == 1.0
    assert ax.get_xlim() == (0, 1.5)
    low, high = ax.get_ylim()
    assert low == -high < -0.5


def test_silence_can_be_drawn():
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)
    for draw in (plots.waveform, plots.spectrogram, plots.mfcc):
        draw(silence, SAMPLE_RATE_HZ).figure.canvas.draw()


def test_spectrogram_has_a_tone_where_it_is():
    ax = plots.spectrogram(sound(), SAMPLE_RATE_HZ)
    picture = ax.collections[0]
    values = picture.get_array().reshape(128, -1)
    loudest = np.unravel_index(np.argmax(values), values.shape)[0]
    heights_hz = np.unique(np.asarray(picture.get_coordinates())[..., 1])
    middles_hz = librosa.mel_frequencies(n_mels=128, fmax=SAMPLE_RATE_HZ / 2)
    assert abs(heights_hz[loudest : loudest + 2].mean() - 1000) < 40
    assert abs(middles_hz[loudest] - 1000) < 40
    assert (values.max(), values.min() >= -80.001) == (0, True)
    assert ax.figure.axes[1].get_ylabel() == "level (dB re maximum)"


def test_mfcc_are_those_of_the_front_end():
    config = FeatureConfig(n_mfcc=13, hop_length=256)
    ax = plots.mfcc(sound(), SAMPLE_RATE_HZ, config=config)
    expected = features.extract(sound(), SAMPLE_RATE_HZ, config)
    assert np.asarray(ax.images[0].get_array()) == pytest.approx(expected.T)
    left, right, *_ = ax.images[0].get_extent()
    step_s = 256 / SAMPLE_RATE_HZ
    assert (left, right) == pytest.approx((-step_s / 2, (len(expected) - 0.5) * step_s))


def test_feature_map_is_symmetric_about_zero_and_not_ruled_by_the_first_feature():
    values = np.random.default_rng(0).normal(size=(100, 5))
    values[:, 0] = -500
    low, high = plots.feature_map(values, SAMPLE_RATE_HZ).images[0].get_clim()
    assert low == -high
    assert 2 < high < 4


def test_attention_is_drawn_at_its_time_and_padding_is_not():
    ax = plots.attention_over_waveform(sound(), SAMPLE_RATE_HZ, WEIGHTS, TIMES_S)
    right = next(one for one in ax.figure.axes if one is not ax)
    values, edges, _ = right.patches[0].get_data()
    assert values == pytest.approx(100 * WEIGHTS[TIMES_S < 1.5])
    assert edges == pytest.approx(np.arange(16) * 0.1)
    assert right.get_ylabel() == "attention (% of clip)"
    assert ax.get_xlim() == (0, 1.5)


def test_class_counts_add_up():
    table = clips()
    ax = plots.class_counts(table)
    totals = np.sum([[patch.get_height() for patch in bars] for bars in ax.containers], axis=0)
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names[-1] == "other"
    for name, total, text in zip(names, totals, ax.texts, strict=True):
        assert total == (table["emotion"] == name.replace("other", "")).sum()
        assert text.get_text() == f"{total:,.0f}"
    assert f"crema_d ({(table['corpus'] == 'crema_d').sum():,} clips)" in legend_texts(ax)
    assert len({to_hex(bars[0].get_facecolor()) for bars in ax.containers}) == 5


def test_duration_histogram_compares_corpora_of_any_size():
    table = pd.DataFrame({"corpus": ["a"] * 3 + ["b"], "duration_s": [1.0, 1.0, 2.0, 2.0]})
    ax = plots.duration_histogram(table, n_bins=2)
    tops = [patch.get_xy()[:, 1].max() for patch in ax.patches[::2]]
    assert tops == pytest.approx([200 / 3, 100])
    assert legend_texts(ax) == ["a (median 1.0 s)", "b (median 2.0 s)"]


def test_architecture_names_every_layer_once_with_shape_and_parameters():
    ax = plots.architecture(branched_model())
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert sorted(", ".join(texts[::2]).split(", ")) == sorted(
        one.name for one in branched_model().layers
    )
    assert "conv, norm" in texts  # same shape: one block
    assert "174×40×16 · 224 parameters" in texts
    assert "87×256 · 1,000,000 parameters" in texts
    assert ax.get_title() == "branched: 1,000,224 parameters"


def test_architecture_draws_what_feeds_what():
    ax = plots.architecture(branched_model())
    tops = {text.get_text(): text.get_position() for text in ax.texts}
    assert tops["features"][1] > tops["conv, norm"][1] > tops["lstm"][1] > tops["average"][1]
    assert tops["mask"][1] == tops["pool"][1]  # side by side, just above what needs them
    assert tops["mask"][0] > tops["pool"][0]
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 8  # one per pair of blocks that are connected


def test_a_plain_chain_without_known_inputs_is_a_column():
    first_layer = layer("one", [], 10)
    second = layer("two", [], 5)
    ax = plots.architecture(SimpleNamespace(name="chain", layers=[first_layer, second]))
    positions = {text.get_text(): text.get_position() for text in ax.texts}
    assert positions["one"][0] == positions["two"][0]
    assert positions["one"][1] > positions["two"][1]
    assert len([text for text in ax.texts if getattr(text, "arrow_patch", None)]) == 1


def test_architecture_of_a_keras_model_with_branches_and_a_layer_that_is_used_twice():
    import keras

    inputs = keras.Input((6,), name="features")
    shared = keras.layers.Dense(6, name="shared")
    left = shared(inputs)
    right = keras.layers.Dense(4, name="right")(shared(left))
    both = keras.layers.Concatenate(name="both")([keras.layers.ReLU(name="left")(left), right])
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(both), name="odd")
    ax = plots.architecture(model)
    texts = [text.get_text() for text in ax.texts]
    assert ax.get_title() == f"odd: {model.count_params()} parameters"
    for name, detail in (
        ("right", "4 · 28 parameters"),
        ("both", "10"),
        ("out", "2 · 22 parameters"),
    ):
        assert detail == texts[texts.index(name) + 1]
    layers = [keras.layers.Dense(3, name=name) for name in ("first", "third")]
    sequential = keras.Sequential(
        [keras.Input((3,)), layers[0], keras.layers.ReLU(name="second"), layers[1]]
    )
    titles = [text.get_text() for text in plots.architecture(sequential).texts]
    assert "first, second" in titles and "third" in titles


def test_plots_and_evaluation_are_light():
    """Neither brings Keras, and `evaluation` no Matplotlib either."""
    script = (
        "import sys, ser.evaluation; assert 'matplotlib' not in sys.modules;"
        "import ser.plots; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.real
def test_real_speech_can_be_drawn():
    folder = Path(os.environ.get("SER_CORPORA", "")) / "ravdess" / "Actor_01"
    found = sorted(folder.glob("*.flac")) if os.environ.get("SER_CORPORA") else []
    if not found:
        pytest.skip("no RAVDESS: set SER_CORPORA to the folder that holds it")
    samples, sample_rate_hz = librosa.load(found[0], sr=SAMPLE_RATE_HZ)
    _, axes = plt.subplots(3, 1, layout="constrained")
    plots.waveform(samples, sample_rate_hz, axes[0])
    plots.spectrogram(samples, sample_rate_hz, axes[1])
    plots.mfcc(samples, sample_rate_hz, axes[2])
    assert len({ax.get_xlim() for ax in axes}) == 1  # they line up
