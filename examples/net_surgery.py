"""Net surgery: edit a net's parameters by hand, as Caffe's notebook of that name did.

    pip install "keras_caffe_zoo[test]"    # SciPy and scikit-learn's pictures
    python examples/net_surgery.py --output surgery

Designer filters, a raised bias, parameters moved between inner products and
convolutions, and a classifier that becomes a map over a whole page. Everything here
ships with the package or with scikit-learn; each claim is an `assert`.
"""

# %% [markdown]
# ## What is needed
#
# Parameters are edited in Caffe's own layout: `caffe_params(model)` is what
# `net.params` was in pycaffe, and `set_caffe_params` puts arrays back.

# %%
import argparse
import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from keras_caffe_zoo import (
    caffe_params,
    demo,
    feature_extractor,
    from_caffe,
    predict_dense,
    set_caffe_params,
    to_fully_convolutional,
)
from keras_caffe_zoo.plots import (
    heatmap,
    show_activations,
    show_digits,
    show_filters,
)

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--output", type=Path, default=Path("surgery"), help="folder")
# In Jupyter the arguments are the kernel's, not ours.
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
OUTPUT = arguments.output
OUTPUT.mkdir(parents=True, exist_ok=True)


def picture(name):
    """Return a picture that was drawn; Jupyter shows it."""
    return Image.open(OUTPUT / name).quantize(128)  # for a smaller notebook


def difference(found, expected):
    """Return the largest difference, as a fraction of the largest value expected."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# %% [markdown]
# ## Designer filters
#
# A net of one convolution, with three filters of 5 x 5 pixels, written as Caffe wrote
# nets. Its weights are random at first.

# %%
CONV = """
name: "convolution"
input: "data"
input_shape { dim: 1 dim: 1 dim: 427 dim: 640 }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {
    num_output: 3 kernel_size: 5
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
"""
keras.utils.set_random_seed(0)
(OUTPUT / "conv.prototxt").write_text(CONV)
net = from_caffe(OUTPUT / "conv.prototxt")
photo = load_sample_image("china.jpg").mean(-1).astype("float32") / 255  # grey, 0 to 1
batch = photo[None, :, :, None]
for blob in caffe_params(net)["conv"]:
    print("conv", blob.shape)

# %% [markdown]
# ### Raise a bias
#
# The map shifts by as much as the bias.

# %%
weight, bias = caffe_params(net)["conv"]
before = net.predict(batch, verbose=0)[0]
set_caffe_params(net, {"conv": [weight, bias + [1, 0, 0]]})
after = net.predict(batch, verbose=0)[0]
for name, maps in (("before", before), ("after", after)):
    print(f"{name:6} the mean of the first map is {maps[..., 0].mean():8.5f}")
assert np.allclose(after[..., 0], before[..., 0] + 1, atol=1e-6)
assert np.array_equal(after[..., 1:], before[..., 1:])

# %% [markdown]
# ### A Gaussian blur and the two Sobel filters
#
# Written into the net, they must do what SciPy's functions of these names do. Caffe's
# convolution is a correlation: filters are not turned around.

# %%
down, across = np.mgrid[-2:3, -2:3]
gaussian = np.exp(-(down**2 + across**2) / 2)  # of standard deviation 1
sobel = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
weight = np.zeros((3, 1, 5, 5), "float32")
weight[0, 0] = gaussian / gaussian.sum()
weight[1, 0, 1:-1, 1:-1] = sobel  # edges that lie
weight[2, 0, 1:-1, 1:-1] = sobel.T  # edges that stand
set_caffe_params(net, {"conv": [weight, np.zeros(3)]})

maps = net.predict(batch, verbose=0)[0]
exact = photo.astype("float64")
references = {
    "Gaussian blur": ndimage.gaussian_filter(exact, sigma=1, truncate=2),
    "Sobel, down": ndimage.sobel(exact, axis=0),
    "Sobel, across": ndimage.sobel(exact, axis=1),
}
scipy_differences = {}
for channel, (name, expected) in enumerate(references.items()):
    inside = expected[2:-2, 2:-2]  # SciPy mirrors the border, Caffe leaves it out
    scipy_differences[name] = difference(maps[..., channel], inside)
    print(f"{name:14} differs from SciPy's by {scipy_differences[name]:.1e}")
assert max(scipy_differences.values()) <= 1e-5

# %%
show_filters(net, "conv", share_scale=False, output=OUTPUT / "designer_filters.png")
picture("designer_filters.png")

# %%
show_activations(
    net, batch, "conv", share_scale=False, output=OUTPUT / "designer_maps.png"
)
picture("designer_maps.png")

# %% [markdown]
# ## Look inside a classifier
#
# The demo's net, a small CaffeNet that was trained on handwritten digits: its first
# filters, and what they answer to a digit.

# %%
images, labels = demo.held_out_digits()
windows = demo.windows(images)
classifier = demo.load()
right = (classifier.predict(windows, verbose=0).argmax(-1) == labels).mean()
print(f"{right:.1%} of {len(labels)} digits right")
show_filters(classifier, "conv1", output=OUTPUT / "conv1_filters.png")
picture("conv1_filters.png")

# %%
show_activations(classifier, windows[0], "conv1", output=OUTPUT / "conv1_maps.png")
picture("conv1_maps.png")

# %% [markdown]
# A vector is plotted, with the distribution of its positive values.

# %%
show_activations(classifier, windows[0], "fc4", output=OUTPUT / "fc4_values.png")
picture("fc4_values.png")

# %% [markdown]
# ## From inner products to convolutions
#
# An inner product is a convolution whose filters are as large as its input. So the
# net's definition is edited: `fc4`, which sees 3 x 3 pixels of 48 channels, becomes
# a convolution of 3 x 3, `fc5` one of 1 x 1.

# %%
text = (Path(demo.__file__).parent / "data" / "demo" / "digits.prototxt").read_text()
for name, size, outputs in (("fc4", 3, 64), ("fc5", 1, 11)):
    text = text.replace(f'name: "{name}" type: "InnerProduct"', f'name: "{name}-conv"')
    text = text.replace(
        f"inner_product_param {{ num_output: {outputs} }}",
        'type: "Convolution" '
        f"convolution_param {{ num_output: {outputs} kernel_size: {size} }}",
    )
(OUTPUT / "digits_conv.prototxt").write_text(text)
surgery = from_caffe(OUTPUT / "digits_conv.prototxt", input_shape=(None, None, 1))
params, empty = caffe_params(classifier), caffe_params(surgery)
for name in ("fc4", "fc5"):
    print(f"{name}       {params[name][0].shape}, {params[name][1].shape}")
    twin = empty[f"{name}-conv"]
    print(f"{name}-conv  {twin[0].shape}, {twin[1].shape}")

# %% [markdown]
# Both hold the same numbers in the same order, C, H, W. So they only change shape:
# `set_caffe_params` gives `fc4`'s to `fc4-conv`, and the other way round.

# %%
set_caffe_params(surgery, params)
moved = caffe_params(surgery)
for name in ("fc4", "fc5"):
    assert np.array_equal(moved[f"{name}-conv"][0].ravel(), params[name][0].ravel())

back = from_caffe(Path(demo.__file__).parent / "data" / "demo" / "digits.prototxt")
set_caffe_params(back, moved)
expected = classifier.predict(windows, verbose=0)
returned = difference(back.predict(windows, verbose=0), expected)
print(f"there and back again, the answers differ by {returned:.1e}")
assert returned == 0

# %% [markdown]
# `to_fully_convolutional` does all of this in one call, to any classifier.

# %%
dense = to_fully_convolutional(classifier)
answers = dense.predict(windows, verbose=0)  # 32 x 32 pixels: maps of one cell
by_hand = surgery.predict(windows, verbose=0)
one_cell = difference(answers[:, 0, 0], expected)
print(f"maps of one cell differ from the classifier by {one_cell:.1e}")
print(f"cast by hand and in one call differ by {difference(by_hand, answers):.1e}")
assert one_cell <= 1e-5
assert difference(by_hand, answers) <= 1e-6

# %% [markdown]
# ## A classification map
#
# On a larger image the net answers for every window of 32 x 32 pixels, 8 pixels apart.
# Here is the likeliest class of each, on a page of four digits; `.` is "nothing".

# %%
page, placed = demo.canvas(images[:4], labels[:4], 96, 160, seed=3)
print("placed:", [(label, round(row), round(col)) for label, row, col in placed])
small = dense.predict(page[None], verbose=0)[0]
for row in small.argmax(-1):
    print(" ".join("." if cell == demo.NOTHING else str(cell) for cell in row))

# %% [markdown]
# On a whole page, one pass costs a fraction of what the windows would cost one by one.


# %%
def products(model, example):
    """Return how many multiplications a model's layers take for an example."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    maps = feature_extractor(model, [layer.name for layer in layers])(example)
    cells = [np.prod(maps[layer.name].shape[:-1]) for layer in layers]
    sizes = [np.prod(layer.kernel.shape) for layer in layers]
    return float(np.dot(cells, sizes))


page, placed = demo.canvas(images[:72], labels[:72], 320, 704, seed=4)
probabilities = dense.predict(page[None], verbose=0)[0]
cells = probabilities.shape[0] * probabilities.shape[1]
cost = products(dense, page[None]) / products(classifier, windows[:1])
print(f"{cells} answers for the multiplications of {cost:.0f} windows")
assert cost < cells / 5

# %%
found = demo.find_digits(probabilities)
hits = sum(demo.matches(digit, placed) for digit in found)
print(f"{hits} of {len(placed)} digits found, {len(found) - hits} false")
assert hits == len(found) == len(placed)
show_digits(page, probabilities, found, OUTPUT / "classification_map.png")
picture("classification_map.png")

# %% [markdown]
# And the map of one class, the sevens. `predict_dense`, which takes pages of any size
# tile by tile, knows what each cell looks at; the box is that of the surest.

# %%
sevens = predict_dense(dense, page)
assert np.allclose(sevens, probabilities, atol=1e-5)
paper, names = 255 - page[..., 0], demo.CLASSES
heatmap(paper, sevens, 7, class_names=names, top=3, output=OUTPUT / "sevens.png")
picture("sevens.png")
