"""What comes to the server is let in, or refused, whoever sends it."""

import asyncio
import json

import pytest

from keras_caffe_zoo.serving.doors import MAX_QUESTION, Doors
from keras_caffe_zoo.serving.uploads import MAX_BYTES

HOST = "localhost:7860"
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


@pytest.fixture
def ask(tmp_path):
    """Return what sends a request through the doors: its status, what came through."""
    (tmp_path / "sent.png").write_bytes(b"x")
    (tmp_path / "link.png").symlink_to("/etc/passwd")

    def asked(method, path, body=b"", host=HOST, local=True, length=None, more=()):
        heard, said = [], []

        async def app(scope, receive, send):
            heard.append((await receive())["body"])
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(part):
            said.append(part)

        size = str(len(body) if length is None else length).encode()
        headers = [(b"host", host.encode()), (b"content-length", size), *more]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(Doors(app, str(tmp_path), local)(scope, receive, send))
        names = {name for name, _ in said[0]["headers"]}
        assert b"content-security-policy" in names
        return said[0]["status"], heard

    return asked


def file_at(path):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return json.dumps({"data": [file, "digits"], "fn_index": 0}).encode()


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/theme.css", "/assets/a.js", "/gradio_api/heartbeat/ab1"],
)
def test_the_page_has_what_it_needs(ask, path):
    assert ask("GET", path)[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/gradio_api/proxy=https://example.com/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/vibe-code"),
        ("GET", "/monitoring/summary"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/call/see"),
        ("POST", "/gradio_api/run/see"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/"),
        ("PUT", "/gradio_api/upload"),
        ("OPTIONS", "/"),
    ],
)
def test_all_other_ways_in_are_shut(ask, method, path):
    assert ask(method, path) == (404, [])


def test_files_by_path_are_those_that_were_sent(ask, tmp_path):
    assert ask("GET", f"/gradio_api/file={tmp_path}/sent.png")[0] == 200
    for path in ("/etc/passwd", f"{tmp_path}/../x", f"{tmp_path}/link.png", "x\0y"):
        assert ask("GET", f"/gradio_api/file={path}") == (403, [])
    assert ask("GET", "/gradio_api/file=https://example.com/a.png") == (403, [])


def test_a_question_may_name_a_file_that_was_sent(ask, tmp_path):
    body = file_at(f"{tmp_path}/sent.png")
    assert ask("POST", JOIN, body) == (200, [body])
    assert ask("POST", JOIN, b'{"data": [{"path": null}]}')[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "http://example.com/a.png", "link.png", "../a", "a" * 5000, 7, []],
)
def test_a_question_with_another_path_is_refused(ask, path):
    assert ask("POST", JOIN, file_at(path)) == (403, [])


def test_questions_are_bounded(ask):
    assert ask("POST", JOIN, b"[" * 50_000) == (400, [])
    assert ask("POST", JOIN, b"no json") == (400, [])
    assert ask("POST", JOIN, b" " * (MAX_QUESTION + 1)) == (413, [])
    assert ask("POST", JOIN, b" " * (MAX_QUESTION + 1), length=2) == (413, [])
    assert ask("POST", UPLOAD, length=2 * MAX_BYTES) == (413, [])
    assert ask("POST", UPLOAD, length="") == (411, [])


def test_a_name_of_elsewhere_does_not_lead_to_this_machine(ask):
    assert ask("GET", "/", host="evil.example:7860") == (421, [])
    assert ask("GET", "/", host="") == (421, [])
    assert ask("GET", "/", host="[::1]:7860")[0] == 200
    assert ask("GET", "/", host="evil.example:7860", local=False)[0] == 200


def test_a_page_of_elsewhere_asks_this_machine_nothing(ask):
    def of(origin, **options):
        return ask("POST", JOIN, b"{}", more=[(b"origin", origin)], **options)

    assert of(f"http://{HOST}".encode())[0] == 200
    for origin in (b"https://evil.example", b"null", b"http://localhost:8000"):
        assert of(origin) == (403, [])
    assert of(b"https://behind.a.proxy", local=False)[0] == 200
