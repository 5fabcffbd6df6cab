"""The site: built from what is committed, complete in itself, true under a sub-path."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ser.corpora import registry

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import docs_api  # noqa: E402
import docs_build  # noqa: E402
import docs_check  # noqa: E402
import docs_pages  # noqa: E402

REPORTED = [
    file
    for file in (ROOT / "reports").glob("*/*/metrics.json")
    if file.parts[-3] not in ("ladder", "tuning", "local")
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def page(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_what_is_fetched_from_elsewhere_or_leads_nowhere_is_named(tmp_path):
    page(tmp_path, "b/index.html", '<p id="here">')
    page(tmp_path, "style.css", "p { background: url(data:,x) }")
    right = '<a href="b/#here"><a href="https://x.y"><img src="data:,"><link rel=stylesheet '
    page(tmp_path, "a.html", right + 'href="style.css"><a href="?"><a href="#top" id="top">')
    assert docs_check.faults(tmp_path) == []
    wrong = {
        '<img src="https://x.y/z.png">': "fetches https://x.y/z.png",
        '<script src="//x.y/z.js">': "fetches //x.y/z.js",
        '<img srcset="b.png 1x, https://x.y/z.png 2x">': "b.png is not there",
        '<link rel="preconnect" href="https://x.y">': "fetches https://x.y",
        '<p style="background: url(https://x.y)">': "fetches https://x.y",
        "<style>@import 'https://x.y';</style>": "fetches https://x.y",
        '<audio src="c.wav">': "c.wav is not there",
        '<a href="c.html">': "c.html leads nowhere",
        '<a href="b/#there">': "b/#there: no such place on that page",
        '<a href="/b/">': "/b/ does not hold under a sub-path",
    }
    for text, fault in wrong.items():
        page(tmp_path, "a.html", text)
        assert f"a.html: {fault}" in docs_check.faults(tmp_path)
    page(tmp_path, "a.html", "")
    page(tmp_path, "style.css", "@import url('https://x.y/fonts.css');")
    assert docs_check.faults(tmp_path) == ["style.css: fetches https://x.y/fonts.css"]


def test_every_corpus_has_a_card_with_its_language_and_quirks():
    cards = docs_pages.corpora_pages()
    for name in registry.BUILT_IN:
        by_hand = (ROOT / "docs" / "corpora" / f"{name}.md").read_text(encoding="utf-8")
        card = cards[f"corpora/{name}.md"]
        assert by_hand.strip() in card
        assert f"| {docs_pages.LANGUAGES[registry.get(name).language]} |" in card
        assert " 0 MB" not in card


def test_names_of_the_package_are_found_in_code():
    code = "import ser\nfrom ser import plots as p, corpora\nfrom os import path\np.roc(1).x\n"
    code += "corpora.metadata.build(path.join)\nser.__version__"
    found = docs_api.names(code)
    assert {"ser.plots.roc", "ser.corpora.metadata.build"} <= found
    assert not any("path" in name for name in found)
    assert docs_api.resolve("ser.corpora.metadata.build") == ("ser.corpora.metadata", "build")
    assert docs_api.resolve("ser.corpora.metadata") is None
    assert docs_api.resolve("ser.corpora._nothing") is None


def test_a_notebook_becomes_a_page_with_nothing_from_elsewhere():
    text = (ROOT / "notebooks" / "00_quickstart.ipynb").read_text(encoding="utf-8")
    made = json.loads(docs_build.notebook(text))
    sources = ["".join(cell["source"]) for cell in made["cells"]]
    assert "![" not in sources[0]
    assert "[Open in Colab](https://colab.research.google.com/github/" in sources[0]
    assert made["cells"][2]["metadata"]["tags"] == ["hide-input"]
    outside = (
        "[a](../README.md) [b](../models/small/README.md) [c](../src/ser/audio.py) [d](x.ipynb)"
    )
    assert docs_build.elsewhere(outside, "https://h/b") == (
        "[a](../index.md) [b](../models/small.md) [c](https://h/b/src/ser/audio.py) [d](x.ipynb)"
    )


# The built site -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built, under the sub-path ``ser`` of a server."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    root = tmp_path_factory.mktemp("site")
    tool = ROOT / "tools" / "docs_build.py"
    page(root, "page/index.html", "<!doctype html><title>Speak</title><p>page</p>")
    command = [sys.executable, tool, "--to", root / "build", "--page", root / "page"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "served").mkdir()
    (root / "build" / "html").rename(root / "served" / "ser")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=root / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ser", root / "served" / "ser"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium was found: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.slow
def test_every_page_is_whole_and_fetches_nothing_from_elsewhere(site, browser):
    address, folder = site
    opened, asked, errors = browser.new_page(viewport={"width": 400, "height": 800}), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    names = [f.relative_to(folder).as_posix() for f in sorted(folder.rglob("*.html"))]
    names = [name for name in names if not name.startswith(("_", "page/"))]
    assert len(names) > 60
    for name in names:
        opened.goto(f"{address}/{name}", wait_until="load")
        assert opened.locator("h1").count() == 1, name
        assert opened.evaluate("document.documentElement.scrollWidth") <= 400, name
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).length"
        assert not opened.evaluate(broken), name
    assert not errors
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


@pytest.mark.slow
def test_sounds_play_tables_sort_and_search_finds(site, browser):
    address, _ = site
    opened = browser.new_page()
    opened.goto(f"{address}/notebooks/03_features.html")
    seconds = "[...document.querySelectorAll('audio')].map(a => a.duration)"
    opened.wait_for_function(f"{seconds}.every(s => s > 0.2)")
    assert len(opened.evaluate(seconds)) == 11
    opened.goto(f"{address}/results/index.html")
    column = (
        "[...document.querySelectorAll('table.sortable tbody tr')].map(r => r.cells[3].innerText)"
    )
    opened.get_by_role("button", name="UAR, %", exact=True).first.click()
    values = [float(text.split()[0]) for text in opened.evaluate(column) if text[0].isdigit()]
    assert values == sorted(values)
    assert len(values) == len(REPORTED) > 25
    opened.goto(f"{address}/search.html?q=leakage")
    opened.wait_for_selector("#search-results li a")
    assert opened.locator("#search-results li").count() > 3
    opened.goto(f"{address}/index.html")
    assert opened.frame_locator("iframe.try-it").locator("p").inner_text() == "page"


@pytest.mark.slow
def test_its_numbers_are_those_of_the_reports(site):
    _, folder = site
    found = json.loads(
        (ROOT / "reports/whisper-tiny-released/speaker-independent/metrics.json").read_text()
    )
    home = re.sub(r"\s+", " ", (folder / "index.html").read_text(encoding="utf-8"))
    assert f"{100 * found['uar']['mean']:.1f} % UAR" in home
    assert "{{" not in home
    for file in REPORTED:
        recipe, protocol = file.parts[-3:-1]
        uar = json.loads(file.read_text())["uar"]["mean"]
        text = (folder / "results" / f"{protocol}.html").read_text(encoding="utf-8")
        name = f'<span class="pre">{recipe}</span>'
        row = next(row for row in text.split("<tr") if name in row and "<strong>" in row)
        assert 'href="recipes.html#' in row, file
        assert f"<strong>{100 * uar:.1f}</strong>" in row, file
