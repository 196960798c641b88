"""Dense inference: one net, every window of a large image."""

from keras_caffe_zoo.dense.cast import to_fully_convolutional
from keras_caffe_zoo.dense.grid import Grid, output_grid

__all__ = ["Grid", "output_grid", "to_fully_convolutional"]
