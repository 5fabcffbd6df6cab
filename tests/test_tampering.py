"""Bundles, models and recipes that were changed: refused by name, or answered; never a fault."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import tampering
from conftest import SMALL, one_line
from odd_files import speech_like

from ser import models
from ser.config import load_recipe, to_dict
from ser.experiments import recipes
from ser.inference import bundle, load_model
from ser.project import SerError

BEFORE = {  # the class, by its position, and its probability
    "small": (6, 0.1959),
    "whisper-tiny": (0, 0.9505),
}
RELEASED = sorted(file.parent for file in SMALL.parent.glob("*/bundle.json"))


def none_fails(paths, ask):
    """Ask about each; what is refused names its file, in one line."""
    answered = 0
    for path in paths:
        try:
            ask(path)
            answered += 1
        except SerError as error:
            assert path.name in str(error)
            assert "\n" not in str(error)
    return answered


@pytest.mark.parametrize("number", [24, pytest.param(400, marks=pytest.mark.slow)])
def test_no_tampered_bundle_is_a_fault(tmp_path, number):
    paths = tampering.bundles(SMALL, tmp_path, number, seed=number)
    voice = speech_like(0.5)
    answered = none_fails(paths, lambda path: load_model(path).predict(voice, 16_000))
    assert 0 < answered < number / 2


def test_no_tampered_recipe_is_a_fault(tmp_path):
    source = to_dict(recipes.get("best-scratch"))
    assert 0 < none_fails(tampering.recipes(source, tmp_path, 100), load_recipe) < 50


@pytest.mark.parametrize("number", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_no_tampered_model_is_a_fault(one_bundle, tmp_path, number):
    paths = tampering.keras_files(one_bundle / "model.keras", tmp_path, number, seed=number)
    voice = speech_like(0.5)
    none_fails(paths, lambda path: load_model(path).predict(voice, 16_000))


@pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)
def test_the_checksum_of_a_card_covers_its_classes(folder, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    card = bundle.read_card(copy)
    assert bundle.OWN_SUM in card
    card["classes"] = card["classes"][::-1]
    (copy / bundle.CARD).write_text(json.dumps(card))
    with one_line(f"{copy / bundle.CARD}: damaged or changed since it was exported"):
        load_model(copy)


def test_a_card_of_before_has_no_checksum_and_is_taken(tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(SMALL, copy)
    card = json.loads((copy / bundle.CARD).read_text())
    del card[bundle.OWN_SUM]
    (copy / bundle.CARD).write_text(json.dumps(card))
    assert load_model(copy).classes == load_model(SMALL).classes


def graph_of(*nodes, outputs=("probabilities",), constants=()):
    onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [make.make_node(*arguments, **more) for *arguments, more in nodes],
        "foreign",
        [make.make_tensor_value_info("waveform", kind, [None])],
        [make.make_tensor_value_info(name, kind, None) for name in outputs],
        list(constants),
    )
    made = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)])
    made.ir_version = 8
    return made.SerializeToString()


def foreign(tmp_path, graph):
    """A bundle whose graph somebody else made, with every checksum right."""
    shutil.copytree(SMALL, tmp_path / "bundle")
    return tampering.with_graph(tmp_path / "bundle", graph)


def test_a_foreign_graph_must_answer_with_probabilities(tmp_path):
    graph = graph_of(("Abs", ["waveform"], ["probabilities"], {}))
    with one_line("bundle: expected 7 probabilities that sum to 1, found (8000,) with the sum"):
        load_model(foreign(tmp_path, graph)).predict(speech_like(0.5), 16_000)


def test_a_foreign_graph_must_take_a_waveform(tmp_path):
    graph = graph_of(("Abs", ["waveform"], ["other"], {}), outputs=("other",))
    with one_line("model.onnx: expected a graph of waveform to probabilities, found waveform to"):
        load_model(foreign(tmp_path, graph))


def test_a_graph_without_end_is_ended(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
    make, kinds = onnx.helper, onnx.TensorProto
    value = make.make_tensor_value_info
    body = make.make_graph(
        [
            make.make_node("Identity", ["on"], ["still"]),
            make.make_node("Identity", ["x"], ["y"]),
        ],
        "body",
        [value("i", kinds.INT64, []), value("on", kinds.BOOL, []), value("x", kinds.FLOAT, [None])],
        [value("still", kinds.BOOL, []), value("y", kinds.FLOAT, [None])],
    )
    constants = [
        make.make_tensor("most", kinds.INT64, [], [2**62]),
        make.make_tensor("yes", kinds.BOOL, [], [True]),
    ]
    graph = graph_of(
        ("Loop", ["most", "yes", "waveform"], ["probabilities"], {"body": body}),
        constants=constants,
    )
    monkeypatch.setattr(bundle, "TIMEOUT_S", 0.5)
    with one_line("model.onnx: cannot answer (no answer within 0 s)"):
        load_model(foreign(tmp_path, graph)).predict(speech_like(0.5), 16_000)


def test_a_graph_that_takes_all_memory_is_ended(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
    constants = [onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [1_500_000_000])]
    graph = graph_of(
        ("ConstantOfShape", ["shape"], ["zeros"], {}),
        ("ReduceSum", ["zeros"], ["probabilities"], {}),
        constants=constants,
    )
    with one_line("model.onnx: cannot answer (", "ConstantOfShape node", "vailable memory"):
        load_model(foreign(tmp_path, graph)).predict(speech_like(0.5), 16_000)


def test_what_unpacks_to_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.keras"
    for name in ("config.json", "ser.json"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr(name, bytes(40_000_000))
        for read in (models.read_card, models.load):
            with one_line(
                f"bomb.keras: expected at most 30 MB in each file of a model, found {name}"
            ):
                read(path)


def test_a_card_and_layers_that_do_not_fit_are_named(one_bundle, tmp_path):
    path = tmp_path / "other.keras"
    shutil.copy(one_bundle / "model.keras", path)
    card = models.read_card(path)
    for changes in ({"classes": ["a", "b"]}, {"features": {**card["features"], "n_mfcc": 12}}):
        network = models.load(path)
        models.save(network, path, {**card, **changes})
        with one_line("other.keras: its card says (", "its layers (", "Train it again"):
            load_model(path)


def test_the_released_models_answer_as_they_did():
    """With figures of the commit before cards had a checksum and graphs a limit of time."""
    voice = speech_like(2.0)[:, 0]
    for folder in RELEASED:
        found = np.array(list(load_model(folder).hear(voice, 16_000).values()))
        assert found.argmax() == BEFORE[folder.name][0]
        np.testing.assert_allclose(found.max(), BEFORE[folder.name][1], atol=1e-3)
