"""The store: nothing computed twice, nothing stale, and a kill at any moment costs little."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import not_root, one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio import decode, to_waveform
from ser.cache import Bank
from ser.config import AudioConfig, AugmentationConfig, FeatureConfig
from ser.corpora.metadata import clip_path
from ser.features import augment
from ser.features import dataset as store
from ser.features import extraction as features
from ser.features.dataset import FrontEnd
from ser.project import CacheError

SMALL = FeatureConfig(n_mfcc=13, n_mels=40, hop_length=1024, n_frames=60)
PLAIN = FrontEnd(features=SMALL)
ONE_VARIANT = FrontEnd(
    features=SMALL, augmentation=AugmentationConfig(n_variants=1, pitch_p=1.0, room_p=0.2)
)


def build(table, front_end=PLAIN, **options):
    return store.build(table, front_end, **{"n_jobs": 1, "progress": False, **options})


def files(front_end) -> dict[str, bytes]:
    """Bytes of every file of a front end's cache."""
    return {file.name: file.read_bytes() for file in front_end.folder.glob("*.[cf]*")}


@pytest.fixture
def own_clips(project, demo_table, tmp_path, monkeypatch):
    """A table of eight clips whose files may be spoilt."""
    table = demo_table.iloc[:8].reset_index(drop=True)
    for path in table["path"]:
        target = tmp_path / "own" / "demo" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip_path({"corpus": "demo", "path": path}), target)
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "own"))
    return table


# Computing and finding again ----------------------------------------------------------------------


def test_values_are_those_of_the_front_end(project, demo_table):
    table = demo_table.iloc[::9]
    found = build(table)
    assert found.shape == (8, 1, 60, 13)
    assert found.n_computed == 8
    assert found.problems.empty
    assert found.table["clip_id"].tolist() == table["clip_id"].tolist()
    for i, row in enumerate(found.table.to_dict("records")):
        recording = decode(clip_path(row))
        expected = features.compute(
            recording.samples, recording.sample_rate_hz, AudioConfig(), SMALL
        )
        np.testing.assert_array_equal(found.take([i])[0], expected)
    found.verify()


def test_statistics_of_every_variant(project, demo_table):
    config = dataclasses.replace(SMALL, statistics=("mean", "std", "min", "max"))
    front_end = dataclasses.replace(ONE_VARIANT, features=config)
    assert front_end.folder != ONE_VARIANT.folder
    found = build(demo_table.iloc[:3], front_end)
    assert found.shape == (3, 2, 4, 13)
    rate = front_end.audio.sample_rate_hz
    for i, row in enumerate(found.table.to_dict("records")):
        recording = decode(clip_path(row))
        expected = features.compute(
            recording.samples, recording.sample_rate_hz, front_end.audio, config
        )
        np.testing.assert_array_equal(found.take([i])[0], expected)
        waveform = to_waveform(recording.samples, recording.sample_rate_hz, front_end.audio)
        changed = augment.variant(
            waveform, rate, front_end.augmentation, content=row["pcm_sha256"], number=1
        )
        frames = features.extract(changed, rate, config)[:60]
        np.testing.assert_allclose(found.take([i], 1)[0, 0], frames.mean(axis=0), rtol=1e-5)
    assert build(demo_table.iloc[:3], front_end).n_computed == 0


def test_second_call_computes_nothing_and_one_more_clip_computes_one(project, demo_table):
    build(demo_table.iloc[:6])
    before = files(PLAIN)
    again = build(demo_table.iloc[:6])
    assert again.n_computed == 0
    assert files(PLAIN) == before
    more = build(demo_table.iloc[:7])
    assert more.n_computed == 1
    assert files(PLAIN)["original.f32"].startswith(before["original.f32"])
    some = build(demo_table.iloc[[5, 2]])
    assert some.n_computed == 0
    np.testing.assert_array_equal(some.take([0, 1]), more.take([5, 2]))
    keys = [line[:64] for line in files(PLAIN)["original.csv"].decode().splitlines()]
    assert keys == demo_table["pcm_sha256"].iloc[:7].tolist()


def test_other_settings_are_another_cache(project, demo_table):
    table = demo_table.iloc[:2]
    build(table)
    for other in (
        FrontEnd(features=dataclasses.replace(SMALL, n_frames=30)),
        FrontEnd(features=SMALL, audio=AudioConfig(sample_rate_hz=16_000)),
    ):
        assert other.folder != PLAIN.folder
        found = build(table, other)
        assert found.n_computed == 2
        assert found.shape[2:] == other.shape
    assert build(table).n_computed == 0


def test_a_new_front_end_version_is_another_cache(project, demo_table, monkeypatch):
    build(demo_table.iloc[:2])
    monkeypatch.setattr(features, "FRONT_END_VERSION", "2")
    assert build(demo_table.iloc[:2]).n_computed == 2


def test_more_variants_keep_the_earlier_ones(project, demo_table):
    table = demo_table.iloc[:5]
    one = build(table, ONE_VARIANT)
    assert one.shape == (5, 2, 60, 13)
    before = files(ONE_VARIANT)
    three = FrontEnd(
        features=SMALL, augmentation=dataclasses.replace(ONE_VARIANT.augmentation, n_variants=3)
    )
    more = build(table, three)
    assert more.shape == (5, 4, 60, 13)
    assert more.n_computed == 5
    after = files(three)
    assert len(after) == 8
    assert {name: after[name] for name in before} == before
    assert build(table, ONE_VARIANT).n_computed == 0
    original, first, second = (more.take(range(5), variant) for variant in (0, 1, 2))
    np.testing.assert_array_equal(original, build(table).take(range(5)))
    np.testing.assert_array_equal(first, one.take(range(5), 1))
    assert all(np.any(a != b) for a, b in zip(original, first, strict=True))
    assert all(np.any(a != b) for a, b in zip(first, second, strict=True))


def test_take_chooses_clips_and_variants_in_any_order(project, demo_table):
    found = build(demo_table.iloc[:4], ONE_VARIANT)
    mixed = found.take([3, 0, 3, 1], [0, 1, 1, 0])
    for i, (clip, variant) in enumerate([(3, 0), (0, 1), (3, 1), (1, 0)]):
        np.testing.assert_array_equal(mixed[i], found.take([clip], variant)[0])
    assert found.take([]).shape == (0, 60, 13)
    mixed[:] = 0  # a copy
    found.verify()


def test_positions_follow_the_names_asked_for(project, demo_table):
    found = build(demo_table.iloc[:4])
    ids = found.table["clip_id"].tolist()
    assert found.positions([ids[2], "demo/none", ids[0]]).tolist() == [2, 0]


def test_identical_recordings_share_a_row(project, demo_table):
    twin = demo_table.iloc[[0]].assign(clip_id="demo/twin")
    found = build(pd.concat([demo_table.iloc[:3], twin]))
    assert found.n_computed == 3
    assert len(found.table) == 4
    np.testing.assert_array_equal(found.take([3]), found.take([0]))
    assert len(files(PLAIN)["original.csv"].splitlines()) == 3


def test_two_processes_give_the_same_bytes_as_one(project, demo_table, tmp_path, monkeypatch):
    assert len(demo_table) >= store.SERIAL_BELOW_CLIPS
    assert build(demo_table, ONE_VARIANT, n_jobs=1).n_computed == len(demo_table)
    alone = files(ONE_VARIANT)
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "other"))
    build(demo_table, ONE_VARIANT, n_jobs=2)
    assert files(ONE_VARIANT) == alone


# Bad clips ----------------------------------------------------------------------------------------


def test_one_bad_file_is_listed_and_the_others_go_on(own_clips):
    bad = clip_path(own_clips.iloc[3])
    bad.write_bytes(b"not audio at all")
    clip_path(own_clips.iloc[5]).unlink()
    found = build(own_clips)
    assert len(found.table) == found.n_computed == 6
    assert found.problems["clip_id"].tolist() == own_clips["clip_id"].iloc[[3, 5]].tolist()
    first, second = found.problems["reason"]
    assert str(bad) in first
    assert "expected audio" in first
    assert "no such file" in second
    assert found.positions(own_clips["clip_id"]).tolist() == list(range(6))


def test_all_bad_is_one_line_with_the_first_reason(own_clips):
    for row in own_clips.to_dict("records"):
        clip_path(row).write_bytes(b"")
    with one_line("none of the 8 clips", str(clip_path(own_clips.iloc[0])), "empty"):
        build(own_clips)


def test_no_clips(project, demo_table):
    with one_line("none of the 0 clips"):
        build(demo_table.iloc[:0])


def test_a_recording_that_changed_is_not_taken_for_the_old_one(own_clips):
    soundfile.write(clip_path(own_clips.iloc[0]), np.zeros(22_050), 22_050)
    found = build(own_clips)
    assert len(found.table) == 7
    assert "changed since the metadata was made" in found.problems["reason"].iloc[0]


def test_a_repaired_file_is_computed_by_the_next_call(own_clips):
    path = clip_path(own_clips.iloc[0])
    good = path.read_bytes()
    path.write_bytes(b"")
    build(own_clips)
    path.write_bytes(good)
    found = build(own_clips)
    assert (found.n_computed, len(found.table)) == (1, 8)
    found.verify()


# Damage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, index: data.write_bytes(data.read_bytes()[:-1]),
        lambda data, index: data.write_bytes(b""),
        lambda data, index: data.unlink(),
        lambda data, index: index.write_bytes(b"\xff" * index.stat().st_size),
        lambda data, index: index.write_bytes(index.read_bytes().replace(b"\n", b"\r\r", 1)),
    ],
    ids=["data cut short", "data empty", "data gone", "index is noise", "index with two lines"],
)
def test_damaged_files_are_one_line_and_repair_heals(project, demo_table, damage):
    table = demo_table.iloc[:4]
    values = build(table).take(range(4))
    stem = PLAIN.stem(0)
    damage(stem.with_suffix(".f32"), stem.with_suffix(".csv"))
    with one_line("data/processed/", "damaged", "ser features --repair", kind=CacheError):
        build(table)
    healed = build(table, repair=True)
    assert healed.n_computed == 4
    healed.verify()
    np.testing.assert_array_equal(healed.take(range(4)), values)
    assert build(table).n_computed == 0


def test_a_flipped_bit_is_found_and_repair_computes_only_that_file(project, demo_table):
    table = demo_table.iloc[:4]
    values = build(table, ONE_VARIANT).take(range(4), 1)
    data = ONE_VARIANT.stem(1).with_suffix(".f32")
    content = bytearray(data.read_bytes())
    content[5_000] ^= 0x10
    data.write_bytes(content)
    with one_line("row 1 is not what was written", "--repair", kind=CacheError):
        build(table, ONE_VARIANT).verify()
    original = ONE_VARIANT.stem(0).with_suffix(".f32")
    written = original.stat().st_mtime_ns
    healed = build(table, ONE_VARIANT, repair=True)
    healed.verify()
    np.testing.assert_array_equal(healed.take(range(4), 1), values)
    assert original.stat().st_mtime_ns == written


def test_repair_of_a_whole_cache_computes_nothing(project, demo_table):
    build(demo_table.iloc[:3])
    assert build(demo_table.iloc[:3], repair=True).n_computed == 0
    assert build(demo_table.iloc[3:5], repair=True).n_computed == 2


KEYS = [f"{i:064x}" for i in range(6)]
ROWS = np.arange(6 * 3 * 2, dtype=np.float32).reshape(6, 3, 2)


def bank_of_six(folder) -> Bank:
    shutil.rmtree(folder, ignore_errors=True)
    bank = Bank(folder / "rows", (3, 2))
    bank.append([(KEYS[0], ROWS[0])])
    bank.append(list(zip(KEYS[1:], ROWS[1:], strict=True)))
    bank.refresh()
    return bank


def check_bank(bank):
    """Whatever is there is right, and the rest can be added."""
    for key, row in bank.keys.items():
        np.testing.assert_array_equal(bank.take(np.array([row]))[0], ROWS[KEYS.index(key)])
    missing = [(key, value) for key, value in zip(KEYS, ROWS, strict=True) if key not in bank]
    bank.append(missing)
    bank.refresh()
    np.testing.assert_array_equal(bank.take(bank.rows(KEYS)), ROWS)
    bank.verify(np.arange(len(bank)))
    return len(missing)


@settings(deadline=None)
@given(index_bytes=st.integers(0, 6 * 74), torn_data=st.integers(0, 3 * 24))
def test_a_bank_torn_anywhere_is_whole_rows(tmp_path_factory, index_bytes, torn_data):
    bank = bank_of_six(tmp_path_factory.getbasetemp() / "bank")
    whole = bank.data_path.read_bytes(), bank.index_path.read_bytes()
    bank.index_path.write_bytes(whole[1][:index_bytes])  # the index is written after the data,
    n_rows = index_bytes // 74
    bank.data_path.write_bytes(whole[0][: n_rows * 24 + torn_data])  # so there may be more data
    assert check_bank(Bank(bank.stem, (3, 2))) == 6 - n_rows
    assert (bank.data_path.read_bytes(), bank.index_path.read_bytes()) == whole


@settings(deadline=None, max_examples=200)
@given(position=st.integers(0, 6 * 74 - 1), flip=st.integers(1, 255))
def test_no_flipped_byte_of_an_index_gives_a_wrong_row(tmp_path_factory, position, flip):
    bank = bank_of_six(tmp_path_factory.getbasetemp() / "bank")
    content = bytearray(bank.index_path.read_bytes())
    content[position] ^= flip
    bank.index_path.write_bytes(content)
    row = position // 74
    try:
        bank = Bank(bank.stem, (3, 2))
        bank.verify(np.arange(6))
    except CacheError as error:
        assert "damaged" in str(error)
        return
    assert KEYS[row] not in bank or position % 74 >= 64
    for key in set(KEYS) & set(bank.keys):
        if key != KEYS[row]:
            value = bank.take(bank.rows([key]))[0]
            np.testing.assert_array_equal(value, ROWS[KEYS.index(key)])


# Kills, locks, full disks -------------------------------------------------------------------------

# One process that knows librosa already makes children that build, and kills each at work.
KILLER = """
import os, random, signal, sys, time
import numpy as np, pandas as pd
import test_store
from ser.features import dataset as store, extraction as features
table, front_end = pd.read_pickle(sys.argv[1]), test_store.ONE_VARIANT
features.extract(np.zeros(9_000, np.float32), 22_050, front_end.features)
store.CHUNK_CLIPS = 1
index = front_end.stem(1).with_suffix(".csv")
rows = lambda: index.stat().st_size // 74 if index.exists() else 0
generator = random.Random(int(sys.argv[2]))
for _ in range(6):
    target = rows() + generator.randint(1, 3)
    child = os.fork()
    if child == 0:
        store.build(table, front_end, n_jobs=1, progress=False)
        os._exit(0)
    while rows() < target and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    time.sleep(generator.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(rows(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_random_moments_the_store_ends_the_same(
    project, demo_table, tmp_path, monkeypatch
):
    table = demo_table.iloc[:30]
    table.to_pickle(tmp_path / "table.pickle")
    answer = subprocess.check_output(
        [sys.executable, "-c", KILLER, str(tmp_path / "table.pickle"), "0"],
        cwd=Path(__file__).parent,
        text=True,
    )
    rows = [int(line) for line in answer.split()]
    assert len(rows) == 6
    assert rows == sorted(rows)
    assert 0 < rows[0] < 30, "the first kill came too late to mean anything"
    found = build(table, ONE_VARIANT)
    assert 30 - rows[-1] <= found.n_computed <= 30 - rows[-1] + 1
    found.verify()
    killed = files(ONE_VARIANT)
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "undisturbed"))
    build(table, ONE_VARIANT)
    assert killed == files(ONE_VARIANT)


def test_a_lock_held_by_another_process_is_one_line(project, demo_table):
    PLAIN.folder.mkdir(parents=True)
    script = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(PLAIN.folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        start = time.perf_counter()
        with one_line("data/processed", "another process", "try again", kind=CacheError):
            build(demo_table.iloc[:1])
        assert time.perf_counter() - start < 10
        holder.kill()
    assert build(demo_table.iloc[:1]).n_computed == 1


def test_a_full_disk_keeps_what_was_computed(demo_table, demo_shelf, tiny_disk, monkeypatch):
    disk = tiny_disk(160)
    monkeypatch.setenv("SER_ROOT", str(disk))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    monkeypatch.setattr(store, "CHUNK_CLIPS", 4)
    with one_line("disk is full", "Free some space", "finished work is kept"):
        build(demo_table)
    kept = len(Bank(PLAIN.stem(0), PLAIN.shape))
    assert 10 < kept < len(demo_table)
    before = files(PLAIN)["original.f32"][: kept * 60 * 13 * 4]
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    found = build(demo_table)
    assert found.n_computed == len(demo_table) - kept
    found.verify()
    assert files(PLAIN)["original.f32"].startswith(before)


def test_a_folder_without_permission_is_one_line(open_folder, demo_table, demo_shelf, monkeypatch):
    shutil.copytree(demo_shelf, open_folder / "shelf")
    (open_folder / "shelf").chmod(0o755)
    monkeypatch.setenv("SER_ROOT", str(open_folder / "project"))
    monkeypatch.setenv("SER_CORPORA", str(open_folder / "shelf"))
    with not_root(), one_line("data/processed", "no permission to write", "SER_ROOT"):
        build(demo_table.iloc[:1])


# A cluster ----------------------------------------------------------------------------------------


def test_an_address_where_no_cluster_is(project, demo_table):
    pytest.importorskip("distributed", reason="pip install 'ser-honest[cluster]' to test clusters")
    with one_line("no Dask scheduler", "'nonsense'", "dask scheduler"):
        build(demo_table.iloc[:2], cluster="nonsense")


@pytest.mark.skipif(find_spec("distributed") is not None, reason="distributed is installed")
def test_a_cluster_without_the_package(project, demo_table):
    with one_line("distributed", "pip install"):
        build(demo_table.iloc[:2], cluster="tcp://127.0.0.1:8786")


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_even_when_a_worker_is_killed(
    project, demo_table, tmp_path, monkeypatch
):
    distributed = pytest.importorskip(
        "distributed", reason="pip install 'ser-honest[cluster]' to test clusters"
    )
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(store, "CHUNK_CLIPS", 2)
    table = demo_table.iloc[:40]
    build(table, ONE_VARIANT)
    alone = files(ONE_VARIANT)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        monkeypatch.setenv("SER_ROOT", str(tmp_path / "cluster"))
        with distributed.Client(cluster) as client:
            victim = psutil.Process(min(client.run(os.getpid).values()))
        append, killed = Bank.append, []

        def append_and_kill(bank, items):
            if not killed:
                victim.kill()
                killed.append(len(bank))
            append(bank, items)

        monkeypatch.setattr(Bank, "append", append_and_kill)
        found = build(table, ONE_VARIANT, cluster=cluster.scheduler_address)
    assert killed == [0]
    assert found.problems.empty
    assert found.n_computed == 40
    found.verify()
    assert files(ONE_VARIANT) == alone


def test_half_precision_is_widened_exactly(tmp_path):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # infinite and no numbers, too
    bank = Bank(tmp_path / "halves", every.shape, half=True)
    with np.errstate(invalid="ignore"):
        bank.append([("0" * 64, every.astype(np.float32))])
    bank.refresh()
    found = bank.take(np.array([0, 0]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.stack([every, every]).astype(np.float32))
