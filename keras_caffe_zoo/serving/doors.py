"""What a browser may ask of the server: what the page needs, and nothing else.

Gradio's server has many more ways in: an interface for programs, proxies, files by
their paths. The page needs a dozen of them. All others are shut, and of what comes in
by those, every path must be of a file that was sent here.
"""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus

from keras_caffe_zoo.serving.uploads import MAX_BYTES, is_below

MAX_QUESTION = 1 << 16  # bytes of what the page asks, pictures apart
_ROOM = 1 << 16  # bytes around a picture that is sent

_FILE = "/gradio_api/file="
_SEND = "/gradio_api/upload"
_GET = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|robots\.txt)/?|/(assets|static|svelte)/.*"
    r"|/gradio_api/(queue/data|heartbeat/\w+|upload_progress|startup-events|app_id)"
    r"|/gradio_api/file=.*"
)
_POST = re.compile(r"/gradio_api/(queue/join|run/predict|upload|cancel|reset)/?")
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}

# The page takes nothing from elsewhere, and no other page may frame it.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Refused(Exception):
    """What is not answered.

    Attributes:
        status: The answer's number.
    """

    def __init__(self, status: HTTPStatus):
        super().__init__(status.phrase)
        self.status = status


class Doors:
    """Middleware of an ASGI server.

    Args:
        app: What is behind the doors.
        folder: Where the server puts what is sent.
        local_only: Whether only names of this machine lead here, so that no page of
            elsewhere can, by a name that it has set to this machine's address, nor by
            one of this machine's own.
    """

    def __init__(self, app, folder: str, local_only: bool):
        self._app, self._folder, self._local_only = app, folder, local_only

    async def __call__(self, scope, receive, send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise Refused(HTTPStatus.NOT_FOUND)
            receive = await self._checked(scope, receive)
        except Refused as error:
            await _refuse(send, error.status)
            return
        await self._app(scope, receive, _with_headers(send))

    async def _checked(self, scope, receive):
        """Return from where the request is read on.

        Raises:
            Refused: If it is not to be answered.
        """
        headers = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        if self._local_only and _host(headers) not in _LOCAL:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST)
        if self._local_only and not _is_same_origin(headers):
            raise Refused(HTTPStatus.FORBIDDEN)
        known = {"GET": _GET, "HEAD": _GET, "POST": _POST}.get(method)
        if known is None or not known.fullmatch(path):
            raise Refused(HTTPStatus.NOT_FOUND)
        if path.startswith(_FILE) and not self._is_ours(path.removeprefix(_FILE)):
            raise Refused(HTTPStatus.FORBIDDEN)
        if method != "POST":
            return receive
        most = MAX_BYTES + _ROOM if path.startswith(_SEND) else MAX_QUESTION
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            raise Refused(HTTPStatus.LENGTH_REQUIRED)
        if int(length) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if path.startswith(_SEND):
            return receive
        body = await _body(receive, most)
        self._check(body)
        return _again(body, receive)

    def _check(self, body: bytes) -> None:
        try:
            question = json.loads(body or b"{}")
            paths = list(_paths(question))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST) from error
        if not all(self._is_ours(path) for path in paths):
            raise Refused(HTTPStatus.FORBIDDEN)

    def _is_ours(self, path) -> bool:
        return isinstance(path, str) and is_below(path, self._folder)


def _paths(value) -> Iterator:
    """Yield every path in what the page asks."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "path" and one is not None:
                yield one
            yield from _paths(one)
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one)


def _host(headers: dict) -> str:
    """Return the name by which the server was asked, without its port."""
    return re.sub(r":\d+\Z", "", headers.get(b"host", b"").decode("latin-1")).lower()


def _is_same_origin(headers: dict) -> bool:
    """Tell whether a page of elsewhere asks, which browsers say."""
    origin, host = headers.get(b"origin"), headers.get(b"host", b"")
    return origin is None or origin.lower() == b"http://" + host.lower()


async def _body(receive, most: int) -> bytes:
    body, more = b"", True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
        if len(body) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


def _again(body: bytes, receive):
    """Return what gives a body that has been read once more, then what comes."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed():
        return parts.pop() if parts else await receive()

    return replayed


def _with_headers(send):
    async def answering(part) -> None:
        if part["type"] == "http.response.start":
            part = {**part, "headers": [*part["headers"], *_HEADERS]}
        await send(part)

    return answering


async def _refuse(send, status: HTTPStatus) -> None:
    text = status.phrase.encode()
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(text)).encode()),
    ]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await _with_headers(send)(start)
    await send({"type": "http.response.body", "body": text})
