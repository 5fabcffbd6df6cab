"""The table of clips, and what is remembered of each file."""

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import one_line

from ser import corpora
from ser.cache import Cache
from ser.config import Recipe
from ser.corpora import measurements, metadata
from ser.corpora.metadata import label_table

COUNTS = {"ravdess": 1440, "crema_d": 7442, "tess": 2800, "savee": 480, "emodb": 535}
EMOTIONS_8 = corpora.EMOTIONS


@pytest.fixture
def root(monkeypatch, tmp_path):
    """An empty project, and no corpora from outside."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("SER_CORPORA", raising=False)
    return tmp_path / "project"


def write(path, samples=None, *, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if samples is None:
        samples = np.random.default_rng(seed).uniform(-0.3, 0.3, 1_600)
    soundfile.write(path, samples, 16_000)
    return path


def clips(root, **seeds):
    """Write clips of SAVEE, EmoDB and RAVDESS: name to seed or samples."""
    for name, sound in seeds.items():
        corpus = "emodb" if name[0] == "b" else "ravdess" if name[0] == "r" else "savee"
        name = {"emodb": name[1:], "ravdess": name[1:].replace("_", "-"), "savee": name}[corpus]
        samples = {"seed": sound} if isinstance(sound, int) else {"samples": sound}
        write(root / "data/raw" / corpus / f"{name}.wav", **samples)


def recipe(*names, **changes):
    values = {"name": "test", "corpora": names or ("ravdess",), "classes": EMOTIONS_8, **changes}
    return Recipe(**values)


def small_ravdess(folder, actors=(1, 2), emotions=range(1, 9)):
    for actor in actors:
        for emotion in emotions:
            name = f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            write(folder / f"Actor_{actor:02d}" / name, seed=100 * actor + emotion)
    return folder


def build(*names):
    return metadata.build(names, progress=False)


# Small corpora ----------------------------------------------------------------------------------


def test_rows_columns_and_order(root):
    small_ravdess(root / "data/raw/ravdess")
    clips(root, DC_a01=0, b03a01Fa=1)
    table = build("savee", "ravdess", "emodb").table
    assert tuple(table.columns) == metadata.COLUMNS
    assert list(table["clip_id"]) == sorted(table["clip_id"])
    assert len(table) == 18
    row = table.set_index("clip_id").loc["ravdess/03-01-05-01-01-01-02"]
    assert (row["speaker"], row["sex"], row["emotion"]) == ("ravdess/02", "female", "angry")
    assert row["duration_s"] == pytest.approx(0.1)
    assert (row["sample_rate_hz"], row["n_channels"]) == (16_000, 1)
    assert row["peak_dbfs"] == pytest.approx(20 * np.log10(0.3), abs=0.1)
    assert metadata.clip_path(row).is_file()
    assert all(path.is_file() for path in metadata.clip_paths(table))
    assert str(table["age"].dtype) == "Int64"  # whole numbers, or missing
    assert table["age"].tolist() == [31, *[pd.NA] * 17]


def test_flags(root):
    wave = np.sin(np.arange(1_600))
    clips(root, DC_a01=np.zeros(1_600), DC_a02=np.sign(wave), DC_a03=wave / 1000, DC_a04=0.3 * wave)
    assert build("savee").table["flags"].tolist() == ["silent", "clipped", "quiet", ""]


def test_identical_sound_is_flagged_whatever_its_container(root):
    clips(root, DC_a01=1, DC_h01=2, DC_sa01=2, DC_n01=3)
    samples, rate = soundfile.read(root / "data/raw/savee/DC_a01.wav", dtype="int16")
    soundfile.write(root / "data/raw/savee/DC_a02.flac", samples, rate)
    table = build("savee").table
    flags = ["duplicate", "duplicate", "duplicate,label_conflict", "", "duplicate,label_conflict"]
    assert table["flags"].tolist() == flags
    assert table["clip_id"].str[9:].tolist() == ["a01", "a02", "h01", "n01", "sa01"]


def test_bad_files_never_stop_the_rest(root):
    folder = small_ravdess(root / "data/raw/ravdess", actors=(1,))
    bad = {
        "03-01-02-01-01-01-03.wav": b"",
        "03-01-02-01-01-01-05.wav": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "03-01-02-01-01-01-07.wav": b"just text",
        "01-01-02-01-01-01-09.mp4": b"\0\0\0\x18ftypmp42",
        "song.wav": b"what",
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "03-01-02-01-01-01-11.wav").symlink_to(folder / "03-01-02-01-01-01-11.wav")
    result = build("ravdess")
    assert len(result.table) == 8
    reasons = {problem.path.name: problem.reason for problem in result.problems}
    assert set(reasons) == set(bad) - {"song.wav"} | {"03-01-02-01-01-01-11.wav"}
    assert "empty" in reasons["03-01-02-01-01-01-03.wav"]
    assert "Git LFS" in reasons["03-01-02-01-01-01-05.wav"]
    assert result.unknown == [folder / "song.wav"]


def test_corpora_of_bad_files_only_and_of_none(root):
    (root / "data/raw/savee/DC").mkdir(parents=True)
    with one_line("no clip of savee"):
        build("savee")
    with one_line("not on this machine"):
        build("tess")
    (root / "data/raw/savee/DC/a01.wav").write_bytes(b"x" * 100)
    result = build("savee")
    assert result.table.empty
    assert tuple(result.table.columns) == metadata.COLUMNS
    assert len(result.problems) == 1
    assert metadata.summary(result.table).empty


def test_doubled_archive_gives_each_clip_once(root, tmp_path):
    single, doubled = small_ravdess(tmp_path / "single"), tmp_path / "doubled"
    shutil.copytree(single, doubled)
    shutil.copytree(single, doubled / "audio_speech_actors_01-24")
    corpora.adopt("ravdess", single)
    once = build("ravdess").table
    corpora.adopt("ravdess", doubled)
    pd.testing.assert_frame_equal(build("ravdess").table, once)


# What is remembered -----------------------------------------------------------------------------


def test_facts_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{i}.wav", seed=i) for i in range(3)]
    cache = Cache(tmp_path / "cache" / "measurements.sqlite")
    first = measurements.measure_all(paths, cache, progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(measurements, "measure", lambda path: 1 / 0)  # nothing is measured again
        assert measurements.measure_all(paths, cache, progress=False) == first
    write(paths[1], seed=9)
    os.utime(paths[1], ns=(1, 1))
    second = measurements.measure_all(paths, cache, progress=False)
    assert [second[path] == first[path] for path in paths] == [True, False, True]
    cache.close()
    whole = cache.file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"\xff" * 5_000, b""):  # costs a second look
        cache.close()
        cache.file.write_bytes(damaged)
        assert measurements.measure_all(paths, cache, progress=False) == second


def test_a_bad_file_is_a_problem_and_is_seen_once_repaired(tmp_path):
    good, bad = write(tmp_path / "good.wav"), tmp_path / "bad.wav"
    bad.write_text("hello")
    cache = Cache(tmp_path / "measurements.sqlite")
    found = measurements.measure_all([bad, good], cache, progress=False)
    assert isinstance(found[good], measurements.AudioFacts)
    assert found[bad].path == bad
    assert found[bad].reason.startswith("expected audio")
    write(bad, seed=1)
    again = measurements.measure_all([bad], cache, progress=False)
    assert isinstance(again[bad], measurements.AudioFacts)


# The file ---------------------------------------------------------------------------------------


def test_the_table_is_written_and_read_and_checked(root):
    small_ravdess(root / "data/raw/ravdess")
    table = build("ravdess").table
    with one_line("ser metadata"):
        metadata.read_table()
    path = metadata.write_table(table)
    assert path == root / "data/interim/metadata.parquet"
    pd.testing.assert_frame_equal(metadata.read_table(), table)
    path.write_bytes(path.read_bytes()[:-200])
    with one_line("Make it again"):
        metadata.read_table()
    for changed, words in (
        (table.drop(columns="sex"), "lacks the columns sex"),
        (pd.concat([table, table.head(1)]), "more than once"),
        (table.assign(emotion="bored"), "unknown emotion 'bored'"),
    ):
        with one_line(words):
            metadata.validate(changed)


# Labels -----------------------------------------------------------------------------------------


def test_labels_merge_and_choose(root):
    small_ravdess(root / "data/raw/ravdess")
    table = build("ravdess").table
    merge = {"calm": "neutral", "fearful": "sad"}
    labels = label_table(table, recipe(classes=("neutral", "sad"), merge=merge))
    assert labels["label"].value_counts().to_dict() == {"neutral": 4, "sad": 4}
    assert set(labels["emotion"]) == {"neutral", "calm", "sad", "fearful"}
    assert len(label_table(table, recipe(classes=("happy", "sad")))) == 4


def test_labels_leave_out_what_cannot_be_learned(root):
    clips(root, DC_a01=1, DC_h01=2, DC_h02=np.zeros(1_600), KL_n01=3, KL_sa02=4)
    clips(root, DC_h03=2)  # same sound, speaker and label: stays
    clips(root, KL_a01=1, KL_sa01=3)  # by another speaker; under another label
    chosen = label_table(build("savee").table, recipe("savee", classes=("angry", "happy", "sad")))
    assert chosen["clip_id"].str[6:].tolist() == ["DC_a01", "DC_h01", "DC_h03", "KL_sa02"]


def test_song_is_left_out_and_boredom_only_where_it_is_named(root):
    clips(root, r03_02_05_01_01_01_01=1, r03_01_05_01_01_01_01=2, r03_01_04_01_01_01_01=3)
    clips(root, b03a01La=4)
    table = build("ravdess", "emodb").table
    assert len(table) == 4
    for classes, merge, expected in (
        (("angry", "sad"), {}, ["angry", "sad"]),
        (("angry", "boredom", "sad"), {}, ["angry", "boredom", "sad"]),
        (("angry", "sad"), {"boredom": "sad"}, ["angry", "sad", "sad"]),
    ):
        found = label_table(table, recipe("ravdess", "emodb", classes=classes, merge=merge))
        assert sorted(found["label"]) == expected


def test_label_errors_list_what_is_allowed(root):
    clips(root, DC_a01=1, DC_h01=2)
    table = build("savee").table
    with one_line("no clip of class 'calm' in savee. Allowed: angry, happy"):
        label_table(table, recipe("savee", classes=("angry", "calm")))
    with one_line("holds no clip of 'tess'"):
        label_table(table, recipe("tess", classes=("angry", "happy")))
    with one_line("unknown emotion 'bored'", "Allowed: angry"):
        label_table(table, recipe("savee", classes=("angry", "happy"), merge={"bored": "neutral"}))


# Real speech ------------------------------------------------------------------------------------


def real(folder=None):
    """Return the folder of real corpora, or of the odd recordings beside it."""
    for shelf in os.environ.get("SER_CORPORA", "").split(os.pathsep):
        found = Path(shelf) if folder is None else Path(shelf).parent / folder
        if shelf and found.is_dir():
            return found
    return pytest.skip(f"set SER_CORPORA to a folder with the real corpora ({folder or 'corpora'})")


@pytest.fixture
def odd():
    """The folder of odd recordings; ask for it before `root` hides it."""
    return real("odd_audio")


@pytest.fixture(scope="module")
def real_tables(tmp_path_factory):
    """The table of each real corpus, and the project that remembers its measurements."""
    real()
    missing = [name for name in COUNTS if name not in corpora.available()]
    if missing:
        pytest.skip(f"SER_CORPORA lacks {', '.join(missing)}")
    project = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(project))
        return project, {name: build(name) for name in COUNTS}


@pytest.mark.real
@pytest.mark.parametrize("name", COUNTS)
def test_real_row_counts(real_tables, name):
    result = real_tables[1][name]
    assert len(result.table) == COUNTS[name] == corpora.get(name).n_clips
    assert result.problems == []
    assert result.unknown == []
    assert set(result.table["speaker"].str.partition("/")[2]) == set(corpora.get(name).demographics)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "women", "emotions"),
    [
        ("urdu", 11, {"angry": 100, "happy": 100, "neutral": 100, "sad": 100}),
        ("ased", 25, {"neutral": 522, "fearful": 510, "angry": 486, "happy": 486, "sad": 470}),
    ],
)
def test_real_names_in_other_languages(name, women, emotions, monkeypatch):
    there = [os.environ.get("SER_CORPORA", ""), str(real("languages"))]
    monkeypatch.setenv("SER_CORPORA", os.pathsep.join(there))
    clips, unknown = corpora.scan(name, corpora.locate(name))
    assert unknown == []
    assert len(clips) == sum(emotions.values()) == corpora.get(name).n_clips
    sexes = {clip.speaker: clip.sex for _, clip in clips}
    assert sexes.keys() == corpora.get(name).demographics.keys()
    assert list(sexes.values()).count("female") == women
    assert Counter(clip.emotion for _, clip in clips) == emotions


@pytest.mark.real
def test_real_label_table_drops_only_the_known_defects(real_tables):
    tables = {name: result.table for name, result in real_tables[1].items()}
    assert len(label_table(tables["ravdess"], recipe())) == 1440
    six = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
    crema = label_table(tables["crema_d"], recipe("crema_d", classes=six))
    dropped = set(tables["crema_d"]["clip_id"]) - set(crema["clip_id"])
    assert sorted(clip.split("/")[1] for clip in dropped) == [
        "1006_TIE_HAP_XX",
        "1006_TIE_NEU_XX",
        "1013_WSI_DIS_XX",
        "1013_WSI_SAD_XX",
        "1017_IWW_ANG_XX",
        "1017_IWW_FEA_XX",
        "1076_MTI_SAD_XX",
    ]
    bored = tables["emodb"][tables["emodb"]["emotion"] == ""]
    assert set(bored["emotion_raw"]) == {"boredom"}
    assert len(bored) == 81


@pytest.mark.real
def test_real_summary(real_tables):
    table = pd.concat([result.table for result in real_tables[1].values()])
    counts = metadata.summary(table)
    assert counts["clips"].to_dict() == COUNTS
    assert counts["speakers"].to_dict() == {
        "ravdess": 24,
        "crema_d": 91,
        "tess": 2,
        "savee": 4,
        "emodb": 10,
    }
    assert counts.loc["ravdess", ["female", "male"]].tolist() == [12, 12]
    assert counts.loc["ravdess", ["neutral", "calm"]].tolist() == [96, 192]
    assert counts.loc["crema_d", ["female", "male"]].tolist() == [43, 48]
    assert counts.loc["savee", ["neutral", "angry", "female"]].tolist() == [120, 60, 0]
    assert (counts[[*EMOTIONS_8, "other"]].sum(axis=1) == counts["clips"]).all()


@pytest.mark.real
def test_a_second_call_decodes_nothing(real_tables, monkeypatch):
    project, results = real_tables
    monkeypatch.setenv("SER_ROOT", str(project))
    start_s = time.process_time()  # other processes may have the cores
    with monkeypatch.context() as patch:
        patch.delattr("soundfile.SoundFile")
        again = build("ravdess").table
    assert time.process_time() - start_s < 5  # 0.3 s where nothing else runs
    pd.testing.assert_frame_equal(again, results["ravdess"].table)


@pytest.mark.real
def test_odd_recordings(odd, root, monkeypatch):
    monkeypatch.setenv("SER_CORPORA", str(odd))
    result = build(*COUNTS)
    assert len(result.table) == 12
    assert result.unknown == []
    assert [problem.path.name for problem in result.problems] == ["1001_DFA_ANG_XX.wav"]
    assert "Git LFS" in result.problems[0].reason
    table = result.table.set_index("clip_id")
    assert table.loc["tess/OAF_food_fear", "sample_rate_hz"] == 96_000
    assert "tess/OAF_bite_neutral" in table.index
    assert table.loc["tess/OAF_bite_neutral", "speaker"] == "tess/OAF"
    assert table.loc["ravdess/03-01-08-01-02-02-01", "n_channels"] == 2
    flags = table["flags"]
    assert "silent" in flags["crema_d/1076_MTI_SAD_XX"]
    for emotion in ("HAP", "NEU"):
        assert flags[f"crema_d/1006_TIE_{emotion}_XX"] == "duplicate,label_conflict"
    for repetition in ("01", "02"):
        assert "duplicate" in flags[f"ravdess/03-01-03-01-02-{repetition}-07"]
        assert "label_conflict" not in flags[f"ravdess/03-01-03-01-02-{repetition}-07"]
    aiff = [
        clip
        for clip, path in zip(table.index, metadata.clip_paths(result.table), strict=True)
        if path.read_bytes()[:4] == b"FORM"
    ]
    assert aiff, "no AIFF under .wav was read"
