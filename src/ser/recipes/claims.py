"""What the authors of a published system report."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Claim:
    """A reported result; not measured here, and the ladder says what is left of it.

    Attributes
    ----------
    system : str
        Title of the project that reports it.
    text : str
        What is reported, in short.
    accuracy : (float, float) or None
        Lowest and highest test accuracy reported, 0 to 1; None where no number is given.
    """

    system: str
    text: str
    accuracy: tuple[float, float] | None = None
