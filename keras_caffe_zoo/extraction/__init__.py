"""Features for one image or a million: blocks of pictures through a net, to a file."""

from keras_caffe_zoo.extraction.api import extract_features
from keras_caffe_zoo.extraction.report import Features

__all__ = ["Features", "extract_features"]
