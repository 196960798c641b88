"""A browser that opens pages, and hears of all that goes wrong in them.

    with opened_page(path.as_uri()) as page:
        page.click("#start")
    # leaving checks: no error on the console, no request that failed or went outside

Needs Playwright and a Chromium of the system; tests say so with `needs_browser`.
"""

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs Chromium, and the package playwright",
)


@contextlib.contextmanager
def opened_page(url: str, width=1280, height=900, dark=False) -> Iterator:
    """Yield a Playwright page at an address; check in the end that all went well.

    Args:
        url: `file://…`, or that of a server of this machine.
        width: Of the window, in pixels.
        height: Likewise.
        dark: Whether the system prefers dark pages.
    """
    from playwright.sync_api import sync_playwright

    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
            )
            listen(page, url, problems)
            page.goto(url)
            yield page
        finally:
            browser.close()
    assert not problems, "\n".join(problems)


def listen(page, url: str, problems: list[str]) -> None:
    """Have a page note errors, and requests that fail or leave its origin."""
    home = _origin(url)

    def on_console(message):
        if message.type == "error":
            problems.append(f"console: {message.text}")

    def on_request(request):
        if _origin(request.url) not in (home, "data", "blob"):
            problems.append(f"request to elsewhere: {request.url[:200]}")

    def on_response(response):
        if response.status >= 400:
            problems.append(f"{response.status}: {response.url[:200]}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", on_request)
    page.on("response", on_response)
    page.on(
        "requestfailed",
        lambda request: problems.append(f"failed: {request.url[:200]}"),
    )


def _origin(url: str) -> str:
    """Return where an address leads: a scheme alone, or a machine and its port.

    Sockets count as the pages of the same machine.
    """
    parts = urlsplit(url)
    return parts.netloc or parts.scheme
