"""Every committed number is what the committed predictions give, to the last digit."""

from pathlib import Path

import pandas as pd
import pytest

import ser
from ser import corpora, evaluation
from ser.config import Recipe, from_dict
from ser.experiments import protocols, recipes
from ser.project import read_json
from ser.studies import ladder, leaderboard

ROOT = Path(ser.__file__).parents[2]
REPORTS = sorted(
    file.parent
    for file in (ROOT / "reports").glob("*/*/predictions.csv")
    if file.parts[-3] not in ("local", "ladder", "tuning")
)
LADDERS = sorted(file.parent for file in (ROOT / "reports" / "ladder").glob("*/metrics.json"))
OF_RUNS = {"parts", "n_parameters", "training_seconds", "packages"}  # runs are not committed


def label(folder):
    return "/".join(folder.parts[-2:])


@pytest.fixture(autouse=True)
def of_the_repository(monkeypatch):
    monkeypatch.setenv("SER_ROOT", str(ROOT))


def test_there_are_reports():
    assert len(REPORTS) > 20
    assert len(LADDERS) == len(ladder.SYSTEMS)


@pytest.mark.parametrize("folder", REPORTS, ids=label)
def test_metrics_are_those_of_the_predictions(folder):
    predictions = pd.read_csv(folder / "predictions.csv")
    committed = {"per_pair": {}, **read_json(folder / "metrics.json")}  # older ones lack it
    clips = predictions[["clip_id", "speaker"]].drop_duplicates()
    corpus, name = (clips["speaker"].str.split("/").str[i] for i in (0, 1))
    people = {c: corpora.get(c).demographics for c in set(corpus)}
    sexes = [people[c][n][0] for c, n in zip(corpus, name, strict=True)]
    table = clips.assign(corpus=corpus, sex=sexes)
    found = evaluation.metrics(predictions, committed["classes"], table)
    assert found == {key: committed[key] for key in found}
    assert set(committed) - set(found) == OF_RUNS


@pytest.mark.parametrize("folder", REPORTS, ids=label)
def test_reports_are_of_recipes_as_they_are_now(folder):
    """Else `ser run RECIPE --protocol PROTOCOL` would not give these numbers."""
    name, protocol = folder.parts[-2:]
    made_with = from_dict(Recipe, read_json(folder / "recipe.json"), source=name)
    assert made_with == recipes.on_protocol(recipes.get(name), protocol)
    predictions = pd.read_csv(folder / "predictions.csv")
    assert set(made_with.classes) <= set(predictions)
    once = protocols.get(protocol).tested == "once"
    keys = ["clip_id", "seed"] if once else ["clip_id", "seed", "trained_on"]
    assert not predictions.duplicated(keys).any()
    clips = predictions.groupby("seed")["clip_id"].agg(frozenset)
    assert clips.nunique() == 1


@pytest.mark.parametrize("folder", LADDERS, ids=label)
def test_ladders_are_those_of_their_predictions(folder):
    recipe = from_dict(Recipe, read_json(folder / "recipe.json"), source=folder.name)
    assert recipe == recipes.get(folder.name)
    committed = read_json(folder / "metrics.json")
    assert committed["chance"] == 1 / len(recipe.classes)
    for rung in ladder.RUNGS:
        predictions = pd.read_csv(folder / f"predictions-{rung}.csv")
        found = ladder.rung_metrics(predictions, recipe.classes)
        assert found == {key: committed[rung][key] for key in found}


def test_the_readmes_and_the_tables_beside_it_are_those_of_the_reports(tmp_path):
    rows = leaderboard.collect()
    compared = leaderboard.compare(rows)
    compared.to_csv(tmp_path / "comparisons.csv", index=False, float_format="%.4f")
    for folder in LADDERS:
        (tmp_path / folder.name).mkdir()
        (tmp_path / folder.name / "metrics.json").symlink_to(folder / "metrics.json")
    rungs = ladder.write_table(tmp_path)
    for file, name, table in (
        ("README.md", "summary", leaderboard.summary(rows)),
        ("reports/README.md", "results", leaderboard.table(rows, compared)),
        ("reports/README.md", "ladder", leaderboard.ladder_table(rungs)),
    ):
        text = (ROOT / file).read_text(encoding="utf-8")
        begin, end = leaderboard.MARKS[name]
        assert text.split(begin)[1].split(end)[0].strip() == table
    for made, committed in (
        ("comparisons.csv", "comparisons.csv"),
        ("ladder.csv", "ladder/ladder.csv"),
    ):
        assert (tmp_path / made).read_bytes() == (ROOT / "reports" / committed).read_bytes()
