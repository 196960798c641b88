"""A model host on this machine, and processes that fetch from it."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_net import NAME, entry

from keras_caffe_zoo.weights import cache, manifest
from keras_caffe_zoo.weights.manifest import WeightFile

PACKAGE = Path(__file__).parents[2] / "keras_caffe_zoo"


# What TensorFlow says when it starts is none of the worker's errors.
QUIET_START = """
import os
errors, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 2)
import keras_caffe_zoo
os.dup2(errors, 2)
"""


class ModelHost:
    """Serves what a test tells it to, and remembers what it was asked for."""

    def __init__(self):
        self.routes, self.requests, self.headers = {}, [], []
        self.half_sent, self.release = threading.Event(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def serve(self, name, *answers):
        """Each request takes the next answer; the last one stays."""
        self.routes[f"/{name}"] = list(answers)
        return self.url(name)

    def answer_when_all_wait(self, workers):
        """Releases held answers once every worker has come far enough to collide."""
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * len(
            workers
        )
        time.sleep(0.3)
        self.release.set()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def body(data, code=200, length=None, send_length=True, **headers):
        """Bytes; with a `length` above theirs, a dropped connection."""

        def answer(request, host):
            request.send_response(code)
            for name, value in headers.items():
                request.send_header(name.replace("_", "-"), value)
            if send_length:
                request.send_header("Content-Length", str(length or len(data)))
            request.end_headers()
            request.wfile.write(data)

        return answer

    @staticmethod
    def status(code):
        return ModelHost.body(b"an error page", code=code)

    @staticmethod
    def redirect(location):
        return ModelHost.body(b"", code=302, Location=location)

    @staticmethod
    def drip(data, pieces=20):
        """Sends a little at a time."""

        def answer(request, host):
            request.send_response(200)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            step = -(-len(data) // pieces)
            for start in range(0, len(data), step):
                request.wfile.write(data[start : start + step])
                request.wfile.flush()
                time.sleep(0.005)

        return answer

    @staticmethod
    def hold(data):
        """Sends nothing until the test sets `host.release`."""

        def answer(request, host):
            host.release.wait(60)
            ModelHost.body(data)(request, host)

        return answer

    @staticmethod
    def stall(data):
        """Sends half of the bytes, then nothing until the host closes."""

        def answer(request, host):
            request.send_response(200)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data[: len(data) // 2])
            request.wfile.flush()
            host.half_sent.set()
            host.release.wait(60)

        return answer

    def _handler(host):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.requests.append(self.path)
                host.headers.append(dict(self.headers))
                answers = host.routes.get(self.path, [host.status(404)])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                answer(self, host)

            def log_message(self, *args):
                pass

        return Handler


@pytest.fixture
def host():
    host = ModelHost()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test sees the user's cache, mirror or proxy."""
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KERAS_CAFFE_ZOO_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "home"


@pytest.fixture
def publish(monkeypatch):
    """Makes a net the manifest's only one."""

    def publish(*urls, mean=None, non_commercial=False, others=(), **facts):
        one = entry(WeightFile(NAME, urls, **facts), mean, non_commercial)
        nets = {net.name: net for net in (one, *others)}
        monkeypatch.setattr(manifest, "load_manifest", lambda: nets)
        return one

    monkeypatch.setattr(cache, "_told", set())
    return publish


@pytest.fixture
def start_worker():
    """Starts a Python process; whatever still runs is killed at the end."""
    started = []

    def start(code):
        command = [sys.executable, "-c", QUIET_START + code]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        paths = os.pathsep.join([str(PACKAGE.parent), str(Path(__file__).parents[1])])
        settings = {**os.environ, "PYTHONPATH": paths}
        started.append(subprocess.Popen(command, env=settings, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
