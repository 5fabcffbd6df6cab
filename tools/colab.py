"""Ask pip what `pip install .[train]` would replace in Colab, without Colab: a dry run.

Needs the network, and installs nothing.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = "3.12"
PINS = {"numpy": "2.0.2", "pandas": "2.2.2", "tensorflow": "2.19.0", "keras": "3.10.0"}
# Colab's Keras is older than the first one whose safe mode is safe (CVE-2026-1462). It is pure
# Python, TensorFlow 2.19 takes any from 3.5 on, and pip brings a newer one in a second.
MAY_BE_REPLACED = {"keras"}


def requirements(extra: str = "train") -> list[str]:
    """List what the package and an extra ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def resolve(wanted: list[str], pins: dict[str, str]) -> dict[str, str] | None:
    """Let pip choose versions for Colab's Python beside the pins; None where there are none."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"),
                *("--ignore-installed", "--target", folder, "--report", str(report)),
                *("--python-version", PYTHON, "--only-binary=:all:"),
                *wanted,
                *(f"{name}=={version}" for name, version in pins.items()),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            if "ResolutionImpossible" not in done.stderr:
                sys.exit(done.stderr)
            return None
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    entries = (entry["metadata"] for entry in found)
    return {entry["name"].lower(): entry["version"] for entry in entries}


def replaced(extra: str = "train") -> dict[str, str]:
    """Name what cannot stay as Colab has it, with the version that would come instead."""
    wanted = requirements(extra)
    if resolve(wanted, PINS) is not None:
        return {}
    kept = {name: version for name, version in PINS.items() if name not in MAY_BE_REPLACED}
    found = resolve(wanted, kept)
    if found is None:
        sys.exit(f"[{extra}] cannot be installed beside {kept}: loosen pyproject.toml.")
    return {name: found[name] for name in MAY_BE_REPLACED}


def main() -> int:
    """Say what would be kept, and what replaced."""
    new = replaced()
    for name, version in PINS.items():
        print(f"{name} {version}: " + (f"replaced by {new[name]}" if name in new else "kept"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
