"""What the authors of a published system report."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Claim:
    """A reported result; not measured here, and the ladder says what is left of it."""

    system: str
    text: str
    accuracy: tuple[float, float] | None = None
