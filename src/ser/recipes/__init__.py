"""Named experiments. Each is a `Recipe` value; make your own with `dataclasses.replace`.

>>> import dataclasses
>>> mine = dataclasses.replace(get("mfcc-attention"), name="mine", corpora=("savee",))
"""

from __future__ import annotations

import dataclasses
import difflib

from ser.config import AugmentationConfig, FeatureConfig, ModelConfig, Recipe, TrainingConfig
from ser.corpora.base import EMOTIONS
from ser.errors import SerError
from ser.protocols import PROTOCOLS

_MFCC_ATTENTION = Recipe(
    name="mfcc-attention",
    description="MFCC 40 × 174, three Conv2D blocks, BiLSTM 128, attention; no augmentation",
    corpora=("ravdess",),
    classes=EMOTIONS,
    protocol="ravdess-luna5",
    features=FeatureConfig(kinds=("mfcc",), n_mfcc=40, n_frames=174),
    model=ModelConfig(
        architecture="cnn_lstm_attention",
        options={
            "filters": [8, 16, 32],
            "kernel_size": 3,
            "pool_sizes": [[2, 2], [2, 2], [2, 2]],
            "conv_dropout": 0.2,
            "lstm_units": 128,
            "attention_units": 64,
            "head_dropout": 0.4,
        },
    ),
    training=TrainingConfig(epochs=60, batch_size=32, patience=10, reduce_patience=4),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _MFCC_ATTENTION,
        dataclasses.replace(
            _MFCC_ATTENTION,
            name="mfcc-attention-augmented",
            description="mfcc-attention with three waveform variants of each training clip",
            augmentation=AugmentationConfig(n_variants=3),
        ),
    )
}


def names() -> tuple[str, ...]:
    """Return the names of all recipes.

    Returns
    -------
    tuple of str
        What `get` accepts.
    """
    return tuple(RECIPES)


def get(name: str) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Recipe
        Frozen; change it with `dataclasses.replace`.

    Raises
    ------
    SerError
        When there is none of that name; lists those there are.

    Examples
    --------
    >>> get("mfcc-attention").features.n_mfcc
    40
    """
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SerError(f"no recipe named {name!r}.{hint} Known: {', '.join(names())}.")


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
    classes = tuple(c for c in recipe.classes if c != "calm" or has_calm)
    if not {"ravdess", "tess", "savee", "demo"} & set(corpora):
        classes = tuple(c for c in classes if c != "surprised")
    return dataclasses.replace(
        recipe,
        name="-".join((recipe.name, *corpora)),
        corpora=corpora,
        classes=classes,
        merge={} if has_calm else {"calm": "neutral"},
        protocol=next(
            (name for name, known in PROTOCOLS.items() if set(known.corpora) == set(corpora)),
            "speaker-independent",
        ),
    )
