"""The table of clips."""

import dataclasses
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser import corpora
from ser.config import Recipe
from ser.corpora import metadata
from ser.project import SerError

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


def recipe(**changes):
    values = {"name": "test", "corpora": ("ravdess",), "classes": EMOTIONS_8, **changes}
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
    write(root / "data/raw/savee/DC/a01.wav")
    table = build("savee", "ravdess").table
    assert tuple(table.columns) == metadata.COLUMNS
    assert list(table["clip_id"]) == sorted(table["clip_id"])
    assert len(table) == 17
    row = table.set_index("clip_id").loc["ravdess/03-01-05-01-01-01-02"]
    assert (row["speaker"], row["sex"], row["emotion"]) == ("ravdess/02", "female", "angry")
    assert row["duration_s"] == pytest.approx(0.1)
    assert (row["sample_rate_hz"], row["n_channels"]) == (16_000, 1)
    assert row["peak_dbfs"] == pytest.approx(20 * np.log10(0.3), abs=0.1)
    assert metadata.clip_path(row).is_file()
    assert all(path.is_file() for path in metadata.clip_paths(table))


def test_ages_are_whole_numbers_or_missing(root):
    write(root / "data/raw/emodb/03a01Fa.wav", seed=1)
    write(root / "data/raw/savee/DC/a01.wav", seed=2)
    table = build("emodb", "savee").table
    assert str(table["age"].dtype) == "Int64"
    assert table["age"].tolist() == [31, pd.NA]


def test_flags_of_sound(root):
    folder = root / "data/raw/savee/DC"
    write(folder / "a01.wav", np.zeros(1_600))
    write(folder / "a02.wav", np.sign(np.sin(np.arange(1_600))))
    write(folder / "a03.wav", 0.001 * np.sin(np.arange(1_600)))
    write(folder / "a04.wav", 0.3 * np.sin(np.arange(1_600)))
    assert build("savee").table["flags"].tolist() == ["silent", "clipped", "quiet", ""]


def test_identical_sound_is_flagged_whatever_its_container(root):
    folder = root / "data/raw/savee"
    write(folder / "DC/a01.wav", seed=1)
    samples, rate = soundfile.read(folder / "DC/a01.wav", dtype="int16")
    soundfile.write(folder / "DC/a02.flac", samples, rate)
    write(folder / "DC/h01.wav", seed=2)
    shutil.copy(folder / "DC/h01.wav", folder / "DC/sa01.wav")
    write(folder / "DC/n01.wav", seed=3)
    flags = build("savee").table.set_index("clip_id")["flags"].to_dict()
    assert flags == {
        "savee/DC_a01": "duplicate",
        "savee/DC_a02": "duplicate",
        "savee/DC_h01": "duplicate,label_conflict",
        "savee/DC_sa01": "duplicate,label_conflict",
        "savee/DC_n01": "",
    }


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


def test_a_corpus_whose_every_file_is_bad_gives_an_empty_table(root):
    (root / "data/raw/savee/DC").mkdir(parents=True)
    (root / "data/raw/savee/DC/a01.wav").write_bytes(b"x" * 100)
    result = build("savee")
    assert len(result.table) == 0
    assert tuple(result.table.columns) == metadata.COLUMNS
    assert len(result.problems) == 1
    assert len(metadata.summary(result.table)) == 0


def test_an_empty_corpus_is_an_error(root):
    (root / "data/raw/savee").mkdir(parents=True)
    with pytest.raises(SerError, match="no clip of savee"):
        build("savee")
    with pytest.raises(SerError, match="not on this machine"):
        build("tess")


def test_doubled_archive_gives_each_clip_once(root, tmp_path):
    single = small_ravdess(tmp_path / "single")
    doubled = tmp_path / "doubled"
    shutil.copytree(single, doubled)
    shutil.copytree(single, doubled / "audio_speech_actors_01-24")
    corpora.adopt("ravdess", single)
    once = build("ravdess").table
    corpora.adopt("ravdess", doubled)
    pd.testing.assert_frame_equal(build("ravdess").table, once)


# The file ---------------------------------------------------------------------------------------


def test_written_table_reads_back_the_same(root):
    small_ravdess(root / "data/raw/ravdess")
    table = build("ravdess").table
    with pytest.raises(SerError, match="ser metadata"):
        metadata.read_table()
    assert metadata.write_table(table) == root / "data/interim/metadata.parquet"
    pd.testing.assert_frame_equal(metadata.read_table(), table)


def test_a_damaged_table_is_one_error(root):
    small_ravdess(root / "data/raw/ravdess")
    path = metadata.write_table(build("ravdess").table)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SerError, match="Make it again"):
        metadata.read_table()


def test_validate(root):
    small_ravdess(root / "data/raw/ravdess")
    table = build("ravdess").table
    with pytest.raises(SerError, match="lacks the columns sex"):
        metadata.validate(table.drop(columns="sex"))
    with pytest.raises(SerError, match="more than once"):
        metadata.validate(pd.concat([table, table.head(1)]))
    with pytest.raises(SerError, match="unknown emotion 'bored'"):
        metadata.validate(table.assign(emotion="bored"))


# Labels -----------------------------------------------------------------------------------------


def test_labels_merge_and_choose(root):
    small_ravdess(root / "data/raw/ravdess")
    table = build("ravdess").table
    labels = metadata.label_table(
        table, recipe(classes=("neutral", "sad"), merge={"calm": "neutral", "fearful": "sad"})
    )
    assert labels["label"].value_counts().to_dict() == {"neutral": 4, "sad": 4}
    assert set(labels["emotion"]) == {"neutral", "calm", "sad", "fearful"}
    assert len(metadata.label_table(table, recipe(classes=("happy", "sad")))) == 4


def test_labels_leave_out_what_cannot_be_learned(root):
    folder = root / "data/raw/savee"
    write(folder / "DC/a01.wav", seed=1)
    write(folder / "DC/h01.wav", seed=2)
    write(folder / "DC/h02.wav", np.zeros(1_600))
    write(folder / "KL/n01.wav", seed=3)
    shutil.copy(folder / "DC/h01.wav", folder / "DC/h03.wav")  # same speaker, same label
    shutil.copy(folder / "DC/a01.wav", folder / "KL/a01.wav")  # another speaker
    shutil.copy(folder / "KL/n01.wav", folder / "KL/sa01.wav")  # another label
    write(folder / "KL/sa02.wav", seed=4)
    chosen = recipe(corpora=("savee",), classes=("angry", "happy", "sad"))
    labels = metadata.label_table(build("savee").table, chosen)
    assert [clip.split("/")[1] for clip in labels["clip_id"]] == [
        "DC_a01",
        "DC_h01",
        "DC_h03",
        "KL_sa02",
    ]


def test_song_is_left_out_and_boredom_only_where_it_is_named(root):
    write(root / "data/raw/ravdess/03-02-05-01-01-01-01.wav", seed=1)
    write(root / "data/raw/ravdess/03-01-05-01-01-01-01.wav", seed=2)
    write(root / "data/raw/ravdess/03-01-04-01-01-01-01.wav", seed=3)
    write(root / "data/raw/emodb/03a01La.wav", seed=4)
    table = build("ravdess", "emodb").table
    assert len(table) == 4
    chosen = recipe(corpora=("ravdess", "emodb"), classes=("angry", "sad"))
    assert len(metadata.label_table(table, chosen)) == 2
    chosen = recipe(corpora=("ravdess", "emodb"), classes=("angry", "boredom", "sad"))
    assert sorted(metadata.label_table(table, chosen)["label"]) == ["angry", "boredom", "sad"]
    chosen = dataclasses.replace(chosen, classes=("angry", "sad"), merge={"boredom": "sad"})
    assert sorted(metadata.label_table(table, chosen)["label"]) == ["angry", "sad", "sad"]


def test_label_errors_list_what_is_allowed(root):
    write(root / "data/raw/savee/DC/a01.wav", seed=1)
    write(root / "data/raw/savee/DC/h01.wav", seed=2)
    table = build("savee").table
    with pytest.raises(SerError, match=r"no clip of class 'calm' in savee\. Allowed: angry, happy"):
        metadata.label_table(table, recipe(corpora=("savee",), classes=("angry", "calm")))
    with pytest.raises(SerError, match="holds no clip of 'tess'"):
        metadata.label_table(table, recipe(corpora=("tess",), classes=("angry", "happy")))
    with pytest.raises(SerError, match=r"unknown emotion 'bored'.*Allowed: angry"):
        chosen = recipe(corpora=("savee",), classes=("angry", "happy"), merge={"bored": "neutral"})
        metadata.label_table(table, chosen)


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
    """The table of each real corpus, and the project that remembers its facts."""
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
def test_real_label_table_drops_only_the_known_defects(real_tables):
    tables = {name: result.table for name, result in real_tables[1].items()}
    assert len(metadata.label_table(tables["ravdess"], recipe())) == 1440
    six = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
    crema = metadata.label_table(tables["crema_d"], recipe(corpora=("crema_d",), classes=six))
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
