"""The card of a model that is given away: what it is for, what it learnt from, how far to trust it.

Every number comes from a report of the same recipe: from speakers that the model tested on them had
not heard. See Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser import corpora, evaluation
from ser.corpora.folders import accounted
from ser.experiments import predictions_of
from ser.inference import bundle
from ser.project import SerError, paths, read_json

CARD = "README.md"
HOME = "https://github.com/speech-emotion-honest/ser"
RELEASED = "released.json"  # beside the reports: when a model was made, what it takes voices for
ROBUSTNESS = "robustness.csv"
N_CONFUSIONS = 3
UNHEARD = "leave-one-corpus-out"

_IN_PYTHON = """## In Python

```python
from ser.inference import load_model

model = load_model("models/{name}")  # the folder that holds this card
print(model.predict("my_voice.wav").headline)
```

Any other host of ONNX runs it, too: `waveform` in (float32, mono, {rate:,} Hz, full scale -1 to 1),
`probabilities` out, in the order above.
"""
_FOR = """## What it is for

Learning, research and demonstrations: to see what a speech emotion model hears in a recording, to
compare with a model of your own, to label recordings roughly before people do. It answers how acted
emotion would sound like this recording, and not what a person feels.
"""
_NOT_FOR = """## What it must not be used for

Any decision about people: hiring, schooling, work, insurance, credit, health, policing, borders. In
the European Union, inferring emotions at work and in education is forbidden (Regulation (EU)
2024/1689, article 5(1)(f)). Nor for recordings of people who did not agree to it.
"""
_LIMITS = """## Limits

Acted emotion, read sentences, quiet rooms, adults; English, and German where EmoDB is among the
corpora above. Spontaneous speech, children, other languages, several speakers at once, singing and
telephone lines were not tested, or only as far as a table above says. What the actors were told to
act counts as right; the majority of those who only heard CREMA-D's clips named it for 45 % of them
(`reports/ladder/human.json`). The first {window:.1f} s of what it is given count; `ser predict`
cuts longer recordings into windows.
"""


def write(folder: Path, report: Path, *, right: float) -> Path:
    """Write the card of a bundle, with the header that the Hugging Face Hub reads."""
    from huggingface_hub import ModelCard  # a second to import

    about, predictions = bundle.read_card(folder), predictions_of(report)
    if report.parent.name != (name := about["recipe"]["name"]):
        raise SerError(f"{report}: a report of {report.parent.name}; the model is of {name}.")
    found, known = read_json(report / "metrics.json"), _released(about)
    parts = [
        _title(folder, about),
        _IN_PYTHON.format(name=folder.name, rate=about["sample_rate_hz"]),
        _FOR,
        _NOT_FOR,
        _built(about, found, known),
        _training(about, found),
        _expected(found, report),
        _groups(found),
        _trust(predictions, about, right),
        _recordings(report),
        _unheard(report.with_name(UNHEARD)),
        _failures(predictions, about["classes"], known),
        _LIMITS.format(window=about["window_s"]),
        _cite(folder.name, found, known),
    ]
    header = f"---\n{_header(list(found['per_corpus']))}\n---\n\n"
    ModelCard(header + "\n".join(part for part in parts if part)).save(folder / CARD)
    return folder / CARD


def _header(names: list[str]) -> str:
    from huggingface_hub import ModelCardData

    return ModelCardData(
        license="other",
        license_name="non-commercial",
        license_link=f"{HOME}#licences-and-citing",
        language=sorted({corpora.get(name).language for name in names}),
        datasets=names,
        metrics=["recall", "accuracy"],
        pipeline_tag="audio-classification",
        tags=["speech-emotion-recognition", "onnx"],
        library_name="ser-honest",
    ).to_yaml()


def _title(folder: Path, about: dict[str, Any]) -> str:
    files = ", ".join(f"`{f['file']}` ({f['bytes'] / 1e6:.1f} MB)" for f in about["files"].values())
    recipe = about["recipe"]
    return (
        f"# {folder.name}\n\n"
        f"Speech in, probabilities of {len(about['classes'])} emotions out: "
        f"{', '.join(about['classes'])}. Recipe `{recipe['name']}` ({recipe['description']}); "
        f"{files}.\n\n"
        f"    ser predict my_voice.wav -m models/{folder.name}\n"
    )


def _released(about: dict[str, Any]) -> dict[str, Any]:
    """Give what `tools/released.py` wrote down about exactly these files; else nothing."""
    file = paths().reports / RELEASED
    found = read_json(file) if file.is_file() else {}
    checksum = about["files"]["onnx"]["sha256"] if "onnx" in about["files"] else ""
    return next((known for known in found.values() if known["sha256"] == checksum), {})


def _built(about: dict[str, Any], found: dict[str, Any], known: dict[str, Any]) -> str:
    model, features = about["recipe"]["model"], about["features"]
    on = " and ".join(features["kinds"]) + (f" of {e}" if (e := features.get("encoder")) else "")
    copies = f"{model['members']} of them, " if model["members"] > 1 else ""
    made = f", made on {known['made']}" if known else ""
    rows = [
        ("architecture", f"`{model['architecture']}` on {on}, front end and calibration inside"),
        ("size", f"{copies}{about['n_parameters']:,} trained parameters"),
        ("version", f"ser-honest {about['packages']['ser-honest']}{made}"),
        (
            "compute",
            f"{found['training_seconds'] / 60:.0f} minutes of training for the "
            f"{len(found['per_fold'])} folds of its cross-validation",
        ),
        ("contact", f"<{HOME}/issues>"),
    ]
    return f"## What it is\n\n{_table([{'': name, ' ': value} for name, value in rows])}\n"


def _cite(name: str, found: dict[str, Any], known: dict[str, Any]) -> str:
    year = f"  year = {{{known['made'][:4]}}},\n" if known else ""
    corpora_cited = "\n".join(f"- {corpora.get(c).citation}." for c in found["per_corpus"])
    return (
        "## Cite\n\n```bibtex\n@software{ser_"
        f"{name.replace('-', '_')},\n  title = {{Speech emotion recognition, honestly measured: "
        f"{name}}},\n  author = {{{{The ser authors}}}},\n{year}  url = {{{HOME}}},\n}}\n```\n\n"
        f"And the corpora that it learnt from:\n\n{corpora_cited}\n"
    )


def _training(about: dict[str, Any], found: dict[str, Any]) -> str:
    rows = [
        {
            "corpus": f"`{name}`: {corpora.get(name).title}",
            "clips": f"{part['n_clips']:,}",
            "speakers": part["n_speakers"],
            "licence": corpora.get(name).licence,
        }
        for name, part in found["per_corpus"].items()
    ]
    encoder = about["features"].get("encoder")
    text = f"Its encoder is {encoder}'s (OpenAI, MIT). " if encoder else ""
    if files := found.get("files"):
        text = f"{accounted(files['used'], files['left_out'])}. {text}"
    return (
        f"## What it learnt from\n\n{_table(rows)}\n\n{text}Several of these licences forbid "
        "commercial use: take the model as non-commercial too, and for anything else train anew "
        "(`ser train RECIPE --everything`) on corpora that allow it.\n"
    )


def _expected(found: dict[str, Any], report: Path) -> str:
    seeds = f"{found['n_seeds']} seed{'s' if found['n_seeds'] > 1 else ''}"
    return (
        "## What to expect\n\n"
        "The model itself heard all of these speakers, so it cannot be tested on them. The numbers "
        f"are those of a cross-validation of the same recipe (`{report.name}`, {seeds}), on "
        "speakers that its models had never heard, with 95 % intervals over speakers.\n\n"
        f"UAR {_percent(found['uar']['mean'], found['uar']['interval_95'])}, accuracy "
        f"{_percent(found['accuracy']['mean'], found['accuracy']['interval_95'])}; guessing gives "
        f"{100 / len(found['classes']):.1f} %.\n"
    )


def _groups(found: dict[str, Any]) -> str:
    groups = {f"`{name}`": part for name, part in found["per_corpus"].items()} | found["per_sex"]
    rows = [_row("of", name, part) for name, part in groups.items()]
    classes = [
        {
            "class": name,
            "found (recall)": _percent(part["recall"], part["recall_interval_95"]),
            "right when named (precision)": _percent(part["precision"], None),
        }
        for name, part in found["per_class"].items()
    ]
    return f"{_table(rows)}\n\n{_table(classes)}\n"


def _trust(predictions: pd.DataFrame, about: dict[str, Any], right: float) -> str:
    classes = about["classes"]
    before = evaluation.expected_calibration_error(predictions, classes)
    calibrated = evaluation.cross_calibrated(predictions, classes)
    after = evaluation.expected_calibration_error(calibrated, classes)
    truth, guess, confidence = evaluation.decisions(
        evaluation.with_temperature(predictions, classes, about["temperature"]), classes
    )
    given = confidence >= about["threshold"]
    return (
        f"Its probabilities are calibrated with temperature {about['temperature']:.2f}. With a "
        "temperature fitted on other speakers, their expected calibration error falls from "
        f"{100 * before:.1f} to {100 * after:.1f} %. Below {100 * about['threshold']:.0f} % it "
        f"calls itself uncertain: it answered {100 * given.mean():.0f} % of the clips, and "
        f"{100 * (truth == guess)[given].mean():.0f} % of those answers were right (asked: "
        f"{100 * right:.0f} %).\n"
    )


def _recordings(report: Path) -> str:
    if not (report / ROBUSTNESS).is_file():
        return ""
    rows = [
        _row("recorded", row["condition"], {**row, "interval_95": (row["low"], row["high"])})
        for row in pd.read_csv(report / ROBUSTNESS).to_dict("records")
    ]
    return f"## As people record\n\nThe same test clips, changed in one way.\n\n{_table(rows)}\n"


def _unheard(report: Path) -> str:
    if not (report / "metrics.json").is_file():
        return ""
    predictions = predictions_of(report)
    n_classes = predictions.groupby(predictions["clip_id"].str.split("/").str[0])["label"].nunique()
    rows = [
        _row("never heard", f"`{name}`", part, classes=n_classes[name])
        for name, part in read_json(report / "metrics.json")["per_corpus"].items()
    ]
    return (
        "## A corpus, and a language, it never heard\n\nThe same recipe trained on all corpora but "
        "one, and tested on that one; of `emodb` it does not know the language.\n\n"
        f"{_table(rows)}\n"
    )


def _failures(predictions: pd.DataFrame, classes: list[str], known: dict[str, Any]) -> str:
    counts = evaluation.confusion(predictions, classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    worst = np.dstack(np.unravel_index(np.argsort(-shares, axis=None), shares.shape))[0]
    lines = [
        f"- {100 * shares[true, named]:.0f} % of {classes[true]} is taken for {classes[named]}."
        for true, named in worst[:N_CONFUSIONS]
    ]
    if known:
        heard, n_clips = known["synthesised"], sum(known["synthesised"].values())
        named = sorted(heard, key=lambda label: -heard[label])[:2]
        shares = " and ".join(f"{100 * heard[name] / n_clips:.0f} % for {name}" for name in named)
        lines.append(f"- Of synthesised voices, whatever they act, it takes {shares}.")
    return "## Known failures\n\n" + "\n".join(lines) + "\n"


def _row(what: str, name: str, part: dict[Any, Any], **more: Any) -> dict[str, Any]:
    uar = _percent(part["uar"], part["interval_95"])
    return {what: name, "UAR": uar, **more, "clips": f"{part['n_clips']:,}"}


def _percent(value: float, interval: Any) -> str:
    around = "" if interval is None else f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"
    return f"{100 * value:.1f} %{around}"


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
