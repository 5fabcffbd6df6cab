"""The tables come from the reports and from nowhere else."""

import json

import numpy as np
import pandas as pd
import pytest

from ser import evaluation
from ser.config import to_dict
from ser.experiments import recipes
from ser.project import SerError, paths
from ser.studies import ladder, leaderboard

BEGIN, END = leaderboard.MARKS["results"]
FULL = f"before\n\n{BEGIN}\nstale\n{END}\n\nafter\n"
README = "first\n{}\nstale\n{}\nlast\n".format(*leaderboard.MARKS["summary"])


def full(root):
    return root / "reports" / "README.md"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two READMEs and one report of a known recipe, made from drawn predictions."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    full(tmp_path).parent.mkdir()
    full(tmp_path).write_text(FULL, encoding="utf-8")
    recipe = recipes.get("mfcc-attention")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array(recipe.classes), 12)
    probabilities = rng.dirichlet(np.ones(len(recipe.classes)), len(labels))
    frame = pd.DataFrame(probabilities, columns=list(recipe.classes))
    frame.insert(0, "clip_id", [f"c{i}" for i in range(len(labels))])
    frame.insert(1, "speaker", [f"s{i % 6}" for i in range(len(labels))])
    frame = frame.assign(fold=0, seed=0, label=labels)
    for name in (recipe.name, "my-own-demo"):
        folder = paths().reports / name / "ravdess-luna5"
        folder.mkdir(parents=True)
        frame.to_csv(folder / "predictions.csv", index=False)
        metrics = evaluation.metrics(frame, recipe.classes, n_bootstrap=200)
        (folder / "metrics.json").write_text(json.dumps({**metrics, "n_parameters": 1234}))
        (folder / "recipe.json").write_text(json.dumps(to_dict(recipe)))
    return tmp_path


def test_table_is_put_between_the_marks(project):
    written = leaderboard.update()
    text = full(project).read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    uar = json.loads((project / "reports/mfcc-attention/ravdess-luna5/metrics.json").read_text())[
        "uar"
    ]["mean"]
    assert f"**{100 * uar:.1f}**" in text
    assert "my-own-demo" not in text
    short = (project / "README.md").read_text(encoding="utf-8")
    assert f"| `ravdess-luna5` | 8 | **[{100 * uar:.1f}](reports/mfcc-attention/" in short
    assert "| – | 62.3 UAR, 76.6 acc.*, 81.8 acc.* |" in short
    assert short.startswith("first\n")
    assert short.endswith("\nlast\n")
    assert all((project / path).stat().st_size > 1000 for path in written if path.suffix == ".png")
    assert {path.name for path in written} == {
        "README.md",
        "confusion.png",
        "speakers.png",
        "reliability.png",
    }


def test_recipes_are_compared_on_the_same_clips(project):
    reference = paths().reports / "mfcc-attention" / "ravdess-luna5"
    frame = pd.read_csv(reference / "predictions.csv")
    recipe = recipes.get("mfcc-attention-augmented")
    right = pd.get_dummies(frame["label"])[list(recipe.classes)].astype(float)
    better = frame.assign(**right)
    folder = paths().reports / recipe.name / "ravdess-luna5"
    folder.mkdir(parents=True)
    better.to_csv(folder / "predictions.csv", index=False)
    metrics = evaluation.metrics(better, recipe.classes, n_bootstrap=200)
    (folder / "metrics.json").write_text(json.dumps({**metrics, "n_parameters": 1234}))
    leaderboard.update()
    compared = pd.read_csv(paths().reports / "comparisons.csv")
    assert list(compared["recipe"]) == [recipe.name]
    assert compared["uar"].item() == 1
    expected = evaluation.paired_bootstrap(frame, better, recipe.classes)
    for column, value in (("difference", "difference"), ("p_value", "p_value")):
        assert compared[column].item() == pytest.approx(expected[value], abs=1e-4)
    text = full(project).read_text(encoding="utf-8")
    low, high = (100 * value for value in expected["interval_95"])
    assert f"| {100 * expected['difference']:+.1f} ({low:+.1f} to {high:+.1f}) |" in text
    assert text.count("*published: 62.3 UAR") == 1  # once per protocol
    six = {**metrics, "classes": list(recipe.classes)[:6]}  # other classes cannot be compared
    (folder / "metrics.json").write_text(json.dumps({**six, "n_parameters": 1234}))
    assert leaderboard.compare(leaderboard.collect()).empty


def test_a_second_call_changes_nothing(project):
    files = project / "README.md", full(project)
    leaderboard.update()
    first = [file.read_bytes() for file in files]
    leaderboard.update()
    assert [file.read_bytes() for file in files] == first


def test_the_summary_has_the_best_of_each_kind_where_there_is_something_to_compare():
    def row(recipe, protocol, uar):
        scores = {"mean": uar, "interval_95": [uar - 0.05, uar + 0.04]}
        return {"recipe": recipe, "protocol": protocol, "uar": scores, "classes": ["a"] * 7}

    rows = [
        row("best-scratch", "emodb-loso", 0.7),
        row("best-scratch-all", "emodb-loso", 0.8),
        row("whisper-tiny-frozen", "emodb-loso", 0.91),
        row("best-scratch", "tess-cross", 0.7),  # nothing beside it
    ]
    lines = leaderboard.summary(rows).splitlines()
    assert lines[2:] == [
        "| `emodb-loso` | 7 | **[80.0](reports/best-scratch-all/emodb-loso/metrics.json)** (75 to "
        "84) | **[91.0](reports/whisper-tiny-frozen/emodb-loso/metrics.json)** (86 to 95) | – |"
    ]


def test_a_ladder_gets_a_table_and_a_figure(project):
    begin, end = leaderboard.MARKS["ladder"]
    score = {"mean": 0.5, "std": 0.0, "interval_95": [0.4, 0.625]}
    rungs = {
        rung: {"title": title, "accuracy": score, "uar": score, "n_seeds": 3}
        for rung, title in ladder.RUNGS.items()
    }
    folder = paths().reports / "ladder" / "tess"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"chance": 1 / 7, **rungs}))
    with pytest.raises(SerError, match="ladder: begin"):
        leaderboard.update()
    assert (project / "README.md").read_text(encoding="utf-8") == README
    assert full(project).read_text(encoding="utf-8") == FULL
    full(project).write_text(f"{FULL}{begin}\n{end}\nend\n", encoding="utf-8")
    written = [path.as_posix() for path in leaderboard.update()]
    assert {"reports/ladder/ladder.csv", "reports/ladder/ladder.png"} <= set(written)
    assert (folder.parent / "ladder.png").stat().st_size > 1000
    text = full(project).read_text(encoding="utf-8")
    inside = text.split(begin)[1].split(end)[0]
    assert inside.strip() == leaderboard.ladder_table(ladder.write_table())
    assert inside.count("50.0 (40-62)") == 4
    assert "| `tess` | 96.9 |" in inside
    assert "mfcc-attention" in text.split(BEGIN)[1].split(END)[0]
    assert text.endswith("\nend\n")
    leaderboard.update()
    assert full(project).read_text(encoding="utf-8") == text


def test_readme_without_marks_is_left_alone(project):
    (project / "README.md").write_text("nothing here", encoding="utf-8")
    with pytest.raises(SerError, match="expected the two lines"):
        leaderboard.update()
    assert (project / "README.md").read_text(encoding="utf-8") == "nothing here"


def test_no_report_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    with pytest.raises(SerError, match="ser run"):
        leaderboard.update()
