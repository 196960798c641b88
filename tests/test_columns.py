"""No table cuts a number; what is shortened says so."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.cli import main
from keras_caffe_zoo.columns import Column, table_lines
from keras_caffe_zoo.conversion.comparison import Comparison, Row
from keras_caffe_zoo.conversion.summary import FileSummary
from keras_caffe_zoo.conversion.tables import layer_table

NAME, TYPE = Column("layer", 22, names=True), Column("type", 15, names=True)
LONG = "inception_3a/relu_3x3_reduce_and_what_else_there_was_to_say"


def test_a_table_has_the_widths_that_are_wished():
    lines = table_lines([NAME, Column("n")], [("conv1", "3")])
    assert lines == [f"{'layer':<22} n", f"{'conv1':<22} 3"]


def test_a_name_is_shortened_in_its_middle_so_that_names_differ():
    names = [f"{LONG}{i}" for i in range(2)]
    lines = table_lines([NAME, Column("shape")], [(n, "9 x " * 9 + "9") for n in names])
    assert max(map(len, lines)) == 80
    assert len({line.split(" ")[0] for line in lines[1:]}) == 2
    assert all(line.startswith("incep") and "…" in line for line in lines[1:])


def test_a_list_ends_where_there_is_no_room_and_says_so():
    shapes = [f"{n} x 256 x 3 x 3" for n in range(380, 390)]
    (_, line) = table_lines([NAME, Column("shapes")], [("conv", shapes)])
    assert len(line) <= 80
    assert line.endswith("382 x 256 x 3 x 3, …")


def test_a_list_of_a_strangers_length_is_no_matter():
    started = time.process_time()
    *_, line = table_lines([Column("reads", names=True)], [[["blob"] * 200_000]])
    assert 74 < len(line) <= 80 and line.endswith("blob, …")
    assert time.process_time() - started < 5  # and not hours


def test_a_number_has_its_room_if_there_is_none():
    numbers = ["1" * 70, "2" * 40]
    (_, line) = table_lines([NAME, *map(Column, "ab")], [(LONG, *numbers)])
    assert line.split()[1:] == numbers
    assert len(line.split()[0]) == 12


def test_a_name_cannot_make_lines_of_its_own():
    (_, line) = table_lines([NAME], [("a\nb\x1b[31m",)])
    assert line == "a\\nb\\x1b[31m"


def test_a_table_without_rows_has_its_headings():
    assert table_lines([NAME, Column("n")], []) == [f"{'layer':<22} n"]


shapes = st.lists(st.integers(1, 99_999), min_size=1, max_size=5).map(
    lambda sizes: " x ".join(map(str, sizes))
)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.lists(shapes, max_size=6), shapes),
        max_size=5,
    )
)
def test_every_number_of_a_table_is_one_that_was_given(rows):
    columns = [NAME, Column("blobs", 19), Column("shape", 8)]
    _, *lines = table_lines(columns, rows)
    for (_, listed, shape), line in zip(rows, lines, strict=True):
        text = line.replace(", …", "")
        assert re.search(rf"(^|[ \S]){shape}$", text)
        text = text[: len(text) - len(shape)].rstrip()
        if listed:
            assert any(text.endswith(", ".join(listed[:n])) for n in range(1, 7))
        assert len(line) <= 80 or len(listed[0] if listed else "") + len(shape) > 60


def test_inspect_shows_all_digits():
    layer = {
        "name": LONG,
        "type": "Convolution",
        "bottoms": ["data"],
        "tops": ["conv"],
        "blobs": [[384, 256, 3, 3], [384]],
        "shapes": [[1, 64, 113, 113], [16, 1024, 1113, 1113]],
    }
    weights = FileSummary("caffemodel", "a", 1, layers=({**layer, "shapes": []},))
    assert "384 x 256 x 3 x 3, 384" in str(weights)
    definition = str(FileSummary("prototxt", "a", 1, layers=(layer,)))
    assert "1 x 64 x 113 x 113, …" in definition
    assert max(map(len, (definition + str(weights)).splitlines())) <= 80


@pytest.mark.parametrize("given", [(64, 1024, 1113, 1114), None])
def test_compare_shows_all_digits(given):
    shape = (64, 1024, 1113, 1113)
    row = Row(LONG, LONG, shape, given or shape, None if given else 1.5)
    lines = str(Comparison((row,), 1e-4, (LONG * 2,))).splitlines()
    assert "64 x 1024 x 1113 x 1113 " in lines[1]
    assert max(map(len, lines[:-1])) <= 80
    if given:
        place = lines[2].index("64")
        assert lines[2].endswith(" given: 64 x 1024 x 1113 x 1114")
        assert place == lines[1].index("64 x ") == lines[0].index("shape")
    assert lines[-2].endswith("…")


def test_convert_shows_all_digits():
    row = {"layer": LONG, "type": "Conv2D", "parameters": 123_456_789_012}
    text = layer_table([{**row, "shapes": [[64, 1024, 11113, 11113, 11113]]}])
    assert "64 x 1024 x 11113 x 11113 x 11113 123,456,789,012" in text


def test_dump_shows_all_digits_and_shortens_names_visibly(tmp_path, capsys):
    data = 'layer {{ name: "data" type: "Input" top: "data" input_param {{ {} }} }}'
    conv = 'layer {{ name: "{}" type: "Convolution" bottom: "data" top: "conv" {} }}'
    net = data.format("shape { dim: 1 dim: 2 dim: 1 dim: 1 }") + conv.format(
        LONG,
        "convolution_param { num_output: 1234567 kernel_size: 1 bias_term: false }",
    )
    (tmp_path / "net.prototxt").write_text(net)
    params = {LONG: [np.zeros((1234567, 2, 1, 1), "float32")]}
    write_caffemodel(tmp_path / "net.caffemodel", params, tmp_path / "net.prototxt")
    dump = ["dump", str(tmp_path / "net.caffemodel"), "-o", str(tmp_path / "net.h5")]
    assert main(dump) == 0
    line = capsys.readouterr().out.splitlines()[1]
    name, _, shape = line.split(maxsplit=2)
    assert (name[:9], shape) == (LONG[:9], "1 x 1 x 2 x 1234567")
    assert name == LONG or "…" in name
