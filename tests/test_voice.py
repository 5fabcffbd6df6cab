"""A model gets used to a voice, and answers among the classes there can be."""

import itertools

import numpy as np
import pytest
from conftest import SMALL, one_line
from test_cli import root, ser  # noqa: F401  a fixture

from ser import evaluation
from ser.audio import open_any
from ser.experiments import predictions_of
from ser.inference import load_model, voice
from ser.inference.bundle import read_card

CLASSES = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
N = len(CLASSES)
RELEASED = sorted(file.parent for file in SMALL.parent.glob("*/bundle.json"))


def answers(labels, offset, rng, noise=0.6):
    """Probabilities of clips of a speaker whose logarithms all lie off by `offset`."""
    logs = 2.5 * np.eye(N)[labels] + offset + rng.normal(0, noise, (len(labels), N))
    return np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def spread():
    """What 60 speakers of two corpora teach."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(N), 60 * 4)
    speakers = np.repeat(np.arange(60), 4 * N)
    found = [answers(labels[speakers == s], rng.normal(0, 1.2, N), rng) for s in range(60)]
    return voice.fit(np.concatenate(found), labels, speakers, speakers % 2)


def gain(spread, labels, rng, **more):
    """Accuracy on other clips of 40 new speakers, with adaptation less without."""
    gained = []
    for _ in range(40):
        offset = rng.normal(0, 1.2, N)
        found = voice.offset(answers(labels, offset, rng), spread, **more)
        truth = np.tile(np.arange(N), 10)
        values = answers(truth, offset, rng)
        right = [(v.argmax(axis=1) == truth).mean() for v in (voice.shifted(values, found), values)]
        gained.append(right[0] - right[1])
    return np.mean(gained)


def test_the_basis_is_orthonormal_and_holds_what_sums_to_zero():
    basis = voice.basis(N)
    np.testing.assert_allclose(basis.T @ basis, np.eye(N - 1), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)


def test_mixed_clips_of_a_voice_help_and_more_of_them_more(spread):
    rng = np.random.default_rng(1)
    gains = [gain(spread, rng.permutation(N * 3)[:n] % N, rng) for n in (2, 5, 20)]
    assert gains[0] > 0
    assert gains[2] > gains[1] > 0.05
    assert gains[2] > 0.1


@pytest.mark.parametrize("emotion", [0, 4])
def test_one_emotion_alone_does_no_harm(spread, emotion):
    assert gain(spread, np.full(20, emotion), np.random.default_rng(2)) > -0.01


def test_what_is_known_to_be_neutral_helps_more_than_what_is_not(spread):
    labels = np.full(3, CLASSES.index("neutral"))
    told = gain(spread, labels, np.random.default_rng(3), known=labels)
    assert told > gain(spread, labels, np.random.default_rng(3)) + 0.02


def test_what_cannot_be_explains_nothing(spread):
    """Clips that look sad shift a voice where sad is not possible, and hardly where it is."""
    values = answers(np.full(10, CLASSES.index("sad")), 0.0, np.random.default_rng(4))
    free = voice.offset(values, spread)
    found = voice.offset(values, spread, possible=np.array([0, 4]))
    assert found[5] > free[5] + 0.5
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_restricted_probabilities_are_shared_out_anew(demo_shelf):
    clip = sorted(demo_shelf.rglob("*.opus"))[0]
    model = load_model(SMALL)
    few = model.restricted(["sad", "angry"])
    assert few.classes == ("angry", "sad")
    every, two = model.predict(clip).probabilities, few.predict(clip).probabilities
    assert two["angry"] == pytest.approx(every["angry"] / (every["angry"] + every["sad"]), rel=1e-4)
    assert sum(two.values()) == pytest.approx(1)
    assert len(model.classes) == N
    with one_line("no class 'angri'", "Did you mean 'angry'"):
        model.restricted(["angri", "sad"])
    with one_line("two classes or more, found sad"):
        model.restricted(["sad", "sad"])


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_the_threshold_keeps_its_promise_among_any_classes(folder):
    """What the card promises of all classes holds within two points for every choice of them."""
    about = read_card(folder)
    report = SMALL.parents[1] / "reports" / about["recipe"]["name"] / about["protocol"]
    predictions = predictions_of(report)
    predictions = predictions[predictions["seed"] == predictions["seed"].min()]
    found = evaluation.with_temperature(predictions, CLASSES, about["temperature"])
    truth = evaluation.decisions(found, CLASSES)[0]
    values = found[list(CLASSES)].to_numpy()
    for number in (2, 3, 4, 5):
        for chosen in itertools.combinations(range(N), number):
            there = np.isin(truth, chosen)
            among = values[there][:, chosen]
            right = np.array(chosen)[among.argmax(axis=1)] == truth[there]
            given = among.max(axis=1) >= about["threshold"] * among.sum(axis=1)
            assert right[given].mean() > 0.78


def test_noise_before_speech_is_not_heard(demo_shelf):
    model = load_model(SMALL)
    noise = np.random.default_rng(0).normal(0, 10 ** (-45 / 20), 24_000).astype(np.float32)
    changes = []
    for clip in sorted(demo_shelf.rglob("03-01-05*01-0?.opus"))[:4]:
        samples, rate, _ = open_any(clip, None)
        late = np.concatenate([noise, samples[:, 0]])
        assert len(late) / rate < model.longest_s  # else it was heard in windows
        clean, *others = (
            np.array(list(found.values()))
            for found in (
                model.predict(samples, rate).probabilities,
                model.predict(late, rate).probabilities,
                model.hear(late, rate),
            )
        )
        changes.append([np.abs(other - clean).max() for other in others])
    placed, whole = np.mean(changes, axis=0)
    assert placed < 0.1 < 0.2 < whole


def test_adapting_subtracts_the_offset_of_the_clips_and_forgets_an_earlier_one(demo_shelf):
    asked, *clips = sorted(demo_shelf.rglob("*.opus"))[:7]  # the first is heard as one
    model = load_model(SMALL)
    plain = np.array([list(model.predict(clip).probabilities.values()) for clip in [asked, *clips]])
    found = voice.offset(plain[1:], model.card["voices"], np.full(6, -1))
    expected = voice.shifted(plain[0], found)
    assert np.abs(found).max() > 0.1
    once = model.adapt(clips)
    for adapted in (once, once.adapt(clips), model.adapt(clips[:2]).adapt(clips)):
        values = list(adapted.predict(asked).probabilities.values())
        np.testing.assert_allclose(values, expected, atol=1e-5)
    told = model.adapt(clips[:3], neutral=clips[3:]).predict(asked).probabilities
    assert told != once.predict(asked).probabilities
    few = model.restricted(["angry", "sad"]).adapt(clips)
    assert set(few.predict(asked).probabilities) == {"angry", "sad"}


def test_what_cannot_be_adapted_says_why(demo_shelf):
    model = load_model(SMALL)
    with one_line("no speech to get used to"):
        model.adapt([(np.full(16_000, 1e-6, np.float32), 16_000)])
    del model.card["voices"]
    with one_line("does not say how voices differ", "ser export"):
        model.adapt(sorted(demo_shelf.rglob("*.opus"))[:1])


def test_a_voice_and_classes_from_the_command_line(demo_shelf, root, capsys):  # noqa: F811
    clip = sorted(demo_shelf.rglob("*.opus"))[0]
    predict = ("predict", str(clip), "-m", str(SMALL), "--csv")
    assert ser(*predict, "--classes", "angry, sad", root=root) == 0
    assert "angry,sad" in capsys.readouterr().out
    assert ser(*predict, "--calibrate-on", str(clip.parent), root=root) == 0
    out, said = capsys.readouterr()
    assert f"calibrated on {len(list(clip.parent.iterdir()))} recordings" in said
    expected = load_model(SMALL).adapt(sorted(clip.parent.iterdir())).predict(clip)
    assert f"{expected.confidence:.4f}"[:5] in out
    assert ser(*predict, "--classes", "bored,sad", root=root) != 0
    assert "no class 'bored'" in capsys.readouterr().err
