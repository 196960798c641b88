"""The nets, one builder a file, with the signature of `keras.applications`."""

from keras_caffe_zoo.models.caffenet import caffenet
from keras_caffe_zoo.models.vgg_cnn_s import vgg_cnn_s

__all__ = ["caffenet", "vgg_cnn_s"]
