"""The command `serve`: its errors, its page in a browser, and what strangers send."""

import html
import io
import json
import signal
import socket
import sys
import urllib.error
import urllib.request
import uuid

import pytest
from browser import needs_browser
from PIL import Image
from served_page import looked_at, needs_gradio, served

from keras_caffe_zoo import cli, demo
from keras_caffe_zoo.digits import held_out_digits, written_page
from keras_caffe_zoo.serving.page import example_pictures
from keras_caffe_zoo.serving.server import demo_app, free_port
from keras_caffe_zoo.serving.uploads import MAX_BYTES

DEMO = demo.FOLDER
SIZE = 384, 704


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path))


def test_without_gradio_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["serve"]) == 2
    assert 'pip install "keras_caffe_zoo[serve]"' in capsys.readouterr().err


def test_a_net_that_there_is_not_is_told_first(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["serve", "--net", "caffenett"]) == 2
    assert "Did you mean 'caffenet'" in capsys.readouterr().err


def test_one_net_needs_no_list():
    with pytest.raises(ValueError, match="resnet50"):
        demo_app("resnet_50")


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"received: {port}, which cannot be"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    assert free_port("127.0.0.1", 0) > 0
    for wrong in (-1, 1 << 16):
        with pytest.raises(ValueError, match="Expected a port from 0 to 65535"):
            free_port("127.0.0.1", wrong)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's address: with a net of one's own, read from two files."""
    net = f"{DEMO / 'digits.prototxt'}:{DEMO / 'digits.caffemodel'}"
    words = ["--net", net, "--mean", "0", "--port", "0"]
    with served(*words, cache=tmp_path_factory.mktemp("served")) as (address, _):
        yield address


def answered(url, data=None, headers=()):
    """Return the status and the bytes of an answer."""
    request = urllib.request.Request(url, data, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def sent(page, data, name="a.png"):
    """Return the status of sending a picture, and its path on the server."""
    edge = uuid.uuid4().hex
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"'
    )
    body = f"{head}\r\nContent-Type: image/png\r\n\r\n".encode() + data
    body += f"\r\n--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    status, text = answered(f"{page}gradio_api/upload", body, kind)
    return status, json.loads(text)[0] if status == 200 else text.decode()


def events(page):
    """Return the numbers of the page's events: of `see`, and of the tab `Inside`."""
    found = json.loads(answered(f"{page}config")[1])["dependencies"]
    sees = [one["id"] for one in found if len(one["inputs"]) == 7]
    tabs = [one["id"] for one in found if not one["inputs"]]
    return sees[0], tabs[-1]


def posted(page, event, data, visitor):
    """Ask as the page does; return the status, and all that comes back, as text."""
    question = {"data": data, "fn_index": event, "session_hash": visitor}
    kind = {"Content-Type": "application/json"}
    url = f"{page}gradio_api/queue/join"
    status, text = answered(url, json.dumps(question).encode(), kind)
    if status == 200:
        status, text = answered(f"{page}gradio_api/queue/data?session_hash={visitor}")
    return status, html.unescape(text.decode())


def asked(page, path, net="digits", blob=None, visitor="somebody"):
    """Ask what a net says of a picture, or has in a blob, as `posted` does."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}} if path else None
    see, _ = events(page)
    return posted(page, see, [file, net, -1, blob, 64, None, None], visitor)


def png_of(name):
    """Return the bytes of a picture that ships."""
    file = io.BytesIO()
    Image.fromarray(example_pictures()[name][0]).save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
@needs_gradio
class TestStrangers:
    """What is no question of the page is refused, and the server lives on."""

    def test_text_as_a_picture(self, page):
        status, path = sent(page, b"just words")
        assert status == 200
        status, said = asked(page, path)
        assert status == 200 and "This picture cannot be read: no picture, but" in said

    def test_a_huge_picture(self, page, tmp_path):
        Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
        _, path = sent(page, (tmp_path / "huge.png").read_bytes())
        assert "decompression bomb" in asked(page, path)[1]

    def test_a_huge_file(self, page):
        status, said = sent(page, b"\0" * (MAX_BYTES + 1000))
        assert status == 413 and "maximum allowed size" in said

    @pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:1/a.png"])
    def test_a_path_of_the_server(self, page, path):
        assert asked(page, path) == (403, "Forbidden")
        status, _ = answered(f"{page}gradio_api/file={path}")
        assert status == 403

    def test_a_net_that_there_is_not(self, page):
        for net in ("../../etc/passwd", "<script>", None, 7, [], {"a": 1}):
            said = asked(page, None, net=net)[1]
            assert "There is no net" in said and "There are: 'digits'" in said

    def test_a_blob_that_there_is_not(self, page):
        _, path = sent(page, png_of("digit.png"))
        _, inside = events(page)
        assert "100.0%" in asked(page, path)[1]
        assert "process_completed" in posted(page, inside, [], "somebody")[1]
        assert "image.png" in asked(page, path, blob="conv1")[1]
        for blob in ("<script>", None, 7, [], {"a": 1}):
            said = asked(page, path, blob=blob)[1]
            assert "digits has no blob" in said and "<p><script>" not in said

    def test_the_interface_for_programs(self, page):
        for way in ("gradio_api/info", "gradio_api/openapi.json", "monitoring", "docs"):
            assert answered(f"{page}{way}")[0] == 404

    def test_a_name_of_elsewhere(self, page):
        assert answered(page, headers={"Host": "evil.example"})[0] == 421

    def test_the_page_is_there_in_the_end(self, page):
        assert answered(page)[0] == 200


@pytest.mark.slow
@needs_gradio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_manager_ends_it_and_what_was_sent_is_gone(tmp_path, number):
    with served("--port", "0", cache=tmp_path) as (address, process):
        status, path = sent(address, b"secret")
        assert status == 200 and path.startswith(str(tmp_path))
        assert list(tmp_path.glob("keras-caffe-zoo-*"))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert out == "The page is closed.\n" and "Traceback" not in err
    assert not list(tmp_path.glob("keras-caffe-zoo-*"))


@pytest.fixture
def digits_page(tmp_path):
    """Return the file of the page that ships, and the digits that are on it."""
    images, labels = held_out_digits()
    _, placed = written_page(images[300:350], labels[300:350], *SIZE, demo.SECOND)
    (tmp_path / "upload.png").write_bytes(png_of("page.png"))
    return tmp_path / "upload.png", sorted(str(label) for label, *_ in placed)


@pytest.mark.slow
@needs_gradio
@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_an_uploaded_page_gives_the_right_digits(page, digits_page, width, dark):
    file, digits = digits_page
    with looked_at(page, width=width, dark=dark) as view:
        view.locator("#net input").click()
        view.get_by_role("option", name="digits_ssd").click()
        view.set_input_files("#picture input[type=file]", file)
        view.wait_for_selector("#found img")
        assert sorted(view.locator("#answer .name").all_inner_texts()) == digits
        assert not view.get_by_role("tab", name="Heat map").is_visible()
        view.get_by_role("tab", name="Inside").click()
        view.wait_for_selector("#inside img")


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_examples_heat_maps_and_messages(page, tmp_path):
    (tmp_path / "words.png").write_text("just words")
    with looked_at(page) as view:
        view.locator("tr.tr-body").nth(1).click()
        view.wait_for_selector("#answer .row")
        label = str(held_out_digits()[1][7])
        assert view.locator("#answer .name").first.inner_text() == label
        assert len(view.locator("#answer .row").all()) == 5
        view.get_by_role("tab", name="Heat map").click()
        view.wait_for_selector("#heat img")
        first = view.locator("#heat img").get_attribute("src")
        view.locator("#class input").click()
        view.get_by_role("option", name="3", exact=True).click()
        view.wait_for_function(
            "old => document.querySelector('#heat img').src !== old", arg=first
        )
        view.get_by_role("tab", name="Answer").click()
        view.get_by_label("Remove Image").first.click()
        view.set_input_files("#picture input[type=file]", tmp_path / "words.png")
        said = view.wait_for_selector("#answer .message").inner_text()
        begins = "text that begins 'just words'"
        assert said == f"This picture cannot be read: no picture, but {begins}."


def test_examples_are_small():
    assert sum(pixels.size for pixels, _ in example_pictures().values()) < 1_000_000
