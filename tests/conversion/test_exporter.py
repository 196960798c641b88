"""Keras to Caffe: every golden net there and back, and plain Keras models."""

import caffe_rules
import keras
import numpy as np
import pytest
from caffe_rules import BVLC
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from short_nets import model_of, prototxt
from support import GOLDENS, every, golden, golden_names, nhwc, relative_error

from keras_caffe_zoo.caffe import read_caffemodel, read_prototxt
from keras_caffe_zoo.conversion import caffe_params, from_caffe, to_caffe
from keras_caffe_zoo.conversion.walk import calls
from keras_caffe_zoo.layers import CaffeLSTM, CaffePool2D, CaffeSlice

WITH_NET = [
    name
    for name in golden_names("")
    if (GOLDENS / f"{name}.prototxt").exists() and not name.startswith("full_")
]


def load(name):
    caffemodel = GOLDENS / f"{name}.caffemodel"
    prototxt = GOLDENS / f"{name}.prototxt"
    return from_caffe(prototxt, caffemodel if caffemodel.exists() else None)


def inputs_of(model, name):
    """Return the golden's own inputs, or made-up ones where it has a formula."""
    blobs = golden(name)
    arrays = []
    for tensor in model.inputs:
        blob = blobs.get(f"blob/{tensor.name}")
        if blob is None:
            shape = [n or 1 for n in tensor.shape]
            blob = np.random.default_rng(0).normal(size=shape).astype("float32") * 60
            arrays.append(blob)
        else:
            arrays.append(nhwc(blob))
    return arrays[0] if len(arrays) == 1 else arrays


def outputs(model, inputs):
    found = model(inputs)
    named = found if isinstance(found, dict) else {"": found}
    return {k: keras.ops.convert_to_numpy(v) for k, v in named.items()}


def there_and_back(model, folder, **options):
    """Return what is imported from a model's files, which Caffe would take."""
    to_caffe(model, folder / "x.prototxt", folder / "x.caffemodel", **options)
    ends = caffe_rules.check(folder / "x.prototxt")
    again = from_caffe(folder / "x.prototxt", folder / "x.caffemodel")
    assert len(ends) == len(again.outputs)
    return again


def assert_same(model, again, x):
    before, after = outputs(model, x), outputs(again, x)
    assert before.keys() == after.keys()
    for key in before:
        assert relative_error(after[key], before[key]) <= 1e-6, key
    ours, theirs = caffe_params(model), caffe_params(again)
    assert ours.keys() == theirs.keys()
    for key in ours:
        for a, b in zip(ours[key], theirs[key], strict=True):
            np.testing.assert_array_equal(a, b)


TIMED = {"data": (5, 2, 3), "cont": (5, 2)}
OPTIONS = {name: {"input_shape": TIMED} for name in ("lstm", "rnn")}


@pytest.mark.parametrize("name", every(6, WITH_NET))
def test_golden_nets_survive_the_way_to_caffe_and_back(name, tmp_path):
    model = load(name)
    again = there_and_back(model, tmp_path, **OPTIONS.get(name, {}))
    assert_same(model, again, inputs_of(model, name))


@pytest.mark.parametrize("name", every(6, WITH_NET))
def test_written_definition_says_what_the_golden_says(name, tmp_path):
    """Layer by layer, type and wiring are those of the net that Caffe ran."""
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    to_caffe(load(name), *paths, **OPTIONS.get(name, {}))
    written = text_format.Parse(
        (tmp_path / "x.prototxt").read_text(), BVLC.MESSAGES["NetParameter"]()
    )
    given = read_prototxt(GOLDENS / f"{name}.prototxt")
    assert {(x.name, x.type) for x in given.layers if x.type in PARAMETRIC} == {
        (x.name, x.type) for x in written.layer if x.type in PARAMETRIC
    }
    blobs = {top for layer in written.layer for top in layer.top}
    read = {b for layer in given.layers for b in layer.bottoms}
    ends = {t for layer in given.layers for t in layer.tops} - read
    assert ends <= blobs


PARAMETRIC = {
    "Convolution",
    "Deconvolution",
    "InnerProduct",
    "BatchNorm",
    "Scale",
    "Bias",
    "PReLU",
    "Embed",
    "LSTM",
    "RNN",
}


def test_plain_keras_classifier_becomes_a_caffe_net(tmp_path):
    model = keras.Sequential(
        [
            layers.Input((13, 11, 3)),
            layers.Rescaling(1 / 255, offset=-0.5),
            layers.Conv2D(6, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.1),
            layers.Conv2D(8, 3, groups=2, activation="relu"),
            CaffePool2D("max", 3, 2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(7, activation="tanh"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    again = there_and_back(model, tmp_path)
    x = rng.uniform(0, 255, (2, 13, 11, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert relative_error(again.predict(x, verbose=0), expected) <= 1e-5
    assert np.ptp(expected) > 0.01


def test_branches_and_merges(tmp_path):
    x = keras.Input((8, 8, 4), name="data")
    left = layers.Conv2D(4, 1, name="left")(x)
    total = layers.Average()([left, layers.Subtract()([x, left])])
    joined = layers.Concatenate()([total, layers.Multiply()([x, left])])
    model = keras.Model(x, layers.GlobalAveragePooling2D()(joined))
    again = there_and_back(model, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    assert relative_error(again(x), keras.ops.convert_to_numpy(model(x))) <= 1e-6


def test_layer_called_twice_shares_its_parameters_in_caffe_too(tmp_path):
    shared = layers.Dense(3, name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], {"ya": shared(a), "yb": shared(b)})
    to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    net = read_prototxt(tmp_path / "x.prototxt")
    names = [
        [spec.name for spec in layer.message.param]
        for layer in net.layers
        if layer.type == "InnerProduct"
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2
    first, second = read_caffemodel(tmp_path / "x.caffemodel").values()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fully_convolutional_nets_want_a_size(tmp_path):
    x = keras.Input((None, None, 3), name="data")
    model = keras.Model(x, layers.Conv2D(2, 3, name="conv")(x))
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    with pytest.raises(ValueError, match="Pass input_shape"):
        to_caffe(model, *paths)
    to_caffe(model, *paths, input_shape=(9, 7, 3))
    assert read_prototxt(paths[0]).inputs == {"data": (1, 3, 9, 7)}


def test_all_layers_that_caffe_does_not_have_are_named_and_nothing_is_written(tmp_path):
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="uneven"),
            layers.LayerNormalization(name="modern"),
            layers.MaxPooling2D(2, padding="same", name="rounded"),
            layers.Flatten(),
            layers.Dense(3, activation="gelu", name="smooth"),
        ]
    )
    with pytest.raises(ValueError, match="uneven") as raised:
        to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    for name in ("modern", "rounded", "smooth"):
        assert f"'{name}'" in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_calls_come_in_execution_order():
    x = keras.Input((4,))
    y = layers.Dense(2, name="one")(x)
    model = keras.Model(x, layers.Add(name="sum")([y, layers.ReLU(name="two")(y)]))
    assert [call.layer.name for call in calls(model)][1:] == ["one", "two", "sum"]


X = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
FILTER = "convolution_param { num_output: 3 kernel_size: 3 pad: 1 }"


def check_round_trip(model, folder, x=X, **options):
    again = there_and_back(model, folder, **options)
    assert_same(model, again, x)
    return read_prototxt(folder / "x.prototxt")


def test_in_place_on_the_data_blob(tmp_path):
    model = model_of(
        tmp_path,
        "bn BatchNorm data -> data",
        "scale Scale data -> data; scale_param { bias_term: true }",
    )
    net = check_round_trip(model, tmp_path)
    assert [(x.bottoms, x.tops) for x in net.layers[1:]] == [(["data"], ["data"])] * 2


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_filter_of_several_bottoms_is_one_layer_again(kind, tmp_path):
    model = model_of(
        tmp_path,
        "p Power data -> p; power_param { scale: 2 }",
        f"c {kind} data p -> a b; {FILTER}",
        "r ReLU a -> a",
        "e Eltwise a b -> y",
    )
    net = check_round_trip(model, tmp_path)
    (layer,) = [x for x in net.layers if x.type == kind]
    assert (layer.bottoms, layer.tops) == (["data", "p"], ["a", "b"])
    assert not any(layer.type == "Split" for layer in net.layers)


def test_keras_filter_used_twice_is_one_layer_wherever_its_outputs_are_read(tmp_path):
    x = keras.Input((4, 5, 3), name="data")
    conv = layers.Conv2D(3, 1, name="c")
    early = layers.ReLU(name="early")(conv(x))
    deep = layers.Activation("tanh", name="t1")(layers.Activation("tanh", name="t0")(x))
    late = conv(deep)
    model = keras.Model(x, layers.Add(name="y")([early, late]))
    net = check_round_trip(model, tmp_path)
    assert [x.name for x in net.layers if x.type == "Convolution"] == ["c"]


def test_filter_applied_to_its_own_output_shares_parameters(tmp_path):
    x = keras.Input((4, 5, 3), name="data")
    conv = layers.Conv2D(3, 1, name="c")
    model = keras.Model(x, layers.ReLU(name="r")(conv(layers.ReLU()(conv(x)))))
    again = there_and_back(model, tmp_path)
    assert relative_error(again(X), keras.ops.convert_to_numpy(model(X))) <= 1e-6
    net = read_prototxt(tmp_path / "x.prototxt")
    shared = [
        [spec.name for spec in layer.message.param]
        for layer in net.layers
        if layer.type == "Convolution"
    ]
    assert shared == [["c/0", "c/1"]] * 2


def test_batch_normalization_called_twice_names_the_blobs_that_caffe_has(tmp_path):
    x = keras.Input((4, 5, 3), name="data")
    norm = layers.BatchNormalization(name="bn")
    model = keras.Model(x, layers.Add(name="y")([norm(x), norm(layers.ReLU()(x))]))
    rng = np.random.default_rng(0)
    model.set_weights([abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    again = there_and_back(model, tmp_path)
    assert relative_error(again(X), keras.ops.convert_to_numpy(model(X))) <= 1e-5
    net = read_prototxt(tmp_path / "x.prototxt")
    counts = {x.type: len(x.message.param) for x in net.layers}
    assert (counts["BatchNorm"], counts["Scale"]) == (3, 2)


def test_names_that_collide_are_kept_apart(tmp_path):
    """A layer's own Scale or second call is not taken for the layer of that name."""
    x = keras.Input((4, 5, 3), name="data")
    y = layers.BatchNormalization(name="bn")(x)
    y = layers.Conv2D(3, 1, name="bn_scale", activation="relu")(y)
    dense = layers.Dense(3, name="d")
    flat = layers.GlobalAveragePooling2D(name="g")(y)
    flat = layers.Dense(3, name="d_2")(dense(dense(flat)))
    model = keras.Model(x, layers.ReLU(name="g_pooled")(flat))
    again = there_and_back(model, tmp_path)
    assert relative_error(again(X), keras.ops.convert_to_numpy(model(X))) <= 1e-6


def test_filter_keeps_the_order_of_its_bottoms(tmp_path):
    model = model_of(
        tmp_path,
        "p Power data -> p; power_param { scale: 2 }",
        f"c Convolution data p -> a b; {FILTER}",
        "q Power b -> b; power_param { scale: 2 }",
    )
    net = check_round_trip(model, tmp_path)
    (layer,) = [x for x in net.layers if x.type == "Convolution"]
    assert (layer.bottoms, layer.tops) == (["data", "p"], ["a", "b"])


def test_operations_that_are_no_layers_are_refused(tmp_path):
    x = keras.Input((4,), name="data")
    model = keras.Model(x, x + layers.Dense(4)(x))
    with pytest.raises(ValueError, match="'add.*Caffe has no such layer"):
        to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")


def test_first_states_are_of_one_step(tmp_path):
    state = "Input -> %s; input_param { shape { dim: 1 dim: 2 dim: 4 } }"
    model = model_of(
        tmp_path,
        "cont Input -> cont; input_param { shape { dim: 5 dim: 2 } }",
        f"h {state % 'h'}",
        f"c {state % 'c'}",
        "y LSTM data cont h c -> y hT cT; "
        "recurrent_param { num_output: 4 expose_hidden: true }",
        data="data Input -> data; input_param { shape { dim: 5 dim: 2 dim: 3 } }",
    )
    again = there_and_back(model, tmp_path, input_shape=TIMED)
    assert set(again.output) == {"y", "hT", "cT"}
    states = dict.fromkeys("hc", (1, 2, 4))
    assert read_prototxt(tmp_path / "x.prototxt").inputs == TIMED | states


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_recurrent_nets_want_their_number_of_steps(name, tmp_path):
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    with pytest.raises(ValueError, match=r"Pass input_shape=.*whole shape, \(T, N"):
        to_caffe(load(name), *paths)
    with pytest.raises(ValueError, match="'cont'.*Pass input_shape"):
        to_caffe(load(name), *paths, input_shape={"data": (7, 2, 3)})
    with pytest.raises(ValueError, match="fit one another"):
        to_caffe(load(name), *paths, input_shape={"data": (7, 2, 3), "cont": (5, 2)})
    with pytest.raises(ValueError, match=r"received: \(5, 9, 3\)"):
        to_caffe(load(name), *paths, input_shape={**TIMED, "data": (5, 9, 3)})
    assert not paths[0].exists()
    to_caffe(load(name), *paths, input_shape={"data": (7, 2, 3), "cont": (7, 2)})
    assert read_prototxt(paths[0]).inputs == {"data": (7, 2, 3), "cont": (7, 2)}


def test_number_of_steps_is_known_where_the_model_knows_it(tmp_path):
    x = keras.Input(batch_shape=(5, 2, 3), name="data")
    cont = keras.Input(batch_shape=(5, 2), name="cont")
    model = keras.Model([x, cont], CaffeLSTM(4, name="y")([x, cont]))
    to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    assert read_prototxt(tmp_path / "x.prototxt").inputs == TIMED


def test_input_shape_that_fits_no_input_is_refused(tmp_path):
    x = keras.Input((None, None, 3), name="data")
    model = keras.Model(x, layers.Conv2D(2, 3, name="conv")(x))
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    for wrong in ({"dta": (9, 7, 3)}, (9, 7), (9, 7, 4)):
        with pytest.raises(ValueError, match="`input_shape`"):
            to_caffe(model, *paths, input_shape=wrong)
    to_caffe(model, *paths, input_shape=(8, 9, 7, 3))
    assert read_prototxt(paths[0]).inputs == {"data": (8, 3, 9, 7)}


SHAPE = "shape { dim: 2 dim: 3 dim: 4 dim: 5 }"
TWO = "data_filler { type: 'constant' value: 2 }"
CONSTANT = f"k DummyData -> k; dummy_data_param {{ {SHAPE} {TWO} }}"
PARAMETER = f"k Parameter -> k; parameter_param {{ {SHAPE} }}"


@pytest.mark.parametrize("constant", [CONSTANT, PARAMETER])
@pytest.mark.parametrize("order", ["data k", "k data"])
def test_eltwise_of_data_and_a_constant(constant, order, tmp_path):
    net = check_round_trip(
        model_of(tmp_path, constant, f"y Eltwise {order} -> y"), tmp_path
    )
    assert net.inputs == {"data": (2, 3, 4, 5)}  # as many items as the constant has


def test_eltwise_of_other_shapes_is_refused_clearly(tmp_path):
    model = model_of(tmp_path, CONSTANT, "y Eltwise data k -> y")
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    with pytest.raises(ValueError, match="Expected inputs of one shape for layer 'y'"):
        to_caffe(model, *paths, input_shape=(3, 4, 5, 3))
    x = keras.Input((4, 5, 3))
    model = keras.Model(x, layers.Add(name="y")([x, layers.Dense(1)(x)]))
    with pytest.raises(ValueError, match="Caffe does not broadcast"):
        to_caffe(model, *paths)


def test_unread_tops_of_a_split_stay_outputs(tmp_path):
    model = model_of(
        tmp_path, "p Power data -> p; power_param { scale: 2 }", "s Split p -> a b"
    )
    assert set(outputs(model, X)) == {"a", "b"}
    net = check_round_trip(model, tmp_path)
    assert net.layers[-1].tops == ["a", "b"]


def test_top_of_a_split_that_is_read_is_told_from_the_one_that_is_not(tmp_path):
    model = model_of(
        tmp_path,
        "s Split data -> a b c",
        "p Power c -> p; power_param { scale: 2 }",
        "q Power a -> q; power_param { scale: 3 }",
    )
    assert set(outputs(model, X)) == {"b", "p", "q"}
    net = check_round_trip(model, tmp_path)
    assert sorted(net.layers[1].tops) == ["a", "b", "c"]


def test_output_that_layers_read_stays_an_output(tmp_path):
    x = keras.Input((4, 5, 3), name="data")
    inner = layers.Conv2D(3, 1, name="inner")(x)
    model = keras.Model(x, [inner, layers.ReLU(name="outer")(inner)])
    again = there_and_back(model, tmp_path)
    found = outputs(again, X)
    expected = [keras.ops.convert_to_numpy(y) for y in model(X)]
    assert relative_error(found["inner_output"], expected[0]) <= 1e-6
    assert relative_error(found["outer"], expected[1]) <= 1e-6


def test_part_that_nothing_reads_does_not_become_an_output(tmp_path):
    x = keras.Input((4, 5, 4), name="data")
    first, _ = CaffeSlice([1, 3], -1, name="s")(x)
    again = there_and_back(keras.Model(x, first), tmp_path)
    assert len(again.outputs) == 1
    assert again.output_shape == (None, 4, 5, 1)


def test_flatten_of_anything_but_an_image_keeps_its_order(tmp_path):
    x = keras.Input((5, 3), name="data")
    model = keras.Model(x, layers.Dense(4, name="d")(layers.Flatten()(x)))
    again = there_and_back(model, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    assert relative_error(again(x), keras.ops.convert_to_numpy(model(x))) <= 1e-6


def test_flatten_of_an_image_that_shows_is_refused(tmp_path):
    x = keras.Input((4, 5, 3), name="data")
    flat = layers.Flatten(name="flat")(x)
    for y in (flat, layers.Dense(2)(layers.Activation("softmax")(flat))):
        with pytest.raises(ValueError, match="'flat', which flattens"):
            to_caffe(keras.Model(x, y), tmp_path / "x.prototxt", tmp_path / "x")


def test_flatten_of_single_pixels_is_kept(tmp_path):
    x = keras.Input((1, 1, 3), name="data")
    model = keras.Model(x, layers.Flatten(name="flat")(x))
    again = there_and_back(model, tmp_path)
    assert again.output_shape == (None, 3)


def test_only_what_nobody_else_reads_is_overwritten(tmp_path):
    """Also where the blobs have other names but the same memory."""
    model = model_of(
        tmp_path,
        "p Power data -> p; power_param { scale: 2 }",
        "f Flatten p -> f",
        "r ReLU f -> f",
        "q Power p -> q; power_param { scale: 3 }",
    )
    net = check_round_trip(model, tmp_path)
    by_name = {layer.name: layer for layer in net.layers}
    assert by_name["r"].bottoms != by_name["r"].tops == ["f"]


ALONE = {
    "ReLU": "",
    "Sigmoid": "",
    "AbsVal": "",
    "BatchNorm": "",
    "Scale": "scale_param { bias_term: true }",
    "Power": "power_param { scale: -1.5 shift: 0.25 }",
    "Dropout": "",
    "PReLU": "",
    "LRN": "lrn_param { local_size: 3 }",
    "Convolution": FILTER,
    "Split": "",
    "Reshape": "reshape_param { shape { dim: 0 dim: 3 dim: 4 dim: 5 } }",
}
REFUSE = {"AbsVal", "LRN", "Convolution", "Split", "Reshape"}


@st.composite
def nets(draw):
    """Draw layers that each read one or two blobs, in place now and then."""
    blobs, lines = ["data"], []
    kinds = [*ALONE, "Eltwise", "Two filters", "Two tops", "Cut", "Constant", "End"]
    for i in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(kinds))
        a, b = draw(st.sampled_from(blobs)), draw(st.sampled_from(blobs))
        tops = [f"b{i}"]
        if kind == "Eltwise":
            lines.append(f"l{i} Eltwise {a} {b} -> b{i}")
        elif kind == "Two filters":
            tops.append(f"c{i}")
            lines.append(f"l{i} Convolution {a} {b} -> b{i} c{i}; {FILTER}")
        elif kind == "Two tops":
            tops.append(f"c{i}")
            lines.append(f"l{i} Split {a} -> b{i} c{i}")
        elif kind == "Cut":
            lines.append(
                f"l{i} Slice {a} -> d{i} e{i}; slice_param {{ slice_point: 1 }}"
            )
            lines.append(f"m{i} Concat d{i} e{i} -> b{i}")
        elif kind == "Constant":
            lines.append(PARAMETER.replace("k", f"b{i}"))
        elif kind == "End":
            tops = []
            lines.append(f"l{i} Silence {a}")
        else:
            in_place = kind not in REFUSE and draw(st.booleans())
            tops = [a] if in_place else tops
            lines.append(f"l{i} {kind} {a} -> {tops[0]}; {ALONE[kind]}")
        blobs += [top for top in tops if top not in blobs]
    last = draw(st.sampled_from(blobs))
    return [*lines, f"last Power {last} -> last; {ALONE['Power']}"]


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(lines=nets(), data=st.data())
def test_whatever_is_written_caffe_takes_and_computes_the_same(
    lines, data, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("net")
    model = model_of(folder, *lines)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.dtype == "float32":
                weight.assign(abs(rng.normal(size=weight.shape)) + 0.1)
    check_round_trip(model, folder)
    inner = [call.outputs[0] for call in calls(model) if call.inputs]
    more = data.draw(st.lists(st.sampled_from(inner), max_size=2, unique_by=id))
    ends = list({id(y): y for y in [*model.outputs, *more]}.values())
    check_values(keras.Model(model.inputs, ends), folder)


def check_values(plain, folder):
    """Check that outputs survive that have no names."""
    again = there_and_back(plain, folder)
    found = list(outputs(again, X).values())
    expected = [np.asarray(y) for y in keras.tree.flatten(plain([X]))]
    for y in expected:
        assert any(same(y, other) for other in found)
    assert all(any(same(y, other) for y in expected) for other in found)


def same(a, b):
    return a.shape == b.shape and relative_error(a, b) <= 1e-6


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["r ReLU data -> data", "p Power data -> p"], None),
        (["p Power data -> p", "r ReLU data -> data"], "multiple sources"),
        (["r ReLU data -> y", "p Power data -> y"], "multiple sources"),
        (["r ReLU x -> y"], "unknown bottom"),
        (["r AbsVal data -> data"], "AbsVal in place"),
        (["s Split data -> a b", "r ReLU a -> a"], "output 'b' is overwritten"),
        (
            ["f Flatten data -> f", "r ReLU f -> f", "p Power data -> p"],
            "was overwritten before",
        ),
        (["f Flatten data -> f", "p Power data -> p", "r ReLU f -> f"], None),
        ([PARAMETER, "r ReLU k -> k"], "not made anew"),
    ],
)
def test_the_rules_that_exports_are_held_to_refuse_what_caffe_does(
    lines, said, tmp_path
):
    path = tmp_path / "net.prototxt"
    path.write_text(prototxt(*lines))
    if said is None:
        caffe_rules.check(path)
        return
    with pytest.raises(caffe_rules.Refused, match=said):
        caffe_rules.check(path)
