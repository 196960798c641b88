"""Annotations in files that may be anybody's: VOC's, COCO's, label maps."""

import json

import numpy as np
import pytest
from annotated_files import LABEL_MAP, voc_xml, write_coco, write_voc
from data_files import batches, picture, png
from hypothesis import given
from hypothesis import strategies as st

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.training.data import (
    AnnotatedPictures,
    COCOPictures,
    LabelMap,
    VOCPictures,
    annotated_dataset,
    read_label_map,
)
from keras_caffe_zoo.training.data.annotations import parse_xml

SIZE = (10, 20)
RGB = picture(0, SIZE)
OBJECTS = [
    ("dog", (2, 1, 10, 5), "<difficult>1</difficult>"),
    ("cat", (4.5, 5, 20, 10), "<truncated>1</truncated>"),
    ("dog", (0, 0, 20, 10), "<part><name>head</name></part>"),
]
BOMB = """<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;">]>"""


@pytest.fixture
def label_map(tmp_path):
    path = tmp_path / "labelmap.prototxt"
    path.write_text(LABEL_MAP)
    return read_label_map(path)


@pytest.fixture
def voc(tmp_path, label_map):
    """Return a function that writes an annotation and reads it."""

    def read(text):
        write_voc(tmp_path, {"1": RGB}, {"1": text})
        folders = (tmp_path / "Annotations", tmp_path / "JPEGImages")
        return VOCPictures(*folders, label_map).read(0)

    return read


def test_a_label_map_names_classes_to_files_and_people(label_map):
    assert label_map.labels == {"none_of_the_above": 0, "dog": 12, "cat": 8}
    assert label_map.names == {0: "background", 12: "Dog", 8: "cat"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "item { name: 1 }",
        'item { name: "a" label: 1 } item { name: "a" label: 2 }',
        'item { name: "a" label: 1 } item { name: "b" label: 1 }',
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, text):
    path = tmp_path / "map.prototxt"
    path.write_text(text)
    with pytest.raises(CaffeFormatError, match="map.prototxt"):
        read_label_map(path)


def test_an_annotation_of_vocs_is_read_as_by_the_forks_tool(voc):
    image, rows = voc(voc_xml(SIZE, OBJECTS))
    np.testing.assert_array_equal(image, RGB[..., ::-1])
    wanted = [
        [0, 12, 0, 0.1, 0.1, 0.5, 0.5, 1],
        [0, 12, 1, 0, 0, 1, 1, 0],  # with the other dog
        [0, 8, 0, 0.225, 0.5, 1, 1, 0],
    ]
    np.testing.assert_allclose(rows, wanted, atol=1e-7)
    assert voc(voc_xml(SIZE, []))[1].shape == (0, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (voc_xml(SIZE, OBJECTS, BOMB), "without a document type"),
        ("<annotation>", "Expected XML"),
        (voc_xml((0, 5), []), "size above 0"),
        (voc_xml(SIZE, [("cow", (0, 0, 1, 1), "")]), "class of the label map.*'cow'"),
        (voc_xml(SIZE, [("dog", (0, 0, 1, "x"), "")]), "bndbox/ymax.*'x'"),
        (voc_xml(SIZE, [("dog", (0, 0, 1, "inf"), "")]), "corners that are numbers"),
        (voc_xml(SIZE, [("dog", (0, 0, 1, "1e300"), "")]), "at most 1e.09"),
        (" " * (1 << 22) + voc_xml(SIZE, []), "at most 4,194,304 bytes"),
    ],
)
def test_hostile_annotations_are_refused(voc, text, said):
    with pytest.raises(ValueError, match=said):
        voc(text)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_whatever_is_no_xml_is_an_error_that_says_so(data):
    try:
        parse_xml(data)
    except ValueError as error:
        assert "Expected XML" in str(error)


def test_deeply_nested_xml_is_no_crash():
    depth = 100_000
    assert parse_xml(b"<a>" * depth + b"</a>" * depth).tag == "a"


def test_vocs_lists_choose_pictures_and_miss_none(tmp_path, label_map):
    texts = {name: voc_xml(SIZE, OBJECTS[:1]) for name in ("a", "b", "c")}
    write_voc(tmp_path, {"a": RGB, "b": RGB, "d": RGB}, texts)
    folders = (tmp_path / "Annotations", tmp_path / "JPEGImages")
    records = VOCPictures(*folders, {"dog": 1}, names=["b", "a"])
    assert len(records) == 2 and records.name(0).endswith("b.xml")
    ((images, rows),) = batches(annotated_dataset(records))
    assert images.shape == (2, *SIZE, 3) and rows[:, 0, 1].tolist() == [1, 1]
    for names in (None, ["c"], ["d"], ["../a"], []):
        with pytest.raises(ValueError, match="annotations in"):
            VOCPictures(*folders, label_map, names)
    with pytest.raises(ValueError, match="label of each class"):
        VOCPictures(*folders, ["dog"], ["a"])


def coco(tmp_path, **changes):
    (tmp_path / "7.png").write_bytes(png(RGB))
    images = [{"id": 7, "file_name": "val2014/../../7.png", "width": 20, "height": 10}]
    annotations = [
        {"image_id": 7, "category_id": 18, "bbox": [2, 1, 8, 4], "iscrowd": 0},
        {"image_id": 7, "category_id": 17, "bbox": [0, 0, 20, 10], "iscrowd": 1},
        {"image_id": 8, "category_id": 17, "bbox": [0, 0, 1, 1]},
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}]
    told = {"images": images, "annotations": annotations, "categories": categories}
    return write_coco(tmp_path / "instances.json", **{**told, **changes})


@pytest.mark.parametrize(
    ("label_map", "labels"),
    [
        (None, [2, 1]),
        ({"dog": 5, "cat": 6}, [5, 6]),
        (LabelMap({"18": 3, "17": 4}, {}), [3, 4]),
    ],
)
def test_cocos_objects_are_those_of_its_file(tmp_path, label_map, labels):
    records = COCOPictures(coco(tmp_path), tmp_path, label_map)
    assert len(records) == 1 and records.name(0) == str(tmp_path / "7.png")
    image, rows = records.read(0)
    np.testing.assert_array_equal(image, RGB[..., ::-1])
    wanted = [[0, 0.1, 0.1, 0.5, 0.5, 0], [0, 0, 0, 1, 1, 1]]
    np.testing.assert_allclose(rows[:, 2:], wanted, atol=1e-7)
    assert rows[:, 1].tolist() == labels


@pytest.mark.parametrize(
    "changes",
    [
        {"images": None},
        {"images": []},
        {"images": [{"id": 1, "file_name": "a/.."}]},
        {"annotations": [{"image_id": 7, "category_id": 99, "bbox": [0, 0, 1, 1]}]},
        {"annotations": [{"image_id": 7, "category_id": 17, "bbox": [0]}]},
        {"categories": [{"id": 17, "name": "cow"}]},
    ],
)
def test_what_is_none_of_cocos_files_is_refused(tmp_path, changes):
    path = coco(tmp_path, **changes)
    with pytest.raises(ValueError, match="instances.json"):
        COCOPictures(path, tmp_path, {"dog": 1, "cat": 2})


INFINITE = '{"categories": [{"id": Infinity, "name": "a"}]}'


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", "{", json.dumps({"images": 3}), INFINITE]
)
def test_hostile_json_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="COCO's JSON"):
        COCOPictures(tmp_path / "a.json", tmp_path)


def test_pictures_of_python_are_paths_or_arrays(tmp_path):
    (tmp_path / "a.png").write_bytes(png(RGB))
    box = [[3, 2, 1, 10, 5, 1]]
    grey = RGB[..., :1]
    records = AnnotatedPictures(
        [(tmp_path / "a.png", box), (RGB, []), (grey, box)], in_pixels=True
    )
    assert records.name(0) == str(tmp_path / "a.png") and records.name(1) == "record 1"
    for index in (0, 1):
        np.testing.assert_array_equal(records.read(index)[0], RGB[..., ::-1])
    np.testing.assert_array_equal(records.read(2)[0], np.repeat(grey, 3, 2))
    wanted = [[0, 3, 0, 0.1, 0.1, 0.5, 0.5, 1]]
    np.testing.assert_allclose(records.read(0)[1], wanted, atol=1e-7)
    assert AnnotatedPictures([(RGB, [])], gray=True).read(0)[0].shape == (*SIZE, 1)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ((RGB, [[1, 2, 3]]), "objects"),
        ((RGB, [[0.5, 0, 0, 1, 1]]), "labels"),
        ((RGB.astype("float32"), []), "uint8; received: float32"),
        ((RGB[0], []), "shape"),
    ],
)
def test_records_of_another_kind_are_refused(record, said):
    with pytest.raises(ValueError, match=said):
        AnnotatedPictures([record]).read(0)


@pytest.mark.parametrize(("source", "said"), [([], "none"), (5, "received: int")])
def test_sources_of_another_kind_are_refused(source, said):
    with pytest.raises(ValueError, match=said):
        annotated_dataset(source)
