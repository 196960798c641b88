"""The first iterations of a shipped solver, here and by the reference."""

import keras
import numpy as np
import numpy_caffe

from keras_caffe_zoo import caffe_params, set_caffe_params
from keras_caffe_zoo.training import from_solver


def example_batches(shipped, count, items, seed=0):
    """Return batches as Caffe's data layers give them: (images, labels), NCHW.

    Pictures are made of a few waves, which depend on their class, and of noise, in the
    range that the example's transform leaves pixels in.
    """
    rng = np.random.default_rng(seed)
    channels, *sides = shipped.seen
    found = []
    for _ in range(count):
        labels = rng.integers(0, shipped.classes, items)
        shape = (items, channels, *sides)
        images = rng.standard_normal(shape) * 0.3
        if sides:
            y, x = np.indices(sides) / np.array(sides)[:, None, None]
            slope = labels[:, None, None, None] + np.arange(channels)[:, None, None]
            images = images + np.sin(2 * np.pi * (x * (1 + slope) + y))
        else:
            images[:, 0] += 2 * labels - 1
        found.append((_in_range(shipped, images).astype("float32"), labels))
    return found


def _in_range(shipped, images):
    if "cifar" in shipped.path:  # 0 to 255 less the mean
        return images * 40
    if "mnist" in shipped.path:  # 0 to 255 times the scale; most of a digit is black
        return np.clip(images * 0.6 - 0.2, 0, 1)
    return images * 40 if images.ndim == 4 else images


def awake(params, shipped, seed=0):
    """Return parameters of the same shapes, so large that every layer learns at once.

    Caffe's own, of a standard deviation of 0.0001, sleep through the first hundreds of
    iterations: nothing that is computed then would tell much.
    """
    rng = np.random.default_rng(seed)
    found, size = {}, 1 / 40 if "cifar" in shipped.path else 1.0  # of pixels
    for name, blobs in params.items():
        weights, *others = blobs
        if weights.ndim > 1:
            spread = size * np.sqrt(2 / weights[0].size)
            weights = rng.standard_normal(weights.shape) * spread
            others = [rng.standard_normal(one.shape) * 0.05 for one in others]
            size = 1.0
        found[name] = [np.asarray(one, "float32") for one in (weights, *others)]
    return found


def moved(params, by=1e-7, seed=1):
    """Return parameters that differ from others by a tiny share of their own size."""
    rng = np.random.default_rng(seed)
    return {
        name: [blob * (1 + by * rng.standard_normal(blob.shape)) for blob in blobs]
        for name, blobs in params.items()
    }


def without_dropout(model):
    """Switch dropout off: no two programs draw the same masks."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def difference(ours, theirs):
    """Return the largest relative difference of two nets' parameters."""
    found = 0.0
    for name, blobs in ours.items():
        for a, b in zip(blobs, theirs[name], strict=True):
            b = np.asarray(b, "float64").reshape(np.shape(a))
            found = max(found, float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)))
    return found


class Pair:
    """The model of a shipped solver, and the reference, at the same parameters.

    A third, the twin, is the reference again with its parameters moved by 1e-7: how far
    it drifts is how far the numbers of this net mean anything.

    Args:
        shipped: The solver.
        folder: Where its files are written.
        own_start: Whether to start from what the fillers made; else from larger ones.
        twin: Whether there is one; without it, its numbers are 0.
    """

    def __init__(self, shipped, folder, own_start=True, twin=True):
        self.shipped = shipped
        shape = shipped.seen
        channels_last = (*shape[1:], shape[0]) if len(shape) > 1 else shape
        self.training = from_solver(shipped.write(folder), input_shape=channels_last)
        self.model = self.training.model
        without_dropout(self.model)
        params = caffe_params(self.model)
        if not own_start:
            params = awake(params, shipped)
            set_caffe_params(self.model, params)
        self.start = params
        self.reference = self.solver(params)
        self.twin = self.solver(moved(params)) if twin else self.reference

    def solver(self, params, dtype="float64"):
        """Return a reference that starts from some parameters."""
        network = numpy_caffe.Network(self.training.net, params, dtype, False)
        return numpy_caffe.Solver(self.training.solver, network)

    def step(self, images, labels, *others):
        """Do one iteration of each; return the losses of all three, and of others."""
        x = np.moveaxis(images, 1, -1) if images.ndim == 4 else images
        layers = self.training.net.layers
        source = next(one for one in layers if one.type in numpy_caffe.DATA)
        tops = dict(zip(source.tops, (images, labels), strict=False))
        ours = self.model.train_on_batch(*(x, labels)[: len(source.tops)])
        ours, theirs = float(np.ravel(ours)[0]), self.reference.step(tops)
        twins = theirs if self.twin is self.reference else self.twin.step(tops)
        return ours, theirs, twins, *(other.step(tops) for other in others)

    def errors(self, *others):
        """Return how far the model's parameters, the twin's, and others', are off."""
        ours = caffe_params(self.model)
        theirs, *found = (
            {name: one.network.of(name) for name in ours}
            for one in (self.reference, self.twin, *others)
        )
        return tuple(difference(one, theirs) for one in (ours, *found))
