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

import contextlib
import sys
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from ser.audio import load
from ser.config import AudioConfig
from ser.corpora import metadata
from ser.inference import Model, load_model, speech
from ser.inference import model as answering
from ser.project import paths, read_json, write_json

RATE_HZ = 16_000
CHOOSING = ("ased", "crema_d", "savee")
REPORTED = ("emodb", "ravdess", "tess", "urdu")
N_RECORDINGS, N_CLIPS = 6, 8  # of a corpus, of a recording
PAUSE_S = (0.1, 2.0)
FAINT = 10 ** (-70 / 20)
STEPS = 100  # a second, in which time is counted
Rule = dict[str, float]
NOW: Rule = {}
RULES: dict[str, Rule] = {
    "margins of 0.1 s": {"AROUND_S": 0.1},
    "margins of 0.3 s": {"AROUND_S": 0.3},
    "margins of 0.5 s": {"AROUND_S": 0.5},
    "margins of 0.3 s, windows of 4 s": {"AROUND_S": 0.3, "WINDOW_S": 4.0},
    "margins of 0.3 s, pauses from 0.1 s": {"AROUND_S": 0.3, "SHORTEST_PAUSE_S": 0.1},
    "margins of 0.3 s, speech begins at 0.2 and ends at 0.1": {
        "AROUND_S": 0.3,
        "BEGINS": 0.2,
        "ENDS": 0.1,
    },
    "margins of 0.2 s": {"AROUND_S": 0.2},
}
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
        x = load(file, trimmed)
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
    totals = np.zeros(6)
    with contextlib.ExitStack() as stack:
        for name, value in rule.items():
            for module in (speech, answering):
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, value))
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
    file = paths().reports / "timeline.json"
    report: dict[str, Any] = read_json(file) if file.is_file() else {"rules": {}, "corpora": {}}
    joined = {name: recordings(table, model, name) for name in (*CHOOSING, *REPORTED)}
    chosen_by = [recording for name in CHOOSING for recording in joined[name]]
    for name in sys.argv[1:] or RULES:
        report["rules"][name] = measured(model, chosen_by, RULES[name])
        print(name, report["rules"][name], flush=True)
        write_json(file, report)
    for name in (*CHOOSING, *REPORTED):
        report["corpora"][name] = measured(model, joined[name], NOW)
        print(name, report["corpora"][name], flush=True)
    rest = [recording for name in REPORTED for recording in joined[name]]
    report["reported"] = {"corpora": list(REPORTED), **measured(model, rest, NOW)}
    print(report["reported"])
    write_json(file, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
