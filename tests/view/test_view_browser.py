"""The page in a browser: choosing, finding, moving; and no word of complaint."""

import pytest
from browser import needs_browser, opened_page
from support import GOLDENS
from test_view_page import evil_text
from viewed_nets import resnet

from keras_caffe_zoo.view.net import viewed_file
from keras_caffe_zoo.view.page import net_page

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture
def address(tmp_path):
    def written(text):
        source, page = tmp_path / "net.prototxt", tmp_path / "page.html"
        source.write_text(text)
        page.write_bytes(net_page(viewed_file(source)))
        return page.as_uri()

    return written


def test_a_click_on_a_layer_shows_its_shapes(address):
    with opened_page(address(resnet((2, 2)))) as page:
        assert not page.is_visible("#layer-1")
        page.click('.layer[data-layer="1"]')
        assert "10 × 64 × 112 × 112" in page.inner_text("#layer-1")
        assert "kernel_size: 7" in page.inner_text("#layer-1")
        page.click('.layer[data-layer="2"]')  # a strip below it
        assert "BatchNorm" in page.inner_text("#layer-2")
        assert not page.is_visible("#layer-1")
        page.keyboard.press("Escape")
        assert page.is_visible("#start")


def test_layers_are_reached_by_keys(address):
    with opened_page(address(resnet((1,)))) as page:
        page.focus("#search")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.is_visible("#layer-1")


def test_the_search_moves_to_what_it_finds(address):
    with opened_page(address(resnet((2, 2, 2, 2)))) as page:
        last = page.locator('.layer:has(> text:text-is("fc1000"))')
        frame = page.locator("#picture").bounding_box()
        assert last.bounding_box()["y"] > frame["y"] + frame["height"]
        page.fill("#search", "fc1000")
        box = last.bounding_box()
        assert frame["y"] < box["y"] < frame["y"] + frame["height"]
        assert page.inner_text("#found") == "1 of 1"
        assert "InnerProduct" in page.inner_text("#panel")
        page.fill("#search", "eltwise")  # a type
        page.keyboard.press("Enter")
        assert page.inner_text("#found") == "2 of 8"
        page.fill("#search", "nothing like that")
        assert page.inner_text("#found") == "none found"


def test_the_picture_is_moved_and_zoomed(address):
    with opened_page(address(resnet((2, 2)))) as page:
        first = page.locator('.layer[data-layer="0"]')
        before = first.bounding_box()
        page.mouse.move(300, 500)
        page.mouse.down()
        page.mouse.move(350, 460, steps=4)
        page.mouse.up()
        moved = first.bounding_box()
        assert moved["x"] == pytest.approx(before["x"] + 50, abs=2)
        assert moved["y"] == pytest.approx(before["y"] - 40, abs=2)
        page.mouse.wheel(0, -200)
        page.wait_for_function(
            "w => document.querySelector('.layer').getBoundingClientRect().width > w",
            arg=1.2 * before["width"],
        )
        page.click("[data-zoom=all]")
        frame = page.locator("#picture").bounding_box()
        box = page.locator(".node").last.bounding_box()
        assert box["y"] + box["height"] < frame["y"] + frame["height"]


@pytest.mark.parametrize("dark", [False, True])
def test_a_hostile_net_runs_nothing(address, dark):
    with opened_page(address(evil_text()), dark=dark) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.click('.layer[data-layer="1"]')
        assert "<script>alert(1)</script>" in page.inner_text("#layer-1 h2")
        page.click("summary")
        page.click("th >> nth=4")
        assert page.locator("script").count() == 1


def test_filters_are_shown(tmp_path):
    path = tmp_path / "page.html"
    model = GOLDENS / "net_alexnet_eighth.caffemodel"
    path.write_bytes(net_page(viewed_file(model)))
    with opened_page(path.as_uri()) as page:
        width = page.evaluate("document.getElementById('filters').naturalWidth")
        assert width > 50
