"""The demo corpus: complete, balanced, with differences that can be heard."""

from collections import Counter
from pathlib import PurePath

import numpy as np
import pytest
import soundfile

from ser import corpora
from ser.corpora import demo, metadata
from ser.corpora.download import download
from ser.experiments import protocols, recipes


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The metadata table of the whole corpus, and the project that holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SER_ROOT", str(tmp_path_factory.mktemp("demo")))
        patch.delenv("SER_CORPORA", raising=False)
        download("demo", progress=False, say=lambda line: None)
        yield metadata.build(("demo",), progress=False).table


def test_the_archive_is_small_and_complete(table):
    assert demo.CLIPS.stat().st_size < 4_000_000
    assert len(table) == corpora.get("demo").n_clips == 720
    assert table["pcm_sha256"].nunique() == 720
    assert set(table["flags"]) == {""}
    assert table["speaker"].nunique() == 24
    sexes = table.groupby("speaker")["sex"].first()
    assert sexes.value_counts().to_dict() == {"female": 12, "male": 12}
    schemes = {name.split("/")[0] for name in table["path"]}
    assert schemes == {"ravdess", "crema_d", "tess", "savee"}
    assert table["duration_s"].between(0.7, 7).all()


def test_every_part_of_every_fold_has_all_classes_and_both_sexes(table):
    recipe = recipes.on_corpora(recipes.get("mfcc-attention-augmented"), ("demo",))
    assert len(recipe.classes) == 8
    labelled = metadata.label_table(table, recipe)
    folds = protocols.make_folds(labelled, recipe.protocol)
    assert len(folds) == 5
    for fold in folds:
        for part in ("train", "validation", "test"):
            clips = labelled[labelled["clip_id"].isin(getattr(fold, part))]
            assert set(clips["label"]) == set(recipe.classes), (fold.name, part)
            speakers = clips.groupby("sex")["speaker"].nunique()
            assert speakers.min() >= 2, (fold.name, part)
            assert len(speakers) == 2, (fold.name, part)


def test_emotions_differ_in_what_can_be_heard(table):
    level_db, rate = Counter(), Counter()
    for emotion, clips in table.groupby("emotion"):
        loud = []
        for path in metadata.clip_paths(clips)[::6]:
            samples, _ = soundfile.read(path)
            loud.append(20 * np.log10(np.sqrt(np.mean(samples**2))))
        level_db[emotion] = np.mean(loud)
        same = clips[clips["statement"] == "Kids are talking by the door"]
        rate[emotion] = 1 / same["duration_s"].mean()
    assert level_db["angry"] - level_db["sad"] > 6
    assert rate["angry"] / rate["sad"] > 1.3
    assert min(level_db, key=level_db.get) == "sad"


@pytest.mark.parametrize(
    "path",
    ["03-01-05-01-01-01-01.wav", "emodb/03a01Fa.wav", "ravdess/OAF_back_angry.wav", "", "tess/x"],
)
def test_parse_refuses_names_outside_the_schemes(path):
    assert demo.parse(PurePath(path)) is None
