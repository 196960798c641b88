"""Keras layers with Caffe's arithmetic."""

from keras_caffe_zoo.layers.convolution import CaffeConv2D
from keras_caffe_zoo.layers.lrn import CaffeLRN
from keras_caffe_zoo.layers.pooling import CaffePool2D

__all__ = ["CaffeConv2D", "CaffeLRN", "CaffePool2D"]
