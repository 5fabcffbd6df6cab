"""Cached features: nothing computed twice, nothing stale, and a kill costs little."""

import contextlib
import dataclasses
import gc
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import not_root, one_line, ser_command

from ser.audio import decode, to_waveform
from ser.cache import Cache
from ser.config import AudioConfig, AugmentationConfig, FeatureConfig
from ser.corpora.metadata import clip_path
from ser.features import augment, dataset, extraction
from ser.features.dataset import FrontEnd
from ser.project import CacheError

SMALL = FeatureConfig(n_mfcc=13, n_mels=40, hop_length=1024, n_frames=60)
PLAIN = FrontEnd(features=SMALL)
ONE_VARIANT = FrontEnd(
    features=SMALL, augmentation=AugmentationConfig(n_variants=1, pitch_p=1.0, room_p=0.2)
)


def build(table, front_end=PLAIN, **options):
    return dataset.build(table, front_end, **{"n_jobs": 1, "progress": False, **options})


def values(front_end) -> dict[str, bytes]:
    """What the cache of a front end holds, in the order it was written."""
    with contextlib.closing(sqlite3.connect(front_end.cache().file)) as database:
        return dict(database.execute("SELECT key, value FROM entries ORDER BY id").fetchall())


def n_rows(front_end) -> int:
    """How many values are there, while another process may write."""
    with contextlib.suppress(sqlite3.OperationalError):  # the other is just making the file
        return len(values(front_end)) if front_end.cache().file.exists() else 0
    return 0


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
        expected = extraction.compute(
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
        expected = extraction.compute(
            recording.samples, recording.sample_rate_hz, front_end.audio, config
        )
        np.testing.assert_array_equal(found.take([i])[0], expected)
        waveform = to_waveform(recording.samples, recording.sample_rate_hz, front_end.audio)
        changed = augment.variant(
            waveform, rate, front_end.augmentation, content=row["pcm_sha256"], number=1
        )
        frames = extraction.extract(changed, rate, config)[:60]
        np.testing.assert_allclose(found.take([i], 1)[0, 0], frames.mean(axis=0), rtol=1e-5)
    assert build(demo_table.iloc[:3], front_end).n_computed == 0


def test_second_call_computes_nothing_and_one_more_clip_computes_one(project, demo_table):
    build(demo_table.iloc[:6])
    before = values(PLAIN)
    again = build(demo_table.iloc[:6])
    assert again.n_computed == 0
    assert values(PLAIN) == before
    more = build(demo_table.iloc[:7])
    assert more.n_computed == 1
    after = values(PLAIN)
    assert before.items() <= after.items()
    some = build(demo_table.iloc[[5, 2]])
    assert some.n_computed == 0
    np.testing.assert_array_equal(some.take([0, 1]), more.take([5, 2]))
    assert list(after) == [f"{sound} original" for sound in demo_table["pcm_sha256"].iloc[:7]]


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
    monkeypatch.setattr(extraction, "FRONT_END_VERSION", "2")
    assert build(demo_table.iloc[:2]).n_computed == 2


def test_more_variants_keep_the_earlier_ones(project, demo_table):
    table = demo_table.iloc[:5]
    one = build(table, ONE_VARIANT)
    assert one.shape == (5, 2, 60, 13)
    before = values(ONE_VARIANT)
    three = FrontEnd(
        features=SMALL, augmentation=dataclasses.replace(ONE_VARIANT.augmentation, n_variants=3)
    )
    more = build(table, three)
    assert more.shape == (5, 4, 60, 13)
    assert more.n_computed == 5
    after = values(three)
    assert len(after) == 20
    assert before.items() <= after.items()
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
    assert len(values(PLAIN)) == 3


def test_two_processes_give_the_same_bytes_as_one(project, demo_table, tmp_path, monkeypatch):
    assert len(demo_table) >= dataset.SERIAL_BELOW_CLIPS
    assert build(demo_table, ONE_VARIANT, n_jobs=1).n_computed == len(demo_table)
    alone = values(ONE_VARIANT)
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "other"))
    build(demo_table, ONE_VARIANT, n_jobs=2)
    assert values(ONE_VARIANT) == alone


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
    soundfile.write(clip_path(own_clips.iloc[0]), np.zeros(22_050), 22_050, format="WAV")
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
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\xff" * len(content),
        lambda content: content[:100] + bytes(4_000) + content[4_100:],
    ],
    ids=["cut short", "empty", "noise", "a page of zeros"],
)
def test_damaged_files_are_one_line_or_computed_again(project, demo_table, damage):
    table = demo_table.iloc[:6]
    whole = build(table).take(range(6))
    file = PLAIN.cache().file
    gc.collect()  # no connection of ours may hold the file
    file.write_bytes(damage(file.read_bytes()))
    try:
        build(table).verify()
    except CacheError as error:
        assert "damaged" in str(error)
        assert "ser features --repair" in str(error)
        assert "\n" not in str(error)
    PLAIN.cache().repair()
    healed = build(table)
    healed.verify()
    np.testing.assert_array_equal(healed.take(range(6)), whole)
    assert build(table).n_computed == 0


@pytest.mark.parametrize("n_places", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_no_flipped_byte_makes_one_row_answer_for_another(project, demo_table, n_places):
    table = demo_table.iloc[:6]
    whole = build(table).take(range(6))
    file = PLAIN.cache().file
    gc.collect()
    content = file.read_bytes()
    of_keys = [found.start() + 30 for found in re.finditer(rb"\w{64} original", content)]
    of_table = content.index(b"BLOB") - 3
    rng = np.random.default_rng(0)
    chance = rng.integers(100, len(content), n_places)
    for place in [*range(16, 100, 20), of_table, *of_keys, *chance]:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(spoilt)
        with contextlib.suppress(CacheError):
            found = build(table)
            found.verify()
            np.testing.assert_array_equal(found.take(range(6)), whole, err_msg=str(place))
        PLAIN.cache().repair()
        healed = build(table)
        healed.verify()
        np.testing.assert_array_equal(healed.take(range(6)), whole, err_msg=str(place))
        healed._cache.close()  # before the file is written over


def test_a_value_that_changed_is_found_and_only_it_is_computed(project, demo_table):
    table = demo_table.iloc[:4]
    whole = build(table, ONE_VARIANT).take(range(4), 1)
    with contextlib.closing(sqlite3.connect(ONE_VARIANT.cache().file)) as database, database:
        key = f"{table['pcm_sha256'].iloc[1]} {ONE_VARIANT.variants[1]}"
        database.execute("UPDATE entries SET value = zeroblob(3120) WHERE key = ?", (key,))
    with one_line("is not what was written", "--repair", kind=CacheError):
        build(table, ONE_VARIANT).verify()
    done = ser_command("features", "--repair")  # whatever recipe it was of
    assert done.stdout.startswith("caches checked: 1;"), done.stderr
    healed = build(table, ONE_VARIANT)
    assert healed.n_computed == 1
    healed.verify()
    np.testing.assert_array_equal(healed.take(range(4), 1), whole)


def test_repair_of_a_whole_cache_computes_nothing(project, demo_table):
    build(demo_table.iloc[:3])
    PLAIN.cache().repair()
    assert build(demo_table.iloc[:3]).n_computed == 0
    assert build(demo_table.iloc[3:5]).n_computed == 2


# Kills, locks, full disks -------------------------------------------------------------------------

# One process that knows librosa already makes children that build, and kills each at work.
KILLER = """
import os, random, signal, sys, time
import numpy as np, pandas as pd
import test_dataset
from ser.features import dataset, extraction
table, front_end = pd.read_pickle(sys.argv[1]), test_dataset.ONE_VARIANT
extraction.extract(np.zeros(9_000, np.float32), 22_050, front_end.features)
dataset.CHUNK_CLIPS = 1
rows = lambda: test_dataset.n_rows(front_end)
generator = random.Random(int(sys.argv[2]))
for _ in range(6):
    target = rows() + generator.randint(1, 3)
    child = os.fork()
    if child == 0:
        dataset.build(table, front_end, n_jobs=1, progress=False)
        os._exit(0)
    while rows() < target and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    time.sleep(generator.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(rows(), flush=True)
"""


@pytest.mark.slow
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
    assert 0 < rows[0] < 60, "the first kill came too late to mean anything"
    found = build(table, ONE_VARIANT)
    assert found.n_computed == 30 - rows[-1] // 2  # both variants of a clip, or none
    found.verify()
    killed = values(ONE_VARIANT)
    monkeypatch.setenv("SER_ROOT", str(tmp_path / "undisturbed"))
    build(table, ONE_VARIANT)
    assert killed == values(ONE_VARIANT)


def test_another_process_is_waited_for(project, demo_table, capsys):
    PLAIN.folder.mkdir(parents=True)
    script = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); time.sleep(1.5)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(PLAIN.folder / ".lock")],
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert build(demo_table.iloc[:1]).n_computed == 1
    assert "another process computes these features; waiting" in capsys.readouterr().out


def test_a_full_disk_keeps_what_was_computed(demo_table, demo_shelf, tiny_disk, monkeypatch):
    disk = tiny_disk(400)
    monkeypatch.setenv("SER_ROOT", str(disk))
    monkeypatch.setenv("SER_CORPORA", str(demo_shelf))
    monkeypatch.setattr(dataset, "CHUNK_CLIPS", 4)
    with one_line("disk is full", "Free some space", "finished work is kept"):
        build(demo_table)
    before = values(PLAIN)
    kept = len(before)
    assert 10 < kept < len(demo_table)
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    found = build(demo_table)
    assert found.n_computed == len(demo_table) - kept
    found.verify()
    assert before.items() <= values(PLAIN).items()


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
    monkeypatch.setattr(dataset, "CHUNK_CLIPS", 2)
    table = demo_table.iloc[:40]
    build(table, ONE_VARIANT)
    alone = values(ONE_VARIANT)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        monkeypatch.setenv("SER_ROOT", str(tmp_path / "cluster"))
        with distributed.Client(cluster) as client:
            victim = psutil.Process(min(client.run(os.getpid).values()))
        put, killed = Cache.put, []

        def put_and_kill(cache, items):
            if not killed:
                victim.kill()
                killed.append(cache)
            put(cache, items)

        monkeypatch.setattr(Cache, "put", put_and_kill)
        found = build(table, ONE_VARIANT, cluster=cluster.scheduler_address)
    assert len(killed) == 1
    assert found.problems.empty
    assert found.n_computed == 40
    found.verify()
    assert values(ONE_VARIANT) == alone


def test_half_precision_is_widened_exactly():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # infinite and no numbers, too
    np.testing.assert_array_equal(dataset._all_halves(), every.astype(np.float32))


# The cache itself ---------------------------------------------------------------------------------


def test_a_cache_in_threads_and_processes(tmp_path):
    cache = Cache(tmp_path / "deep" / "c.sqlite")
    assert cache.find(["a"]) == {}
    cache.put([("a", b"1"), ("b", b"22")])
    cache.put([("a", b"other"), ("c", b"")])  # a key keeps its first value
    again = pickle.loads(pickle.dumps(cache))
    rows = again.find(["c", "a", "zzz", "b", "a"])
    assert set(rows) == {"a", "b", "c"}
    assert list(again.read([rows["a"], rows["c"], rows["a"]])) == [b"1", b"", b"1"]
    again.verify(rows)
    items = [(f"{i:05d}", bytes(100)) for i in range(2_000)]
    with ThreadPoolExecutor(4) as pool:  # each opens the file for itself, and waits for the others
        list(pool.map(lambda n: Cache(cache.file).put(items[n::4]), range(4)))
        list(pool.map(lambda n: cache.put([(f"shared {n}", b"1")]), range(40)))  # or share it
        shared = cache.find(f"shared {n}" for n in range(40))
        assert {*pool.map(lambda row: next(cache.read([row])), shared.values())} == {b"1"}
    assert len(shared) == 40
    assert len(cache.find(key for key, _ in items)) == 2_000
    with one_line("c.sqlite", "damaged", "is gone", kind=CacheError):
        list(cache.read([999_999]))
