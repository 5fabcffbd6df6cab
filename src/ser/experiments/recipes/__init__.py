"""Named experiments. Each is a `Recipe` value; make your own with `dataclasses.replace`.

One module per published system: its docstring says what the source leaves open and what was chosen.

>>> import dataclasses
>>> mine = dataclasses.replace(get("mfcc-attention"), name="mine", corpora=("savee",))
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ser import corpora
from ser.config import Recipe, load_recipe
from ser.corpora import registry
from ser.experiments import protocols
from ser.experiments.recipes import (
    best_scratch,
    four_corpora,
    mfcc_attention,
    parallel,
    ravdess_six,
    tess,
    whisper_tiny,
)
from ser.experiments.recipes.claims import Claim
from ser.project import SerError, unknown

__all__ = ["CLAIMS", "RECIPES", "Claim", "get", "names", "on_corpora", "on_protocol", "story"]

_MODULES = (mfcc_attention, best_scratch, whisper_tiny, four_corpora, ravdess_six, parallel, tess)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for module in _MODULES for recipe in module.RECIPES
}
CLAIMS: dict[str, Claim] = {
    name: claim for module in _MODULES for name, claim in module.CLAIMS.items()
}


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
    recipe = get(name)
    told = (str(module.__doc__) for module in _MODULES if recipe in module.RECIPES)
    return next(told, recipe.description)


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
    """Run a recipe on other corpora.

    Parameters
    ----------
    recipe : Recipe
        Where everything else comes from.
    names : tuple of str
        From `ser.corpora.names`, those of your own included.

    Returns
    -------
    Recipe
        Unchanged where the corpora are its own. Otherwise named after them, with the protocol
        published for exactly these corpora or else ``speaker-independent``, and with the classes of
        the recipe that occur in them, then the other labels of corpora of your own. ``calm`` is
        merged into ``neutral`` where not all of them have it.

    Raises
    ------
    SerError
        When there is no such corpus, or fewer than two classes are left.

    Examples
    --------
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
