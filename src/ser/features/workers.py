"""Processes that compute features: here or on a cluster, and one command at a time in a folder."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from joblib import Parallel, parallel_config

from ser.project import SerError, cannot_write, shown


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


@contextlib.contextmanager
def alone(folder: Path, does: str) -> Iterator[None]:
    """Let one process work in a folder at a time; others wait, and say for whom."""
    lock, holder = FileLock(folder / ".lock"), folder / ".lock-holder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            who = holder.read_text() if holder.is_file() else "another process"
            print(f"{shown(folder)}: {who} {does}; waiting for it.", flush=True)
            lock.acquire()
        try:
            holder.write_text(f"process {os.getpid()} on {platform.node()}")
            yield
        finally:
            lock.release()
    except OSError as error:
        raise cannot_write(folder, error) from error
