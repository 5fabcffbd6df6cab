"""Bundles, models and recipes as somebody might have changed them: made anew from a seed."""

import copy
import io
import json
import random
import shutil
import zipfile
from pathlib import Path

WRONG = (
    *(None, True, 0, -1, 1e308, "x", "", [], {}, [[]], "../../x", ["a"], {"a": 1}, 10**400),
    *([1, 2], "NaN", float("nan"), 3.5, "a" * 9_999, [["a", "b"]] * 3),
)
MEMBERS = ("ser.json", "config.json", "metadata.json", "model.weights.h5")


def places(value, path=()):
    """Yield the path to every value within a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def changed(value, rng):
    """Change one or a few places of a JSON value."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 5))):
        path = rng.choice(list(places(value)) or [()])
        if not path:
            return value
        inner = value
        for key in path[:-1]:
            inner = inner[key]
        way = rng.random()
        if way < 0.25:
            del inner[path[-1]]
        elif way < 0.35 and isinstance(inner, dict):
            inner[f"{path[-1]}x"] = inner.pop(path[-1])
        elif way < 0.45 and isinstance(inner[path[-1]], list):
            inner[path[-1]] = inner[path[-1]][::-1]
        else:
            inner[path[-1]] = rng.choice(WRONG)
    return value


def damaged(data, rng):
    """Flip, cut, insert or remove bytes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))):
        at, way = rng.randrange(max(1, len(data))), rng.random()
        if way < 0.4 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif way < 0.6:
            del data[at:]
        elif way < 0.8:
            data[at:at] = rng.randbytes(20)
        else:
            del data[at : at + 100]
    return bytes(data)


def strange_json(value, rng):
    """Give text in place of a JSON file."""
    way = rng.random()
    if way < 0.8:
        return json.dumps(changed(value, rng)).encode()
    if way < 0.9:
        return damaged(json.dumps(value).encode(), rng)
    return rng.choice((b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"a": ' * 5_000, b"NaN", b"7"))


def bundles(source: Path, folder: Path, number: int, seed: int = 0):
    """Yield folders, each a bundle with its card or its graph changed."""
    from ser.inference.bundle import CARD, FILES, own_sum

    rng, card = random.Random(seed), json.loads((source / CARD).read_text())
    graph = (source / FILES["onnx"]).read_bytes()
    for index in range(number):
        place = folder / f"bundle-{index}"
        shutil.copytree(source, place)
        way = index % 4
        if way == 0:  # and whoever changed it knows how a card is summed up
            found = changed(card, rng)
            if isinstance(found, dict):
                found["card_sha256"] = own_sum(found)
            (place / CARD).write_text(json.dumps(found))
        elif way == 1:
            (place / CARD).write_bytes(strange_json(card, rng))
        elif way == 2:
            (place / FILES["onnx"]).write_bytes(damaged(graph, rng))
        else:
            with_graph(place, damaged(graph, rng))
        yield place


def with_graph(place, graph, **more):
    """Put another graph into a bundle, as its maker would."""
    import hashlib

    from ser.inference.bundle import CARD, FILES, own_sum

    (place / FILES["onnx"]).write_bytes(graph)
    card = json.loads((place / CARD).read_text()) | more
    found = {"sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph)}
    card["files"] = {"onnx": {"file": FILES["onnx"], **found}}
    card["card_sha256"] = own_sum(card)
    (place / CARD).write_text(json.dumps(card))
    return place


def keras_files(source: Path, folder: Path, number: int, seed: int = 0):
    """Yield .keras files, each with one of its members changed, or damaged as a whole."""
    rng = random.Random(seed)
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for index in range(number):
        path, way = folder / f"tampered-{index}.keras", index % 5
        if way == 4:
            path.write_bytes(damaged(source.read_bytes(), rng))
            yield path
            continue
        name = MEMBERS[way]
        content = members[name]
        if rng.random() < 0.1:
            content = None
        elif name.endswith(".json"):
            content = strange_json(json.loads(content), rng)
        else:
            content = damaged(content, rng)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for other, value in {**members, name: content}.items():
                if value is not None:
                    archive.writestr(other, value)
        path.write_bytes(file.getvalue())
        yield path


def recipes(source, folder: Path, number: int, seed: int = 0):
    """Yield JSON files, each a recipe with something changed."""
    rng = random.Random(seed)
    for index in range(number):
        path = folder / f"recipe-{index}.json"
        path.write_bytes(strange_json(source, rng))
        yield path
