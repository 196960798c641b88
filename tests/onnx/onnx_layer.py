"""Nets of one layer as ONNX files, run on Caffe's blobs by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
from one_layer import Runner

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto


class OnnxRunner(Runner):
    """Runs one layer, `y`, of a type on blobs, whatever sizes of them are known."""

    def model(self, kind, inputs, param="", params=(), tops=("y",), shapes=None):
        caffemodel = self.write(kind, inputs, param, params, tops)
        net = prepared_net(self.prototxt, caffemodel)
        net.blobs = net.blobs or {}
        proto = model_proto(net_graph(net, shapes, outputs=tops))
        onnx.checker.check_model(proto, full_check=True)
        return proto

    def __call__(self, kind, inputs, param="", params=(), tops=("y",)):
        found = self._computed(
            self.model(kind, inputs, param, params, tops), inputs, tops
        )
        # Items are free wherever they can be; height and width, if asked for.
        images = {
            name: (None, None, x.shape[1]) for name, x in inputs.items() if x.ndim == 4
        }
        try:
            free = images and self.model(kind, inputs, param, params, tops, images)
        except CaffeFormatError:  # some layers need to know them
            free = None
        if free:
            again = self._computed(free, inputs, tops)
            for one, other in zip(again, found, strict=True):
                np.testing.assert_allclose(one, other, 1e-6, 1e-6)
        return found[0] if len(found) == 1 else found

    @staticmethod
    def _computed(proto, inputs, tops):
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        data = {x.name: inputs[x.name].astype("f4") for x in session.get_inputs()}
        return session.run(list(tops), data)
