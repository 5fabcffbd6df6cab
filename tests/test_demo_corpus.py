"""The demo corpus: complete, the same every time, and with differences that can be heard."""

import io
import json
import struct
import subprocess
import sys
import time
import wave
from collections import Counter, defaultdict
from pathlib import Path, PurePath

import espeakng_loader
import numpy as np
import pytest
from ser.corpora.prosody import STYLES, delivery

from ser import corpora
from ser.corpora import demo, espeak, synthesis
from ser.project import SerError


def read(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getframerate() == 22_050
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return samples / 32_768


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, float]:
    """The whole corpus, and the seconds it took."""
    root = tmp_path_factory.mktemp("raw") / "demo"
    start = time.perf_counter()
    synthesis.make_demo(root, progress=False)
    return root, time.perf_counter() - start


def test_makes_every_clip_within_a_minute(made):
    root, seconds = made
    clips, unknown = corpora.scan("demo", root)
    assert unknown == []
    assert {path.as_posix() for path, _ in clips} == {take.path for take in demo.takes()}
    assert len(clips) == corpora.get("demo").n_clips == 604
    assert seconds < 60


def test_ids_and_names_agree_with_what_was_acted(made):
    root, _ = made
    clips = {path.as_posix(): clip for path, clip in corpora.scan("demo", root)[0]}
    for take in demo.takes():
        assert clips[take.path].emotion == take.emotion
        assert clips[take.path].sex == corpora.get("demo").demographics[clips[take.path].speaker][0]
    ids = {corpora.get("demo").clip_id(PurePath(path)) for path in clips}
    assert len(ids) == len(clips)
    assert all(name.count("/") == 1 for name in ids)


def test_covers_schemes_emotions_sexes_and_speakers(made):
    root, _ = made
    clips = [clip for _, clip in corpora.scan("demo", root)[0]]
    speakers = defaultdict(set)
    for clip in clips:
        speakers[clip.speaker].add(clip.emotion)
    assert {name.split("-")[0] for name in speakers} == {"ravdess", "crema_d", "tess", "savee"}
    assert set().union(*speakers.values()) == set(corpora.EMOTIONS)
    assert len(speakers) == len({take.voice for take in demo.takes()}) >= 12
    assert min(map(len, speakers.values())) >= 6
    sexes = Counter(sex for sex, _ in corpora.get("demo").demographics.values())
    assert min(sexes["female"], sexes["male"]) >= 6
    for scheme, voices in demo.VOICES.items():
        emotions = {take.emotion for take in demo.takes() if take.path.startswith(scheme)}
        for speaker in voices:
            assert speakers[f"{scheme}-{speaker}"] == emotions


def test_is_the_same_bit_by_bit(made, tmp_path):
    root, _ = made
    three = [t for t in demo.takes() if t.voice in ("en-us+f2", "en+victor", "en-us+Annie")]
    synthesis.synthesise(three, tmp_path, progress=False)
    assert len(three) > 60
    for take in three:
        assert (tmp_path / take.path).read_bytes() == (root / take.path).read_bytes()


def test_no_two_clips_are_equal(made):
    root, _ = made
    assert len({(root / take.path).read_bytes() for take in demo.takes()}) == 604


def test_clips_sound_like_short_sentences(made):
    root, _ = made
    for take in demo.takes():
        samples = read(root / take.path)
        assert 0.9 < len(samples) / 22_050 < 6, take.path
        assert 0.02 < np.abs(samples).max() < 0.99, take.path
        assert abs(samples.mean()) < 0.01, take.path


def measure(root: Path, measurement) -> dict[str, float]:
    """Median over clips of each emotion, in the sentences that all emotions of a scheme share."""
    found = defaultdict(list)
    for take in demo.takes():
        found[take.emotion].append(measurement(read(root / take.path)))
    return {emotion: float(np.median(values)) for emotion, values in found.items()}


def median_pitch_hz(samples: np.ndarray) -> float:
    """Median over voiced frames of the largest peak of the autocorrelation."""
    found = []
    for start in range(0, len(samples) - 1024, 512):
        frame = samples[start : start + 1024] - samples[start : start + 1024].mean()
        if frame.std() < 0.02:
            continue
        power = np.abs(np.fft.rfft(frame, 4096)) ** 2
        correlation = np.fft.irfft(power)[55:370]  # 400 to 60 Hz
        found.append(22_050 / (55 + int(correlation.argmax())))
    return float(np.median(found)) if found else float("nan")


def test_emotions_differ_in_what_can_be_heard(made):
    root, _ = made
    seconds = measure(root, lambda x: len(x) / 22_050)
    level_db = measure(root, lambda x: 10 * np.log10(np.mean(x**2)))
    assert seconds["angry"] * 1.3 < seconds["sad"]
    assert seconds["fearful"] < seconds["neutral"] < seconds["disgust"]
    assert level_db["angry"] - 6 > level_db["sad"]
    assert level_db["calm"] < level_db["neutral"] < level_db["surprised"]


@pytest.mark.parametrize("sex", ["male", "female"])
def test_pitch_follows_sex_and_emotion(made, sex):
    root, _ = made
    pitch_hz = defaultdict(list)
    for take in demo.takes():
        if demo.parse(PurePath(take.path)).sex == sex:
            pitch_hz[take.emotion].append(median_pitch_hz(read(root / take.path)))
    median = {emotion: np.nanmedian(values) for emotion, values in pitch_hz.items()}
    assert median["surprised"] > 1.2 * median["sad"]
    assert (median["neutral"] > 145) == (sex == "female")


def test_every_voice_exists():
    # espeak-ng falls back to its ordinary voice, silently, where a variant is missing
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    for take in demo.takes():
        assert (variants / take.voice.split("+")[1]).is_file(), take.voice


def test_takes_of_an_emotion_vary():
    for emotion in STYLES:
        same = [delivery(t).parameters for t in demo.takes() if t.emotion == emotion]
        assert len({tuple(parameters.values()) for parameters in same}) > 0.9 * len(same)
        assert np.std([p["rate_wpm"] for p in same]) > 5


def test_second_call_finds_it_made(made):
    root, _ = made
    before = (root / "README.txt").stat().st_mtime_ns
    start_s = time.process_time()
    assert synthesis.make_demo(root) == root
    assert time.process_time() - start_s < 0.1
    assert (root / "README.txt").stat().st_mtime_ns == before
    assert "Demo corpus" in (root / "README.txt").read_text()


def test_killed_while_speaking_leaves_nothing_and_starts_again(tmp_path):
    root = tmp_path / "raw" / "demo"
    script = f"from ser.corpora.synthesis import make_demo; from pathlib import Path; \
make_demo(Path({str(root)!r}))"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    aside = root.with_name(".demo-unfinished")
    deadline = time.monotonic() + 60
    while not any(aside.rglob("*.wav")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert any(aside.rglob("*.wav"))
    assert not root.exists()
    synthesis.make_demo(root, progress=False)
    assert not aside.exists()
    assert len(list(root.rglob("*.wav"))) == 604


def test_refuses_a_folder_of_something_else(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.wav").write_bytes(b"mine")
    with pytest.raises(SerError, match="not the demo corpus"):
        synthesis.make_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "mine.wav").read_bytes() == b"mine"


def test_a_broken_library_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    broken = tmp_path / "libespeak-ng.so"
    broken.write_text("not a library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(broken))
    with pytest.raises(SerError, match="pip install") as caught:
        synthesis.make_demo(tmp_path / "demo", progress=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "demo").exists()


def test_espeak_answers_requests_in_order():
    library = espeakng_loader.get_library_path()
    speaker = espeak.Espeak(library, espeakng_loader.get_data_path())
    short, long = "Yes.", "Kids are talking by the door."
    lines = [json.dumps({"text": text, "voice": "en-us+m1"}) for text in (short, long)]
    replies = io.BytesIO()
    espeak.serve(speaker, io.BytesIO("\n".join(lines).encode()), replies)
    answer = replies.getvalue()
    (first,) = struct.unpack_from(">I", answer)
    (second,) = struct.unpack_from(">I", answer, 4 + first)
    assert len(answer) == 8 + first + second
    assert 0 < first < second
    with pytest.raises(OSError, match="no voice named"):
        speaker.speak("Yes.", "xx-nobody")


@pytest.mark.parametrize(
    "path",
    ["03-01-05-01-01-01-01.wav", "emodb/03a01Fa.wav", "ravdess/OAF_back_angry.wav", "", "tess/x"],
)
def test_parse_refuses_names_outside_the_schemes(path):
    assert demo.parse(PurePath(path)) is None
