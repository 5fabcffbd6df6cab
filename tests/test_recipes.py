"""Named recipes: whole, different, told about, and fit to run on other corpora."""

import dataclasses
import json
import shutil
import tomllib
from pathlib import Path

import pytest
from conftest import one_line

from ser import corpora, models
from ser.config import Recipe, from_dict, stable_hash, to_dict
from ser.experiments import protocols, recipes
from ser.experiments.recipes import CLAIMS, RECIPES
from ser.features import extraction as features

TABLES = {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8"))
    for file in Path(recipes.__file__).parent.glob("*.toml")
}


@pytest.mark.parametrize("name", recipes.names())
def test_named_recipes_are_whole(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert recipe.description
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(recipe)))) == recipe
    assert set(recipe.corpora) <= set(corpora.names())
    assert set(recipe.classes) | set(recipe.merge) <= set(corpora.EMOTIONS)
    assert set(protocols.get(recipe.protocol).corpora) in (set(), set(recipe.corpora))


@pytest.mark.parametrize("name", recipes.names())
def test_the_model_of_a_recipe_takes_its_features(name):
    recipe = recipes.get(name)
    n_features = len(features.feature_names(recipe.features))
    model = models.build(
        recipe.model,
        n_frames=recipe.features.n_rows,
        n_features=n_features,
        n_classes=len(recipe.classes),
    )
    assert model.input_shape == (None, recipe.features.n_rows, n_features)
    assert model.output_shape == (None, len(recipe.classes))


def test_named_recipes_differ():
    hashes = {stable_hash(recipes.get(name)) for name in recipes.names()}
    assert len(hashes) == len(recipes.names())


def test_no_file_is_forgotten_and_no_name_is_taken_twice():
    assert sorted(TABLES) == sorted(recipes.FILES)
    found = [name for table in TABLES.values() for name in table if name not in ("story", "system")]
    assert sorted(found) == sorted(RECIPES)


def test_a_recipe_that_is_like_another_differs_in_what_its_table_says():
    base, own = recipes.get("best-scratch"), recipes.get("cnn-transformer")
    options = {**base.model.options, "sequence": "transformer"}
    assert own.model == dataclasses.replace(base.model, options=options)
    assert own.training == base.training
    released = TABLES["best-scratch"]["best-scratch-released"]["augmentation"]
    assert released == TABLES["whisper-tiny"]["whisper-tiny-released"]["augmentation"]


def test_unknown_recipe():
    for ask in (recipes.get, recipes.story):
        with one_line("'mfcc-atention'", "Did you mean 'mfcc-attention'?", "Known: mfcc-attention"):
            ask("mfcc-atention")
    with one_line("'four_corpora'", "Did you mean 'four-corpora'?"):
        recipes.get("four_corpora")
    with pytest.raises(Exception, match=r"'zzz'\. Known: mfcc-attention"):
        recipes.get("zzz")


# Stories and claims -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_has_a_story_and_says_what_it_stands_on(name):
    story = " ".join(recipes.story(name).split())
    if name in CLAIMS:
        assert f'The source, "{CLAIMS[name].system}"' in story
        assert "Left open, and chosen here: " in story
    else:
        assert "Not from any one source." in story
        assert "chosen on validation speakers" in story
    assert [t["story"] for t in TABLES.values() if name in t] == [recipes.story(name)]


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_belongs_to_a_recipe_and_says_its_number(name):
    assert name in RECIPES
    claim = CLAIMS[name]
    if claim.accuracy is None:
        assert "no number" in claim.text
        return
    low, high = claim.accuracy
    assert 1 / len(RECIPES[name].classes) < low <= high <= 1
    for number in claim.accuracy:
        assert f"{100 * number:g}" in claim.text


# Other corpora ------------------------------------------------------------------------------------


def test_recipe_on_other_corpora():
    base = recipes.get("mfcc-attention")
    assert recipes.on_corpora(base, base.corpora) is base
    both = recipes.on_corpora(base, ("ravdess", "savee"))
    assert (both.corpora, both.protocol) == (("ravdess", "savee"), "speaker-independent")
    assert both.merge == {"calm": "neutral"}
    assert "calm" not in both.classes
    assert both.name not in recipes.names()
    assert "surprised" not in recipes.on_corpora(base, ("crema_d",)).classes
    assert recipes.on_corpora(base, ("demo",)).classes == base.classes
    every = recipes.on_corpora(base, ("ravdess", "crema_d", "tess", "savee", "emodb"))
    assert every.protocol == "speaker-independent"


@pytest.mark.parametrize("name", protocols.names())
def test_recipe_under_a_protocol(name):
    base = recipes.get("mfcc-attention")
    found = recipes.on_protocol(base, name)
    about = protocols.get(name)
    assert (found.name, found.protocol) == (base.name, name)
    assert found.corpora == (about.corpora or base.corpora)
    assert found.classes == (about.classes or base.classes)
    six = recipes.get("ravdess-six")  # its classes are its own where the corpus is
    if about.corpora in ((), ("ravdess",)):
        assert recipes.on_protocol(six, name).classes == six.classes


def test_extra_corpora_are_all_the_others_under_any_protocol():
    base = dataclasses.replace(recipes.get("mfcc-attention"), extra_corpora=("savee", "crema_d"))
    found = recipes.on_protocol(base, "savee-loso")
    assert found.corpora == ("savee",)
    assert set(found.extra_corpora) == {"ravdess", "crema_d"}
    assert recipes.on_protocol(base, "combined-6").extra_corpora == ()
    assert recipes.on_protocol(recipes.get("mfcc-attention"), "savee-loso").extra_corpora == ()
    assert set(recipes.on_corpora(base, ("crema_d",)).extra_corpora) == {"ravdess", "savee"}


@pytest.mark.parametrize("chosen", [("savee", "ravdess"), ("ravdess",), ("tess", "savee")])
def test_a_recipe_without_calm_keeps_its_merging(chosen):
    base = recipes.get("four-corpora")
    other = recipes.on_corpora(base, chosen)
    assert other.corpora == chosen
    assert other.merge == base.merge == {"calm": "neutral"}
    assert other.classes == base.classes


@pytest.mark.parametrize("name", recipes.names())
def test_on_the_demo_corpus_only_the_data_change(name):
    base = recipes.get(name)
    demo = recipes.on_corpora(base, ("demo",))
    assert (demo.corpora, demo.protocol) == (("demo",), "speaker-independent")
    for part in ("audio", "features", "augmentation", "masking", "model", "training", "classes"):
        assert getattr(demo, part) == getattr(base, part)


def test_a_corpus_of_your_own_brings_its_labels(project, tmp_path, demo_shelf):
    clips = sorted((demo_shelf / "demo").rglob("*.*"))[:3]
    for label, clip in zip(("angry", "tired", "calm"), clips, strict=True):
        (tmp_path / "mine" / label).mkdir(parents=True)
        shutil.copy(clip, tmp_path / "mine" / label)
    name = corpora.from_folder(tmp_path / "mine", name="mine")
    base = recipes.get("mfcc-attention")
    alone = recipes.on_corpora(base, (name,))
    assert sorted(alone.classes) == ["angry", "calm", "tired"]
    assert alone.classes[-1] == "tired"
    assert alone.name == "mfcc-attention-mine"
    beside = recipes.on_corpora(base, ("savee", name))
    assert beside.merge == {"calm": "neutral"}
    assert beside.classes[-1] == "tired"
    assert "calm" not in beside.classes
    for label in ("calm", "tired"):
        shutil.rmtree(tmp_path / "mine" / label)
    with one_line("mfcc-attention on mine", "two classes or more, found angry"):
        recipes.on_corpora(base, (name,))
