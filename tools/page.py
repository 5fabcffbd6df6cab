"""Put the page without a server together, with both released models.

python tools/page.py [FOLDER]

Look at it with ``python -m http.server -d FOLDER``; any static server will do.
"""

import sys
from pathlib import Path

from ser.inference import browser
from ser.project import paths

MODELS = ("small", "whisper-tiny")  # the first is there at once

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/page")
    browser.write(folder, {name: paths().models / name for name in MODELS})
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"written: {folder} ({size / 1e6:.1f} MB); python -m http.server -d {folder}")
