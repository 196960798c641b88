"""What the files of HED and of the colorization net have of their own."""

import keras
import numpy as np
import pytest
from definition import formula_params
from other_nets import define

from keras_caffe_zoo import caffe_params, models
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel

pytestmark = pytest.mark.slow
WRITTEN_DOWN = ("conv8_313_rh", "class8_ab")


def saved(tmp_path, prototxt, params):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, params, parse_prototxt(prototxt))
    return path


def test_a_file_named_as_hed_is_published_fits(tmp_path):
    definition = define("hed")
    text = definition.prototxt
    for n, offset in enumerate((34, 35, 36, 38, 42), 1):
        text = text.replace(f'name: "upscore-dsn{n}"', 'name: "crop"')
        text = text.replace(f" crop_param {{ axis: 2 offset: {offset} }}", "")
    assert text.count('name: "crop"') == 5 and "crop_param" not in text
    params = formula_params(definition)
    net = models.hed(weights=saved(tmp_path, text, params), input_shape=(8, 8, 3))
    found = caffe_params(net)["upsample_16"]
    np.testing.assert_array_equal(found[0], params["upsample_16"][0])


def test_hed_finds_an_edge_where_it_is():
    # Nets whose sides see the image's brightness and nothing else.
    net = models.hed(weights=None, input_shape=(40, 56, 3))
    for layer in net.layers:
        if layer.name.startswith(("conv", "score")):
            kernel = np.zeros(layer.kernel.shape, "float32")
            middle = kernel.shape[0] // 2
            kernel[middle, middle, 0, 0] = 1
            layer.kernel.assign(kernel)
    image = np.zeros((1, 40, 56, 3), "float32")
    image[0, 16:32, 16:48] = 40  # on the grid of the coarsest scale but one
    found = net(image)
    for number in (1, 2, 3, 4):
        side = keras.ops.convert_to_numpy(found[f"sigmoid-dsn{number}"])[0, :, :, 0]
        rows, columns = np.nonzero(side > 0.5)
        reach = 2 ** (number - 1)  # a bilinear window's half
        assert abs((rows.min() + rows.max()) / 2 - 23.5) <= reach / 2, number
        assert abs((columns.min() + columns.max()) / 2 - 31.5) <= reach / 2, number


@pytest.mark.parametrize("given", ["nothing", "zeros", "others"])
def test_colours_that_nobody_trained_are_there_unless_a_file_has_others(
    given, tmp_path
):
    definition = define("colorization")
    params = formula_params(definition)
    if given == "nothing":
        text = "\n".join(
            line
            for line in definition.lines
            if not any(f'name: "{name}"' in line for name in WRITTEN_DOWN)
        )
        params = {k: v for k, v in params.items() if k not in WRITTEN_DOWN}
        text = text.replace('bottom: "conv8_313_rh"', 'bottom: "conv8_313"')
    else:
        text = definition.prototxt
    if given == "zeros":
        params["class8_ab"] = [np.zeros_like(x) for x in params["class8_ab"]]
    net = models.colorization(weights=saved(tmp_path, text, params))
    found = caffe_params(net)
    kernel, bias = found["class8_ab"]
    if given == "others":
        np.testing.assert_array_equal(kernel, params["class8_ab"][0])
        return
    # As samples/dnn/colorization.cpp of OpenCV lists them.
    assert kernel.shape == (2, 313, 1, 1) and not bias.any()
    colours = kernel[:, :, 0, 0].T.tolist()
    assert len({tuple(colour) for colour in colours}) == 313
    assert colours == sorted(colours)
    assert colours[:6] == [[-90, b] for b in (50, 60, 70, 80, 90)] + [[-80, 20]]
    assert colours[-10:] == [[100, b] for b in range(-90, 10, 10)]
    if given == "nothing":
        np.testing.assert_array_equal(found["conv8_313_rh"][0], np.float32(2.606))
