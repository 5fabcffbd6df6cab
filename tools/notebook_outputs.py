"""Outputs of notebooks as they are committed: clean, and known to belong to their code.

A notebook's metadata holds a digest of its code cells (parameters included), and of the committed
reports that they read, as both were when the outputs were made. `stale` says what changed since.
"""

import functools
import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
MAX_BYTES = 1_000_000
KEY = "ser"  # in the notebook's metadata
WIDGET = "application/vnd.jupyter.widget-view+json"
BAR = re.compile(r"\d+%\|.*\||\d+(?:clip|file|it|B|[kMG]B)? \[\d\d:\d\d")  # as tqdm draws it
# What a notebook may read of reports/: a name in its code, and the files that are behind it.
REPORTS = {
    "results": (
        r"leaderboard|\breports/|paths\(\)\.reports(?! / \"(?:ladder|local|tuning)\")",
        r"[^/]+/[^/]+/\w+\.(csv|json)",
    ),
    "ladder": (r"\bladder\b", r"ladder/.*(csv|json)"),
    "tuning": (r"\btuning\b", r"tuning/.*(csv|json)"),
}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Give the code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_digest(notebook: NotebookNode) -> str:
    """Hash the source of all code cells but the set-up cell, which a fork rewrites."""
    sources = [c.source for c in code_cells(notebook) if "google.colab" not in c.source]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


@functools.cache
def committed_reports() -> tuple[str, ...]:
    """List what git tracks under ``reports``; reports of one's own do not count."""
    command = ["git", "-C", str(ROOT), "ls-files", "reports"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(sorted(line.removeprefix("reports/") for line in done.stdout.splitlines()))


def reports_digests(notebook: NotebookNode) -> dict[str, str]:
    """Hash the committed reports that the notebook's code reads, kind by kind."""
    code = "\n".join(cell.source for cell in code_cells(notebook))
    found = {}
    for kind, (word, files) in REPORTS.items():
        if not re.search(word, code):
            continue
        digest = hashlib.sha256()
        for name in committed_reports():
            beside = kind == "results" and name.startswith(("ladder/", "tuning/", "bench/"))
            if re.fullmatch(files, name) and not beside:
                digest.update(f"{name}\0".encode() + (ROOT / "reports" / name).read_bytes())
        found[kind] = digest.hexdigest()[:16]
    return found


def stamp(notebook: NotebookNode) -> None:
    """Note which code and which reports the outputs belong to."""
    notebook.metadata[KEY] = {"code": code_digest(notebook), "reports": reports_digests(notebook)}


def stale(notebook: NotebookNode) -> list[str]:
    """Say, a line each, what is newer than the outputs."""
    noted = notebook.metadata.get(KEY, {})
    if not noted:
        return ["its outputs carry no digest of the code that made them"]
    lines = []
    if noted["code"] != code_digest(notebook):
        lines.append("a code cell or a parameter is newer than the outputs")
    for kind, digest in reports_digests(notebook).items():
        if noted["reports"].get(kind) != digest:
            lines.append(f"the committed reports ({kind}) are newer than the outputs")
    return lines


def clean(notebook: NotebookNode) -> None:
    """Take away what is no output: progress bars, times, addresses of objects."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = _outputs(cell)
    language = notebook.metadata.get("language_info", {})
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={name: language[name] for name in ("name", "version") if name in language},
    )


def _outputs(cell: NotebookNode) -> list[NotebookNode]:
    outputs: list[NotebookNode] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            output.text = _as_seen(output.text)
            if not output.text.strip():
                continue
            if outputs and outputs[-1].get("name") == output.name:
                outputs[-1].text += output.text
                continue
        elif output.output_type in ("display_data", "execute_result"):
            if WIDGET in output.data:
                continue
            output.metadata = NotebookNode()
            for kind, text in output.data.items():
                if kind.startswith("text/"):
                    output.data[kind] = _lasting(text, cell.id)
        outputs.append(output)
    return outputs


def _as_seen(text: str) -> str:
    """Keep what a terminal shows: of each line what follows the last return, and no bars."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(line for line in lines if not BAR.search(line))


def _lasting(text: str, cell_id: str) -> str:
    """Replace what differs from run to run: addresses, and the random names of styled tables."""
    text = re.sub(r" at 0x[0-9a-f]{6,}", "", text)
    for number, name in enumerate(dict.fromkeys(re.findall(r"\bT_[0-9a-f]{5}\b", text))):
        text = text.replace(name, f"T_{hashlib.sha256(cell_id.encode()).hexdigest()[:5]}_{number}")
    return text


def texts(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Give all that can be read in the outputs, with the cell's id; no pictures, no sound."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "stream":
                found.append((cell.id, output.text))
            elif output.output_type == "error":
                found.append((cell.id, "\n".join(output.traceback)))
            else:
                kinds = [kind for kind in output.data if kind.startswith("text/")]
                read = (
                    re.sub(r"base64,[A-Za-z0-9+/=\s]+", "", output.data[kind]) for kind in kinds
                )
                found += [(cell.id, text) for text in read]
    return found


def absolute_paths(text: str) -> list[str]:
    """Name the places of this machine, and the usual ones of others, that a text mentions."""
    places = [tempfile.gettempdir(), str(Path.home()), str(ROOT), "/home/", "/Users/", "/tmp/"]
    shelves = (os.environ.get(name, "") for name in ("SER_CORPORA", "SER_PRETRAINED", "SER_ROOT"))
    places += [place for shelf in shelves for place in shelf.split(os.pathsep)]
    return sorted({place for place in places if len(place) > 1 and place in text})


def problems(notebook: NotebookNode, max_bytes: int = MAX_BYTES) -> list[str]:
    """Say, a line each, what must not be committed."""
    found = []
    for cell in code_cells(notebook):
        found += [
            f"cell {cell.id} wrote on stderr: {output.text.strip()[:200]}"
            for output in cell.outputs
            if output.get("name") == "stderr"
        ]
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"cell {cell.id} failed")
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            found.append(f"cell {cell.id} shows a widget, which is dead in a committed notebook")
    for cell_id, text in texts(notebook):
        if warned := re.search(r".{0,99}(?:Warning\b|WARNING|Traceback).{0,99}", text):
            found.append(f"cell {cell_id} shows a warning: {warned[0]}")
        if places := absolute_paths(text):
            found.append(f"cell {cell_id} shows absolute paths: {', '.join(places)}")
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts not in ([None] * len(counts), list(range(1, len(counts) + 1))):
        found.append(f"cells were not run once each from top to bottom: {counts}")
    if (size := len(as_text(notebook).encode())) >= max_bytes:
        found.append(f"{size / 1e6:.2f} MB; less than {max_bytes / 1e6:.0f} MB is wanted")
    return found


def as_text(notebook: NotebookNode) -> str:
    """Write a notebook the way Jupyter and this repository keep it."""
    from nbformat import v4

    whole = v4.rwbase.split_lines(v4.rwbase.strip_transient(_copy(notebook)))
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _copy(notebook: NotebookNode) -> NotebookNode:
    import nbformat

    return nbformat.from_dict(json.loads(json.dumps(notebook)))
