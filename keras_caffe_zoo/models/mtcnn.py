"""MTCNN: three nets that find faces together, each more closely than the last."""

from keras_caffe_zoo.models._blocks import (
    conv,
    dropout,
    inner_product,
    max_pool,
    prelu,
    softmax,
)
from keras_caffe_zoo.models._builder import builder


@builder(smallest=12)
def mtcnn_p(design):
    """Build MTCNN's P-Net (`det1`), which proposes faces of 12 pixels.

    Its outputs are maps of an image of any size, with a stride of 2: `prob1`, the
    chances of no face and of a face, and `conv4-2`, by how much the window's corners
    are to be moved, in widths and heights of the window. `find_faces` uses the three
    nets together.

    The authors gave it images whose rows are the columns of the picture, in RGB. Caffe
    took PReLU in place, so that its blob `conv1` is the output of the layer `PReLU1`;
    `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.mtcnn_p(weights=None)
        >>> y = model.predict(np.zeros((1, 12, 24, 3)), verbose=0)  # seven windows
        >>> y["prob1"].shape, y["conv4-2"].shape
        ((1, 1, 7, 2), (1, 1, 7, 4))
    """
    x = _active(design, design.image(), 10, 3, "conv1", "PReLU1")
    x = max_pool(x, 2, 2, "pool1")
    x = _active(design, x, 16, 3, "conv2", "PReLU2")
    x = _active(design, x, 32, 3, "conv3", "PReLU3")
    scores = conv(x, 2, 1, "conv4-1", activation=None)
    offsets = conv(x, 4, 1, "conv4-2", activation=None)
    return {"prob1": softmax(scores, "prob1"), "conv4-2": offsets}


@builder(smallest=None)
def mtcnn_r(design):
    """Build MTCNN's R-Net (`det2`), which looks again at what P-Net proposes.

    Its outputs for a window of 24 x 24 pixels: `prob1`, the chances of no face and of a
    face, and `conv5-2`, by how much the window's corners are to be moved. `find_faces`
    uses the three nets together.

    The authors gave it images whose rows are the columns of the picture, in RGB. Caffe
    took PReLU in place, so that its blob `conv1` is the output of the layer `prelu1`;
    `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.mtcnn_r(weights=None)
        >>> y = model.predict(np.zeros((5, 24, 24, 3)), verbose=0)  # five windows
        >>> y["prob1"].shape, y["conv5-2"].shape
        ((5, 2), (5, 4))
    """
    x = _active(design, design.image(), 28, 3, "conv1", "prelu1")
    x = max_pool(x, 3, 2, "pool1")
    x = _active(design, x, 48, 3, "conv2", "prelu2")
    x = max_pool(x, 3, 2, "pool2")
    x = _active(design, x, 64, 2, "conv3", "prelu3")
    x = design.wrote("conv4", prelu(inner_product(x, 128, "conv4"), "prelu4"))
    scores, offsets = inner_product(x, 2, "conv5-1"), inner_product(x, 4, "conv5-2")
    return {"prob1": softmax(scores, "prob1"), "conv5-2": offsets}


@builder(smallest=None)
def mtcnn_o(design):
    """Build MTCNN's O-Net (`det3`), which decides, and finds eyes, nose and mouth.

    Its outputs for a window of 48 x 48 pixels: `prob1`, the chances of no face and of a
    face; `conv6-2`, by how much the window's corners are to be moved; and `conv6-3`,
    where five points are. `find_faces` uses the three nets together.

    The authors gave it images whose rows are the columns of the picture, in RGB. Caffe
    took PReLU in place, so that its blob `conv1` is the output of the layer `prelu1`;
    `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.mtcnn_o(weights=None)
        >>> y = model.predict(np.zeros((5, 48, 48, 3)), verbose=0)  # five windows
        >>> y["prob1"].shape, y["conv6-2"].shape, y["conv6-3"].shape
        ((5, 2), (5, 4), (5, 10))
    """
    x = _active(design, design.image(), 32, 3, "conv1", "prelu1")
    x = max_pool(x, 3, 2, "pool1")
    x = _active(design, x, 64, 3, "conv2", "prelu2")
    x = max_pool(x, 3, 2, "pool2")
    x = _active(design, x, 64, 3, "conv3", "prelu3")
    x = max_pool(x, 2, 2, "pool3")
    x = _active(design, x, 128, 2, "conv4", "prelu4")
    x = dropout(inner_product(x, 256, "conv5"), "drop5", 0.25)
    x = design.wrote("conv5", prelu(x, "prelu5"))
    scores = inner_product(x, 2, "conv6-1")
    return {
        "prob1": softmax(scores, "prob1"),
        "conv6-2": inner_product(x, 4, "conv6-2"),
        "conv6-3": inner_product(x, 10, "conv6-3"),
    }


def _active(design, x, filters, kernel_size, name, active):
    x = conv(x, filters, kernel_size, name, activation=None)
    return design.wrote(name, prelu(x, active))
