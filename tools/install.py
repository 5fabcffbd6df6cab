"""Install with pip; with the tested versions where this Python is the one they were tested on.

Without hashes: pip wants them for all or for none, and an editable project has none.
"""

import platform
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
TESTED_ON = "3.11"


def main() -> int:
    """Run pip with the arguments given."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    if platform.python_version().startswith(TESTED_ON + ".") and sys.platform == "linux":
        command += ["--constraint", str(CONSTRAINTS)]
    print("installing:", *sys.argv[1:], "(a few minutes the first time)", flush=True)
    return subprocess.call([*command, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
