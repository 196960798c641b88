"""A page on which to try nets with pictures, served on this machine."""

from keras_caffe_zoo.serving.server import demo_app, serve

__all__ = ["demo_app", "serve"]
