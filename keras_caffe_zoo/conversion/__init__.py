"""Between Caffe's nets and Keras' models."""

from keras_caffe_zoo.conversion.compare import Comparison, compare
from keras_caffe_zoo.conversion.exporter import to_caffe
from keras_caffe_zoo.conversion.formats import convert
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.params import caffe_params, set_caffe_params
from keras_caffe_zoo.conversion.summary import inspect_file
from keras_caffe_zoo.rules.registry import supported_layers

__all__ = [
    "Comparison",
    "caffe_params",
    "compare",
    "convert",
    "from_caffe",
    "inspect_file",
    "set_caffe_params",
    "supported_layers",
    "to_caffe",
]
