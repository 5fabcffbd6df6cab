"""Processes that compute features: on this machine or on a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from joblib import Parallel, parallel_config

from ser.project import SerError


@contextlib.contextmanager
def pool(cluster: str | None, n_jobs: int) -> Iterator[Parallel]:
    """Start processes on this machine, or use those of a Dask scheduler."""
    if cluster is None:
        with Parallel(n_jobs, return_as="generator", batch_size=1) as workers:
            yield workers
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise SerError(
            "a Dask cluster needs the `distributed` package: pip install 'ser-honest[cluster]'."
        ) from error
    try:
        client = Client(cluster, timeout="20s")
    except (OSError, ValueError, TimeoutError) as error:
        raise SerError(
            f"no Dask scheduler answers at {cluster!r}. Start one with `dask scheduler` and give "
            "its address, such as tcp://127.0.0.1:8786."
        ) from error
    with client, parallel_config("dask", wait_for_workers_timeout=60):
        yield Parallel(n_jobs=-1, return_as="generator", batch_size=1)
