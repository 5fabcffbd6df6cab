"""File names, folders and the registry."""

import dataclasses
import os
import shutil
import sys
import types
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser import corpora
from ser.cache import Cache
from ser.corpora import crema_d, emodb, facts, ravdess, registry, savee, tess
from ser.project import SerError


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


def write_tone(path, *, seed=0, sample_rate_hz=8_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, 800)
    soundfile.write(path, noise, sample_rate_hz, format="WAV")


# Names ------------------------------------------------------------------------------------------


@given(
    fields=st.tuples(
        st.sampled_from(sorted(ravdess.MODALITIES)),
        st.sampled_from(sorted(ravdess.VOCAL_CHANNELS)),
        st.sampled_from(sorted(ravdess.EMOTION_CODES)),
        st.sampled_from(["01", "02"]),
        st.sampled_from(["01", "02"]),
        st.sampled_from(["01", "02"]),
        st.integers(1, 24).map("{:02d}".format),
    ),
    suffix=st.sampled_from([".wav", ".mp4", ".flac"]),
)
def test_ravdess_names_hold_all_seven_fields(fields, suffix):
    clip = ravdess.parse(PurePath("any", "-".join(fields) + suffix))
    if fields[2] == "01" and fields[3] == "02":
        assert clip is None
        return
    back = [
        {value: code for code, value in codes.items()}[value]
        for codes, value in (
            (ravdess.MODALITIES, clip.modality),
            (ravdess.VOCAL_CHANNELS, clip.vocal_channel),
            (ravdess.EMOTION_CODES, clip.emotion),
            (ravdess.INTENSITIES, clip.intensity),
            (ravdess.STATEMENTS, clip.statement),
            (ravdess.REPETITIONS, clip.repetition),
        )
    ]
    assert (*back, clip.speaker) == fields
    assert clip.sex == ("male" if int(clip.speaker) % 2 else "female")


@given(
    actor=st.sampled_from(sorted(crema_d.ACTORS)),
    statement=st.sampled_from(sorted(crema_d.STATEMENTS)),
    emotion=st.sampled_from(sorted(crema_d.EMOTION_CODES)),
    level=st.sampled_from(sorted(crema_d.INTENSITIES)),
    lower=st.booleans(),
)
def test_crema_d_names(actor, statement, emotion, level, lower):
    stem = f"{actor}_{statement}_{emotion}_{level}"
    path = PurePath((stem.lower() if lower else stem) + ".wav")
    clip = crema_d.parse(path)
    assert clip.emotion == crema_d.EMOTION_CODES[emotion][0]
    assert clip.statement == crema_d.STATEMENTS[statement]
    assert (clip.speaker, clip.intensity) == (actor, crema_d.INTENSITIES[level])
    assert (clip.sex, clip.age) == crema_d.ACTORS[actor]
    assert crema_d.canonical(path) == stem


@given(
    speaker=st.sampled_from(savee.SPEAKERS),
    code=st.sampled_from(sorted(savee.EMOTION_CODES)),
    number=st.integers(0, 40),
)
def test_savee_layouts_agree(speaker, code, number):
    released = PurePath("AudioData", speaker, f"{code}{number:02d}.wav")
    kaggle = PurePath("ALL", f"{speaker}_{code}{number:02d}.wav")
    clip = savee.parse(released)
    assert clip == savee.parse(kaggle)
    assert (clip is not None) == (1 <= number <= (30 if code == "n" else 15))
    if clip:
        assert savee.canonical(released) == savee.canonical(kaggle) == kaggle.stem
        assert (clip.speaker, clip.sex, clip.statement) == (speaker, "male", f"{number:02d}")


@given(
    speaker=st.sampled_from(sorted(emodb.SPEAKERS)),
    text=st.sampled_from(["a01", "a07", "b10"]),
    code=st.sampled_from(sorted(emodb.EMOTION_CODES)),
    version=st.sampled_from(["", "a", "d"]),
)
def test_emodb_names(speaker, text, code, version):
    stem = f"{speaker}{text}{code}{version}"
    clip = emodb.parse(PurePath("wav", f"{stem.lower()}.WAV"))
    assert (clip.emotion, clip.emotion_raw) == emodb.EMOTION_CODES[code]
    assert (clip.speaker, clip.statement, clip.repetition) == (speaker, text, version)
    assert emodb.canonical(PurePath(f"{stem.lower()}.wav")) == stem


def test_emodb_boredom_has_no_common_label():
    clip = emodb.parse(PurePath("16a02Lb.wav"))
    assert (clip.emotion, clip.emotion_raw, clip.sex, clip.age) == ("", "boredom", "female", 31)


@pytest.mark.parametrize(
    ("path", "speaker", "emotion", "stem"),
    [
        ("OAF_angry/OAF_back_angry.wav", "OAF", "angry", "OAF_back_angry"),
        ("YAF_pleasant_surprised/YAF_dog_ps.wav", "YAF", "surprised", "YAF_dog_ps"),
        ("OAF_neutral/OA_bite_neutral.wav", "OAF", "neutral", "OAF_bite_neutral"),
        ("OAF_Fear/oaf_Food_FEAR.WAV", "OAF", "fearful", "OAF_food_fear"),
    ],
)
def test_tess_names(path, speaker, emotion, stem):
    clip = tess.parse(PurePath(path))
    assert (clip.speaker, clip.emotion, clip.sex) == (speaker, emotion, "female")
    assert clip.age == {"OAF": 64, "YAF": 26}[speaker]
    assert tess.canonical(PurePath(path)) == stem


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
    ],
)
def test_names_outside_the_scheme_are_refused(name, path):
    assert corpora.get(name).parse(PurePath(path)) is None


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_no_name_breaks_a_parser(text):
    for name in ("ravdess", "crema_d", "tess", "savee", "emodb"):
        corpus = corpora.get(name)
        path = PurePosixPath("folder", text)
        clip = corpus.parse(path)
        if clip is not None:
            assert clip.emotion in (*corpora.EMOTIONS, "")
            assert corpus.clip_id(path).startswith(f"{name}/")


# Registry ---------------------------------------------------------------------------------------


def test_every_corpus_says_where_it_comes_from():
    assert {"ravdess", "crema_d", "tess", "savee", "emodb"} <= set(corpora.names())
    for name in corpora.names():
        corpus = corpora.get(name)
        assert corpus.name == name
        for field in ("title", "language", "licence", "citation"):
            assert getattr(corpus, field), f"{name} lacks {field}"


def test_adding_a_corpus_is_its_file_and_its_name(monkeypatch):
    module = types.ModuleType("ser.corpora.newcomer")
    module.CORPUS = dataclasses.replace(tess.CORPUS, name="newcomer")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, "newcomer"))
    registry._registry.cache_clear()
    try:
        assert "newcomer" in corpora.names()
    finally:
        registry._registry.cache_clear()


def test_unknown_corpus_lists_the_known_ones():
    with pytest.raises(SerError, match=r"'ravdes'.*Did you mean 'ravdess'.*crema_d, .*tess"):
        corpora.get("ravdes")


# Folders ----------------------------------------------------------------------------------------


def test_locate_searches_in_order(root, tmp_path, monkeypatch):
    with pytest.raises(SerError, match=r"ser data download savee.*ser data add savee PATH"):
        corpora.locate("savee")
    own = touch(root / "data" / "raw" / "savee", "DC/a01.wav")
    assert corpora.locate("savee") == own
    shelf = touch(tmp_path / "shelf" / "savee", "DC/a02.wav")
    monkeypatch.setenv("SER_CORPORA", os.pathsep.join([str(tmp_path / "no"), str(shelf.parent)]))
    assert corpora.locate("savee") == shelf
    assert corpora.available() == {"savee": shelf}
    mine = touch(tmp_path / "mine", "deep/er/DC/a03.wav")
    assert corpora.adopt("savee", mine) == mine.resolve()
    assert corpora.locate("savee") == mine.resolve()
    shutil.rmtree(mine)
    assert corpora.locate("savee") == shelf


def test_a_corpus_that_cannot_be_downloaded_says_so(root):
    with pytest.raises(SerError, match=r"^emodb: not on this machine\. Get it with `ser data add"):
        corpora.locate("emodb")


def test_adopt_refuses_what_holds_no_clip(root, tmp_path):
    with pytest.raises(SerError, match="found nothing"):
        corpora.adopt("tess", tmp_path / "missing")
    with pytest.raises(SerError, match="found a file"):
        corpora.adopt("tess", touch(tmp_path, "a.zip") / "a.zip")
    folder = touch(tmp_path / "other", "holiday.mp3")
    with pytest.raises(SerError, match=r"no file name there fits tess.*holiday\.mp3"):
        corpora.adopt("tess", folder)
    assert not (root / "data" / "raw" / "locations.json").exists()


def test_damaged_locations_file_is_one_error(root):
    touch(root / "data" / "raw", "locations.json")
    with pytest.raises(SerError, match=r"locations\.json"):
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


def test_scan_collapses_doubled_archives(tmp_path):
    stems = [f"03-01-0{e}-01-01-01-0{a}" for e in range(1, 9) for a in range(1, 5)]
    inner = [f"audio_speech_actors_01-24/Actor_{s[-2:]}/{s}.wav" for s in stems]
    outer = [f"Actor_{s[-2:]}/{s}.wav" for s in stems]
    clips, unknown = corpora.scan("ravdess", touch(tmp_path, *inner, *outer))
    assert [path.as_posix() for path, _ in clips] == sorted(outer, key=lambda p: Path(p).stem)
    assert unknown == []


def test_scan_prefers_the_lossless_copy(tmp_path):
    stem = "1001_DFA_ANG_XX"
    touch(tmp_path, f"AudioMP3/{stem}.mp3", f"deep/AudioWAV/{stem}.wav", f"{stem}.flv")
    clips, unknown = corpora.scan("crema_d", tmp_path)
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


# Facts ------------------------------------------------------------------------------------------


def test_facts_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    clips = [tmp_path / f"{i}.wav" for i in range(3)]
    for i, path in enumerate(clips):
        write_tone(path, seed=i)
    cache = Cache(tmp_path / "cache" / "facts.sqlite")
    first = facts.measure_all(clips, cache, progress=False)
    monkeypatch.setattr(facts, "measure", lambda path: 1 / 0)  # nothing is measured again
    assert facts.measure_all(clips, cache, progress=False) == first
    monkeypatch.undo()
    write_tone(clips[1], seed=9)
    os.utime(clips[1], ns=(1, 1))
    second = facts.measure_all(clips, cache, progress=False)
    assert second[clips[1]].pcm_sha256 != first[clips[1]].pcm_sha256
    assert second[clips[0]] == first[clips[0]]


def test_a_damaged_cache_costs_a_second_look(tmp_path):
    clips = [tmp_path / f"{i}.wav" for i in range(4)]
    for i, path in enumerate(clips):
        write_tone(path, seed=i)
    cache = Cache(tmp_path / "facts.sqlite")
    first = facts.measure_all(clips, cache, progress=False)
    cache.close()
    whole = cache.file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"\xff" * 5_000, b""):
        cache.close()
        cache.file.write_bytes(damaged)
        assert facts.measure_all(clips, cache, progress=False) == first


def test_a_bad_file_is_a_problem_and_is_seen_once_repaired(tmp_path):
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    write_tone(good)
    bad.write_text("hello")
    cache = Cache(tmp_path / "facts.sqlite")
    found = facts.measure_all([bad, good], cache, progress=False)
    assert isinstance(found[good], facts.AudioFacts)
    assert found[bad].path == bad
    assert found[bad].reason.startswith("expected audio")
    write_tone(bad, seed=1)
    assert isinstance(facts.measure_all([bad], cache, progress=False)[bad], facts.AudioFacts)


def test_clip_names_cannot_be_changed():
    clip = tess.parse(PurePath("OAF_back_angry.wav"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.emotion = "sad"
