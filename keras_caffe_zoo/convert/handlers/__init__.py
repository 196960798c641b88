"""One small function for each type of Caffe layer."""

from keras_caffe_zoo.convert.handlers import activation, data, normalization, window

__all__ = ["activation", "data", "normalization", "window"]
