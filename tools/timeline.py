"""How much of a recording its timeline covers, and whether each stretch is answered as it should.

    python tools/timeline.py [RULE …]

Clips of known label, trimmed as the model trims them, follow one another with pauses of 0.1 to 2 s
of faint noise. Covered is the share of the clips' time that lies in some stretch; outside, the
share of the stretches' time in which nobody speaks; agreeing, the share of the covered time whose
answer is that of the clip alone, and the share of clips answered so for most of their covered time.
Rules are compared on CHOOSING, and the one that `ser predict` has is reported on the others too.
Writes ``reports/timeline.json``.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from ser.audio import decode, to_mono, to_waveform
from ser.config import AudioConfig
from ser.corpora import metadata
from ser.inference import Model, load_model, speech
from ser.inference import model as answering
from ser.project import paths, write_json

RATE_HZ = 16_000
CHOOSING = ("ased", "crema_d", "savee")
REPORTED = ("emodb", "ravdess", "tess", "urdu")
N_RECORDINGS, N_CLIPS = 6, 8  # of a corpus, of a recording
PAUSE_S = (0.1, 2.0)
FAINT = 10 ** (-70 / 20)
STEPS = 100  # a second, in which time is counted
NOW: dict[str, float] = {}
RULES = {
    "as it is": NOW,
    "pauses from 0.2 s": {"SHORTEST_PAUSE_S": 0.2},
    "pauses from 0.1 s": {"SHORTEST_PAUSE_S": 0.1},
    "margins of 0.2 s": {"MARGIN_S": 0.2},
    "margins of 0.2 s, pauses from 0.2 s": {"MARGIN_S": 0.2, "SHORTEST_PAUSE_S": 0.2},
    "speech from 0.1 s": {"SHORTEST_SPEECH_S": 0.1},
    "speech begins and ends at 0.2": {"BEGINS": 0.2, "ENDS": 0.2},
    "windows of 4 s": {"WINDOW_S": 4.0},
    "windows of 1.5 s": {"WINDOW_S": 1.5},
}
Rule = dict[str, float]
Recording = tuple[np.ndarray, list[tuple[float, float, str]]]


def recordings(table: pd.DataFrame, model: Model, corpus: str) -> list[Recording]:
    """Join clips of a corpus; give samples, and where each clip lies with its answer alone."""
    rng = np.random.default_rng(0)
    rows = table[table["corpus"] == corpus].sample(N_RECORDINGS * N_CLIPS, random_state=0)
    trimmed = AudioConfig(sample_rate_hz=RATE_HZ, trim_db=40)
    found: list[Recording] = []
    for number, file in enumerate(metadata.clip_paths(rows)):
        if number % N_CLIPS == 0:
            found.append((np.zeros(0, np.float32), []))
        joined, clips = found[-1]
        recording = decode(file)
        x = to_waveform(to_mono(recording.samples), recording.sample_rate_hz, trimmed)
        alone = model.predict(x, RATE_HZ)
        pause = rng.normal(0, FAINT, round(rng.uniform(*PAUSE_S) * RATE_HZ))
        begin_s = (len(joined) + len(pause)) / RATE_HZ
        clips.append((begin_s, begin_s + len(x) / RATE_HZ, alone.label))
        found[-1] = (np.concatenate([joined, pause, x]).astype(np.float32), clips)
    return found


def counted(answer: Any, clips: list[tuple[float, float, str]], duration_s: float) -> np.ndarray:
    """Count steps: spoken, covered, in stretches, agreeing; clips, heard and agreeing."""
    n = round(duration_s * STEPS)
    said = np.full(n, "", object)
    for segment in answer.segments:
        said[round(segment.start_s * STEPS) : round(segment.end_s * STEPS)] = segment.label
    totals = np.array([0, 0, (said != "").sum(), 0, 0, 0], float)
    for begin_s, end_s, label in clips:
        heard = said[round(begin_s * STEPS) : round(end_s * STEPS)]
        covered, right = (heard != "").sum(), (heard == label).sum()
        if label:
            totals += [len(heard), covered, 0, right, covered > 0, right > covered / 2]
    return totals


def measured(model: Model, joined: list[Recording], rule: Rule) -> dict[str, float]:
    """Give what a rule comes to, in percent."""
    detector = {name: value for name, value in rule.items() if name != "WINDOW_S"}
    window_s = rule.get("WINDOW_S", answering.WINDOW_S)
    totals = np.zeros(6)
    with patch.multiple(speech, **detector), patch.object(answering, "WINDOW_S", window_s):
        for samples, clips in joined:
            answer = model.predict(samples, RATE_HZ)
            totals += counted(answer, clips, len(samples) / RATE_HZ)
    spoken, covered, stretched, right, heard, agreeing = totals
    shares = {
        "covered": covered / spoken,
        "outside": 1 - covered / stretched,
        "time agreeing": right / covered,
        "clips agreeing": agreeing / heard,
    }
    return {name: round(100 * float(value), 1) for name, value in shares.items()}


def main() -> int:
    """Compare rules, and report the present one."""
    table = metadata.read_table()
    model = load_model("whisper-tiny")
    report: dict[str, Any] = {"rules": {}, "corpora": {}}
    joined = {name: recordings(table, model, name) for name in (*CHOOSING, *REPORTED)}
    chosen_by = [recording for name in CHOOSING for recording in joined[name]]
    for name in sys.argv[1:] or RULES:
        report["rules"][name] = measured(model, chosen_by, RULES[name])
        print(name, report["rules"][name], flush=True)
    for name in (*CHOOSING, *REPORTED):
        report["corpora"][name] = measured(model, joined[name], NOW)
        print(name, report["corpora"][name], flush=True)
    rest = [recording for name in REPORTED for recording in joined[name]]
    report["reported"] = {"corpora": list(REPORTED), **measured(model, rest, NOW)}
    print(report["reported"])
    write_json(paths().reports / "timeline.json", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
