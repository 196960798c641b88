"""What counts as a picture, in which order, under which name."""

import os

import numpy as np
import pytest
import tiny

from keras_caffe_zoo.extraction.sources import blocks_of, join_sources, open_source


def names(source):
    return [item.name for item in open_source(source).items()]


@pytest.fixture
def tree(tmp_path):
    for name in ("b.JPG", "a/x.png", "a.png", "a/y/z.webp", "b/1.tiff", "B.gif"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    for name in ("c.txt", "Thumbs.db", ".d.png", ".e/f.png", "f.h5", "g.eps", "png"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "tree"


def test_a_folders_pictures_are_sorted_by_their_path_below_it(tree):
    wanted = ["B.gif", "a.png", "a/x.png", "a/y/z.webp", "b.JPG", "b/1.tiff"]
    assert names(tree) == names(str(tree)) == wanted
    source = open_source(tree)
    assert source.total == 6
    for item in source.items():
        assert os.path.samefile(item.data, tree / item.name)


def test_folders_behind_links_are_passed_over_files_are_not(tree):
    (tree / "loop").symlink_to(tree)
    (tree / "link.png").symlink_to(tree / "a.png")
    assert names(tree)[-1] == "link.png"
    assert len(names(tree)) == 7


def test_names_that_are_no_utf8_are_spelt_out(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(b"")
    (item,) = open_source(tmp_path).items()
    assert item.name == "caf\\udce9.png"
    assert os.path.exists(item.data)


def test_a_list_has_a_path_a_line_and_perhaps_a_label(tmp_path):
    text = "\ufeffa.jpg 3\r\n\r\nwith space.png -1\nsub/b.jpg\n  /abs/c 7.png  \n7\n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    items = list(open_source(tmp_path / "list.txt").items())
    found = [item.name for item in items]
    assert found == ["a.jpg", "with space.png", "sub/b.jpg", "/abs/c 7.png", "7"]
    assert items[0].data == str(tmp_path / "a.jpg")
    assert items[3].data == "/abs/c 7.png"


def test_a_picture_is_a_source_of_one(tmp_path):
    tiny.write_pictures(tmp_path / "p", 1)
    assert names(tmp_path / "p" / "0000.png") == ["0000.png"]
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe\x00", "UTF-8 text"), (b"a\0b", "zeros"), (b"\n \n", "empty list")],
)
def test_what_is_no_list_is_refused(tmp_path, content, message):
    (tmp_path / "list.dat").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        open_source(tmp_path / "list.dat")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match="no file with a picture's suffix"):
        open_source(tmp_path)


def test_several_sources_follow_one_another_under_names_that_differ(tree, tmp_path):
    tiny.write_pictures(tmp_path / "p", 2)
    single = tmp_path / "p" / "0001.png"
    (tmp_path / "list.txt").write_text("p/0000.png\n")
    found = join_sources([tree / "b", tmp_path / "p", single, tmp_path / "list.txt"])
    assert found.total == 5
    wanted = ["tree/b/1.tiff", "p/0000.png", "p/0001.png", "p/0001.png", "p/0000.png"]
    items = list(found.items())
    assert [item.name for item in items] == [f"{tmp_path}/{name}" for name in wanted]
    assert [item.index for item in items] == [0, 1, 2, 3, 4]
    assert all(os.path.samefile(item.data, item.name) for item in items)
    assert [item.name for item in join_sources([tree / "b"]).items()] == ["1.tiff"]


def test_blocks_end_before_the_multiples_of_their_size():
    items = list(open_source(np.zeros((11, 1, 1, 3), "uint8")).items())
    sizes = [[item.index for item in block] for block in blocks_of(items[3:], 4)]
    assert sizes == [[3], [4, 5, 6, 7], [8, 9, 10]]


def test_items_are_taken_one_by_one():
    taken = []

    def arrays():
        for i in range(100):
            taken.append(i)
            yield tiny.picture(i)

    source = open_source(arrays())
    items = source.items()
    next(items), next(items)
    assert len(taken) <= 3
    assert source.in_memory and source.total is None
