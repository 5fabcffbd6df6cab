"""Build the site into build/docs/html: gather its sources, run Sphinx, check what came out.

    python tools/docs_build.py                      # or: make docs
    python -m http.server --directory build/docs/html

Pages in docs/ are written by hand; those that hold results are made from reports/, the registry of
corpora, the recipes and the models' cards (tools/docs_pages.py), the API from what notebooks use
(tools/docs_api.py). A built page that answers in the browser is taken along where it lies
(``--page``).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "docs"
PAGE = ROOT / "build" / "page"
sys.path.insert(0, str(Path(__file__).parent))
import docs_api  # noqa: E402
import docs_check  # noqa: E402
import docs_pages  # noqa: E402
import repository  # noqa: E402

BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\(([^)]*)\)")


def notebook(text: str) -> str:
    """Make a committed notebook a page: no picture from elsewhere, links that lead somewhere."""
    whole = json.loads(text)
    whole["metadata"]["language_info"]["pygments_lexer"] = "ipython3"
    owner, name = repository.declared()
    blob = f"{repository.HOST}{owner}/{name}/blob/main"
    for cell in whole["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = elsewhere("".join(cell["source"]), blob)
        elif "google.colab" in "".join(cell["source"]):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
        for output in cell.get("outputs", ()):
            if shown := output.get("data", {}).get("text/markdown"):
                text = elsewhere("".join(shown), blob)  # Sphinx follows no link in an output
                output["data"]["text/markdown"] = re.sub(
                    r"\]\((\.\./[^:)]*)\.md\)", r"](\1.html)", text
                )
    return json.dumps(whole)


def elsewhere(text: str, blob: str) -> str:
    """Let what Markdown names outside the notebooks' folder be found from the site."""
    text = BADGE.sub(r"[Open in Colab](\1)", text)
    text = re.sub(r"\]\(\.\./models/([\w-]+)/README\.md", r"](../models/\1.md", text)
    text = text.replace("](../README.md)", "](../index.md)")
    return re.sub(r"\]\(\.\./(?!index\.md|models/[\w-]+\.md)", f"]({blob}/", text)


def gather(source: Path, page: Path) -> None:
    """Bring everything that Sphinx reads into one folder."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("page"))
    facts = {"root": str(ROOT), "numbers": docs_pages.numbers()}
    facts["numbers"]["try_it"] = docs_pages.try_it(with_page=(page / "index.html").is_file())
    (source / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        target = source / "notebooks" / file.name
        target.parent.mkdir(exist_ok=True)
        target.write_text(notebook(file.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in {**docs_pages.pages(source), **docs_api.pages()}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Build and check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="the built page, if there is one")
    parser.add_argument("--to", type=Path, default=BUILD, help="where to build")
    options = parser.parse_args()
    start, source, html = time.monotonic(), options.to / "source", options.to / "html"
    gather(source, options.page)
    shutil.rmtree(html, ignore_errors=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    command = ["-m", "sphinx", "--fail-on-warning", "--quiet", "--jobs", "auto"]
    command += ["--doctree-dir", str(options.to / "doctrees")]
    if code := subprocess.call([sys.executable, *command, str(source), str(html)]):
        return code
    if (options.page / "index.html").is_file():
        shutil.copytree(options.page, html / "page")
    (html / "_static" / "webpack-macros.html").unlink()  # a template of the theme's
    (html / ".nojekyll").touch()  # GitHub leaves folders alone that begin with _
    if wrong := docs_check.faults(html):
        print("\n".join(wrong))
        return 1
    n_pages = len(list(html.rglob("*.html")))
    print(
        f"{html}: {n_pages} pages in {time.monotonic() - start:.0f} s; every link leads somewhere"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
