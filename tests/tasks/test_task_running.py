"""Pictures of all sources through a task that needs no net."""

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.tasks.running import answers, stream


class Brightness:
    """The mean of a picture, and how many pictures were answered with it."""

    batch_size, batches_at_once = 3, 2

    def prepare(self, pixels):
        if pixels.shape[0] == 1:
            raise PictureError("it", "too thin")
        return pixels.mean()

    def answer(self, prepared):
        assert len(prepared) <= self.batch_size
        return [(one, len(prepared)) for one in prepared]


def grey(value, sides=(4, 6)):
    return np.full((*sides, 3), value, "uint8")


@pytest.fixture
def folder(tmp_path):
    for value in range(7):
        Image.fromarray(grey(value)).save(tmp_path / f"{value}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    return tmp_path


def test_a_picture_has_a_result_and_several_have_a_list(folder):
    assert answers(Brightness(), grey(9)) == (9, 1)
    assert answers(Brightness(), str(folder / "3.png")) == (3, 1)
    assert answers(Brightness(), [grey(1), folder / "2.png"]) == [(1, 2), (2, 2)]
    assert answers(Brightness(), np.stack([grey(5)] * 4)) == [*[(5, 3)] * 3, (5, 1)]


def test_a_folder_has_results_by_name_and_its_bad_files_are_told(folder, capsys):
    found = answers(Brightness(), folder)
    assert list(found) == ["0.png", "1.png", "2.png", "3.png", "5.png", "6.png"]
    assert [value for value, _ in found.values()] == [0, 1, 2, 3, 5, 6]
    said = capsys.readouterr().out
    assert "Left out a file of" in said
    assert "4.png (no picture, but text that begins 'no picture')" in said


def test_a_bad_picture_that_was_given_is_an_error(folder, tmp_path):
    for images in (folder / "4.png", [grey(1), folder / "4.png"], grey(1, (1, 6))):
        with pytest.raises(PictureError):
            answers(Brightness(), images)
    for name in "012356":
        (folder / f"{name}.png").unlink()
    with pytest.raises(ValueError, match="at least one picture.*4.png .no picture"):
        answers(Brightness(), folder)


def test_a_stream_keeps_the_order_and_the_pixels_that_are_wanted(folder):
    found = list(stream(Brightness(), folder, keep_pixels=True))
    assert [one.name for one in found] == [f"{i}.png" for i in range(7)]
    assert found[4].bad.reason == "no picture, but text that begins 'no picture'"
    assert found[4].result is None
    np.testing.assert_array_equal(found[6].pixels, grey(6))
    assert next(stream(Brightness(), folder)).pixels is None
