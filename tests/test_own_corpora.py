"""A reader's own recordings as a corpus: folders, patterns, tables, and what can be wrong."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import one_line, ser_command

from ser import corpora
from ser.config import Recipe
from ser.corpora import metadata
from ser.experiments import protocols, recipes


@pytest.fixture
def mine(project, tmp_path):
    """Twelve recordings: three speakers, two labels, each twice; one text beside them."""
    folder = tmp_path / "mine"
    rng = np.random.default_rng(0)
    for label in ("bored", "angry"):
        for speaker in ("ana", "bo", "cy"):
            for number in (1, 2):
                path = folder / label / f"{speaker}_{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, rng.normal(0, 0.1, 8_000), 16_000)
    (folder / "notes.txt").write_text("not a recording")
    return folder


def labelled(name, classes=("angry", "bored")):
    recipe = Recipe(name="r", corpora=(name,), classes=classes)
    table = metadata.build((name,), progress=False).table
    return metadata.label_table(table, recipe)


def test_a_folder_for_each_label(mine, capsys):
    assert corpora.from_folder(mine, speaker=r"/([a-z]+)_") == "mine"
    said = capsys.readouterr().out
    assert said == "mine: 12 recordings; angry 6, bored 6; 3 speakers.\n"
    assert "mine" in corpora.names()
    assert corpora.labels("mine") == ("angry", "bored")  # common ones first
    assert corpora.locate("mine") == mine
    table = labelled("mine")
    assert table["label"].value_counts().to_dict() == {"angry": 6, "bored": 6}
    assert set(table["speaker"]) == {"mine/ana", "mine/bo", "mine/cy"}
    assert table["clip_id"].iloc[0] == "mine/angry/ana_1.wav"
    assert set(table["emotion"]) == {"angry", ""}  # the common name where there is one
    folds = protocols.make_folds(table, "speaker-independent")
    assert sorted(clip for fold in folds for clip in fold.test) == sorted(table["clip_id"])


def test_a_later_process_knows_it(mine):
    corpora.from_folder(mine, speaker=r"/([a-z]+)_", language="de")
    code = "from ser import corpora; print(corpora.get('mine').language, corpora.labels('mine'))"
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert shown.strip() == "de ('angry', 'bored')"


def test_patterns_and_other_names_for_labels(mine):
    name = corpora.from_folder(
        mine, name="Named So!", label=r"_(\d)", labels={"1": "sad", "2": "tired"}
    )
    assert name == "named_so"
    assert corpora.labels(name) == ("sad", "tired")
    other = corpora.from_folder(mine, name="other", label=r"_(1)", labels={"1": "happy"})
    assert corpora.labels(other) == ("happy",)
    assert corpora.labels(name) == ("sad", "tired")  # two definitions do not meet


def test_unknown_speakers_are_said_loudly_and_kept_together(mine, capsys):
    corpora.from_folder(mine)
    assert "WHO SPEAKS IS NOT KNOWN of 12 recordings" in capsys.readouterr().out
    table = labelled("mine")
    assert set(table["speaker"]) == {"mine/unknown"}
    with one_line("speaker-independent", "at least 3 speakers, found 1"):
        protocols.make_folds(table, "speaker-independent")


def test_a_changed_folder_is_read_again(mine):
    corpora.from_folder(mine, speaker=r"/([a-z]+)_")
    soundfile.write(mine / "bored" / "dee_1.wav", np.ones(8_000) / 9, 16_000)
    (mine / "angry" / "ana_1.wav").unlink()
    ids = set(metadata.build(("mine",), progress=False).table["clip_id"])
    assert "mine/bored/dee_1.wav" in ids
    assert "mine/angry/ana_1.wav" not in ids


def test_no_two_recordings_are_one_clip(mine):
    rng = np.random.default_rng(1)
    soundfile.write(mine / "angry" / "ana_1.flac", rng.normal(0, 0.1, 8_000), 16_000)
    (mine / "angry" / "deep" / "angry").mkdir(parents=True)
    soundfile.write(mine / "angry" / "deep" / "angry" / "ana_1.wav", np.ones(8_000) / 8, 16_000)
    corpora.from_folder(mine)
    assert len(metadata.build(("mine",), progress=False).table) == 14


def test_a_table(mine, capsys):
    rows = ["path,label,speaker,sex", "angry/ana_1.wav,furious,ana,female"]
    rows += ["bored/bo_1.wav,bored,bo,male", f"{mine / 'bored' / 'cy_2.wav'},bored,,"]
    (mine / "list.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    assert corpora.from_table(mine / "list.csv") == "list"
    said = capsys.readouterr().out
    assert "list: 3 recordings; bored 2, furious 1; 3 speakers." in said
    assert "NOT KNOWN of 1 recording." in said
    table = metadata.build(("list",), progress=False).table.set_index("clip_id")
    assert table.loc["list/angry/ana_1.wav", ["emotion_raw", "sex"]].tolist() == [
        "furious",
        "female",
    ]
    assert table.loc["list/bored/cy_2.wav", "speaker"] == "list/unknown"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na.wav,x\n", ("expected the columns path and label", "file, label")),
        ("path,label\nangry/ana_1.wav,\n", ("line 2", "both a path and a label")),
        (
            "path,label\nno.wav,x\nangry/ana_1.wav,x\n",
            ("1 of 2 recordings", "no.wav"),
        ),
        ("path,label\nangry/ana_1.wav,x\nangry/ana_1.wav,y\n", ("more than once",)),
        ("path,label\n", ("holds no row",)),
    ],
)
def test_a_wrong_table_is_one_line(mine, text, words):
    (mine / "list.csv").write_text(text)
    with one_line("list.csv", *words):
        corpora.from_table(mine / "list.csv")
    assert "list" not in corpora.names()


@pytest.mark.parametrize("moved", ["table", "folder"])
def test_a_corpus_that_is_gone_stands_in_nobodys_way(mine, tmp_path, moved):
    table = mine / "mine.csv"
    table.write_text("path,label,speaker\nangry/ana_1.wav,x,ana\nbored/bo_1.wav,y,bo\n")
    corpora.from_table(table)
    what = table if moved == "table" else mine
    what.rename(tmp_path / "elsewhere")
    assert "mine" in corpora.names() and "mine" not in corpora.available()
    assert all(corpora.get(name).title for name in corpora.names())
    with one_line("mine: not on this machine", f"({table} is gone)", "ser data add mine PATH"):
        corpora.locate("mine")
    (tmp_path / "elsewhere").rename(what)
    assert corpora.labels("mine") == ("x", "y")


def test_what_cannot_be_a_corpus_is_one_line(mine, tmp_path):
    (tmp_path / "empty").mkdir()
    with one_line("empty: none of 0 recordings there has a label"):
        corpora.from_folder(tmp_path / "empty")
    with one_line("expected a folder of recordings"):
        corpora.from_folder(tmp_path / "nowhere")
    with one_line("savee: this name is taken"):
        corpora.from_folder(mine, name="savee")
    with one_line("all: this name is taken"):
        corpora.from_folder(mine, name="all")
    with one_line("label='angry'", "it has no group"):
        corpora.from_folder(mine, label="angry")
    with one_line("speaker='('", "cannot be used"):
        corpora.from_folder(mine, speaker="(")
    with one_line("none of 12 recordings there has a label"):
        corpora.from_folder(mine, label="(zzz)")
    with one_line("cannot be read as a CSV table"):
        corpora.from_table(tmp_path / "none.csv")


def test_the_command_adds_folders_and_tables(mine):
    with_pattern = ("--labels", "folder", "--speakers", "/([a-z]+)_", "--language", "de")
    done = ser_command("data", "add", "own", mine, *with_pattern)
    assert done.stdout.splitlines() == [
        "own: 12 recordings; angry 6, bored 6; 3 speakers.",
        "Next: ser metadata --corpora own",
    ]
    assert corpora.get("own").language == "de"
    (mine / "list.csv").write_text("path,label,speaker\nangry/ana_1.wav,sad,ana\n")
    done = ser_command("data", "add", "few", mine / "list.csv")
    assert done.stdout.startswith("few: 1 recording; sad 1; 1 speaker.\n")
    done = ser_command("metadata", "--corpora", "own,few")
    assert "15 files found, 13 clips used; left out: no recording 2. Table: " in done.stdout
    min(mine.glob("angry/*.wav")).unlink()
    done = ser_command("features", "--corpora", "own", "--jobs", "1")
    found = "14 files found, 11 clips used; left out: no recording 2, cannot be read 1\n"
    assert done.stdout.startswith(found)
    with one_line("no built-in corpus named 'own'", "--labels folder"):
        corpora.adopt("own", mine)
    assert corpora.labels("own") == ("angry", "bored")


def test_recipes_take_its_labels(mine):
    corpora.from_folder(mine, speaker=r"/([a-z]+)_")
    recipe = recipes.on_corpora(recipes.get("mfcc-attention"), ("mine",))
    assert set(recipe.classes) == {"angry", "bored"}
