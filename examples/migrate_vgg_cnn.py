"""Migrate VGG-CNN-S from Caffe to Keras: dump, rebuild, load, predict.

    pip install "keras_caffe_zoo[test]"    # scikit-learn's pictures
    python examples/migrate_vgg_cnn.py [VGG_CNN_S.caffemodel]

Without a file it makes one: the same net at an eighth of the width, with random
weights, so nothing is downloaded. In the end it prints what goes wrong on the way that
"Migrating VGG-CNN from Caffe to Keras" took (a blog post of January 2017, which many
followed), and by how much each step is off. Its author ran Keras 1 on Theano, where two
of the steps were right.
"""

import argparse
import gc
import tempfile
from pathlib import Path
from string import Template

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_sample_image

import keras_caffe_zoo as kcz
from keras_caffe_zoo.preprocessing import resize, ten_crops
from keras_caffe_zoo.weights import load_weights

MEAN = (103.939, 116.779, 123.68)  # BGR, of the pictures that VGG's nets learned from
WIDTHS = {"conv1": 96, "conv2": 256, "conv3": 512, "conv4": 512, "conv5": 512}
WIDTHS |= {"fc6": 4096, "fc7": 4096, "fc8": 1000}

PROTOTXT = Template("""
name: "VGG_CNN_S"
input: "data"
input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: $conv1 kernel_size: 7 stride: 2 }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0005 beta: 0.75 k: 2 }
}
layer {
  name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 3 }
}
layer {
  name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: $conv2 kernel_size: 5 }
}
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer {
  name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "conv3" type: "Convolution" bottom: "pool2" top: "conv3"
  convolution_param { num_output: $conv3 pad: 1 kernel_size: 3 }
}
layer { name: "relu3" type: "ReLU" bottom: "conv3" top: "conv3" }
layer {
  name: "conv4" type: "Convolution" bottom: "conv3" top: "conv4"
  convolution_param { num_output: $conv4 pad: 1 kernel_size: 3 }
}
layer { name: "relu4" type: "ReLU" bottom: "conv4" top: "conv4" }
layer {
  name: "conv5" type: "Convolution" bottom: "conv4" top: "conv5"
  convolution_param { num_output: $conv5 pad: 1 kernel_size: 3 }
}
layer { name: "relu5" type: "ReLU" bottom: "conv5" top: "conv5" }
layer {
  name: "pool5" type: "Pooling" bottom: "conv5" top: "pool5"
  pooling_param { pool: MAX kernel_size: 3 stride: 3 }
}
layer {
  name: "fc6" type: "InnerProduct" bottom: "pool5" top: "fc6"
  inner_product_param { num_output: $fc6 }
}
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer {
  name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7"
  inner_product_param { num_output: $fc7 }
}
layer { name: "relu7" type: "ReLU" bottom: "fc7" top: "fc7" }
layer {
  name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8"
  inner_product_param { num_output: $fc8 }
}
""")

LRN = "LRN over 2 x 2 pixels and all channels, not over 5 channels"
PADDING = "conv3-5 padded by 2 at the end, not by 1 on each side"
CLIP = "input clipped to 0-255 after the mean was subtracted"
ROTATION = "kernels rotated, which Theano needed, on TensorFlow"
FLATTEN = "fc6 in C, H, W order after a Flatten in H, W, C, on TensorFlow"
MISTAKES = (LRN, PADDING, CLIP, ROTATION, FLATTEN)


def write_prototxt(folder: Path, widths: dict[str, int]) -> Path:
    """Write the net's definition, as wide as it is to be."""
    path = folder / "deploy.prototxt"
    path.write_text(PROTOTXT.substitute(widths))
    return path


def little_net(folder: Path, part: int) -> Path:
    """Write the Caffe files of a net of a part of the width, with random weights."""
    widths = {name: width // part for name, width in WIDTHS.items()}
    prototxt = write_prototxt(folder, {**widths, "fc8": WIDTHS["fc8"]})
    rng = np.random.default_rng(0)
    params = {}
    for name, (weight, bias) in kcz.caffe_params(kcz.from_caffe(prototxt)).items():
        scale = np.sqrt(2 / np.prod(weight.shape[1:]))  # keeps the size of the values
        arrays = rng.normal(0, scale, weight.shape), rng.uniform(-0.1, 0.1, bias.shape)
        params[name] = [array.astype("float32") for array in arrays]
    path = folder / "little.caffemodel"
    kcz.write_caffemodel(path, params, net=prototxt)
    return path


def rebuild(width: dict[str, int]) -> keras.Model:
    """Return the net as a list of Keras layers, still without its weights."""
    x = inputs = keras.Input((224, 224, 3), name="data")
    x = kcz.CaffeConv2D(width["conv1"], 7, 2, activation="relu", name="conv1")(x)
    x = kcz.CaffeLRN(5, alpha=5e-4, beta=0.75, k=2, name="norm1")(x)
    x = kcz.CaffePool2D("max", 3, 3, name="pool1")(x)  # 109 -> 37, rounded up
    x = kcz.CaffeConv2D(width["conv2"], 5, activation="relu", name="conv2")(x)
    x = kcz.CaffePool2D("max", 2, 2, name="pool2")(x)
    for name in ("conv3", "conv4", "conv5"):
        x = kcz.CaffeConv2D(width[name], 3, pad=1, activation="relu", name=name)(x)
    x = kcz.CaffePool2D("max", 3, 3, name="pool5")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(width["fc6"], activation="relu", name="fc6")(x)
    x = layers.Dense(width["fc7"], activation="relu", name="fc7")(x)
    return keras.Model(inputs, layers.Dense(width["fc8"], name="fc8")(x), name="vgg")


def plain_net(params: dict, mistakes=()) -> keras.Model:
    """Return the net in Keras' own layers, weights turned by hand, as the post did.

    Without mistakes it is right, though only after a ReLU may zeros pad a pooling.
    """
    after = ((0, 2), (0, 2))
    padding = after if PADDING in mistakes else 1

    def conv(x, name, strides=1):
        weight, bias = params[name]
        if ROTATION in mistakes:
            weight = weight[:, :, ::-1, ::-1]
        kernel = weight.transpose(2, 3, 1, 0)
        layer = layers.Conv2D(len(bias), kernel.shape[:2], strides, activation="relu")
        return _with(layer, x, kernel, bias)

    def dense(x, name, activation="relu"):
        weight, bias = params[name]
        return _with(layers.Dense(len(bias), activation), x, weight.T, bias)

    x = inputs = keras.Input((224, 224, 3))
    x = conv(x, "conv1", strides=2)
    x = _lrn_of_the_post(x) if LRN in mistakes else _lrn(x)
    x = layers.MaxPooling2D(3, 3)(layers.ZeroPadding2D(after)(x))
    x = conv(x, "conv2")
    x = layers.MaxPooling2D(2, 2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    for name in ("conv3", "conv4", "conv5"):
        x = conv(layers.ZeroPadding2D(padding)(x), name)
    x = layers.MaxPooling2D(3, 3)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    if FLATTEN not in mistakes:
        x = layers.Permute((3, 1, 2))(x)
    x = dense(dense(layers.Flatten()(x), "fc6"), "fc7")
    return keras.Model(inputs, dense(x, "fc8", None))


def _with(layer, x, kernel, bias):
    """Apply a layer and give it its weights."""
    x = layer(x)
    layer.set_weights([kernel, bias])
    return x


def _lrn(x, alpha=5e-4, beta=0.75, k=2.0):
    channels = x.shape[-1]
    squares = ops.pad(ops.square(x), [(0, 0)] * 3 + [(2, 2)])
    total = sum(squares[..., i : i + channels] for i in range(5))
    return x / ops.power(k + alpha / 5 * total, beta)


def _lrn_of_the_post(x, alpha=5e-4, beta=0.75, k=2.0):
    means = layers.AveragePooling2D(2, 1, padding="same")(ops.square(x))
    total = ops.sum(means, axis=-1, keepdims=True)
    return x / ops.power(k + alpha / 5 * total, beta)


def photos() -> np.ndarray:
    """Return ten crops of each of scikit-learn's two photographs, for the net."""
    pictures = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    crops = [ten_crops(resize(picture, (256, 384)), (224, 224)) for picture in pictures]
    return kcz.preprocess_input(np.concatenate(crops), "vgg_cnn_s", mean=MEAN)


def clipped(x: np.ndarray) -> np.ndarray:
    """Return inputs as unsigned bytes: half of them become zero."""
    return np.clip(x, 0, 255).astype("uint8").astype("float32")


def effects(params: dict, x: np.ndarray, fc8: np.ndarray) -> dict:
    """Measure what each mistake does to fc8.

    Returns:
        By mistake, the largest difference as a fraction of the largest value, and how
        many of the inputs get another likeliest class.
    """
    cases = {"none": (), **{m: (m,) for m in MISTAKES}, "all of them": MISTAKES}
    found = {}
    for name, mistakes in cases.items():
        inputs = clipped(x) if CLIP in mistakes else x
        y = plain_net(params, mistakes).predict(inputs, verbose=0)
        changed = int((y.argmax(-1) != fc8.argmax(-1)).sum())
        found[name] = (difference(y, fc8), changed)
        gc.collect()  # the last net, 400 MB at full width
    return found


def difference(found, expected) -> float:
    """Return the largest difference, as a fraction of the largest value expected."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def run(folder: Path, caffemodel: Path | None = None, part: int = 8) -> dict:
    """Migrate the net and measure.

    Args:
        folder: Where to write files.
        caffemodel: The net; a little one of random weights if None.
        part: By how much that is narrower than VGG-CNN-S.

    Returns:
        `"rebuilt"`, the difference between the net that was rebuilt and the one that
        is read from the Caffe files, and `"effects"`.
    """
    caffemodel = caffemodel or little_net(folder, part)
    print(f"1. Dump {caffemodel.name} to HDF5")
    dumped = kcz.dump_caffe_weights(caffemodel, folder / "vgg.h5", progress=False)
    widths = {n: blobs[-1].size for n, blobs in kcz.read_caffemodel(caffemodel).items()}
    print(f"   {dumped.stat().st_size / 1e6:.1f} MB; outputs of the layers: {widths}")

    print("2. Rebuild the net in Keras, load the weights, predict")
    model = rebuild(widths)
    load_weights(model, dumped)
    x = photos()
    fc8 = model.predict(x, verbose=0)
    print(f"   likeliest classes of {len(x)} crops of two photographs:")
    print(f"   {' '.join(map(str, fc8.argmax(-1)))}")
    direct = kcz.from_caffe(write_prototxt(folder, widths), caffemodel)
    rebuilt = difference(fc8, direct.predict(x, verbose=0))
    print(f"   from_caffe, which does all of this, differs by {rebuilt:.1e}")
    assert rebuilt <= 1e-5

    print("3. What goes wrong by hand, and what it does to fc8\n")
    found = effects(kcz.caffe_params(direct), x, fc8)
    print(f"   {'mistake':64}{'difference':>12}{'other top-1':>14}")
    for name, (error, changed) in found.items():
        print(f"   {name:64}{error:12.1e}{changed:8} of {len(x)}")
    assert found["none"][0] <= 1e-5 < 1e-3 < min(found[m][0] for m in MISTAKES)
    return {"rebuilt": rebuilt, "effects": found}


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("caffemodel", type=Path, nargs="?", help="VGG_CNN_S.caffemodel")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), arguments.caffemodel)


if __name__ == "__main__":
    main()
