"""The one exception that users see as a single line instead of a traceback."""


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
