"""Caffe's networks in Keras 3, computing what Caffe computed."""

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    read_caffemodel,
    read_mean,
    write_caffemodel,
)
from keras_caffe_zoo.features import feature_extractor
from keras_caffe_zoo.labels import decode_predictions
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D
from keras_caffe_zoo.models import caffenet, vgg_cnn_s
from keras_caffe_zoo.preprocessing import load_image, preprocess_input
from keras_caffe_zoo.weights import WeightsDownloadError, dump_caffe_weights

__all__ = [
    "CaffeConv2D",
    "CaffeFormatError",
    "CaffeLRN",
    "CaffePool2D",
    "WeightsDownloadError",
    "caffenet",
    "decode_predictions",
    "dump_caffe_weights",
    "feature_extractor",
    "load_image",
    "preprocess_input",
    "read_caffemodel",
    "read_mean",
    "vgg_cnn_s",
    "write_caffemodel",
]
