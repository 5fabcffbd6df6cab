"""Where things lie: data, models, reports."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

MODEL_FILE = "model.keras"  # of a run folder


@dataclasses.dataclass(frozen=True)
class Paths:
    """The project's folders.

    Attributes
    ----------
    root : Path
        The folder that holds ``data/``, ``models/`` and ``reports/``.
    """

    root: Path

    @property
    def raw(self) -> Path:
        """Corpora as released, never changed."""
        return self.root / "data" / "raw"

    @property
    def interim(self) -> Path:
        """The metadata table."""
        return self.root / "data" / "interim"

    @property
    def processed(self) -> Path:
        """Cached features."""
        return self.root / "data" / "processed"

    @property
    def metadata(self) -> Path:
        """The metadata table's file."""
        return self.interim / "metadata.parquet"

    @property
    def models(self) -> Path:
        """Released models."""
        return self.root / "models"

    @property
    def runs(self) -> Path:
        """Training runs."""
        return self.root / "models" / "runs"

    def finished_runs(self) -> list[Path]:
        """List the folders of finished trainings, the newest first; those of ladders do not count.

        Returns
        -------
        list of Path
            Run folders.
        """
        files = self.runs.glob("*/*/fold-*/run.json")
        return [f.parent for f in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True)]

    @property
    def reports(self) -> Path:
        """Results: one folder per recipe and protocol."""
        return self.root / "reports"


def paths() -> Paths:
    """Find the project's folder.

    ``SER_ROOT`` wins; then the repository this package is installed from (``pip install -e .``);
    then the current folder.

    Returns
    -------
    Paths
        The project's folders.
    """
    if os.environ.get("SER_ROOT"):
        return Paths(Path(os.environ["SER_ROOT"]).expanduser().absolute())
    repository = Path(__file__).resolve().parents[2]
    return Paths(repository if (repository / "pyproject.toml").exists() else Path.cwd())


def shown(path: Path) -> str:
    """Write a path the way it should be read: relative to the project where it lies inside.

    Parameters
    ----------
    path : Path
        Any path.

    Returns
    -------
    str
        The path relative to `paths().root`, or unchanged when it lies elsewhere.
    """
    try:
        return Path(path).absolute().relative_to(paths().root).as_posix()
    except ValueError:
        return str(path)
