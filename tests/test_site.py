"""The site's own pages are made of the package, and a built site is checked."""

import re

import caffe_table
import public_names
import pytest
import zoo_pages
from check_site import main, problems
from reference_pages import PAGES, reference_pages

import keras_caffe_zoo as kcz
from keras_caffe_zoo import layers, training


def test_each_public_name_stands_on_one_page_of_the_reference_or_is_a_builder():
    text = "\n".join(reference_pages().values())
    shown = re.findall(r"^\.\. (?:auto|py:)\w+:: (keras_caffe_zoo\S+)$", text, re.M)
    assert len(shown) == len(set(shown))
    builders = {f"keras_caffe_zoo.{name}" for name in kcz.list_models()}
    assert set(shown) | builders == set(public_names.public_names())
    names = {path.rpartition(".")[2] for path in [*shown, *builders]}
    wanted = {*kcz.__all__, *layers.__all__, *training.__all__, *kcz.plots.__all__}
    assert wanted - names == {"plots", "training"}


def test_a_page_that_names_what_is_not_public_is_refused(monkeypatch):
    page = PAGES["tasks"]
    monkeypatch.setitem(PAGES, "tasks", page._replace(groups={"All": "no_such"}))
    with pytest.raises(ValueError, match="no_such"):
        reference_pages()


def test_names_have_the_shortest_path_that_leads_to_them():
    assert public_names.path_of(layers.CaffeLRN) == "keras_caffe_zoo.CaffeLRN"
    wanted = "keras_caffe_zoo.layers.CaffeMVN"
    assert public_names.path_of(layers.CaffeMVN) == wanted
    assert public_names.path_of(re.compile) is None


def test_the_table_of_the_zoo_has_a_row_for_each_net():
    page = zoo_pages.zoo_index()
    rows = re.findall(r"^\* - \[`(\w+)`\]\(\1\.md\)\n((?:  - .*\n){7})", page, re.M)
    assert sorted(name for name, _ in rows) == sorted(kcz.list_models())
    cells = [cell.removeprefix("  - ") for cell in dict(rows)["alexnet"].splitlines()]
    assert cells == [
        *("classification", "244", "61.0", "0.724", "57.1/80.2"),
        *("unrestricted (BVLC)", "yes"),
    ]


def test_a_nets_page_is_its_card_and_its_builder():
    page = zoo_pages.net_page("vgg16")
    assert page.startswith(kcz.model_card("vgg16"))
    assert ".. autofunction:: keras_caffe_zoo.vgg16" in page


def fields(type_, message):
    return {row.name: row for row in dict(caffe_table.messages(type_))[message]}


def test_the_table_tells_the_fields_of_caffes_layers_and_forks():
    pooling = fields("Pooling", "pooling_param")
    assert pooling["pool"][1:] == ("MAX | AVE | STOCHASTIC", "MAX", "", "`pool`")
    assert pooling["stride"].ours == "`strides`"
    assert pooling["ceil_mode"].fork == "BVLC PR 3057"
    lrn = fields("LRN", "lrn_param")
    assert [lrn[name].default for name in ("local_size", "beta", "k")] == [
        *("5", "0.75", "1")
    ]
    assert lrn["engine"].ours == "chooses nothing"
    shape = fields("Reshape", "reshape_param")["shape"]
    assert shape.type == "BlobShape"


def test_arguments_that_the_table_names_are_arguments():
    """Each name that stands for a field's argument is one of some layer."""
    known = {x for type_ in caffe_table.types() for x in caffe_table._arguments(type_)}
    named = {x for names in caffe_table._ARGUMENTS.values() for x in names}
    assert not named - known


def test_each_type_leads_to_what_there_is_or_says_what_becomes_of_it():
    for type_ in caffe_table.types():
        assert caffe_table._here(type_), type_
        assert all(caffe_table.ours(type_)), type_
    anchors = [caffe_table.anchor(type_) for type_ in caffe_table.types()]
    assert len(set(anchors)) == len(anchors)


DEPTHWISE = "convolution_param { num_output: 2 kernel_size: 3 group: 2 }"


@pytest.mark.parametrize(
    ("type_", "param"),
    [
        ("BNLL", ""),
        ("Sigmoid", ""),
        ("TanH", ""),
        ("DepthwiseConvolution", DEPTHWISE),
        ("ConvolutionDepthwise", DEPTHWISE),
        ("BN", "bn_param { bn_mode: INFERENCE }"),
        ("Upsample", "upsample_param { scale: 2 }"),
    ],
)
def test_types_without_a_layer_of_their_own_become_what_the_table_says(
    type_, param, tmp_path
):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "x" type: "Input" top: "x" input_param '
        "{ shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }"
        f'layer {{ name: "y" type: "{type_}" bottom: "x" top: "y" {param} }}'
    )
    made = type(kcz.from_caffe(path).get_layer("y")).__name__
    assert made in [path.rpartition(".")[2] for path in caffe_table.ours(type_)]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="sub/page.html#part">b</a><a href="#top">c</a>'
        '<a href="https://example.org/">d</a><img src="data:,">'
    )
    (tmp_path / "sub" / "page.html").write_text('<p id="part"><a href="..">up</a>')
    return tmp_path


def test_a_whole_site_is_right(site, capsys):
    assert main([str(site)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('<a href="none.html">', "no such file"),
        ('<a href="../elsewhere.html">', "no such file"),
        ('<a href="sub/page.html#none">', "no such anchor"),
        ('<img src="picture.png">', "no such file"),
        ('<script src="https://example.org/x.js">', "loads from elsewhere"),
        ('<link href="//example.org/x.css">', "loads from elsewhere"),
    ],
)
def test_what_is_wrong_in_a_site_is_named(site, wrong, said, capsys):
    with (site / "index.html").open("a") as file:
        file.write(wrong)
    assert main([str(site)]) == 1
    printed = capsys.readouterr().out
    assert said in printed and printed.startswith("index.html:1:")


@pytest.mark.parametrize("where", ["https://a.b/x", '"http://a.b/x"', " '//a.b/x'"])
def test_styles_that_load_from_elsewhere_are_wrong(site, where):
    (site / "x.css").write_text(f"body {{ background: url({where}) }}")
    assert [x for x in problems(site) if x.startswith("x.css")]
    (site / "x.css").write_text("body { background: url(x.png) }")
    assert not [x for x in problems(site) if x.startswith("x.css")]


def test_an_empty_site_is_wrong(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list(problems(tmp_path / "empty"))
