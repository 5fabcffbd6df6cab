"""Write the cards of the released models anew, after listening to what they take voices for.

`reports/released.json` holds of each when it was made, and its answers to synthesised voices.
"""

import datetime
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

from ser.corpora import demo
from ser.export import card
from ser.inference import load_model
from ser.inference.bundle import read_card
from ser.project import paths, read_json, write_json

RIGHT = 0.8  # of the answers that a released model calls certain


def date_of(file: Path) -> str:
    """Give the day on which a file was committed as it is; today, where it was not."""
    git = ["git", "-C", str(file.parent)]
    changed = [*git, "status", "--porcelain", "--", file.name]
    committed = [*git, "log", "-1", "--format=%cs", "--", file.name]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        for command in (changed, committed)
    ]
    return said[1] if said[1] and not said[0] else datetime.date.today().isoformat()


def synthesised(folder: Path) -> dict[str, int]:
    """Count a model's answers to the demo corpus, whose voices are espeak-ng's."""
    model, answers = load_model(folder), Counter()
    with zipfile.ZipFile(demo.CLIPS) as clips:
        for name in sorted(clips.namelist()):
            if demo.parse(Path(name)):
                answers[model.predict(clips.read(name)).label or "no speech"] += 1
    return dict(answers.most_common())


def main() -> int:
    """Listen with those that are new, then write the file and all cards."""
    file, known = paths().reports / card.RELEASED, {}
    old = read_json(file) if file.is_file() else {}
    for folder in sorted(file.parent for file in paths().models.glob("*/bundle.json")):
        about = read_card(folder)
        known[folder.name] = old.get(folder.name, {})
        if known[folder.name].get("sha256") != about["files"]["onnx"]["sha256"]:
            known[folder.name] = {
                "sha256": about["files"]["onnx"]["sha256"],
                "made": date_of(folder / "model.onnx"),
                "synthesised": synthesised(folder),
            }
        write_json(file, known)
        report = paths().reports / about["recipe"]["name"] / about["protocol"]
        print(f"written: {card.write(folder, report, right=RIGHT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
