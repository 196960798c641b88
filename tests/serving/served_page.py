"""The command `serve` in a process of its own, and a browser that looks at its page."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest
from browser import CHROMIUM, listen

needs_gradio = pytest.mark.skipif(
    find_spec("gradio") is None, reason="needs the package gradio"
)
_STREAM = re.compile(
    r"failed: \S+/gradio_api/(queue/data|upload_progress|heartbeat)\S*"
)
_ADDRESS = re.compile(r"http://[\w.:]+/")


@contextlib.contextmanager
def served(*words, cache):
    """Yield the address of the page and its process; end it as Ctrl-C does."""
    command = [sys.executable, "-m", "keras_caffe_zoo", "serve", *map(str, words)]
    env = {**os.environ, "KERAS_CAFFE_ZOO_HOME": str(cache), "TMPDIR": str(cache)}
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell would never hear of Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        line = process.stdout.readline()
        assert (found := _ADDRESS.search(line)), line + process.communicate()[1]
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(ValueError):  # somebody has read it already
            process.communicate(timeout=30)


@contextlib.contextmanager
def looked_at(url, width=1280, height=1000, dark=False):
    """Yield a browser's page as `browser.opened_page` does.

    Gradio's pages end their streams themselves, which counts as a request that failed.
    """
    from playwright.sync_api import sync_playwright

    problems = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        try:
            page = chromium.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
            )
            listen(page, url, problems)
            page.goto(url)
            page.wait_for_selector("#picture")
            yield page
        finally:
            chromium.close()
    problems = [one for one in problems if not _STREAM.fullmatch(one)]
    assert not problems, "\n".join(problems)
