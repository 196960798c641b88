"""A solver's test nets."""

import itertools

import keras
import numpy as np

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.params import caffe_params, set_caffe_params
from keras_caffe_zoo.training.losses import loss_of
from keras_caffe_zoo.training.metrics import accuracy_of
from keras_caffe_zoo.training.solver.model import training_model
from keras_caffe_zoo.training.solver.objectives import accuracies, losses


class TestNet:
    """A test net, whose parameters are those of the model that is trained."""

    __test__ = False

    def __init__(self, net: Net, name, iterations, input_shape=None, infogain=None):
        self.name, self.net, self.iterations = name, net, iterations
        self.objectives = losses(net)
        self.weights = {o.name: o.weight for o in self.objectives}
        self.model, _ = training_model(net, None, input_shape)
        self._losses = {o.name: loss_of(o.layer, infogain) for o in self.objectives}
        self._accuracies = accuracies(net)

    def evaluate(self, model, data) -> dict:
        own = caffe_params(self.model)
        params = caffe_params(model)
        set_caffe_params(self.model, {name: params[name] for name in own})
        sums = {}
        for x, y in itertools.islice(data, self.iterations):
            found = self.model.predict_on_batch(x)
            if not isinstance(found, dict):
                found = {self.objectives[0].name: found}
            for o in self.objectives:
                label = y[o.labels[0]] if isinstance(y, dict) else y
                value = self._losses[o.name](label, found[o.name])
                sums[o.name] = sums.get(o.name, 0.0) + float(value)
            for accuracy in self._accuracies:
                metric = accuracy_of(accuracy.layer)
                (blob,) = accuracy.blobs
                of = next(o.name for o in self.objectives if o.blobs[0] == blob)
                label = y[accuracy.labels[0]] if isinstance(y, dict) else y
                metric.update_state(label, found[of])
                sums[accuracy.name] = sums.get(accuracy.name, 0.0) + float(
                    keras.ops.convert_to_numpy(metric.result())
                )
        return {k: np.float32(v / self.iterations).item() for k, v in sums.items()}
