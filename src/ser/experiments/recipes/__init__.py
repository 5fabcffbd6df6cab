"""Named experiments. Each is a `Recipe` value; make your own with `dataclasses.replace`.

One file per published system beside this one: its story says what the source leaves open and what
was chosen, and each of its tables is a recipe, which has all settings of the one that it is `like`.

>>> import dataclasses
>>> mine = dataclasses.replace(get("mfcc-attention"), name="mine", corpora=("savee",))
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from ser import corpora
from ser.config import Recipe, from_dict, load_recipe
from ser.corpora import registry
from ser.experiments import protocols
from ser.project import SerError, unknown

FILES = (
    *("mfcc-attention", "best-scratch", "whisper-tiny", "four-corpora"),
    *("ravdess-six", "parallel", "tess"),
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A reported result; not measured here, and the ladder says what is left of it."""

    system: str
    text: str
    accuracy: tuple[float, float] | None = None


RECIPES: dict[str, Recipe] = {}
CLAIMS: dict[str, Claim] = {}
_STORIES: dict[str, str] = {}


def _read(name: str) -> None:
    """Take in the recipes of one file."""
    text = Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    told, system = tables.pop("story"), tables.pop("system", "")
    for recipe in tables:
        settings = {**_settings(tables, recipe), "name": recipe}
        if claim := settings.pop("claim", None):
            CLAIMS[recipe] = from_dict(Claim, {"system": system, **claim}, source=recipe)
        RECIPES[recipe] = from_dict(Recipe, settings, source=recipe)
        _STORIES[recipe] = told


def _settings(tables: dict[str, Any], name: str) -> dict[str, Any]:
    own = dict(tables[name])
    return _over(_settings(tables, own.pop("like")), own) if "like" in own else own


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Put settings over others, group by group."""
    groups = {name: _over(base.get(name, {}), v) for name, v in own.items() if isinstance(v, dict)}
    return {**base, **own, **groups}


for _file in FILES:
    _read(_file)


def names() -> tuple[str, ...]:
    """Return the names of all recipes."""
    return tuple(RECIPES)


def get(name: str) -> Recipe:
    """Return a recipe by name."""
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith(".json"):
        return load_recipe(Path(name))
    raise unknown(f"no recipe named {name!r}", names(), name, word="Known")


def story(name: str) -> str:
    """Tell where a recipe comes from, what its source leaves open and what was chosen."""
    return _STORIES.get(name) or get(name).description


def on_protocol(recipe: Recipe, name: str) -> Recipe:
    """Run a recipe under a protocol, on the corpora and classes that it is about."""
    about = protocols.get(name)
    if not about.corpora or set(about.corpora) == set(recipe.corpora):
        return dataclasses.replace(recipe, protocol=name)
    return dataclasses.replace(
        recipe,
        corpora=about.corpora,
        classes=about.classes,
        extra_corpora=_others(recipe, about.corpora),
        merge={},
        protocol=name,
    )


def _others(recipe: Recipe, names: tuple[str, ...]) -> tuple[str, ...]:
    """Give all other corpora of a recipe that is trained on extra ones, too."""
    known = (*recipe.corpora, *recipe.extra_corpora) if recipe.extra_corpora else ()
    return tuple(name for name in known if name not in names)


def on_corpora(recipe: Recipe, names: tuple[str, ...]) -> Recipe:
    """Run a recipe on other corpora, those of your own included; on its own it stays as it is.

    Otherwise it is named after them, with the protocol published for exactly these corpora or else
    ``speaker-independent``, and with the classes of the recipe that occur in them, then the other
    labels of corpora of your own. ``calm`` is merged into ``neutral`` where not all have it.

    >>> on_corpora(get("mfcc-attention"), ("demo",)).name
    'mfcc-attention-demo'
    """
    names = tuple(names)
    if set(names) == set(recipe.corpora):
        return recipe
    labels = {name: corpora.labels(name) for name in names}
    has_calm = all("calm" in found for found in labels.values())
    merge = recipe.merge if has_calm or "calm" not in recipe.classes else {"calm": "neutral"}
    found = {merge.get(label, label) for of_corpus in labels.values() for label in of_corpus}
    own = [label for name in names if name not in registry.BUILT_IN for label in labels[name]]
    wanted = dict.fromkeys((*recipe.classes, *(merge.get(label, label) for label in own)))
    classes = tuple(label for label in wanted if label in found)
    if len(classes) < 2:
        raise SerError(
            f"recipe {recipe.name} on {', '.join(names)}: expected two classes or more, found "
            f"{', '.join(classes) or 'none'} (labels: {', '.join(sorted(found)) or 'none'}). Add a "
            "corpus with other labels."
        )
    of_these = [n for n, known in protocols.PROTOCOLS.items() if set(known.corpora) == set(names)]
    return dataclasses.replace(
        recipe,
        name="-".join((recipe.name, *names)),
        corpora=names,
        extra_corpora=_others(recipe, names),
        classes=classes,
        merge=merge,
        protocol=next(
            (name for name in of_these if protocols.get(name).tested == "once"),
            "speaker-independent",
        ),
    )
