"""A trained model and its front end as one graph, and that graph as ONNX and LiteRT files."""

import hashlib
import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ser import models
from ser.config import AudioConfig, FeatureConfig
from ser.export import waveform_graph
from ser.models import backend
from ser.project import SerError

OPSET = 17
HALF_FROM = 1_000  # values; smaller constants stay in single precision


def graph(
    model: Any,
    audio: AudioConfig,
    features: FeatureConfig,
    temperature: float = 1.0,
    *,
    n_clips: int = -1,
) -> Callable[[Any], dict[str, Any]]:
    """Put front end, model and calibration together."""
    keras: Any = backend.load()
    if keras.config.backend() != "tensorflow":
        raise SerError("exporting needs TensorFlow: leave KERAS_BACKEND unset.")
    import tensorflow as tf

    waveform_graph.prepare(features)
    heard = models.with_attention(model)
    for layer in heard._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):  # else they became inputs of the graph
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="waveform")])
    def answer(waveform: Any) -> dict[str, Any]:
        rows = waveform_graph.compute(waveform, audio, features, n_clips=n_clips)
        found = tf.nest.flatten(heard(rows, training=False))
        logits = tf.math.log(tf.maximum(found[0][0], 1e-12)) / temperature
        answers = {"probabilities": tf.nn.softmax(logits)}
        if len(found) > 1:
            answers["attention"] = found[1][0]
        return answers

    return answer


def to_onnx(answer: Any, *, half: bool = True) -> bytes:
    """Convert a graph to ONNX."""
    try:
        import tf2onnx
    except ImportError as error:
        raise SerError(
            "export to ONNX needs its extra: pip install 'ser-honest[export]'."
        ) from error
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = tf2onnx.convert.from_function(
            answer, input_signature=answer.input_signature, opset=OPSET
        )
    if half:
        _halve(found)
    for value in [*found.graph.input, *found.graph.output, found.graph]:
        value.doc_string = ""  # it names a temporary file
    _name_by_content(found.graph)
    found.producer_name = "ser-honest"
    found.doc_string = "speech emotion: waveform to probabilities"
    return bytes(found.SerializeToString(deterministic=True))


def _name_by_content(graph: Any) -> None:
    """Name and order what a graph holds by what it is: tf2onnx does both anew in every process."""
    names = {value.name: value.name for value in [*graph.input, *graph.output]}
    depths, nodes, constants = {"": 0}, {}, {}

    def key(part: Any, kind: str) -> str:
        content = part.SerializeToString(deterministic=True)
        return f"{kind}_{hashlib.sha256(content).hexdigest()[:16]}"

    for tensor in graph.initializer:
        before, tensor.name = tensor.name, ""
        names[before] = tensor.name = key(tensor, "constant")
        constants[tensor.name] = tensor
    for node in graph.node:
        outputs, attributes = list(node.output), sorted(node.attribute, key=lambda a: a.name)
        inputs = [names.get(name, name) for name in node.input]
        for field in (node.output, node.attribute, node.input):
            del field[:]
        node.name = ""
        node.attribute.extend(attributes)
        node.input.extend(inputs)
        node.name = key(node, node.op_type)
        for place, name in enumerate(outputs):
            names.setdefault(name, f"{node.name}_{place}" if name else "")
        node.output.extend(names[name] for name in outputs)
        depth = 1 + max((depths.get(name, 0) for name in inputs), default=0)
        depths.update(dict.fromkeys(node.output, depth))
        nodes[depth, node.name, *node.output] = node
    for field, parts in ((graph.node, nodes), (graph.initializer, constants)):
        ordered = [
            type(part).FromString(part.SerializeToString()) for _, part in sorted(parts.items())
        ]
        del field[:]
        field.extend(ordered)


def _halve(proto: Any) -> None:
    """Store large constants as float16 and cast them back where they are used."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        size = int(np.prod(tensor.dims))
        if tensor.data_type != TensorProto.FLOAT or size < HALF_FROM:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}:half"))
        casts.append(helper.make_node("Cast", [f"{name}:half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.checker.check_model(proto)


def to_litert(answer: Any, *, quantise: bool = False) -> bytes:
    """Convert a graph to LiteRT (TensorFlow Lite)."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    frozen = convert_to_constants.convert_variables_to_constants_v2(
        answer.get_concrete_function(), lower_control_flow=False
    )
    logging.getLogger("absl").setLevel(logging.ERROR)  # it calls this way of converting old
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(converter.convert())
