"""Splits cannot leak."""

import dataclasses
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser import corpora
from ser.config import Recipe
from ser.corpora import metadata
from ser.experiments import protocols
from ser.project import SerError

SIX = ("angry", "disgust", "fearful", "happy", "neutral", "sad")


def make_table(speakers, clips_each=6, *, repeat_sound=False):
    """A labelled table: `speakers` is a list of (corpus, name, sex)."""
    rows = []
    for corpus, name, sex in speakers:
        for i in range(clips_each):
            sound = i - i % 2 if repeat_sound else i
            rows.append(
                {
                    "clip_id": f"{corpus}/{name}-{i:03d}",
                    "corpus": corpus,
                    "speaker": f"{corpus}/{name}",
                    "sex": sex,
                    "statement": f"word{i}",
                    "pcm_sha256": f"{corpus}/{name}-{sound}",
                    "label": SIX[i % len(SIX)],
                }
            )
    return pd.DataFrame(rows)


def real_speakers(*names):
    return [
        (name, speaker, sex)
        for name in names
        for speaker, (sex, _) in corpora.get(name).demographics.items()
    ]


speakers_of = st.lists(
    st.tuples(
        st.sampled_from(["ravdess", "tess", "savee"]),
        st.integers(0, 30).map("{:02d}".format),
        st.sampled_from(["female", "male"]),
    ),
    min_size=3,
    max_size=20,
    unique_by=lambda speaker: speaker[:2],
)


def parts(fold):
    return [set(fold.train), set(fold.validation), set(fold.test)]


@settings(deadline=None, max_examples=30)
@given(speakers=speakers_of, n_folds=st.integers(2, 8), seed=st.integers(0, 99), data=st.data())
def test_speaker_disjoint_never_leaks(speakers, n_folds, seed, data):
    n_clips, repeat = data.draw(st.integers(1, 8)), data.draw(st.booleans())
    table = make_table(speakers, n_clips, repeat_sound=repeat)
    folds = protocols.speaker_disjoint(table, n_folds, seed)
    speaker = dict(zip(table["clip_id"], table["speaker"], strict=True))
    assert len(folds) == (3 if len(speakers) == 3 else min(n_folds, len(speakers)))
    for fold in folds:
        of = [{speaker[clip] for clip in part} for part in parts(fold)]
        assert all(of)
        assert not (of[0] & of[1] or of[0] & of[2] or of[1] & of[2])
        assert set.union(*parts(fold)) == set(table["clip_id"])
    tested = [clip for fold in folds for clip in fold.test]
    assert sorted(tested) == sorted(table["clip_id"])
    protocols.check(folds, table)


@pytest.mark.parametrize("seed", range(8))
def test_four_speakers_of_three_corpora_make_two_folds(seed):
    women = [(corpus, "00", "female") for corpus in ("ravdess", "tess", "savee")]
    table = make_table([*women, ("savee", "01", "male")], 1)
    folds = protocols.speaker_disjoint(table, 2, seed)
    protocols.check(folds, table)
    speaker_of = dict(zip(table["clip_id"], table["speaker"], strict=True))
    assert [len({speaker_of[clip] for clip in fold.test}) for fold in folds] == [2, 2]


@settings(deadline=None, max_examples=25)
@given(speakers=speakers_of, seed=st.integers(0, 9), n_folds=st.integers(3, 6))
def test_random_clips_share_speakers_but_never_sounds(speakers, seed, n_folds):
    table = make_table(speakers, 8, repeat_sound=True)
    folds = protocols.random_clips(table, n_folds, seed)
    protocols.check(folds, table, shared="all")
    with pytest.raises(SerError, match="share the speaker"):
        protocols.check(folds, table)


@settings(deadline=None, max_examples=25)
@given(speakers=speakers_of)
def test_leave_one_out(speakers):
    table = make_table(speakers)
    folds = protocols.leave_one_speaker_out(table)
    protocols.check(folds, table)
    assert [fold.name for fold in folds] == sorted(set(table["speaker"]))
    if table["corpus"].nunique() > 1:
        corpus = dict(zip(table["clip_id"], table["corpus"], strict=True))
        try:
            folds = protocols.leave_one_corpus_out(table)
        except SerError as error:
            assert "beside those under test" in str(error)  # one speaker cannot train and validate
            return
        protocols.check(folds, table)
        for fold in folds:
            assert {corpus[clip] for clip in fold.test} == {fold.name}
            assert fold.name not in {corpus[clip] for clip in fold.train + fold.validation}


def test_row_order_does_not_matter_and_seeds_do():
    table = make_table(real_speakers("ravdess"))
    shuffled = table.sample(frac=1, random_state=3)
    assert protocols.make_folds(table, "speaker-independent") == protocols.make_folds(
        shuffled, "speaker-independent"
    )
    one, other = (protocols.speaker_disjoint(table, seed=seed) for seed in (0, 1))
    assert one != other


def test_folds_are_balanced_over_corpora_and_sexes():
    table = make_table(real_speakers("ravdess", "crema_d", "savee"))
    kind = dict(zip(table["clip_id"], zip(table["corpus"], table["sex"], strict=True), strict=True))
    speaker = dict(zip(table["clip_id"], table["speaker"], strict=True))
    counts = pd.DataFrame(
        [
            pd.Series([kind[c] for c in fold.test if c.endswith("-000")]).value_counts()
            for fold in protocols.speaker_disjoint(table)
        ]
    ).fillna(0)
    assert (counts.max() - counts.min()).max() <= 1
    for fold in protocols.speaker_disjoint(table):
        validation = {speaker[clip]: kind[clip] for clip in fold.validation}
        training = {speaker[clip] for clip in fold.train + fold.validation}
        assert len(validation) == round(0.2 * len(training))
        assert {("ravdess", "female"), ("ravdess", "male")} <= set(validation.values())


def test_number_of_validation_speakers_can_be_chosen():
    table = make_table(real_speakers("ravdess"))
    for fold in protocols.speaker_disjoint(table, validation_speakers=2):
        assert len({clip.split("-")[0] for clip in fold.validation}) == 2


# Check ------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    return make_table([("savee", name, "male") for name in ("DC", "JE", "JK", "KL")])


def test_check_refuses_every_kind_of_leak(table):
    folds = protocols.leave_one_speaker_out(table)
    protocols.check(folds, table)
    first, *rest = folds
    moved = dataclasses.replace(first, train=first.train[1:], validation=(first.train[0],))
    cases = {
        "share the clip": dataclasses.replace(first, train=(*first.train, first.test[0])),
        "share the speaker": dataclasses.replace(moved, test=first.test),
        "no clip for validation": dataclasses.replace(first, validation=()),
        "is not in the table": dataclasses.replace(first, train=("savee/XX-000",)),
    }
    for message, bad in cases.items():
        with pytest.raises(SerError, match=message):
            protocols.check([bad, *rest], table)
    with pytest.raises(SerError, match="tested in no fold"):
        protocols.check(rest, table)
    with pytest.raises(SerError, match="in an earlier fold already"):
        protocols.check([*folds, first], table)
    same = table.assign(pcm_sha256="0" * 64)
    with pytest.raises(SerError, match="share the recording"):
        protocols.check(folds, same)


# Names ------------------------------------------------------------------------------------------


PUBLISHED = {
    "ravdess-luna5": ("ravdess", [5, 5, 5, 5, 4]),
    "ravdess-emobox6": ("ravdess", [4] * 6),
    "cremad-emosuperb5": ("crema_d", [18, 18, 18, 18, 19]),
    "savee-loso": ("savee", [1] * 4),
    "emodb-loso": ("emodb", [1] * 10),
    "tess-cross": ("tess", [1, 1]),
    "combined-6": ("ravdess crema_d savee", [24, 24, 23, 24, 24]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_named_protocols(name):
    needed, sizes = PUBLISHED[name]
    table = make_table(real_speakers(*needed.split()))
    speaker = dict(zip(table["clip_id"], table["speaker"], strict=True))
    folds = protocols.make_folds(table, name)
    assert [len({speaker[clip] for clip in fold.test}) for fold in folds] == sizes
    assert [fold.index for fold in folds] == list(range(len(sizes)))


def test_cross_corpus_trains_on_one_and_tests_on_all_others():
    table = make_table(real_speakers("ravdess", "crema_d", "tess", "savee", "emodb"))
    corpus = dict(zip(table["clip_id"], table["corpus"], strict=True))
    folds = protocols.make_folds(table, "cross-corpus")
    assert [fold.name for fold in folds] == ["crema_d", "emodb", "ravdess", "savee", "tess"]
    for fold in folds:
        assert {corpus[clip] for clip in (*fold.train, *fold.validation)} == {fold.name}
        assert set(fold.test) == {clip for clip in corpus if corpus[clip] != fold.name}
    with pytest.raises(SerError, match="tested in an earlier fold already"):
        protocols.check(folds, table, shared="validation")
    for fold in folds[:-1]:
        speakers = table.set_index("clip_id")["speaker"]
        assert not set(speakers[list(fold.train)]) & set(speakers[list(fold.validation)])
    short = [dataclasses.replace(folds[0], test=folds[0].test[1:]), *folds[1:]]
    with pytest.raises(SerError, match="neither trained on nor tested"):
        protocols.check(short, table, shared="validation", tested="by others")
    with pytest.raises(SerError, match="at least 2 corpora"):
        protocols.corpus_to_corpus(make_table(real_speakers("savee")))


def test_luna_folds_are_the_published_ones():
    folds = protocols.make_folds(make_table(real_speakers("ravdess"), 1), "ravdess-luna5")

    def actors(clips):
        return [int(clip.removeprefix("ravdess/")[:2]) for clip in clips]

    assert actors(folds[0].test) == [2, 5, 14, 15, 16]
    assert actors(folds[0].validation) == [3, 6]
    assert actors(folds[4].test) == [1, 4, 9, 22]
    assert actors(folds[4].validation) == [2, 5]
    assert len(folds[4].train) == 18


def test_tess_cross_validates_on_other_words():
    table = make_table(real_speakers("tess"), 20)
    word = dict(zip(table["clip_id"], table["statement"], strict=True))
    for fold in protocols.make_folds(table, "tess-cross"):
        assert not {word[c] for c in fold.train} & {word[c] for c in fold.validation}
        assert len(fold.validation) == 4
        assert len(fold.test) == 20


def test_wrong_tables_are_one_clear_error(table):
    with pytest.raises(SerError, match=r"'ravdess-luna'.*Did you mean 'ravdess-luna5'.*savee-loso"):
        protocols.make_folds(table, "ravdess-luna")
    with pytest.raises(SerError, match="is about ravdess; the table holds savee"):
        protocols.make_folds(table, "ravdess-luna5")
    both = make_table(real_speakers("ravdess", "savee"))
    with pytest.raises(SerError, match="the table holds ravdess, savee"):
        protocols.make_folds(both, "ravdess-luna5")
    some = make_table(real_speakers("ravdess")[:20])
    with pytest.raises(SerError, match="lacks 4"):
        protocols.make_folds(some, "ravdess-luna5")
    with pytest.raises(SerError, match="at least 2 corpora"):
        protocols.make_folds(table, "leave-one-corpus-out")
    with pytest.raises(SerError, match="at least 3 speakers, found 2"):
        protocols.make_folds(make_table(real_speakers("tess")), "speaker-independent")
    with pytest.raises(SerError, match=r"no list of speakers named 'x'.*ravdess-luna5"):
        protocols.published(table, "x")


def test_every_protocol_describes_itself():
    assert protocols.names()[0] == "speaker-independent"
    for name in protocols.names():
        assert "\n" not in protocols.get(name).description
        assert protocols.get(name).description
        assert bool(protocols.get(name).corpora) == bool(protocols.get(name).classes)


# Real speech ------------------------------------------------------------------------------------


@pytest.mark.real
def test_luna_folds_cover_all_of_ravdess(tmp_path, monkeypatch):
    if not os.environ.get("SER_CORPORA") or "ravdess" not in corpora.available():
        pytest.skip("set SER_CORPORA to a folder with the real corpora (ravdess)")
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    table = metadata.build(["ravdess"], progress=False).table
    recipe = Recipe(name="test", corpora=("ravdess",), classes=corpora.EMOTIONS)
    labels = metadata.label_table(table, recipe)
    for name in ("ravdess-luna5", "ravdess-emobox6", "speaker-independent"):
        folds = protocols.make_folds(labels, name)
        assert sum(len(fold.test) for fold in folds) == 1440
        assert np.ptp([len(fold.test) for fold in folds]) <= 60
