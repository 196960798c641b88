"""The built site in a browser: whole, without a request to elsewhere, searchable.

The variable SITE names the folder that `sphinx-build` wrote.
"""

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest
from browser import needs_browser, opened_page

SITE = os.environ.get("SITE", "")
pytestmark = [
    pytest.mark.slow,
    needs_browser,
    pytest.mark.skipif(not SITE, reason="no built site: SITE names its folder"),
]
PAGES = ("index", "start", "zoo/index", "zoo/alexnet", "reference/layers", "fidelity")
PAGES += ("guides/looking_at_a_net",)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    """The site's address: its search reads files that browsers give to no `file:`."""
    handler = functools.partial(Quiet, directory=str(Path(SITE).resolve()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_an_error_or_a_request_to_elsewhere(address, page, dark):
    with opened_page(f"{address}/{page}.html", dark=dark) as opened:
        opened.wait_for_load_state("networkidle")
        assert opened.locator("h1").first.is_visible()


@pytest.mark.parametrize("page", PAGES)
def test_narrow_pages_scroll_in_one_direction(address, page):
    with opened_page(f"{address}/{page}.html", width=390) as opened:
        wide = "document.documentElement.scrollWidth - window.innerWidth"
        assert opened.evaluate(wide) <= 0


def test_the_search_finds_a_layer(address):
    with opened_page(f"{address}/index.html") as page:
        page.fill("input.sidebar-search", "CaffeLRN")
        page.press("input.sidebar-search", "Enter")
        link = page.locator("#search-results a", has_text="CaffeLRN").first
        link.wait_for(timeout=20_000)
        link.click()
        page.wait_for_load_state()
        assert "CaffeLRN" in page.url or "reference/layers" in page.url


def test_the_guides_net_answers_a_click(address):
    with opened_page(f"{address}/guides/looking_at_a_net.html") as page:
        net = page.frame_locator("iframe.view")
        net.locator("[data-layer]", has_text="conv2").first.click()
        said = net.locator("#panel section:visible").inner_text()
        assert said.startswith("conv2") and "1 × 24 × 192 × 352" in said


def test_the_table_of_the_zoo_sorts(address):
    with opened_page(f"{address}/zoo/index.html") as page:
        rows = page.locator("table.sortable tbody tr")
        heads = page.locator("table.sortable th")
        head = heads.filter(has_text="parameters").locator("button")

        def numbers(column):
            texts = rows.locator(f"td:nth-child({column})").all_inner_texts()
            return [float(text) for text in texts if text.strip() != "-"], texts

        head.click()
        found, _ = numbers(4)
        assert found == sorted(found, reverse=True) and found[0] > 100
        head.focus()
        page.keyboard.press("Enter")
        found, _ = numbers(4)
        assert found == sorted(found)
        assert page.locator("th[aria-sort=ascending]").count() == 1

        heads.filter(has_text="multiply").locator("button").click()
        found, texts = numbers(5)
        assert found == sorted(found, reverse=True)
        assert {text.strip() for text in texts[len(found) :]} == {"-"}

        page.locator("table.sortable th", has_text="net").first.locator(
            "button"
        ).click()
        names = rows.locator("td:nth-child(1)").all_inner_texts()
        assert [name.strip() for name in names][0] == "age_net"
