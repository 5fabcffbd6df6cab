"""The one exception that users see as a single line instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SerError(Exception):
    """Something a user can put right: what was expected, what was found, what to do.

    The command line prints the message as one line and exits with code 2. Everything that is
    not a ``SerError`` is a bug in this package.

    Examples
    --------
    >>> raise SerError("no corpus named 'ravdes'. Known: ravdess, tess.")
    Traceback (most recent call last):
        ...
    ser.errors.SerError: no corpus named 'ravdes'. Known: ravdess, tess.
    """


class AudioError(SerError):
    """A recording that cannot be read, or that holds nothing to analyse."""


class CacheError(SerError):
    """A cached file that is not what was written, or that another process holds."""


def unknown(what: str, allowed: Iterable[str], name: str, *, word: str = "Allowed") -> SerError:
    """Make the error for a name that does not exist.

    Parameters
    ----------
    what : str
        How the sentence begins, for example ``"no recipe named 'ravdes-six'"``.
    allowed : iterable of str
        The names there are.
    name : str
        The name that was given.
    word : str
        What introduces the names.

    Returns
    -------
    SerError
        To be raised; it offers the closest name, and lists all.

    Examples
    --------
    >>> raise unknown("no corpus named 'Ravdes'", ["ravdess", "tess"], "Ravdes", word="Known")
    Traceback (most recent call last):
        ...
    ser.errors.SerError: no corpus named 'Ravdes'. Did you mean 'ravdess'? Known: ravdess, tess.
    """
    allowed = list(allowed)
    close = difflib.get_close_matches(name.lower(), allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return SerError(f"{what}.{hint} {word}: {', '.join(allowed)}.")
