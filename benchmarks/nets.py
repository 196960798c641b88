"""Nets of real structure with random weights, which every engine is fed."""

import tempfile
from pathlib import Path

import detectors
import numpy as np

from keras_caffe_zoo.caffe import Net, parse_prototxt

MODELS = {  # the size of their images
    "caffenet": 227,
    "vgg_cnn_s": 224,
    "googlenet": 224,
    "resnet50": 224,
    "squeezenet_v1_1": 227,
    "mobilenet_v1": 224,
    "mobilenet_ssd": detectors.SIZE,
}

SIZES = {"caffenet": 227, "vgg_cnn_s": 224}
MAP_SIZE = 451
# conv: name, outputs, kernel, stride, pad, groups (ReLU after it); pool: name, kernel,
# stride; lrn: name, alpha, k
_LAYERS = {
    "caffenet": [
        ("conv", "conv1", 96, 11, 4, 0, 1),
        ("pool", "pool1", 3, 2),
        ("lrn", "norm1", 1e-4, 1),
        ("conv", "conv2", 256, 5, 1, 2, 2),
        ("pool", "pool2", 3, 2),
        ("lrn", "norm2", 1e-4, 1),
        ("conv", "conv3", 384, 3, 1, 1, 1),
        ("conv", "conv4", 384, 3, 1, 1, 2),
        ("conv", "conv5", 256, 3, 1, 1, 2),
        ("pool", "pool5", 3, 2),
    ],
    "vgg_cnn_s": [
        ("conv", "conv1", 96, 7, 2, 0, 1),
        ("lrn", "norm1", 5e-4, 2),
        ("pool", "pool1", 3, 3),
        ("conv", "conv2", 256, 5, 1, 0, 1),
        ("pool", "pool2", 2, 2),
        ("conv", "conv3", 512, 3, 1, 1, 1),
        ("conv", "conv4", 512, 3, 1, 1, 1),
        ("conv", "conv5", 512, 3, 1, 1, 1),
        ("pool", "pool5", 3, 3),
    ],
}
_HEAD = (("fc6", 4096), ("fc7", 4096), ("fc8", 1000))


def _layer(kind, name, bottom, top, params=""):
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" '
        f"{params} }}\n"
    )


def _one(layer, bottom):
    kind, name, *numbers = layer
    if kind == "conv":
        outputs, kernel, stride, pad, groups = numbers
        params = (
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} "
            f"stride: {stride} pad: {pad} group: {groups} }}"
        )
        made = _layer("Convolution", name, bottom, name, params)
        return made + _layer("ReLU", f"{name}_relu", name, name)
    if kind == "pool":
        kernel, stride = numbers
        params = f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} }}"
        return _layer("Pooling", name, bottom, name, params)
    alpha, k = numbers
    params = f"lrn_param {{ local_size: 5 alpha: {alpha} beta: 0.75 k: {k} }}"
    return _layer("LRN", name, bottom, name, params)


def prototxt(name: str) -> str:
    """Return a net's deploy prototxt."""
    size = SIZES[name]
    shape = f"dim: 1 dim: 3 dim: {size} dim: {size}"
    text = f'name: "{name}"\nlayer {{ name: "data" type: "Input" top: "data" '
    text += f"input_param {{ shape {{ {shape} }} }} }}\n"
    bottom = "data"
    for layer in _LAYERS[name]:
        text += _one(layer, bottom)
        bottom = layer[1]
    for fc, outputs in _HEAD:
        params = f"inner_product_param {{ num_output: {outputs} }}"
        text += _layer("InnerProduct", fc, bottom, fc, params)
        if fc != "fc8":
            text += _layer("ReLU", f"{fc}_relu", fc, fc)
        bottom = fc
    return text + _layer("Softmax", "prob", "fc8", "prob")


def net(name: str) -> Net:
    """Return a net's structure."""
    return parse_prototxt(prototxt(name))


def random_params(name: str) -> dict[str, list[np.ndarray]]:
    """Return random arrays in Caffe's layout, scaled so that no layer dies."""
    rng, channels, params = np.random.default_rng(0), 3, {}
    for kind, layer, *numbers in _LAYERS[name]:
        if kind == "conv":
            outputs, kernel, _, _, groups = numbers
            shape = (outputs, channels // groups, kernel, kernel)
            params[layer], channels = _random(rng, shape), outputs
    inputs = channels * 6 * 6
    for layer, outputs in _HEAD:
        params[layer], inputs = _random(rng, (outputs, inputs)), outputs
    params["fc8"][0] *= 0.05  # else softmax would hide all classes but one
    return params


def _random(rng, shape):
    weight = rng.random(shape, "float32")
    weight -= 0.5
    weight *= np.sqrt(24 / np.prod(shape[1:]))
    return [weight, (rng.random(shape[0], "float32") - 0.5) * 0.2]


def images(count: int, size: int) -> np.ndarray:
    """Return random images (N, H, W, 3), BGR with the mean subtracted."""
    rng = np.random.default_rng(1)
    return (rng.random((count, size, size, 3), "float32") - 0.5) * 240


def model(name: str, **options):
    """Return a net with random weights as a Keras model.

    A detector ends with what its last layer reads: `detection.py` times that layer.

    Args:
        name: One of `MODELS`.
        **options: What builders and `from_caffe` take.
    """
    import keras

    import keras_caffe_zoo as kcz

    if name in ("mobilenet_v1", "mobilenet_ssd"):
        v1 = name == "mobilenet_v1"
        text = detectors.mobilenet_v1() if v1 else detectors.prototxt(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.prototxt")
            path.write_text(text)
            found = kcz.from_caffe(path, **options)
        if name == "mobilenet_ssd":
            loc, conf, _ = found.layers[-1].input
            found = keras.Model(found.inputs, [loc, conf])
    else:
        found = getattr(kcz, name)(weights=None, **options)
    _liven(found)
    return found


def _liven(model) -> None:
    """Give a model random weights with which no layer dies, the same each time."""
    import keras

    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            shape, kind = tuple(weight.shape), weight.name
            if kind == "weight_sum":
                array = np.ones(shape)
            elif kind in ("bias", "mean_sum"):
                array = (rng.random(shape) - 0.5) * 0.2
            elif len(shape) == 1:  # a variance or a factor
                array = rng.random(shape) + 0.5
            else:
                array = (rng.random(shape) - 0.5) * np.sqrt(24 / np.prod(shape[:-1]))
            weight.assign(array.astype("float32"))
    if isinstance(model.layers[-1], keras.layers.Softmax):
        # Else it would hide all classes but one.
        before = keras.Model(model.input, model.layers[-1].input)
        largest = np.abs(before.predict_on_batch(images(1, model.input_shape[1] or 96)))
        for weight in [x for x in model.layers if x.weights][-1].weights:
            weight.assign(weight * (5 / largest.max()))
