"""The polynomial that one published system reports for its training curves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ser.project import SerError


def polynomial_trend(history: pd.DataFrame, column: str, degree: int = 2) -> np.ndarray:
    """Fit a polynomial in the epoch to a training curve, by least squares.

    Parameters
    ----------
    history : DataFrame
        One row per epoch, in order.
    column : str
        What is fitted, for example ``"val_loss"``.
    degree : int
        Degree of the polynomial.

    Returns
    -------
    ndarray of float, shape (degree + 1,)
        Coefficients, highest degree first (`numpy.polyval` takes them); epochs count from 1.

    Raises
    ------
    SerError
        When there is no such column, or there are too few epochs for the degree.

    Examples
    --------
    >>> history = pd.DataFrame({"loss": [3.0, 7.0, 13.0]})
    >>> polynomial_trend(history, "loss").round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    if column not in history:
        allowed = ", ".join(map(str, history.columns))
        raise SerError(f"the history has no column {column!r}. Allowed: {allowed}.")
    if len(history) <= degree:
        raise SerError(
            f"a trend of degree {degree} needs at least {degree + 1} epochs, found {len(history)}."
        )
    epochs = np.arange(1, len(history) + 1)
    return np.polyfit(epochs, history[column].to_numpy(float), degree)
