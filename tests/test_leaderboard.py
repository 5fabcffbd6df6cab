"""The README's table comes from the reports and from nowhere else."""

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
README = f"before\n\n{BEGIN}\nstale\n{END}\n\nafter\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A README and one report of a known recipe, made from drawn predictions."""
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
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
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    uar = json.loads((project / "reports/mfcc-attention/ravdess-luna5/metrics.json").read_text())[
        "uar"
    ]["mean"]
    assert f"**{100 * uar:.1f}**" in text
    assert "my-own-demo" not in text
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
    text = (project / "README.md").read_text(encoding="utf-8")
    low, high = (100 * value for value in expected["interval_95"])
    assert f"| {100 * expected['difference']:+.1f} ({low:+.1f} to {high:+.1f}) |" in text
    assert text.count("*published: 62.3 UAR") == 1  # once per protocol
    six = {**metrics, "classes": list(recipe.classes)[:6]}  # other classes cannot be compared
    (folder / "metrics.json").write_text(json.dumps({**six, "n_parameters": 1234}))
    assert leaderboard.compare(leaderboard.collect()).empty


def test_a_second_call_changes_nothing(project):
    leaderboard.update()
    first = (project / "README.md").read_bytes()
    leaderboard.update()
    assert (project / "README.md").read_bytes() == first


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
    (project / "README.md").write_text(f"{README}{begin}\n{end}\nend\n", encoding="utf-8")
    written = [path.as_posix() for path in leaderboard.update()]
    assert {"reports/ladder/ladder.csv", "reports/ladder/ladder.png"} <= set(written)
    assert (folder.parent / "ladder.png").stat().st_size > 1000
    text = (project / "README.md").read_text(encoding="utf-8")
    inside = text.split(begin)[1].split(end)[0]
    assert inside.strip() == leaderboard.ladder_table(ladder.write_table())
    assert inside.count("50.0 (40-62)") == 4
    assert "| `tess` | 96.9 |" in inside
    assert "mfcc-attention" in text.split(BEGIN)[1].split(END)[0]
    assert text.endswith("\nend\n")
    leaderboard.update()
    assert (project / "README.md").read_text(encoding="utf-8") == text


def test_readme_without_marks_is_left_alone(project):
    (project / "README.md").write_text("nothing here", encoding="utf-8")
    with pytest.raises(SerError, match="expected the two lines"):
        leaderboard.update()
    assert (project / "README.md").read_text(encoding="utf-8") == "nothing here"


def test_no_report_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(tmp_path))
    with pytest.raises(SerError, match="ser run"):
        leaderboard.update()
