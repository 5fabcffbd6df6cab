"""File names, folders and the registry."""

import dataclasses
import itertools
import os
import shlex
import shutil
from pathlib import Path, PurePath, PurePosixPath

import pytest
from conftest import one_line
from hypothesis import given
from hypothesis import strategies as st

from ser import corpora
from ser.corpora import base, registry

REAL = ("ravdess", "crema_d", "tess", "savee", "emodb", "urdu", "ased")


@pytest.fixture
def root(monkeypatch, tmp_path):
    """An empty project, and no corpora from outside."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    return tmp_path / "project"


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


# Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "clip_id", "fields"),
    [
        (
            "ravdess",
            "x/03-01-06-01-02-01-12.wav",
            "03-01-06-01-02-01-12",
            "fearful fearful 12 female - normal 'Dogs are sitting by the door' 1 audio-only speech",
        ),
        (
            "ravdess",
            "01-02-08-02-01-02-11.mp4",
            "03-02-08-02-01-02-11",
            "surprised surprised 11 male - strong 'Kids are talking by the door' 2 full-av song",
        ),
        (
            "crema_d",
            "1001_dfa_ang_hi.flac",
            "1001_DFA_ANG_HI",
            'angry anger 1001 male 51 high "Don\'t forget a jacket" - audio-only speech',
        ),
        (
            "crema_d",
            "1040_ITH_SAD_X.wav",
            "1040_ITH_SAD_X",
            'sad sad 1040 male 42 unspecified "I think I have a doctor\'s appointment" - '
            "audio-only speech",
        ),
        (
            "tess",
            "YAF_pleasant_surprised/YAF_dog_ps.wav",
            "YAF_dog_ps",
            "surprised 'pleasant surprise' YAF female 26 - dog - audio-only speech",
        ),
        (
            "tess",
            "OAF_neutral/OA_bite_neutral.wav",
            "OAF_bite_neutral",
            "neutral neutral OAF female 64 - bite - audio-only speech",
        ),
        (
            "tess",
            "OAF_Fear/oaf_Food_FEAR.WAV",
            "OAF_food_fear",
            "fearful fear OAF female 64 - food - audio-only speech",
        ),
        (
            "savee",
            "AudioData/DC/sa07.wav",
            "DC_sa07",
            "sad sadness DC male - - 07 - audio-only speech",
        ),
        (
            "savee",
            "ALL/kl_N30.wav",
            "KL_n30",
            "neutral neutral KL male - - 30 - audio-only speech",
        ),
        (
            "emodb",
            "wav/16A02lB.wav",
            "16a02Lb",
            "- boredom 16 female 31 - a02 b audio-only speech",
        ),
        ("emodb", "03b10W.wav", "03b10W", "angry anger 03 male 31 - b10 - audio-only speech"),
        (
            "urdu",
            "Angry/sm4_f48_a0100.wav",
            "SM4_F48_A0100",
            "angry angry M4 male - - - - audio-only speech",
        ),
        ("urdu", "SF11_F2_S7.wav", "SF11_F2_S7", "sad sad F11 female - - - - audio-only speech"),
        (
            "ased",
            "04Sad/S4-04-02-01-29.wav",
            "s4-04-02-01-29",
            "sad sad 29 female - - 04 2 audio-only speech",
        ),
        (  # the only name of hers that says she is a man
            "ased",
            "f2-01-01-02-15.wav",
            "f2-01-01-02-15",
            "fearful fearful 15 female - - 01 1 audio-only speech",
        ),
    ],
)
def test_names(name, path, clip_id, fields):
    clip = corpora.get(name).parse(PurePath(path))
    said = ["-" if value in ("", None) else str(value) for value in dataclasses.astuple(clip)]
    assert said == shlex.split(fields)
    assert corpora.get(name).clip_id(PurePath(path)) == f"{name}/{clip_id}"


def test_every_code_is_read_and_no_two_names_are_one_clip():
    """All names that the documentation allows, of the two corpora with the most codes."""
    codes = base.scheme_of("ravdess").codes.values()
    names = ["-".join(p) for p in itertools.product(*codes, ("01", "24"))]
    clips = {name: corpora.get("ravdess").parse(PurePath(f"{name}.wav")) for name in names}
    assert {name for name, clip in clips.items() if clip is None} == {
        name for name in names if name[6:11] == "01-02"
    }
    assert len(set(clips.values())) == 1 + len(names) * 15 // 16
    crema_d = corpora.get("crema_d")
    assert len(crema_d.demographics) == 91
    for actor, facts in crema_d.demographics.items():
        clip = crema_d.parse(PurePath(f"{actor}_WSI_NEU_XX.wav"))
        assert (clip.sex, clip.age) == facts


@pytest.mark.parametrize(
    ("name", "numbers", "highest"), [("savee", "n", 30), ("savee", "a", 15), ("savee", "su", 15)]
)
def test_savee_has_so_many_sentences_in_either_layout(name, numbers, highest):
    for number in range(100):
        found = [
            corpora.get(name).parse(PurePath(layout.format(f"{numbers}{number:02d}.wav")))
            for layout in ("JK/{}", "ALL/JK_{}")
        ]
        assert found[0] == found[1]
        assert (found[0] is not None) == (1 <= number <= highest)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "03-01-05-01-01-01-25.wav"),
        ("ravdess", "03-01-09-01-01-01-12.wav"),
        ("ravdess", "03-01-05-01-01-12.wav"),
        ("crema_d", "1092_DFA_ANG_XX.wav"),
        ("crema_d", "1001_DFA_SUR_XX.wav"),
        ("crema_d", "1001_XXX_ANG_XX.wav"),
        ("tess", "OAF_back_bored.wav"),
        ("tess", "UAF_back_angry.wav"),
        ("savee", "a01.wav"),
        ("savee", "XX/a01.wav"),
        ("emodb", "04a01Fa.wav"),
        ("emodb", "03a01Za.wav"),
        ("emodb", "notes.wav"),
        ("urdu", "SM8_F1_A01.wav"),
        ("urdu", "SM1_F1_D01.wav"),
        ("ased", "n2-01-01-01-01.wav"),
        ("ased", "n1-08-01-01-01.wav"),
        ("ased", "n1-01-01-01-66.wav"),
    ],
)
def test_names_outside_the_scheme_are_refused(name, path):
    assert corpora.get(name).parse(PurePath(path)) is None


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_no_name_breaks_a_parser(text):
    path = PurePosixPath("folder", text)
    for corpus in map(corpora.get, REAL):
        clip = corpus.parse(path)
        assert clip is None or clip.emotion in (*corpora.EMOTIONS, "")


# Registry ---------------------------------------------------------------------------------------


def test_every_corpus_says_where_it_comes_from():
    for name in REAL:
        corpus = corpora.get(name)
        assert corpus.name == name
        assert all((corpus.title, corpus.language, corpus.licence, corpus.citation))
        assert set(corpora.labels(name)) == {*corpus.labels}
    assert corpora.labels("emodb")[-1] == "boredom"


def test_adding_a_corpus_is_its_file(root, monkeypatch, tmp_path):
    text = (base.FOLDER / "tess.toml").read_text(encoding="utf-8")
    (tmp_path / "newcomer.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(base, "FOLDER", tmp_path)
    monkeypatch.setattr(registry, "BUILT_IN", ("newcomer",))
    registry._registry.cache_clear()
    try:
        assert corpora.names() == ("newcomer",)
        assert corpora.get("newcomer").clip_id(PurePath("yaf_Dog_ps.wav")) == "newcomer/YAF_dog_ps"
    finally:
        registry._registry.cache_clear()


def test_unknown_corpus_lists_the_known_ones():
    with one_line("'ravdes'", "Did you mean 'ravdess'", "crema_d", "tess"):
        corpora.get("ravdes")


# Folders ----------------------------------------------------------------------------------------


def test_locate_searches_in_order(root, tmp_path, monkeypatch):
    with one_line("ser data download savee", "ser data add savee PATH"):
        corpora.locate("savee")
    own = touch(root / "data" / "raw" / "savee", "DC/a01.wav")
    assert corpora.locate("savee") == own
    shelf = touch(tmp_path / "shelf" / "savee", "DC/a02.wav")
    monkeypatch.setenv("SER_CORPORA", os.pathsep.join([str(tmp_path / "no"), str(shelf.parent)]))
    assert corpora.locate("savee") == shelf
    assert corpora.available() == {"savee": shelf}
    mine = touch(tmp_path / "mine", "deep/er/DC/a03.wav")
    assert corpora.adopt("savee", mine) == mine.resolve() == corpora.locate("savee")
    shutil.rmtree(mine)
    assert corpora.locate("savee") == shelf


def test_what_cannot_be_located_or_adopted_is_one_line(root, tmp_path):
    with one_line("emodb: not on this machine. Get it with `ser data add"):  # no download
        corpora.locate("emodb")
    with one_line("found nothing"):
        corpora.adopt("tess", tmp_path / "missing")
    with one_line("found a file"):
        corpora.adopt("tess", touch(tmp_path, "a.zip") / "a.zip")
    with one_line("no file name there fits tess", "holiday.mp3"):
        corpora.adopt("tess", touch(tmp_path / "other", "holiday.mp3"))
    assert not (root / "data" / "raw" / "locations.json").exists()
    touch(root / "data" / "raw", "locations.json")
    with one_line("locations.json"):
        corpora.locate("tess")


def test_scan_lists_unknown_names_and_skips_what_is_hidden(tmp_path):
    folder = touch(
        tmp_path,
        "Actor_01/03-01-01-01-01-01-01.wav",
        "Actor_01/._03-01-01-01-01-01-01.wav",
        "__MACOSX/Actor_01/03-01-01-01-01-01-02.wav",
        ".hidden/03-01-01-01-01-01-03.wav",
        "Actor_01/03-01-99-01-01-01-01.wav",
        "mine.MP3",
        "README.md",
    )
    clips, unknown = corpora.scan("ravdess", folder)
    assert [path.name for path, _ in clips] == ["03-01-01-01-01-01-01.wav"]
    assert unknown == [Path("Actor_01/03-01-99-01-01-01-01.wav"), Path("mine.MP3")]


def test_scan_takes_each_clip_once_and_the_best_file_of_it(tmp_path):
    stems = [f"03-01-0{e}-01-01-01-0{a}" for e in range(1, 9) for a in range(1, 5)]
    inner = [f"audio_speech_actors_01-24/Actor_{s[-2:]}/{s}.wav" for s in stems]
    outer = [f"Actor_{s[-2:]}/{s}.wav" for s in stems]
    clips, unknown = corpora.scan("ravdess", touch(tmp_path / "twice", *inner, *outer))
    assert [path.as_posix() for path, _ in clips] == sorted(outer, key=lambda p: Path(p).stem)
    assert unknown == []
    stem = "1001_DFA_ANG_XX"
    touch(tmp_path / "c", f"AudioMP3/{stem}.mp3", f"deep/AudioWAV/{stem}.wav", f"{stem}.flv")
    clips, unknown = corpora.scan("crema_d", tmp_path / "c")
    assert [path.suffix for path, _ in clips] == [".wav"]
    assert unknown == []


def test_scan_survives_symlink_loops(tmp_path):
    touch(tmp_path / "DC", "a01.wav")
    (tmp_path / "DC" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    outside = touch(tmp_path.parent / f"{tmp_path.name}-outside", "KL/h02.wav")
    (tmp_path / "more").symlink_to(outside, target_is_directory=True)
    clips, _ = corpora.scan("savee", tmp_path)
    assert [path.as_posix() for path, _ in clips] == ["DC/a01.wav", "more/KL/h02.wav"]
