"""Check a built site: links inside it lead somewhere, and nothing is fetched from elsewhere.

python tools/docs_check.py build/docs/html
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {  # what a browser fetches by itself
    *(("audio", "src"), ("embed", "src"), ("iframe", "src"), ("img", "src"), ("img", "srcset")),
    *(("input", "src"), ("object", "data"), ("script", "src"), ("source", "src")),
    *(("source", "srcset"), ("track", "src"), ("video", "poster"), ("video", "src")),
    *(("image", "href"), ("image", "xlink:href"), ("use", "href"), ("use", "xlink:href")),
}
FETCHED_RELATIONS = {"dns-prefetch", "icon", "manifest", "modulepreload", "preconnect", "preload"}
FETCHED_RELATIONS |= {"stylesheet", "prefetch", "apple-touch-icon", "mask-icon"}
IN_STYLES = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")
SELF = ("data:", "blob:", "#", "about:", "javascript:")


class Page(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what one element names."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        relations = set(values.get("rel", "").lower().split())
        for name, value in values.items():
            if (tag, name) in FETCHED:
                parts = value.split(",") if name == "srcset" else [value]
                self.fetched += [part.split()[0] for part in parts if part.split()]
            elif name == "style":
                self.fetched += in_styles(value)
            elif name == "href" and tag == "link" and relations & FETCHED_RELATIONS:
                self.fetched.append(value)
            elif name == "href" and tag in ("a", "area"):
                self.links.append(value)
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self._in_style = False

    def handle_data(self, data: str) -> None:
        """Read a style sheet inside the page."""
        if self._in_style:
            self.fetched += in_styles(data)


def in_styles(text: str) -> list[str]:
    """List what a style sheet fetches."""
    return [first or second for first, second in IN_STYLES.findall(text)]


def is_elsewhere(address: str) -> bool:
    """Tell whether an address names a host, or a place that a sub-path would hide."""
    return bool(urlsplit(address).scheme or address.startswith("/"))


def faults(root: Path) -> list[str]:
    """Name, a line each, what is fetched from elsewhere and what leads nowhere."""
    pages = {f: Page(f.read_text(encoding="utf-8")) for f in sorted(root.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        name = file.relative_to(root)
        for address in page.fetched:
            if address.startswith(SELF):
                continue
            if is_elsewhere(address):
                found.append(f"{name}: fetches {address}")
            elif not target(file, address).is_file():
                found.append(f"{name}: {address} is not there")
        for address in page.links:
            if not address or address.startswith(("http://", "https://", "mailto:", *SELF[:2])):
                continue
            if address.startswith("/"):
                found.append(f"{name}: {address} does not hold under a sub-path")
                continue
            there, anchor = target(file, address), unquote(urlsplit(address).fragment)
            if not there.is_file():
                found.append(f"{name}: {address} leads nowhere")
            elif anchor and there in pages and anchor not in pages[there].anchors:
                found.append(f"{name}: {address}: no such place on that page")
    for file in sorted(root.rglob("*.css")):
        for address in in_styles(file.read_text(encoding="utf-8")):
            if is_elsewhere(address) and not address.startswith(SELF):
                found.append(f"{file.relative_to(root)}: fetches {address}")
    return found


def target(file: Path, address: str) -> Path:
    """Give the file that a relative address on a page names."""
    path = unquote(urlsplit(address).path)
    there = (file.parent / path).resolve() if path else file.resolve()
    return there / "index.html" if there.is_dir() else there


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "every link leads somewhere; nothing is fetched from elsewhere")
    sys.exit(bool(wrong))
