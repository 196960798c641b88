"""The twin of `fold` predicts what the model predicts, with fewer layers."""

import keras
import numpy as np
import pytest
from support import GOLDENS, every, golden_names
from support import relative_error as error_of_arrays
from test_fork_goldens import CASES as FORK_CASES
from test_fork_goldens import FORKS, data_of, under
from test_fork_goldens import golden as fork_golden
from test_fork_goldens import imported as fork_imported

import keras_caffe_zoo as kcz
from keras_caffe_zoo import layers
from keras_caffe_zoo.conversion.model import CaffeModel, blob_tensor

LAST = {"data_format": "channels_last"}
IMAGE = (7, 6, 4)


def relative_error(*tensors):
    return error_of_arrays(*map(keras.ops.convert_to_numpy, tensors))


def randomized(model, seed=0):
    """Give a model weights of which none is what it would be without training."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        arrays = [rng.uniform(0.3, 1.2, w.shape) for w in layer.weights]
        if not layer.name.startswith("bn"):
            arrays = [a * rng.choice([-1, 1], a.shape) for a in arrays]
        layer.set_weights(arrays)
    return model


def net(*parts, shape=IMAGE, outputs=None):
    """Return a model of layers one behind the other, with random weights."""
    x = inputs = keras.Input(shape, name="data")
    tensors = {}
    for layer in parts:
        x = tensors[layer.name] = layer(x)
    ends = x if outputs is None else {name: tensors[name] for name in outputs}
    return randomized(keras.Model(inputs, ends, name="net"))


def image(model, seed=1):
    shape = [3, *(size or 40 for size in model.inputs[0].shape[1:])]
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def assert_predicts_the_same(twin, model, x=None, tolerance=2e-6):
    x = image(model) if x is None else x
    expected, found = model(x, training=False), twin(x, training=False)
    assert twin.output_names == model.output_names
    keras.tree.assert_same_structure(found, expected)
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True)
    for ours, theirs in pairs:
        assert relative_error(ours, theirs) <= tolerance


def kinds(model):
    return [type(layer).__name__ for layer in model.layers[1:]]


def norm(name="bn", **options):
    return layers.CaffeBatchNorm(name=name, **options)


def scale(name="scale", **options):
    return layers.CaffeScale(use_bias=True, name=name, **options)


def relu(name="relu"):
    return keras.layers.ReLU(name=name)


KERNELS = {
    "conv": lambda: layers.CaffeConv2D(6, 3, 2, 1, use_bias=False, name="k", **LAST),
    "groups": lambda: layers.CaffeConv2D(6, 3, pad=1, groups=2, name="k", **LAST),
    "depthwise": lambda: layers.CaffeConv2D(8, 3, groups=4, name="k", **LAST),
    "deconv": lambda: layers.CaffeDeconv2D(6, 3, 2, 1, groups=2, name="k", **LAST),
    "deconv_depthwise": lambda: layers.CaffeDeconv2D(
        4, 4, 2, 1, groups=4, use_bias=False, name="k", **LAST
    ),
    "keras_conv": lambda: keras.layers.Conv2D(5, 3, padding="same", name="k", **LAST),
    "keras_depthwise": lambda: keras.layers.DepthwiseConv2D(
        3, depth_multiplier=2, name="k", **LAST
    ),
    "keras_deconv": lambda: keras.layers.Conv2DTranspose(5, 3, 2, name="k", **LAST),
    "inner_product": lambda: layers.CaffeInnerProduct(5, name="k"),
    "transposed": lambda: layers.CaffeInnerProduct(5, transpose=True, name="k"),
    "nd": lambda: layers.CaffeConvND(6, (3, 2), (2, 1), (1, 0), groups=2, name="k"),
    "nd_transposed": lambda: layers.CaffeConvND(
        6, (3, 2), groups=2, transposed=True, name="k"
    ),
    "dense_on_pixels": lambda: keras.layers.Dense(5, name="k"),
}
AFFINE = {
    "bn": norm,
    "kept": lambda: norm(use_global_stats=True),
    "scale_bias": lambda: norm(scale_bias=True),
    "scale": scale,
    "one_factor": lambda: layers.CaffeScale(num_axes=0, name="scale"),
    "bias": lambda: layers.CaffeBias(name="bias"),
    "power": lambda: layers.CaffePower(1, 0.5, 2, name="power"),
    "keras_bn": lambda: keras.layers.BatchNormalization(name="bn"),
    "without_factor": lambda: keras.layers.BatchNormalization(
        scale=False, center=False, name="bn"
    ),
    "pspnet": lambda: layers.CaffePSPNetBN(name="bn"),
    "segnet": lambda: layers.CaffeSegNetBN("inference", name="bn"),
    "scaled_dropout": lambda: layers.CaffeDropout(0.3, scale_train=False, name="drop"),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_comes_behind_goes_into_each_kernel(kernel):
    model = net(KERNELS[kernel](), norm(), scale())
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert len(twin.layers) == 2
    assert twin.layers[1].name == "scale"


@pytest.mark.parametrize("affine", AFFINE)
def test_each_factor_and_offset_goes_into_a_kernel(affine):
    model = net(KERNELS["conv"](), AFFINE[affine](), relu())
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == ["CaffeConv2D"]
    assert twin.layers[1].activation is keras.activations.relu


@pytest.mark.parametrize("affine", AFFINE)
def test_factors_and_offsets_go_into_the_kernel_behind_without_padding(affine):
    conv = layers.CaffeConv2D(6, 3, groups=2, activation="relu", name="k", **LAST)
    model = net(AFFINE[affine](), conv, relu("last"))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == ["CaffeConv2D", "ReLU"]


ZEROS = {
    "pad": lambda: layers.CaffeConv2D(6, 3, pad=1, name="k", **LAST),
    "same": lambda: keras.layers.Conv2D(6, 3, padding="same", name="k", **LAST),
    "hanging": lambda: layers.CaffeConv2D(6, (8, 3), (2, 1), name="k", **LAST),
    "deconv": lambda: layers.CaffeDeconv2D(6, 3, 2, name="k", **LAST),
}


@pytest.mark.parametrize("kernel", ZEROS)
def test_an_offset_stays_before_a_window_that_sees_zeros(kernel):
    model = net(norm(), ZEROS[kernel]())
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == kinds(model)


@pytest.mark.parametrize("kernel", ZEROS)
def test_a_factor_alone_goes_into_any_window(kernel):
    model = net(layers.CaffeScale(name="scale"), ZEROS[kernel]())
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert len(twin.layers) == 2


def test_both_sides_go_into_one_kernel():
    dense = keras.layers.Dense(5, name="k")
    model = net(norm(), dense, scale(), keras.layers.Dropout(0.5), relu(), shape=(9,))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == ["Dense"]


def test_channels_are_not_mixed_up_with_what_a_map_becomes_flat():
    ip = layers.CaffeInnerProduct(5, name="k")
    model = net(norm(), ip, shape=(1, 2, 4))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert len(twin.layers) == 3


OTHERS = {
    "batch": lambda: norm(use_global_stats=False),
    "segnet_learns": lambda: layers.CaffeSegNetBN("learn", name="bn"),
    "by_place": lambda: layers.CaffeScale(2, 1, name="by_place"),
    "rows": lambda: keras.layers.BatchNormalization(axis=1, name="bn"),
    "squares": lambda: layers.CaffePower(2, 0.5, 2, name="power"),
    "leaky": lambda: keras.layers.ReLU(negative_slope=0.1, name="relu"),
    "prelu": lambda: keras.layers.PReLU(shared_axes=[1, 2], name="prelu"),
    "unknown": lambda: keras.layers.UnitNormalization(name="other"),
    "moves": lambda: keras.layers.Permute((2, 1, 3), name="permute"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_factor_and_offset_stays(other):
    model = net(KERNELS["conv"](), OTHERS[other](), scale())
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == kinds(model)


def test_bayesian_dropout_stays():
    drop = layers.CaffeDropout(0.5, samples=True, name="drop")
    twin = kcz.fold(net(KERNELS["conv"](), drop, relu()))
    assert kinds(twin) == ["CaffeConv2D", "CaffeDropout", "ReLU"]


def test_units_of_another_axis_stay():
    model = net(keras.layers.Dense(5, name="k"), norm(), shape=(4, 3))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert len(twin.layers) == 3


def test_channels_first_stays():
    conv = layers.CaffeConv2D(4, 1, data_format="channels_first", name="k")
    twin = kcz.fold(net(conv, scale(), shape=(4, 5, 4)))
    assert kinds(twin) == ["CaffeConv2D", "CaffeScale"]


def test_statistics_that_are_no_numbers_stay():
    model = net(KERNELS["conv"](), norm(epsilon=0.0))
    model.get_layer("bn").variance_sum.assign([-1.0] * 6)
    assert len(kcz.fold(model).layers) == 3


def test_what_is_read_twice_stays():
    inputs = keras.Input(IMAGE)
    x = KERNELS["conv"]()(inputs)
    y = norm("bn1")(x)
    z = relu("relu1")(y)
    outputs = keras.layers.Add(name="add")([x, y, z])
    model = randomized(keras.Model(inputs, outputs))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == kinds(model)


def test_what_is_an_output_stays():
    parts = [KERNELS["conv"](), norm(), scale(), relu()]
    model = net(*parts, outputs=["k", "scale", "relu"])
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == kinds(model)


def test_a_layer_that_is_called_twice_stays():
    inputs = keras.Input(IMAGE)
    conv = layers.CaffeConv2D(4, 3, pad=1, name="k", **LAST)
    outputs = scale("scale2")(conv(scale("scale1")(conv(inputs))))
    model = randomized(keras.Model(inputs, outputs))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == kinds(model)


def test_shared_weights_stay_shared():
    case = "shared_params"
    files = GOLDENS / f"{case}.prototxt", GOLDENS / f"{case}.caffemodel"
    model = kcz.from_caffe(*files)
    twin = kcz.fold(model)
    assert twin.shared_params == model.shared_params != []
    x = [image(model, seed) for seed in (1, 2)]
    assert_predicts_the_same(twin, model, x, tolerance=0)


def test_identities_go():
    inputs = keras.Input(IMAGE, name="data")
    x = keras.layers.Identity(name="split")(inputs)
    a = layers.CaffePool2D("max", 2, name="pool", **LAST)(x)
    a = keras.layers.Activation("linear", name="same")(layers.CaffeDropout(0.5)(a))
    b = layers.CaffePool2D("ave", 2, name="mean", **LAST)(x)
    outputs = keras.layers.Identity(name="sum")(keras.layers.Add()([a, b]))
    model = keras.Model(inputs, outputs)
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model)
    assert kinds(twin) == ["CaffePool2D", "CaffePool2D", "Add", "Identity"]
    assert blob_tensor(twin, "same") is blob_tensor(twin, "pool")


def test_nested_and_sequential_models_are_left_as_they_are():
    inner = net(KERNELS["conv"](), norm(), relu())
    drop = keras.layers.Dropout(0.5)
    outer = keras.Sequential([keras.Input(IMAGE), inner, drop, relu()])
    twin = kcz.fold(outer)
    assert relative_error(twin(image(outer)), outer(image(outer))) == 0
    assert [layer.name for layer in twin.layers[1:]] == [inner.name, "relu"]
    assert len(twin.layers[1].layers) == 4


def test_operations_are_kept():
    inputs = keras.Input(IMAGE)
    x = norm()(KERNELS["conv"]()(inputs))
    outputs = keras.ops.mean(x * 2 + x, axis=(1, 2))
    model = randomized(keras.Model(inputs, outputs))
    twin = kcz.fold(model)
    expected, x = model(image(model)), image(model)
    assert relative_error(twin(x), expected) <= 2e-6
    assert "CaffeBatchNorm" not in kinds(twin)


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(ValueError, match="'new', which is not built"):
        kcz.fold(keras.Sequential([keras.layers.Dense(3)], name="new"))
    for other in (keras.layers.Dense(3, name="one"), "one"):
        with pytest.raises(ValueError, match="functional or sequential.*'one'"):
            kcz.fold(other)


def test_where_nothing_folds_the_layers_have_their_names():
    model = net(KERNELS["conv"](), keras.layers.PReLU(name="prelu"))
    twin = kcz.fold(model)
    assert_predicts_the_same(twin, model, tolerance=0)
    assert blob_tensor(twin, "k") is twin.get_layer("k").output


def test_the_twin_has_weights_of_its_own():
    model = net(KERNELS["groups"](), norm(), layers.CaffeConv2D(2, 1, **LAST))
    twin = kcz.fold(model)
    before = twin(image(model))
    model.set_weights([w + 1 for w in model.get_weights()])
    assert relative_error(twin(image(model)), before) == 0


# Names: what is there has the model's values, what is not is told.


def test_names_of_a_model_of_ones_own():
    model = net(KERNELS["conv"](), norm(), relu(), keras.layers.Dropout(0.5, name="d"))
    model = keras.Model(model.inputs, layers.CaffeAbs(name="end")(model.output))
    twin = kcz.fold(model)
    assert [layer.name for layer in twin.layers] == ["data", "relu", "end"]
    x = image(model)
    expected = kcz.feature_extractor(model, "d")(x)
    for name in ("relu", "d"):
        assert relative_error(kcz.feature_extractor(twin, name)(x), expected) <= 2e-6
    for name in ("k", "bn"):
        with pytest.raises(ValueError, match=f"{name}.*worked into 'relu'"):
            kcz.feature_extractor(twin, name)


@pytest.fixture(scope="module")
def resnet():
    files = (GOLDENS / f"net_resnet_mini.{end}" for end in ("prototxt", "caffemodel"))
    return kcz.from_caffe(*files)


def test_blobs_keep_their_names(resnet):
    twin = kcz.fold(resnet)
    assert twin.caffe_blobs.keys() == resnet.caffe_blobs.keys()
    assert len(twin.layers) <= len(resnet.layers) / 2
    blobs = dict(np.load(GOLDENS / "net_resnet_mini.npz"))
    found = kcz.compare(twin, {k: v for k, v in blobs.items() if "/" in k})
    assert found.first_departure is None
    assert len(found.rows) > 5


def test_the_twin_is_saved_and_copied(resnet, tmp_path):
    twin = kcz.fold(resnet)
    twin.save(tmp_path / "twin.keras")
    loaded = keras.models.load_model(tmp_path / "twin.keras")
    copied = CaffeModel.from_config(twin.get_config())
    copied.set_weights(twin.get_weights())
    for one in (loaded, copied):
        assert one.caffe_blobs == twin.caffe_blobs
        assert one.folded == twin.folded != {}
        assert_predicts_the_same(one, twin, tolerance=0)
    again = kcz.fold(twin)
    assert_predicts_the_same(again, twin, tolerance=0)
    assert again.folded == twin.folded


def test_the_twin_is_written_for_caffe(resnet, tmp_path):
    twin = kcz.fold(resnet)
    files = tmp_path / "twin.prototxt", tmp_path / "twin.caffemodel"
    kcz.to_caffe(twin, *files)
    back = kcz.from_caffe(*files)
    assert "BatchNorm" not in files[0].read_text()
    expected = twin(image(twin))
    assert relative_error(back(image(twin)), expected) <= 1e-6
    assert set(back.caffe_blobs) == set(twin.caffe_blobs)


def test_the_twin_is_cast_to_a_map(resnet):
    dense = kcz.to_fully_convolutional(kcz.fold(resnet))
    assert_predicts_the_same(dense, kcz.to_fully_convolutional(resnet))


CASES = [
    case
    for case in golden_names("act_", "batchnorm", "bias", "net_", "scale", "silence")
    if (GOLDENS / f"{case}.prototxt").exists()
]


def assert_folds(model, data):
    """Hold a twin's outputs, and each blob that it still has, to the model's."""
    twin = kcz.fold(model)
    names = [k for k, (name, _) in twin.caffe_blobs.items() if name]
    read = [
        keras.Model(m.inputs, {n: blob_tensor(m, n) for n in names})
        for m in (twin, model)
    ]
    found, expected = (m(data, training=False) for m in read)
    for name in names:
        assert relative_error(found[name], expected[name]) <= 1e-5, name
    missing = model.caffe_blobs.keys() - twin.caffe_blobs.keys()
    for name in missing:
        with pytest.raises(ValueError, match="worked into"):
            blob_tensor(twin, name)


@pytest.mark.parametrize("case", every(4, CASES))
def test_goldens(case):
    weights = GOLDENS / f"{case}.caffemodel"
    prototxt = GOLDENS / f"{case}.prototxt"
    model = kcz.from_caffe(prototxt, weights if weights.exists() else None)
    rng = np.random.default_rng(0)
    sizes = [[n or 2 for n in x.shape] for x in model.inputs]
    assert_folds(model, [rng.normal(size=n).astype("float32") for n in sizes])


OF_FORKS = [case for case in FORK_CASES if case.startswith(("bn_", "net_"))]


@pytest.mark.parametrize("case", every(4, OF_FORKS))
def test_goldens_of_the_forks(case):
    assert (FORKS / f"{case}.npz").exists()
    model = fork_imported(case)
    assert_folds(model, data_of(model, under(fork_golden(case), "blob/")))


@pytest.mark.slow
def test_resnet_152_with_statistics_as_of_training():
    model = kcz.resnet152(weights=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith(("bn", "scale")):
            arrays = [rng.normal(0.4, 0.2, w.shape) for w in layer.weights]
            if layer.name.startswith("bn"):
                count = 999.98
                arrays[1] = np.exp(rng.normal(-1, 1, arrays[1].shape)) * count
                arrays[0], arrays[2] = arrays[0] * count, np.array([count])
            layer.set_weights(arrays)
    twin = kcz.fold(model)
    x = rng.normal(0, 60, (2, 224, 224, 3)).astype("float32")
    read = [kcz.feature_extractor(m, ["res5c", "fc1000"]) for m in (model, twin)]
    expected, found = (m(x, training=False) for m in read)
    for name, value in expected.items():
        assert relative_error(found[name], value) <= 1e-5


def test_kernels_of_bfloat16_are_kept_in_it():
    model = kcz.squeezenet_v1_1(weights=None, dtype="mixed_bfloat16")
    twin = kcz.fold(model)
    assert twin.get_layer("fire2>expand3x3").kernel.dtype == "bfloat16"
    assert model.get_layer("fire2>expand3x3").kernel.dtype == "float32"
    x = np.random.default_rng(0).random((1, 227, 227, 3), "float32") * 100
    y, expected = twin.predict(x, verbose=0), model.predict(x, verbose=0)
    assert y.dtype == "float32"
    assert relative_error(y, expected) <= 1e-5
