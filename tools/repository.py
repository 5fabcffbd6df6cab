"""Owner and name of the repository: one place, and everything that is made from it.

The place is `[project.urls]` in pyproject.toml. Badges, set-up cells and links follow it:

    python tools/repository.py                  # check that all agree
    python tools/repository.py --to me/my-ser   # after forking; --to remote takes git's "origin"
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOST = "https://github.com/"
COLAB = "https://colab.research.google.com/github/"
EXTRAS = {"09_tuning": "tune"}  # what a notebook needs installed, where it is not [train]
TEXTS = (".cff", ".html", ".ipynb", ".md", ".py", ".rst", ".toml", ".txt", ".yml")
SET_UP = """import sys

USE_DRIVE = False  # in Colab: True keeps everything in your Google Drive
if "google.colab" in sys.modules:
    if USE_DRIVE:
        from google.colab import drive

        drive.mount("/content/drive")
    %cd {{"/content/drive/MyDrive" if USE_DRIVE else "/content"}}
    ![ -d {name} ] || git clone --quiet --depth 1 {host}{owner}/{name}.git
    %cd {name}
    !git pull --quiet --ff-only
    %pip install --quiet .[{extra}]"""


def declared(root: Path = ROOT) -> tuple[str, str]:
    """Read owner and name from pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return split(project["urls"]["Repository"])


def split(address: str) -> tuple[str, str]:
    """Take owner and name from an address, of the web or of git, or from ``owner/name``."""
    found = re.search(r"(?:^|[/:])([\w.-]+)/([\w.-]+?)(?:\.git)?/?$", address.strip())
    if not found:
        sys.exit(f"{address}: expected owner/name, or an address that ends so.")
    return found[1], found[2]


def remote(root: Path = ROOT) -> str:
    """Ask git where this clone comes from."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("git knows no remote named origin here. Name the fork: --to owner/name.")
    return done.stdout


def set_up(notebook: str, owner: str, name: str) -> str:
    """Write the set-up cell of a notebook."""
    extra = EXTRAS.get(notebook, "train")
    return SET_UP.format(host=HOST, owner=owner, name=name, extra=extra)


def badge(notebook: str, owner: str, name: str) -> str:
    """Write the Colab badge of a notebook."""
    address = f"{COLAB}{owner}/{name}/blob/main/notebooks/{notebook}.ipynb"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
    )


def disagreements(root: Path = ROOT) -> list[str]:
    """Name, a line each, what does not follow pyproject.toml."""
    owner, name = declared(root)
    found = []
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells]
        if badge(file.stem, owner, name) not in sources[0]:
            found.append(f"{file.name}: the badge in its first cell")
        if sources[2] != set_up(file.stem, owner, name):
            found.append(f"{file.name}: the set-up cell, its third")
    return found


def rewrite(root: Path, owner: str, name: str) -> list[Path]:
    """Put another owner and name wherever those of pyproject.toml stand; give what changed."""
    old_owner, old_name = declared(root)
    changed = []
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for file in (root / line for line in listed.splitlines()):
        if file.suffix not in TEXTS or not file.is_file():
            continue
        before = file.read_text(encoding="utf-8")
        text = before
        for host in (HOST, COLAB):
            text = re.sub(
                rf"{re.escape(host)}{re.escape(old_owner)}/{re.escape(old_name)}(?![\w-])",
                f"{host}{owner}/{name}",
                text,
            )
        text = text.replace(f"{old_owner}.github.io/{old_name}", f"{owner}.github.io/{name}")
        if file.suffix == ".ipynb":
            text = with_set_up(text, file.stem, owner, name)
        if text != before:
            file.write_text(text, encoding="utf-8")
            changed.append(file)
    return changed


def with_set_up(text: str, notebook: str, owner: str, name: str) -> str:
    """Write the set-up cell of a notebook anew; nothing else in its file moves."""
    whole = json.loads(text)
    for cell in whole["cells"]:
        if cell["cell_type"] == "code" and "google.colab" in "".join(cell["source"]):
            cell["source"] = set_up(notebook, owner, name).splitlines(keepends=True)
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Check, or rewrite for a fork."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", metavar="OWNER/NAME", help="rewrite for this fork; or: remote")
    options = parser.parse_args()
    if options.to:
        owner, name = split(remote() if options.to == "remote" else options.to)
        changed = rewrite(ROOT, owner, name)
        print(f"{owner}/{name}: {len(changed)} files changed")
    if wrong := disagreements():
        print("\n".join(wrong))
        print(f"These do not follow pyproject.toml: python {Path(__file__).name} --to owner/name")
        return 1
    print(f"{'/'.join(declared())}: pyproject.toml, badges and set-up cells agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
