"""Splits cannot leak."""

import dataclasses
import os

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser import corpora
from ser.corpora import metadata
from ser.experiments import protocols, recipes
from ser.project import SerError

WORDS = ("back", "dog", "base", "home", "beg", "learn", "bath")
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
                    "language": corpora.get(corpus).language,
                    "speaker": f"{corpus}/{name}",
                    "sex": sex,
                    "statement": WORDS[i % len(WORDS)],
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
@given(speakers=speakers_of, data=st.data())
def test_speaker_independent_never_leaks(speakers, data):
    n_clips, repeat = data.draw(st.integers(5, 9)), data.draw(st.booleans())
    table = make_table(speakers, n_clips, repeat_sound=repeat)
    folds = protocols.make_folds(table, "speaker-independent")
    speaker = dict(zip(table["clip_id"], table["speaker"], strict=True))
    assert len(folds) == min(5, len(speakers))
    for fold in folds:
        of = [{speaker[clip] for clip in part} for part in parts(fold)]
        assert all(of)
        assert not (of[0] & of[1] or of[0] & of[2] or of[1] & of[2])
        assert set.union(*parts(fold)) == set(table["clip_id"])
    tested = [clip for fold in folds for clip in fold.test]
    assert sorted(tested) == sorted(table["clip_id"])


@settings(deadline=None, max_examples=25)
@given(speakers=speakers_of)
def test_leave_one_corpus_out(speakers):
    table = make_table(speakers)
    corpus = dict(zip(table["clip_id"], table["corpus"], strict=True))
    try:
        folds = protocols.make_folds(table, "leave-one-corpus-out")
    except SerError as error:
        # one speaker cannot train and validate
        assert "beside those under test" in str(error) or "at least 2 corpora" in str(error)
        return
    for fold in folds:
        assert {corpus[clip] for clip in fold.test} == {fold.name}
        assert fold.name not in {corpus[clip] for clip in fold.train + fold.validation}


def test_row_order_does_not_matter():
    table = make_table(real_speakers("ravdess"))
    shuffled = table.sample(frac=1, random_state=3)
    assert protocols.make_folds(table, "speaker-independent") == protocols.make_folds(
        shuffled, "speaker-independent"
    )


def test_folds_are_balanced_over_corpora_and_sexes():
    table = make_table(real_speakers("ravdess", "crema_d", "savee"), 12)
    first = table.drop_duplicates("speaker").set_index("clip_id")
    kinds = first["corpus"] + first["sex"]
    folds = protocols.make_folds(table, "speaker-independent")
    for part, share in (("test", 0.2), ("validation", 0.16)):
        counts = pd.DataFrame(
            [kinds[kinds.index.isin(getattr(fold, part))].value_counts() for fold in folds]
        ).fillna(0)
        expected = share * kinds.value_counts()
        assert (counts - expected).abs().max().max() <= 2
        big = expected[expected > 2].index
        assert (counts[big] > 0).all().all()


def test_speakers_who_lack_classes_are_spread():
    table = make_table([("savee", f"{i:02d}", "male") for i in range(10)])
    keep = ~((table["label"] == "sad") & (table["speaker"].str[-2:] > "04"))
    for fold in protocols.make_folds(table[keep], "speaker-independent"):
        of = table.set_index("clip_id")["label"]
        assert all("sad" in set(of[list(part)]) for part in parts(fold))


# Check ------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    return make_table([("savee", name, "male") for name in ("DC", "JE", "JK", "KL")])


def test_check_refuses_every_kind_of_leak(table):
    folds = protocols.make_folds(table, "savee-loso")
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


SEVEN = ("ased", "crema_d", "emodb", "ravdess", "savee", "tess", "urdu")


@pytest.mark.parametrize(
    ("column", "names", "validation"),
    [
        # the first validation speaker of each fold; dealt anew from this table, they would differ
        ("corpus", SEVEN, "crema_d/1006 ased/05 ased/11 ased/20 ased/03 ased/03 ased/20"),
        ("language", ("am", "de", "en", "ur"), "crema_d/1006 ased/11 ased/06 ased/20"),
    ],
)
def test_seven_corpora_have_committed_folds(column, names, validation):
    table = make_table(real_speakers(*SEVEN))
    of, speaker = (table.set_index("clip_id")[name] for name in (column, "speaker"))
    folds = protocols.make_folds(table, f"leave-one-{column}-out")
    assert tuple(fold.name for fold in folds) == names
    for fold in folds:
        assert set(of[list(fold.test)]) == {fold.name}
        assert fold.name not in set(of[[*fold.train, *fold.validation]])
    assert [min(speaker[list(fold.validation)]) for fold in folds] == validation.split()
    with pytest.raises(SerError, match="at least 2"):
        protocols.make_folds(make_table(real_speakers("emodb")), f"leave-one-{column}-out")


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
    table = make_table(real_speakers("tess"), 21)
    word = dict(zip(table["clip_id"], table["statement"], strict=True))
    held = [{"back", "beg"}, {"base", "bath", "learn"}]
    for fold, words in zip(protocols.make_folds(table, "tess-cross"), held, strict=True):
        assert {word[c] for c in fold.validation} == words
        assert {word[c] for c in fold.train} == set(WORDS) - words
        assert (len(fold.validation), len(fold.test)) == (3 * len(words), 21)


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
    with pytest.raises(SerError, match="at least 5 clips of a class, found 1"):
        protocols.make_folds(
            make_table(real_speakers("ravdess"), 1).assign(label=[f"x{i}" for i in range(24)]),
            "speaker-independent",
        )


def test_every_protocol_describes_itself():
    assert protocols.names()[0] == "speaker-independent"
    for name in protocols.names():
        assert "\n" not in protocols.get(name).description
        assert protocols.get(name).description
        assert bool(protocols.get(name).corpora) == bool(protocols.get(name).classes)


# Real speech ------------------------------------------------------------------------------------


@pytest.mark.real
def test_no_assignment_of_a_committed_result_has_moved(tmp_path, monkeypatch, request):
    """The folds of every committed report, clip by clip, as they were when it was made."""
    needed = {"ravdess", "crema_d", "tess", "savee", "emodb"}
    if not os.environ.get("SER_CORPORA") or not needed <= set(corpora.available()):
        pytest.skip("set SER_CORPORA to a folder with the five real corpora")
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    table = metadata.build(sorted(needed), progress=False).table
    for file in sorted(request.config.rootpath.glob("reports/*/*/predictions.csv")):
        name, protocol = file.parts[-3:-1]
        if name not in recipes.RECIPES:
            continue
        recipe = recipes.on_protocol(recipes.get(name), protocol)
        folds = protocols.make_folds(metadata.label_table(table, recipe), protocol)
        predictions = pd.read_csv(file)
        for _, rows in predictions.groupby("seed"):
            for fold in folds:
                tested = rows["clip_id"][rows["fold"] == fold.index]
                assert sorted(tested) == list(fold.test), (name, protocol, fold.name)
