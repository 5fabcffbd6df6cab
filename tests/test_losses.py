"""Nothing is dropped in silence: what was found is what was used and what is named as lost."""

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import TINY, one_line, ser_command
from odd_files import encoded, speech_like

from ser import audio
from ser.config import changed
from ser.corpora import metadata
from ser.corpora.folders import COPY, OTHER_SIZE, UNKNOWN, UNREAD
from ser.experiments import plans, reports, runner
from ser.project import some


def clip(folder, name, samples, rate=16_000):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def test_many_things_are_counted_and_ten_are_named():
    assert some([1, 2]) == "1, 2"
    assert some(list(range(36_486))).endswith("8, 9 and 36,476 more")


# What a decoder hears ---------------------------------------------------------------------------


def test_all_of_an_mp3_is_heard_whatever_its_first_frame_says(tmp_path):
    """Without a header, libsndfile takes the bit rate of the first frame for that of all."""
    rate, rng = 44_100, np.random.default_rng(0)
    for order in (1, -1):
        samples = np.r_[rng.normal(0, 0.1, 5 * rate), np.zeros(10 * rate)][::order]
        whole = io.BytesIO()
        settings = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE"}
        with soundfile.SoundFile(whole, "w", rate, 1, **settings) as file:
            file.write(samples)
        counted = whole.getvalue()
        bare = counted[1:][counted[1:].index(b"\xff\xfb") :]  # its first frame holds the length
        guessed = soundfile.info(io.BytesIO(bare)).duration
        assert abs(guessed - 15) > 2
        assert audio.decode(bare).duration_s == pytest.approx(15, abs=0.1)
        assert not audio.decode(bare).truncated
        assert audio.decode(counted).duration_s == 15
        (tmp_path / "bare.mp3").write_bytes(bare)
        assert audio.decode(tmp_path / "bare.mp3").duration_s == pytest.approx(15, abs=0.1)
        cut = audio.decode(counted[: len(counted) // 2])
        assert cut.truncated
        assert cut.duration_s < 14


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "OGG"])
def test_a_file_that_ends_before_its_header_says_is_flagged(kind):
    data = encoded(speech_like(3), kind=kind, subtype="VORBIS" if kind == "OGG" else "PCM_16")
    assert not audio.decode(data).truncated
    assert audio.decode(data[: len(data) * 2 // 3]).truncated
    if kind == "WAV":  # what writes into a pipe does not know how much will come
        streamed = data[:40] + b"\xff\xff\xff\xff" + data[44:]
        assert not audio.decode(streamed).truncated


@pytest.mark.parametrize("kind", [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_recordings_joined_in_one_file_are_all_heard(kind):
    """Radios send Ogg so, and people join MP3s; libsndfile ends with the first."""
    rate = 48_000
    parts = [encoded(speech_like(seconds, rate, seed=seconds), rate, *kind) for seconds in (2, 3)]
    alone = [audio.decode(part) for part in parts]
    found = audio.decode(b"".join(parts))
    assert not found.truncated
    assert found.duration_s == pytest.approx(5, abs=0.25)  # of an MP3 with what its encoder added
    if kind[0] == "OGG":
        np.testing.assert_array_equal(found.samples, np.concatenate([r.samples for r in alone]))
        other = encoded(speech_like(1, rate, channels=2), rate, *kind)
        assert audio.decode(parts[0] + other).truncated
        assert audio.decode(parts[0] + other[:40] + bytes(99)).duration_s == 2


def test_all_is_heard_where_a_recorder_was_killed_before_it_wrote_the_length():
    data = encoded(speech_like(2))
    killed = data[:4] + (36).to_bytes(4, "little") + data[8:40] + bytes(4) + data[44:]
    assert soundfile.info(io.BytesIO(killed)).frames == 0
    found = audio.decode(killed)
    np.testing.assert_array_equal(found.samples, audio.decode(data).samples)
    assert not found.truncated
    with one_line("holds no samples"):
        audio.decode(data[:40] + bytes(4))


def test_metadata_flags_what_features_hear(project, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    one = speech_like(1)
    clip(tmp_path / "savee", "DC_a01.wav", np.hstack([one, -one]))  # channels cancel
    clip(tmp_path / "savee", "DC_a02.wav", np.hstack([one, one]))
    cut = encoded(speech_like(2, seed=1))[:-20_000]
    (tmp_path / "savee" / "DC_a03.wav").write_bytes(cut)
    table = metadata.build(("savee",), progress=False).table
    assert table["flags"].tolist() == ["silent", "", "truncated"]
    done = ser_command("metadata", "-c", "savee")
    assert "flagged: silent 1, truncated 1\n" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("3 files found, 3 clips used. Table: ")


def test_a_closed_home_is_not_the_fault_of_a_clip(tmp_path, monkeypatch):
    """Numba keeps what it compiles beside librosa or in the home, and fails if both are closed."""
    closed = tmp_path / "file"
    closed.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "my own")
    audio.keep_compiled([closed / "librosa"])
    assert os.environ["NUMBA_CACHE_DIR"] == "my own"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    audio.keep_compiled([closed / "librosa", tmp_path / "home"])
    assert "NUMBA_CACHE_DIR" not in os.environ
    audio.keep_compiled([closed / "librosa", closed / "home"])
    made = Path(os.environ["NUMBA_CACHE_DIR"])
    assert made.is_dir()
    made.rmdir()


# A corpus ---------------------------------------------------------------------------------------


def test_recordings_found_are_clips_and_named_losses(project, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    folder = tmp_path / "savee"
    for seed, name in enumerate(("DC_a01", "DC_h01", "DC_sa01")):
        clip(folder, f"{name}.wav", speech_like(1, seed=seed))
    shutil.copy(folder / "DC_a01.wav", clip(folder, "again/DC_a01.wav", speech_like(1)))
    clip(folder, "happy/DC_h01.wav", speech_like(2))  # another recording under the same name
    (folder / "DC_n01.wav").write_text("no sound")
    (folder / "._DC_n01.wav").write_text("what macOS adds")
    for number in range(12):
        shutil.copy(folder / "DC_a01.wav", folder / f"other corpus {number:02d}.wav")
    result = metadata.build(("savee",), progress=False)
    assert len(result.table) == 3
    reasons = [UNREAD, UNKNOWN, OTHER_SIZE, COPY, "no recording"]
    assert [result.counts[why] for why in reasons] == [1, 12, 1, 1, 1]
    metadata.write_table(result.table)
    assert metadata.read_table().attrs["left_out"] == {"savee": result.counts}
    assert result.unused[OTHER_SIZE] == [folder / "happy" / "DC_h01.wav"]
    lines = result.losses
    assert [line.split(":")[0] for line in lines] == [
        "left out, cannot be read (1)",
        "left out, unknown name (12)",
        "left out, name of a clip, but another size (1)",
        "left out, copy of a clip (1)",
        "left out, no recording (1)",
    ]
    assert "other corpus 09.wav and 2 more" in lines[1]
    assert not any("\n" in line for line in lines)


def test_a_video_and_its_sound_are_one_clip(project, monkeypatch, tmp_path):
    """They are one performance: as two clips, a random split could part them."""
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    folder = tmp_path / "ravdess"
    for seed, name in enumerate(("03-01-05-01-01-01-01", "01-01-05-01-01-01-01")):
        clip(folder, f"{name}.wav", speech_like(1, seed=seed))  # the sound of the video, too
    clip(folder, "01-01-04-01-01-01-01.wav", speech_like(1))
    for name in ("01-01-05", "02-01-05", "02-01-04"):
        (folder / f"{name}-01-01-01-01.mp4").write_bytes(b"pictures")
    result = metadata.build(("ravdess",), progress=False)
    assert result.table["clip_id"].str[8:].tolist() == [
        "03-01-04-01-01-01-01",
        "03-01-05-01-01-01-01",
    ]
    assert result.table["modality"].tolist() == ["full-av", "audio-only"]
    assert result.counts == {"video of a clip": 4}
    assert result.losses[0].startswith("left out, video of a clip (4): ")
    done = ser_command("data", "add", "ravdess", folder)
    assert "6 files found, 2 clips used; left out: video of a clip 4.\n" in done.stdout


# An experiment ----------------------------------------------------------------------------------


def test_a_class_that_a_fold_cannot_learn_is_said_before_any_training(
    project, three_speakers, monkeypatch
):
    monkeypatch.setattr(runner.dataset, "build", lambda *_, **__: 1 / 0)  # nothing is computed
    alone = three_speakers["speaker"].str.endswith("03") | (three_speakers["emotion"] != "sad")
    table = three_speakers[alone].reset_index(drop=True)
    plan = plans.plan(TINY, table=table)
    bad = [
        fold.index
        for fold in plan.folds
        if not any("-04-" in clip.split("/")[1][13:] for clip in fold.train)
    ]
    assert bad
    with one_line("recipe tiny", f"fold {bad[0]}", "no training clip of sad", "Leave such a class"):
        runner.run(plan, seeds=(0,), every=0)
    with one_line("no training clip of sad"):
        runner.train_fold(plan, bad[0], 0, every=0)
    assert not plan.runs_folder.exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model.architecture": "cnn_lstn"}, "no architecture 'cnn_lstn'. Did you mean"),
        ({"model.options.unit": 3}, "has no option 'unit'"),
    ],
)
def test_a_model_that_cannot_be_built_is_said_before_features_are_computed(
    project, three_speakers, monkeypatch, settings, words
):
    monkeypatch.setattr(runner.dataset, "build", lambda *_, **__: 1 / 0)
    plan = plans.plan(changed(TINY, settings), table=three_speakers)
    with one_line(words):
        runner.run(plan, seeds=(0,), every=0)
    with one_line(words):
        runner.train_fold(plan, 0, 0, every=0)


def test_what_a_recipe_leaves_out_is_counted_by_reason(project, three_speakers):
    two = dataclasses.replace(TINY, classes=("angry", "sad"))
    table = three_speakers.copy()
    first, last = table.index[table["emotion"] == "angry"][[0, -1]]
    table.loc[first, "flags"] = "silent"
    table.loc[last, "vocal_channel"] = "song"
    table.attrs["left_out"] = {"demo": {"copy of a clip": 5}, "tess": {"silent": 7}}
    plan = plans.plan(two, table=table)
    files = plan.files(1)
    assert files["found"] == 36 + 5
    assert files["used"] == len(plan.table) - 1 == 21
    expected = {"copy of a clip": 5, "labelled neutral": 12, "silent": 1, "song": 1}
    assert files["left_out"] == {**expected, "cannot be read": 1}
    assert files["found"] == files["used"] + sum(files["left_out"].values())


def test_clips_that_went_after_the_metadata_are_counted_everywhere(
    project, monkeypatch, tmp_path, demo_shelf, three_speakers, capsys
):
    shutil.copytree(demo_shelf, tmp_path / "shelf")
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "shelf"))
    paths = metadata.clip_paths(three_speakers)
    gone = [0, 15]
    for position in gone:
        paths[position].unlink()
    names = three_speakers["clip_id"].iloc[gone].tolist()
    quick = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, epochs=1))
    report = runner.run(quick, seeds=(0,), every=0, table=three_speakers)
    said = capsys.readouterr().out
    assert said.count("left out, 2 of 36 clips that cannot be read") == 1
    assert said.count("36 files found, 34 clips used; left out: cannot be read 2\n") == 1
    assert all(name in said for name in names)
    assert said.count(" trainings finished, about ") == 3
    assert "3/3 trainings finished, about 00:00 left\n" in said
    written = json.loads((report / "metrics.json").read_text())
    assert written["files"] == {"found": 36, "used": 34, "left_out": {"cannot be read": 2}}
    kept = written["left_out"]
    assert sorted(kept) == sorted(names)
    assert all("no such file" in reason for reason in kept.values())
    assert str(tmp_path) not in str(kept)  # no path of this machine
    assert reports.metrics_of(report)["left_out"] == kept
    everyone = three_speakers[three_speakers["speaker"].str.endswith("01")]
    for path in metadata.clip_paths(everyone):
        path.unlink(missing_ok=True)
    shutil.rmtree(project / "data" / "processed")
    with one_line("has no"):  # a part of it has nothing left: said before any training
        runner.run(quick, seeds=(1,), every=0, table=three_speakers)
    assert not list(project.glob("models/runs/tiny/*/*seed-1"))
