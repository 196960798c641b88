"""Check a built site: every link of its own leads somewhere, and nothing is fetched.

    python tools/check_site.py docs/_build/html

prints what is wrong and ends with status 1; no network is used. Links to other hosts
are allowed in `<a href>` alone: whatever a page loads must be in the site.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"src", "srcset", "data", "poster"}  # attributes that a browser follows itself
_SAFE = ("data:", "mailto:")
_ELSEWHERE = re.compile(r"""url\(\s*["']?(https?:)?//|@import""", re.I)


class _Page(HTMLParser):
    """The anchors of a page, and its links as (tag, attribute, target, line)."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str, str, int]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if name == "href" or name in _LOADS:
                self.links.append((tag, name, value or "", self.getpos()[0]))


def problems(root: Path) -> Iterator[str]:
    """Yield what is wrong with the links of a site's pages, a line each.

    Args:
        root: The site's folder.
    """
    root = root.resolve()
    pages = sorted(root.rglob("*.html"))
    if not pages:
        yield f"{root}: Expected pages; found none"
    for path in pages:
        for tag, name, target, line in _read(path).links:
            if wrong := _wrong(root, path, tag, name, target):
                yield f"{path.relative_to(root)}:{line}: {wrong}: {target}"
    for path in sorted(root.rglob("*.css")):
        text = path.read_text("utf-8")
        if _ELSEWHERE.search(text):
            yield f"{path.relative_to(root)}: it loads from elsewhere"


@cache
def _read(path: Path) -> _Page:
    return _Page(path.read_text("utf-8"))


def _wrong(root: Path, page: Path, tag: str, name: str, target: str) -> str:
    """Return what is wrong with a link, `""` if nothing is."""
    parts = urlsplit(target)
    if target.startswith(_SAFE):
        return ""
    if parts.scheme or parts.netloc:
        return "" if tag == "a" else "it loads from elsewhere"
    path = page
    if parts.path:
        base = root if parts.path.startswith("/") else page.parent
        path = (base / unquote(parts.path).lstrip("/")).resolve()
        if path.is_dir():
            path /= "index.html"
        if not path.is_relative_to(root) or not path.exists():
            return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and path.suffix == ".html" and anchor not in _read(path).anchors:
        return "no such anchor"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Print what is wrong with a site; return 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the site was built")
    found = list(problems(parser.parse_args(argv).folder))
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
