"""Named experiments. Each is a `Recipe` value; make your own with `dataclasses.replace`.

One module per published system: its docstring says what the source leaves open and what was chosen.

>>> import dataclasses
>>> mine = dataclasses.replace(get("mfcc-attention"), name="mine", corpora=("savee",))
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ser.config import Recipe, load_recipe
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
from ser.project import unknown

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
    """Tell where a recipe comes from, what its source leaves open and what was chosen.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    str
        Docstring of the module that holds the recipe.

    Raises
    ------
    SerError
        When there is none of that name.
    """
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


def _others(recipe: Recipe, corpora: tuple[str, ...]) -> tuple[str, ...]:
    known = (*recipe.corpora, *recipe.extra_corpora) if recipe.extra_corpora else ()
    return tuple(name for name in known if name not in corpora)


def on_corpora(recipe: Recipe, corpora: tuple[str, ...]) -> Recipe:
    """Run a recipe on other corpora.

    Parameters
    ----------
    recipe : Recipe
        Where everything else comes from.
    corpora : tuple of str
        Names from `ser.corpora`.

    Returns
    -------
    Recipe
        Unchanged where the corpora are its own. Otherwise named after them, with the protocol
        published for exactly these corpora or else ``speaker-independent``, and with ``calm``
        merged into ``neutral`` when other corpora than RAVDESS take part: only it has calm.

    Examples
    --------
    >>> on_corpora(get("mfcc-attention"), ("demo",)).name
    'mfcc-attention-demo'
    """
    corpora = tuple(corpora)
    if set(corpora) == set(recipe.corpora):
        return recipe
    has_calm = set(corpora) <= {"ravdess", "demo"}
    merge = recipe.merge if "calm" not in recipe.classes or has_calm else {"calm": "neutral"}
    classes = tuple(c for c in recipe.classes if c != "calm" or has_calm)
    if not {"ravdess", "tess", "savee", "demo"} & set(corpora):
        classes = tuple(c for c in classes if c != "surprised")
    return dataclasses.replace(
        recipe,
        name="-".join((recipe.name, *corpora)),
        corpora=corpora,
        extra_corpora=_others(recipe, corpora),
        classes=classes,
        merge=merge,
        protocol=next(
            (
                name
                for name, known in protocols.PROTOCOLS.items()
                if set(known.corpora) == set(corpora) and known.tested == "once"
            ),
            "speaker-independent",
        ),
    )
