"""Get used to one voice, or one way of recording, from clips that nobody labelled.

A model's answers about one speaker are shifted as a whole: log-probabilities are modelled as a
Gaussian around the mean of their class plus an offset of the speaker, which is itself Gaussian. The
offset that some clips make most probable is subtracted. Few clips, or clips that one emotion
explains, leave it near zero (a two-covariance model, as in Brümmer and de Villiers, "The speaker
partitioning problem", Odyssey 2010; here the classes are unknown and their shares are estimated).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

ROUNDS = 100
CLOSE = 1e-3  # of two rounds: it has settled
CAUTION = 0.3  # share of how speakers differ that is believed (reports/search.md)
RIDGE = 0.05  # least variance in any direction, of the mean over directions
LEAST = 1e-6  # probability whose logarithm is taken


def coordinates(probabilities: np.ndarray) -> np.ndarray:
    """Give logarithms less their mean, in an orthonormal basis: one dimension less than classes."""
    logs = np.log(np.maximum(probabilities, LEAST))
    return logs @ basis(logs.shape[-1])


def basis(n_classes: int) -> np.ndarray:
    """Give an orthonormal basis, in columns, of what sums to zero: Helmert's."""
    rows = np.tri(n_classes - 1, n_classes) - np.diag(np.arange(1.0, n_classes), 1)[:-1]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T


def fit(
    probabilities: np.ndarray,
    labels: np.ndarray,
    speakers: np.ndarray,
    corpora: np.ndarray,
    concentration: float = 5.0,
) -> dict[str, Any]:
    """Learn from answers about unseen speakers how they spread; every corpus counts the same."""
    x, n_classes = coordinates(probabilities), probabilities.shape[1]
    names = np.unique(corpora)
    of_class = np.full((len(names), n_classes, x.shape[1]), np.nan)
    for row, name in zip(of_class, names, strict=True):
        for number in np.unique(labels[corpora == name]):
            row[number] = x[(corpora == name) & (labels == number)].mean(axis=0)
    means = np.nanmean(of_class, axis=0)
    within, between = [], []
    for name in names:
        inside, apart = [], []
        for speaker in np.unique(speakers[corpora == name]):
            rest = (x - means[labels])[speakers == speaker]
            if len(rest) > 1:
                centred = rest - rest.mean(axis=0)
                inside.append(centred.T @ centred / (len(rest) - 1))
                apart.append(
                    np.outer(rest.mean(axis=0), rest.mean(axis=0)) - inside[-1] / len(rest)
                )
        within.append(np.mean(inside, axis=0))
        between.append(np.mean(apart, axis=0))
    return {
        "means": means.round(4).tolist(),
        "within": _positive(np.mean(within, axis=0)).round(4).tolist(),
        "between": _positive(np.mean(between, axis=0)).round(4).tolist(),
        "concentration": concentration,
    }


def _positive(covariance: np.ndarray) -> np.ndarray:
    """Raise what is no variance, or a very small one."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, RIDGE * values.mean())) @ vectors.T


def offset(
    probabilities: np.ndarray,
    voices: Mapping[str, Any],
    known: np.ndarray | None = None,
    possible: np.ndarray | None = None,
) -> np.ndarray:
    """Find the offset of a voice, in logarithms of probabilities, ``(n_classes,)``.

    `probabilities` are those of its clips; `voices` is what `fit` gave; `known` holds the class of
    each clip, -1 where nobody told; `possible` holds the classes there can be, all where left out.
    """
    means, within, between = (
        np.asarray(voices[name], float) for name in ("means", "within", "between")
    )
    alpha = float(voices["concentration"])
    x = coordinates(probabilities)
    n_clips, n_classes = len(x), len(means)
    precision, prior = np.linalg.inv(within), np.linalg.inv(CAUTION * between)
    root = np.linalg.cholesky(precision)
    told = np.full(n_clips, -1) if known is None else np.asarray(known)
    one_of = np.zeros(n_classes)
    one_of[slice(None) if possible is None else possible] = 1
    shift, shares = np.zeros(x.shape[1]), one_of / one_of.sum()
    for _ in range(ROUNDS):
        far = ((x - shift) @ root)[:, None] - means @ root
        scores = np.log(np.maximum(shares, 1e-300)) - 0.5 * np.square(far).sum(axis=2)
        member = np.exp(scores - scores.max(axis=1, keepdims=True))
        member /= member.sum(axis=1, keepdims=True)
        member[told >= 0] = np.eye(n_classes)[told[told >= 0]]
        pull = precision @ (x - member @ means).sum(axis=0)
        before, shift = shift, np.linalg.solve(prior + n_clips * precision, pull)
        counts = one_of * (member[told < 0].sum(axis=0) + alpha)
        shares = counts / counts.sum()
        if np.abs(shift - before).max() < CLOSE:
            break
    return basis(n_classes) @ shift


def shifted(probabilities: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Subtract an offset."""
    logs = np.log(np.maximum(probabilities, LEAST)) - found
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
