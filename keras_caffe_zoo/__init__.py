"""Caffe's networks in Keras 3, computing what Caffe computed."""

from keras_caffe_zoo import models, plots, training
from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Param,
    read_caffemodel,
    read_mean,
    write_caffemodel,
)
from keras_caffe_zoo.conversion import (
    caffe_params,
    compare,
    convert,
    from_caffe,
    inspect_file,
    set_caffe_params,
    supported_layers,
    to_caffe,
)
from keras_caffe_zoo.dense import (
    output_grid,
    predict_dense,
    to_fully_convolutional,
    top_boxes,
)
from keras_caffe_zoo.detections import detections
from keras_caffe_zoo.extraction import extract_features
from keras_caffe_zoo.features import feature_extractor
from keras_caffe_zoo.labels import decode_predictions
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D
from keras_caffe_zoo.models import *  # noqa: F403  the builders, listed in models
from keras_caffe_zoo.preprocessing import load_image, preprocess_input
from keras_caffe_zoo.rules import STORED, Codec, Rule, Traits, Window, register
from keras_caffe_zoo.training import CaffeSnapshot, finetune
from keras_caffe_zoo.weights import WeightsDownloadError, dump_caffe_weights

__all__ = [
    "STORED",
    "CaffeConv2D",
    "CaffeFormatError",
    "CaffeLRN",
    "CaffePool2D",
    "CaffeSnapshot",
    "Codec",
    "Param",
    "Rule",
    "Traits",
    "WeightsDownloadError",
    "Window",
    "caffe_params",
    "compare",
    "convert",
    "decode_predictions",
    "detections",
    "dump_caffe_weights",
    "extract_features",
    "feature_extractor",
    "finetune",
    "from_caffe",
    "inspect_file",
    "load_image",
    "output_grid",
    "plots",
    "predict_dense",
    "preprocess_input",
    "read_caffemodel",
    "read_mean",
    "register",
    "set_caffe_params",
    "supported_layers",
    "to_caffe",
    "to_fully_convolutional",
    "top_boxes",
    "training",
    "write_caffemodel",
    *models.__all__,
]
