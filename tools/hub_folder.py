"""Make of a model bundle a folder that `huggingface_hub.upload_folder` takes as it is.

python tools/hub_folder.py models/small --to build/hub/small
"""

import argparse
import shutil
import sys
from pathlib import Path

from huggingface_hub import ModelCard

from ser.inference import bundle
from ser.project import SerError

NEEDED = ("license", "license_name", "license_link", "language", "datasets", "pipeline_tag", "tags")
LARGE_FILES = "".join(
    f"*.{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in ("onnx", "tflite")
)


def make(source: Path, to: Path) -> list[Path]:
    """Check a bundle and its card, and copy what belongs on the Hub."""
    card = bundle.read_card(source)
    for kind in card["files"]:
        bundle.load(source, kind)  # refuses what does not fit its checksum
    readme = source / "README.md"
    if not readme.is_file():
        raise SerError(f"{source}: no card there. Export it with --calibrate REPORT.")
    about = ModelCard.load(readme)
    if missing := [name for name in NEEDED if not getattr(about.data, name, None)]:
        raise SerError(f"{readme}: its header lacks {', '.join(missing)}. Export it anew.")
    if to.exists() and any(to.iterdir()):
        raise SerError(f"{to}: not empty. Name a folder that does not exist yet.")
    to.mkdir(parents=True, exist_ok=True)
    files = ["bundle.json", *(file["file"] for file in card["files"].values())]
    for name in files:
        shutil.copy(source / name, to)
    text = str(about).replace(f'load_model("models/{source.name}")', 'load_model(".")')
    (to / "README.md").write_text(text, encoding="utf-8")
    (to / ".gitattributes").write_text(LARGE_FILES, encoding="utf-8")
    return sorted(to.iterdir())


def main() -> int:
    """Make the folder, and say how to upload it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a folder with bundle.json and README.md")
    parser.add_argument("--to", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    try:
        for file in make(options.bundle, options.to):
            print(f"{file} ({file.stat().st_size / 1e6:.2f} MB)")
    except SerError as error:
        print(f"hub_folder: {error}", file=sys.stderr)
        return 2
    print(
        'upload it: python -c "from huggingface_hub import upload_folder; upload_folder(repo_id='
        f"'OWNER/ser-{options.bundle.name}', folder_path='{options.to}')\""
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
