"""Loading files into models: by name, in every form, or an error naming the layer."""

import re

import h5py
import keras
import numpy as np
import pytest
from support import nhwc, relative_error

from keras_caffe_zoo.caffe import (
    SolverState,
    parse_prototxt,
    write_caffemodel,
    write_solverstate,
)
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.weights.assign import load_weights
from keras_caffe_zoo.weights.store import dump_caffe_weights

NET = """
name: "little"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 5 dim: 4 } } }
layer { name: "conv/1" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 6 } }
layer { name: "head" type: "InnerProduct" bottom: "fc" top: "head"
        inner_product_param { num_output: 5 } }
"""
SHAPES = {
    "conv/1": [(4, 3, 2, 2), (4,)],
    "fc": [(6, 4 * 4 * 3), (6,)],
    "head": [(5, 6), (5,)],
}
X = np.random.default_rng(5).standard_normal((2, 3, 5, 4)).astype("float32")


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {
        name: [rng.standard_normal(shape).astype("float32") for shape in pair]
        for name, pair in SHAPES.items()
    }
    return {k: v for k, v in {**made, **changes}.items() if v is not None}


def model(convolutional=False, head=5):
    last = {"data_format": "channels_last"}
    inputs = keras.Input((5, 4, 3))
    x = CaffeConv2D(4, 2, name="conv>1", **last)(inputs)
    if convolutional:
        x = CaffeConv2D(6, (4, 3), name="fc-conv", **last)(x)
        x = CaffeConv2D(head, 1, name="head-conv", **last)(x)
    else:
        x = keras.layers.Flatten(**last)(x)
        x = keras.layers.Dense(6, name="fc")(x)
        x = keras.layers.Dense(head, name="head")(x)
    return keras.Model(inputs, x, name="ours")


def caffe_forward(params, x=X):
    weight, bias = params["conv/1"]
    y = np.zeros((len(x), 4, 4, 3))
    for i, j in np.ndindex(4, 3):
        patch = x[:, :, i : i + 2, j : j + 2]
        y[:, :, i, j] = np.einsum("nchw,ochw->no", patch, weight) + bias
    y = y.reshape(len(x), -1)
    for name in ("fc", "head"):
        weight, bias = params[name]
        y = y @ weight.reshape(len(weight), -1).T + bias
    return y


def outputs(net, x=X):
    return net.predict(nhwc(x), verbose=0).reshape(len(x), -1)


@pytest.fixture(params=["caffemodel", "no structure", "dumped", "dumped, no structure"])
def save(request, tmp_path):
    """Write Caffe arrays as each kind of file that a model takes."""

    def save(params, net=NET):
        path = tmp_path / "x.caffemodel"
        net = None if "no structure" in request.param else parse_prototxt(net)
        write_caffemodel(path, params, net)
        if "dumped" not in request.param:
            return path
        return dump_caffe_weights(path, tmp_path / "x.h5", progress=False)

    return save


@pytest.mark.parametrize("convolutional", [False, True])
def test_the_model_computes_what_the_files_net_does(save, convolutional):
    net = model(convolutional)
    load_weights(net, save(arrays()))
    assert relative_error(outputs(net), caffe_forward(arrays())) <= 2e-6


@pytest.mark.parametrize("convolutional", [False, True])
def test_a_convolutional_net_fits_both_forms_too(tmp_path, convolutional):
    params = arrays()
    params["fc-conv"] = [params["fc"][0].reshape(6, 4, 4, 3), params.pop("fc")[1]]
    params["head-conv"] = [params["head"][0].reshape(5, 6, 1, 1), params.pop("head")[1]]
    path = tmp_path / "conv.caffemodel"
    write_caffemodel(path, params)
    for file in (path, dump_caffe_weights(path, tmp_path / "x.h5", progress=False)):
        net = model(convolutional)
        load_weights(net, file)
        assert relative_error(outputs(net), caffe_forward(arrays())) <= 2e-6


def test_layers_that_only_the_file_has_are_passed_over(tmp_path):
    path = tmp_path / "x.caffemodel"
    write_caffemodel(path, arrays(other=[np.ones(3, "float32")]))
    net = model()
    load_weights(net, path)
    assert relative_error(outputs(net), caffe_forward(arrays())) <= 2e-6


def test_transposed_weights_are_turned(tmp_path):
    """Also where the shape cannot show it: a square matrix."""
    square = np.random.default_rng(1).standard_normal((4, 4)).astype("float32")
    text = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 4 transpose: true bias_term: false } }"""
    write_caffemodel(tmp_path / "t.caffemodel", {"fc": [square]}, parse_prototxt(text))
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(4, use_bias=False, name="fc")
    net = keras.Model(inputs, dense(inputs))
    load_weights(net, tmp_path / "t.caffemodel")
    np.testing.assert_array_equal(dense.kernel.numpy(), square)


def test_a_missing_layer_is_named_with_its_shapes(save):
    text = NET.replace('name: "fc"', 'name: "other"')
    params = arrays()
    params["other"] = params.pop("fc")
    with pytest.raises(ValueError, match=re.escape("'fc' [(48, 6), (6,)]")):
        load_weights(model(), save(params, text))


def test_a_wrong_shape_is_named_with_both_shapes(save):
    with pytest.raises(ValueError, match="layer 'head'") as caught:
        load_weights(model(head=7), save(arrays()))
    assert "(6, 7)" in str(caught.value) and "(6, 5)" in str(caught.value)


def test_a_bias_too_few_is_named(save):
    params = arrays(fc=arrays()["fc"][:1])
    text = NET.replace("num_output: 6", "num_output: 6 bias_term: false")
    with pytest.raises(ValueError, match="layer 'fc'; received"):
        load_weights(model(), save(params, text))


def test_a_layer_that_may_differ_stays_new_and_is_told(save, capsys):
    net = model(head=7)
    before = net.get_layer("head").get_weights()
    load_weights(net, save(arrays()), may_differ=["head"])
    message = capsys.readouterr().out
    assert "'head' is new" in message and "7 classes (the file has 5)" in message
    for ours, kept in zip(net.get_layer("head").get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)
    np.testing.assert_array_equal(net.get_layer("fc").bias.numpy(), arrays()["fc"][1])


def test_a_layer_that_may_differ_but_fits_is_loaded(save, capsys):
    net = model()
    load_weights(net, save(arrays()), may_differ=["head"])
    assert "new" not in capsys.readouterr().out
    assert relative_error(outputs(net), caffe_forward(arrays())) <= 2e-6


def test_a_layer_that_the_file_may_lack_keeps_what_it_has(save):
    text = NET.partition('layer { name: "head"')[0]
    path = save(arrays(head=None), text)
    net = model()
    before = net.get_layer("head").get_weights()
    load_weights(net, path, may_lack=["head"])
    for ours, kept in zip(net.get_layer("head").get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)
    np.testing.assert_array_equal(net.get_layer("fc").bias.numpy(), arrays()["fc"][1])
    with pytest.raises(ValueError, match="received none for 'head'"):
        load_weights(net, path)


def test_a_net_of_another_structure_is_refused(tmp_path):
    path = tmp_path / "x.caffemodel"
    net = parse_prototxt(NET.replace("kernel_size: 2", "kernel_size: 2 stride: 2"))
    write_caffemodel(path, arrays(), net)
    stored = dump_caffe_weights(path, tmp_path / "x.h5", progress=False)
    for file in (path, stored):
        with pytest.raises(ValueError, match=r"'conv/1' has strides \(2, 2\)"):
            load_weights(model(), file)


@pytest.mark.parametrize("dumped", [False, True])
def test_slopes_of_channels_get_the_axes_that_keras_keeps(tmp_path, dumped):
    slopes = np.arange(4, dtype="float32")
    net = NET.split('layer { name: "fc"')[0].replace("conv/1", "conv")
    net += 'layer { name: "relu" type: "PReLU" bottom: "conv" top: "conv" }'
    path = tmp_path / "x.caffemodel"
    write_caffemodel(
        path, {"conv": arrays()["conv/1"], "relu": [slopes]}, parse_prototxt(net)
    )
    if dumped:
        path = dump_caffe_weights(path, tmp_path / "y.h5", progress=False)
    inputs = keras.Input((5, 4, 3))
    x = CaffeConv2D(4, 2, name="conv", data_format="channels_last")(inputs)
    relu = keras.layers.PReLU(shared_axes=(1, 2), name="relu")
    load_weights(keras.Model(inputs, relu(x)), path)
    np.testing.assert_array_equal(relu.get_weights(), [slopes[None, None]])


@pytest.mark.filterwarnings("ignore:Skipping nested")  # Keras, before it raises
def test_weights_of_keras_load_into_the_same_form(tmp_path):
    source, target = model(), model()
    source.save_weights(tmp_path / "x.weights.h5")
    load_weights(target, tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(outputs(target), outputs(source))
    with pytest.raises(ValueError, match="exactly the form of 'ours'"):
        load_weights(model(head=7), tmp_path / "x.weights.h5")


def test_caffes_own_hdf5_loads_and_is_dumped(tmp_path):
    path, params = tmp_path / "net.caffemodel.h5", arrays()
    with h5py.File(path, "w") as file:  # "conv/1" is a group in a group
        for name, blobs in params.items():
            for i, blob in enumerate(blobs):
                file[f"data/{name}/{i}"] = blob
    for file in (path, dump_caffe_weights(path, tmp_path / "x.h5", progress=False)):
        net = model()
        load_weights(net, file)
        np.testing.assert_allclose(outputs(net), caffe_forward(params), rtol=1e-4)


def test_a_solvers_state_is_told(tmp_path):
    for name in ("s.solverstate", "s.solverstate.h5"):
        write_solverstate(tmp_path / name, SolverState(5, "n_iter_5.caffemodel"))
        with pytest.raises(ValueError, match="iteration 5 with the caffemodel 'n_iter"):
            load_weights(model(), tmp_path / name)


def test_files_of_other_kinds_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="ends in .weights.h5; received: .*x.h5"):
        load_weights(model(), tmp_path / "x.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "x.h5").read_bytes()[:600])
    with pytest.raises(ValueError, match="cut.h5, a damaged HDF5 file"):
        load_weights(model(), tmp_path / "cut.h5")
    (tmp_path / "net.prototxt").write_text(NET)
    with pytest.raises(ValueError, match="Pass the .caffemodel, not the .prototxt"):
        load_weights(model(), tmp_path / "net.prototxt")
    with pytest.raises(FileNotFoundError):
        load_weights(model(), tmp_path / "nowhere.caffemodel")
