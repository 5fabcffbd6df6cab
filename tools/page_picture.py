"""Photograph the page without a server while it answers, for the README: docs/_static/page.png.

python tools/page_picture.py RECORDING, after make page; needs Chromium and the extra test.
"""

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "page.png"
PATIENCE_MS = 300_000


def main() -> int:
    """Open the page, let it answer, and keep what it shows."""
    page = ROOT / "build" / "page"
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=page)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1000, "height": 760}, device_scale_factor=1.5)
        opened.set_default_timeout(PATIENCE_MS)
        opened.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        opened.locator("#model:enabled").wait_for()
        opened.wait_for_timeout(3_000)
        loading = opened.locator("#loading", has_text="Loading")  # the large model
        loading.wait_for(state="hidden")
        opened.locator("#file").set_input_files(sys.argv[1])
        opened.locator("#bars li").first.wait_for()
        opened.locator("#working").wait_for(state="hidden")
        opened.locator("#look").wait_for()
        opened.screenshot(path=PICTURE)
        print(opened.locator("#headline").inner_text())
        browser.close()
    server.shutdown()
    with Image.open(PICTURE) as taken:
        taken.convert("RGB").quantize(96).save(PICTURE, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
