"""`from_caffe` on whole nets: data, losses, names, sharing, saving, errors."""

import re

import keras
import numpy as np
import pytest
from support import GOLDENS, golden, nhwc, relative_error

from keras_caffe_zoo.caffe import CaffeFormatError, write_caffemodel
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import CaffeModel, blob_tensor
from keras_caffe_zoo.conversion.params import caffe_params, set_caffe_params
from keras_caffe_zoo.rules import supported_layers

DATA = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n"
)
RNG = np.random.default_rng(0)


def layer(kind, bottoms, tops, param="", name=None):
    bottoms = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    ends = " ".join(f'top: "{t}"' for t in tops.split())
    name = tops.split()[0] if name is None else name
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {ends} {param} }}\n'


def conv(name, bottom="data", param="", outputs=4):
    text = f"convolution_param {{ num_output: {outputs} kernel_size: 3 {param} }}"
    return layer("Convolution", bottom, name, text)


def dense(name, bottom="data", outputs=5, param="", spec=""):
    text = f"inner_product_param {{ num_output: {outputs} {param} }} {spec}"
    return layer("InnerProduct", bottom, name, text)


@pytest.fixture
def load(tmp_path):
    def load(text, params=None, **options):
        prototxt = tmp_path / "net.prototxt"
        prototxt.write_text(text)
        if params is None:
            return from_caffe(prototxt, **options)
        caffemodel = tmp_path / "net.caffemodel"
        write_caffemodel(caffemodel, params)
        return from_caffe(prototxt, caffemodel, **options)

    return load


@pytest.fixture
def refused(load):
    def refused(text, *matches, params=None, **options):
        with pytest.raises(CaffeFormatError) as caught:
            load(text, params, **options)
        for match in matches:
            assert match in str(caught.value)
        return caught.value

    return refused


def image(*shape):
    return RNG.standard_normal(shape).astype("float32")


# --- data and losses


def data(kind, top="data label", param=""):
    return layer(kind, "", top, param, "data")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (data("Data", param="transform_param { crop_size: 8 }"), (None, 8, 8, 3)),
        (
            data("Data", param="transform_param { crop_size: 8 force_gray: true }"),
            (None, 8, 8, 1),
        ),
        (data("Data"), (None, None, None, 3)),
        (
            data(
                "ImageData",
                param="image_data_param { new_height: 9 new_width: 8 is_color: false }",
            ),
            (None, 9, 8, 1),
        ),
        (
            data(
                "MemoryData",
                param="memory_data_param "
                "{ batch_size: 2 channels: 5 height: 7 width: 6 }",
            ),
            (None, 7, 6, 5),
        ),
        (
            data("WindowData", param="transform_param { crop_size: 7 }"),
            (None, 7, 7, 3),
        ),
        (
            data(
                "DummyData",
                param="dummy_data_param { shape { dim: 2 dim: 3 dim: 6 dim: 7 } "
                "shape { dim: 2 } }",
            ),
            (None, 6, 7, 3),
        ),
        (
            data(
                "DummyData",
                param="dummy_data_param { num: 2 num: 2 channels: 3 channels: 1 "
                "height: 6 height: 1 width: 7 width: 1 }",
            ),
            (None, 6, 7, 3),
        ),
    ],
)
def test_data_layers_become_inputs_and_labels_go(load, text, shape):
    text += conv("conv") + layer("SoftmaxWithLoss", "conv label", "loss")
    text += layer("Accuracy", "conv label", "accuracy")
    model = load(text)
    assert [x.name for x in model.inputs] == ["data"]
    assert model.input_shape == shape
    assert model.output_names == ["loss"]
    assert isinstance(model.get_layer("loss"), keras.layers.Softmax)


def test_the_caffemodel_tells_the_channels_of_the_data(load):
    weights = [image(4, 1, 3, 3), image(4)]
    model = load(data("Data") + conv("conv"), {"conv": weights})
    assert model.input_shape == (None, None, None, 1)
    text = layer("HDF5Data", "", "data label", "", "data") + conv("conv")
    assert load(text, {"conv": weights}).input_shape == (None, None, None, 1)


def test_what_only_makes_labels_goes_and_what_also_encodes_stays(load):
    """The autoencoder of Caffe's examples: its label is its flattened data."""
    text = DATA + layer("Flatten", "data", "flat") + dense("code", outputs=6)
    text += dense("decode", "code", 192) + layer("Sigmoid", "decode", "out")
    text += layer("SigmoidCrossEntropyLoss", "decode flat", "loss")
    text += layer("EuclideanLoss", "out flat", "error")
    model = load(text)
    assert set(model.output) == {"loss", "out"}
    assert "flat" not in {x.name for x in model.layers}


def test_the_softmax_of_a_loss_keeps_its_axis_and_its_second_top(load):
    loss = "softmax_param { axis: 2 }"
    text = DATA + layer("SoftmaxWithLoss", "data label", "loss prob", loss)
    text = data("DummyData", "label", "dummy_data_param { shape { dim: 2 } }") + text
    model = load(text)
    assert model.output_names != []
    assert model.get_layer("loss").axis == 1
    assert "prob" in model.caffe_blobs


def test_a_silenced_label_is_no_input(load):
    text = data("Data", param="transform_param { crop_size: 8 }")
    model = load(text + conv("y") + layer("Silence", "label", "", name="s"))
    assert len(model.inputs) == 1


def test_constant_dummy_data_beside_other_data_is_constant(load):
    param = "dummy_data_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } "
    text = DATA + layer("DummyData", "", "c", param + "data_filler { value: 2.5 } }")
    model = load(text + layer("Eltwise", "data c", "y"))
    x = image(2, 8, 8, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), x + 2.5, rtol=1e-6)


def test_phases_choose_layers_and_batch_norms_statistics(load):
    text = DATA + layer("BatchNorm", "data", "bn")
    text += layer("ReLU", "bn", "bn", "include { phase: TRAIN }", "only_train")
    names = {x.name for x in load(text).layers}
    assert "only_train" not in names
    model = load(text, phase="TRAIN")
    assert model.get_layer("only_train")
    assert model.get_layer("bn").use_global_stats is False


# --- names, outputs, order


def test_outputs_are_what_nobody_reads_in_order(load):
    text = DATA + layer("ReLU", "data", "z/1") + layer("TanH", "data", "a")
    text += layer("Split", "z/1", "m b", name="split")
    model = load(text)
    assert list(model.output) == ["a", "m", "b"]
    found = model.predict(image(2, 8, 8, 3), verbose=0)
    assert list(found) == ["a", "m", "b"]


def test_a_layer_has_its_name_though_others_are_called_so(load):
    text = DATA + conv("c") + dense("fc_flatten", "c") + layer("ReLU", "c", "fc")
    text += layer("InnerProduct", "fc", "y", "inner_product_param { num_output: 2 }",
                  "fc")  # fmt: skip
    model = load(text)
    assert isinstance(model.get_layer("fc_flatten"), keras.layers.Dense)
    assert isinstance(model.get_layer("fc"), keras.layers.ReLU)
    assert len({x.name for x in model.layers}) == len(model.layers)


def test_layers_of_the_same_name_take_the_records_in_their_order(tmp_path):
    text = DATA + dense("c", outputs=192) + dense("c", "c", 192)
    text = text.replace('top: "c"', 'top: "d"', 1).replace('bottom: "c"', 'bottom: "d"')
    prototxt, model_file = tmp_path / "a.prototxt", tmp_path / "a.caffemodel"
    prototxt.write_text(text)
    records = [[image(192, 192), image(192)] for _ in range(2)]
    parts = []
    for i, record in enumerate(records):  # concatenated messages are one message
        write_caffemodel(tmp_path / str(i), {"c": record})
        parts.append((tmp_path / str(i)).read_bytes())
    model_file.write_bytes(b"".join(parts))
    model = from_caffe(prototxt, model_file)
    (w1, b1), (w2, b2) = records
    x = image(2, 8, 8, 3)
    flat = x.transpose(0, 3, 1, 2).reshape(2, -1).astype("float64")
    expected = (flat @ w1.T + b1) @ w2.T + b2
    assert relative_error(model.predict(x, verbose=0), expected) <= 1e-6


def test_a_layer_in_place_makes_the_blob_its_own(load):
    text = DATA + conv("conv") + layer("ReLU", "conv", "conv", name="relu")
    model = load(text + layer("TanH", "conv", "y"))
    assert model.caffe_blobs["conv"] == ["relu", 0]
    assert blob_tensor(model, "conv") is model.get_layer("relu").output


def test_the_number_of_items_is_free_unless_they_are_mixed(load):
    assert load(DATA + conv("y")).input_shape[0] is None
    reshape = layer(
        "Reshape", "data", "y", "reshape_param { shape { dim: 1 dim: -1 } }"
    )
    assert load(DATA + reshape).input_shape[0] == 2
    refused = DATA.replace("shape { dim: 2 dim: 3 dim: 8 dim: 8 }", "")
    with pytest.raises(ValueError, match="shapes of all data blobs"):
        load(refused + conv("y"))


def test_predict_takes_blobs_of_different_length(load):
    text = DATA + layer("Input", "", "i", "input_param { shape { dim: 5 } }")
    model = load(text + layer("BatchReindex", "data i", "y"))
    x, i = image(2, 8, 8, 3), np.array([1, 0, 1, 1, 0], "float32")
    found = model.predict([x, i], verbose=0)
    np.testing.assert_array_equal(found, x[i.astype(int)])


def test_input_shape_may_free_height_and_width(load):
    model = load(DATA + conv("y"), input_shape=(None, None, 3))
    assert model.input_shape == (None, None, None, 3)
    assert load(DATA + conv("y"), input_shape={"data": (9, 9, 3)}).output_shape[1] == 7
    with pytest.raises(ValueError, match="no data blob"):
        load(DATA + conv("y"), input_shape={"image": (9, 9, 3)})
    with pytest.raises(ValueError, match="positive integers"):
        load(DATA + conv("y"), input_shape=(0, 9, 3))


def test_a_transposed_inner_product_becomes_a_convolution(load):
    text = DATA + dense("fc", outputs=192, param="transpose: true")
    weight, bias = image(192, 192), image(192)
    dense_model = load(text, {"fc": [weight.T, bias]})
    wide = load(text, {"fc": [weight.T, bias]}, fully_convolutional=True)
    x = image(2, 8, 8, 3)
    y = dense_model.predict(x, verbose=0)
    flat = x.transpose(0, 3, 1, 2).reshape(2, -1)
    np.testing.assert_allclose(y, flat @ weight.T + bias, rtol=1e-3, atol=1e-3)
    found = wide.predict(x, verbose=0)[:, 0, 0]
    np.testing.assert_allclose(found, y, rtol=1e-3, atol=1e-3)


# --- sharing, saving, training

SHARED = 'param { name: "w" } param { name: "b" }'


def siamese():
    text = DATA + layer("Input", "", "other", "input_param { shape "
                        "{ dim: 2 dim: 3 dim: 8 dim: 8 } }")  # fmt: skip
    for side, bottom in (("l", "data"), ("r", "other")):
        text += layer(
            "Convolution", bottom, f"conv_{side}",
            "convolution_param { num_output: 4 kernel_size: 3 } "
            'param { name: "cw" } param { name: "cb" }',
        ) + dense(f"fc_{side}", f"conv_{side}", spec=SHARED)  # fmt: skip
    return text + layer("Eltwise", "fc_l fc_r", "y")


def siamese_params():
    conv_params, fc = [image(4, 3, 3, 3), image(4)], [image(5, 144), image(5)]
    return {"conv_l": conv_params, "conv_r": conv_params, "fc_l": fc, "fc_r": fc}


def test_shared_parameters_are_one_variable_also_after_saving(load, tmp_path):
    model = load(siamese(), siamese_params())
    x = [image(2, 8, 8, 3), image(2, 8, 8, 3)]
    y = model.predict(x, verbose=0)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    copy = CaffeModel.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    for same in (model, loaded, copy):
        np.testing.assert_allclose(same.predict(x, verbose=0), y, rtol=1e-5)
        assert len(same.trainable_variables) == 4
        assert same.caffe_blobs == model.caffe_blobs
        same.compile("sgd", "mse")
        same.fit(x, y + 1, epochs=2, verbose=0)
        params = caffe_params(same)
        for kind in ("conv", "fc"):
            for a, b in zip(params[f"{kind}_l"], params[f"{kind}_r"], strict=True):
                np.testing.assert_array_equal(a, b)
        assert np.any(params["fc_l"][0] != siamese_params()["fc_l"][0])


def test_one_copy_of_shared_parameters_is_enough(load, refused):
    params = siamese_params()
    del params["conv_r"], params["fc_r"]
    assert load(siamese(), params)
    del params["fc_l"]
    refused(siamese(), "'fc_l'", "'fc_r'", params=params)


def test_tied_autoencoder_shares_a_transposed_weight(load):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape '
    text += "{ dim: 2 dim: 6 } } }\n"
    text += dense("code", "x", 4, spec='param { name: "w" }')
    text += dense("back", "code", 6, "transpose: true", 'param { name: "w" }')
    weight, b1, b2 = image(4, 6), image(4), image(6)
    model = load(text, {"code": [weight, b1], "back": [weight, b2]})
    x = image(2, 6)
    expected = (x @ weight.T + b1) @ weight + b2
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4)
    assert len(model.trainable_variables) == 3


@pytest.mark.parametrize(
    "case", ["net_googlenet_mini", "net_resnet_mini", "net_fcn_mini", "lstm", "rnn",
             "embed", "batchnorm", "scale_axis2_two", "ip_transpose", "spp", "argmax",
             "ip_axis2", "deconv_group", "slice_points", "reshape_4d", "crop"],
)  # fmt: skip
def test_models_save_load_and_clone(case, tmp_path):
    weights = GOLDENS / f"{case}.caffemodel"
    model = from_caffe(
        GOLDENS / f"{case}.prototxt", weights if weights.exists() else None
    )
    x = [nhwc(golden(case)[f"blob/{i.name}"]) for i in model.inputs]
    x = x if len(x) > 1 else x[0]
    y = keras.tree.flatten(model(x))
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for same in (loaded, clone):
        for a, b in zip(keras.tree.flatten(same(x)), y, strict=True):
            a, b = (keras.ops.convert_to_numpy(v) for v in (a, b))
            np.testing.assert_allclose(a, b, rtol=1e-6)
    params = caffe_params(model)
    set_caffe_params(model, params)
    for name, arrays in caffe_params(model).items():
        for a, b in zip(arrays, params[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_batch_norm_trains_as_caffe_does(load):
    model = load(DATA + layer("BatchNorm", "data", "bn"))
    assert model.trainable_variables == []
    x = image(2, 8, 8, 3)
    for _ in range(2):
        y = keras.ops.convert_to_numpy(model(x, training=True))
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
    mean_sum, variance_sum, count = caffe_params(model)["bn"]
    np.testing.assert_allclose(count, [1.999], rtol=1e-6)
    np.testing.assert_allclose(mean_sum, 1.999 * mean, rtol=1e-4, atol=1e-5)
    unbiased = variance * (128 / 127)
    np.testing.assert_allclose(variance_sum, 1.999 * unbiased, rtol=1e-4)


def test_batch_norm_in_half_precision_keeps_its_sums(load):
    x = 100 * image(2, 8, 8, 3)
    sums = [np.full(3, 3e4), np.full(3, 5e6), np.full(1, 1e3)]  # as published nets have
    text, params = DATA + layer("BatchNorm", "data", "bn"), {"bn": sums}
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        y = load(text, params).predict(x, verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert relative_error(y, (x - 30) / np.sqrt(5e3)) <= 2e-3


# --- errors


def test_all_unsupported_layers_are_named_at_once(refused):
    text = DATA + layer("Odd", "data", "a") + layer("Python", "a", "b")
    text += layer("Filter", "b", "c")
    refused(text, "'Odd' ('a')", "'Python' ('b'", "'Filter' ('c'", "custom_layers")


def test_a_hook_imports_a_type_of_ones_own(load):
    def times(node, x):
        return keras.layers.Rescaling(node.param.by, name=node.name)(x)

    text = DATA + layer("Times", "data", "y", "times_param { by: 2.5 }")
    model = load(text, custom_layers={"Times": times})
    x = image(2, 8, 8, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), 2.5 * x, rtol=1e-6)


PROPOSAL = ("rpn.proposal_layer", "ProposalLayer")


@pytest.mark.parametrize("code", [("m.n", "Double"), PROPOSAL])
@pytest.mark.parametrize("by_code", [False, True])
def test_a_hook_imports_a_python_layer_by_the_name_of_its_code(load, code, by_code):
    def double(node, x):
        return keras.layers.Rescaling(len(node.param.param_str), name=node.name)(x)

    module, class_ = code
    param = f'module: "{module}" layer: "{class_}" param_str: "ab"'
    type_ = ".".join(code) if by_code else "Python"
    text = DATA + layer("Python", "data", "y", f"python_param {{ {param} }}")
    model = load(text, custom_layers={type_: double})
    x = image(2, 8, 8, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), 2 * x, rtol=1e-6)


def test_the_error_says_what_a_python_layer_is_called(refused):
    param = 'python_param { module: "m.n" layer: "Double" }'
    text = DATA + layer("Python", "data", "y", param)
    refused(text, "'y' = m.n.Double: its code", "custom_layers={'m.n.Double': rule")


@pytest.mark.parametrize(
    "field", ["blobs_lr: 1", "param { lr_policy: 1 }", "debug: true", "engine: CUDNN"]
)
def test_unknown_fields_that_cannot_matter_are_warned_about(load, field):
    with pytest.warns(UserWarning, match="passed over"):
        load(DATA + layer("ReLU", "data", "y", field))


def test_unknown_fields_that_may_matter_are_refused_all_at_once(refused):
    text = DATA + layer(
        "Pooling", "data", "p", "pooling_param { kernel_size: 2 other_mode: false }"
    )
    text += layer("BatchNorm", "p", "b", "batch_norm_param { odd_bias: true }")
    text += layer("ReLU", "b", "b", "odd_param { a: 1 }", "r")
    refused(text, "other_mode", "odd_bias", "odd_param")


POOL = "pooling_param { %s }"
MALFORMED = {
    "no num_output": (
        layer("Convolution", "data", "y", "convolution_param { kernel_size: 3 }"),
        "num_output",
    ),
    "no kernel": (
        layer("Convolution", "data", "y", "convolution_param { num_output: 3 }"),
        "kernel_size",
    ),
    "kernel 0": (conv("y").replace("kernel_size: 3", "kernel_size: 0"), "kernel_size"),
    "two kernels": (conv("y", param="kernel_h: 3 kernel_w: 3"), "kernel_h"),
    "three kernels": (conv("y", param="kernel_size: 1 kernel_size: 1"), "kernel_size"),
    "stride 0": (conv("y", param="stride: 0"), "stride"),
    "group 0": (conv("y", param="group: 0"), "group"),
    "group 2 of 3 channels": (conv("y", param="group: 2"), "group"),
    "window too large": (conv("y", param="dilation: 4"), "at least 9"),
    "too large": (conv("y", outputs=2000000000), "GiB"),
    "axis": (conv("y", param="axis: 4"), "axis"),
    "no bottom": (layer("ReLU", "", "y"), "bottom"),
    "two tops": (layer("ReLU", "data", "y z"), "top"),
    "unknown bottom": (layer("ReLU", "date", "y"), "'date'"),
    "top written twice": (
        layer("ReLU", "data", "y") + layer("TanH", "data", "y", name="t"),
        "no other layer writes",
    ),
    "pool kernel missing": (layer("Pooling", "data", "y"), "kernel_size"),
    "pool kernels": (
        layer("Pooling", "data", "y", POOL % "kernel_size: 2 kernel_h: 2 kernel_w: 2"),
        "kernel_size",
    ),
    "pool pad": (
        layer("Pooling", "data", "y", POOL % "kernel_size: 2 pad: 2"),
        "pad",
    ),
    "global with kernel": (
        layer("Pooling", "data", "y", POOL % "global_pooling: true kernel_size: 2"),
        "global_pooling",
    ),
    "mask of AVE": (
        layer("Pooling", "data", "y z", POOL % "pool: AVE kernel_size: 2"),
        "one top",
    ),
    "even LRN": (
        layer("LRN", "data", "y", "lrn_param { local_size: 4 }"),
        "local_size",
    ),
    "units": (dense("y", outputs=0), "num_output"),
    "concat": (
        conv("c") + layer("Concat", "data c", "y"),
        "same shape",
    ),
    "eltwise": (conv("c") + layer("Eltwise", "data c", "y"), "same shape"),
    "coeff": (
        layer("Eltwise", "data data", "y", "eltwise_param { coeff: 1 }"),
        "coeff",
    ),
    "slice": (layer("Slice", "data", "y z"), "slice_point"),
    "reshape": (
        layer("Reshape", "data", "y", "reshape_param { shape { dim: 0 dim: 7 } }"),
        "as many values",
    ),
    "flatten": (
        layer("Flatten", "data", "y", "flatten_param { axis: 3 end_axis: 1 }"),
        "end_axis",
    ),
    "crop": (
        conv("c") + layer("Crop", "c data", "y"),
        "along axis 2",
    ),
    "dropout": (
        layer("Dropout", "data", "y", "dropout_param { dropout_ratio: 1 }"),
        "dropout_ratio",
    ),
    "clip": (layer("Clip", "data", "y"), "clip_param"),
    "log base": (layer("Log", "data", "y", "log_param { base: -2 }"), "base"),
    "lstm": (
        layer("LSTM", "data data", "y", "recurrent_param { num_output: 4 }"),
        "(T, N)",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_layers_are_named(refused, case):
    text, match = MALFORMED[case]
    error = refused(DATA + text, match)
    assert error.layer is not None
    assert re.search(r"layer '\w+'(, field '[\w.]+')?: \(\w+\) ", str(error))


@pytest.mark.parametrize("text", ["", 'name: "empty"', layer("ReLU", "data", "y")])
def test_a_net_without_data_is_refused(refused, text):
    refused(text)


def test_weights_that_do_not_fit_are_named_with_both_shapes(refused):
    params = {"y": [image(4, 2, 3, 3), image(4)]}
    refused(
        DATA + conv("y"), "layer 'y'", "(4, 3, 3, 3)", "(4, 2, 3, 3)", params=params
    )
    refused(DATA + conv("y"), "'y'", params={"y": [image(4, 3, 3, 3)]})
    refused(DATA + dense("y"), "'y'", params={"y": [image(192, 5), image(5)]})


def test_missing_weights_are_named_and_spare_ones_ignored(load, refused):
    params = {"other": [image(2)], "a": [image(4, 3, 3, 3), image(4)]}
    assert load(DATA + conv("a"), params)
    text = DATA + conv("a") + conv("b", "a") + dense("c", "b")
    refused(text, "'b' (Convolution)", "'c' (InnerProduct)", params=params)


def test_weights_of_another_net_are_told_without_a_list_of_all_layers(refused):
    names = [f"c{i}" for i in range(9)]
    text = DATA + "".join(map(conv, names))
    error = refused(text, "'c2'", "and 6 more", params={"other": [image(2)]})
    assert "are another net's, or it has none" in str(error)
    assert "'c3'" not in str(error)


def test_files_in_the_other_order_are_told_what_to_do(load, tmp_path):
    load(DATA + conv("a"), {"a": [image(4, 3, 3, 3), image(4)]})
    with pytest.raises(CaffeFormatError, match="the other way round. Swap them"):
        from_caffe(tmp_path / "net.caffemodel", tmp_path / "net.prototxt")


def test_supported_layers_lists_them():
    names = supported_layers()
    assert list(names) == sorted(names)
    assert {"Convolution", "LSTM", "SPP", "BatchReindex", "Parameter"} <= set(names)
    assert list(names.values()).count("Caffe 1.0") == 44


# --- size


def resnet152():
    """Return the prototxt of ResNet-152, as its authors laid it out."""
    text = DATA.replace("8 dim: 8", "224 dim: 224")

    def cbr(name, bottom, outputs, kernel, stride=1, relu=True):
        pad = kernel // 2
        param = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} "
        param += f"pad: {pad} bias_term: false"
        out = layer("Convolution", bottom, name, f"convolution_param {{ {param} }}")
        out += layer("BatchNorm", name, name, name=f"bn_{name}")
        scale = "scale_param { bias_term: true }"
        out += layer("Scale", name, name, scale, f"scale_{name}")
        return out + (layer("ReLU", name, name, name=f"{name}_relu") if relu else "")

    text += cbr("conv1", "data", 64, 7, 2)
    text += layer("Pooling", "conv1", "pool1", POOL % "kernel_size: 3 stride: 2")
    bottom = "pool1"
    for stage, (blocks, width) in enumerate([(3, 64), (8, 128), (36, 256), (3, 512)]):
        for block in range(blocks):
            name = f"res{stage + 2}b{block}"
            stride = 2 if block == 0 and stage else 1
            left = bottom
            if block == 0:
                left = f"{name}_branch1"
                text += cbr(left, bottom, 4 * width, 1, stride, relu=False)
            text += cbr(f"{name}_branch2a", bottom, width, 1, stride)
            text += cbr(f"{name}_branch2b", f"{name}_branch2a", width, 3)
            right = f"{name}_branch2c"
            text += cbr(right, f"{name}_branch2b", 4 * width, 1, relu=False)
            text += layer("Eltwise", f"{left} {right}", name)
            text += layer("ReLU", name, name, name=f"{name}_relu")
            bottom = name
    text += layer("Pooling", bottom, "pool5", POOL % "pool: AVE global_pooling: true")
    return text + dense("fc1000", "pool5", 1000) + layer("Softmax", "fc1000", "prob")


@pytest.mark.slow
def test_a_net_of_a_hundred_and_fifty_layers_is_built(load):
    model = load(resnet152())
    assert sum(isinstance(x, keras.layers.Conv2D) for x in model.layers) == 155
    assert model.output_shape == (None, 1000)


def test_clones_that_forgot_caffes_blobs_say_so():
    path = GOLDENS / "net_resnet_mini.prototxt"
    clone = keras.models.clone_model(from_caffe(path))
    with pytest.raises(ValueError, match="clone_model made without them"):
        blob_tensor(clone, "res2a")
