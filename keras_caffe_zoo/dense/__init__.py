"""Dense inference: one net, every window of a large image."""

from keras_caffe_zoo.dense.boxes import Box, top_boxes
from keras_caffe_zoo.dense.cast import to_fully_convolutional
from keras_caffe_zoo.dense.grid import Grid, output_grid
from keras_caffe_zoo.dense.predict import DenseMap, predict_dense

__all__ = [
    "Box",
    "DenseMap",
    "Grid",
    "output_grid",
    "predict_dense",
    "to_fully_convolutional",
    "top_boxes",
]


def __dir__() -> list[str]:
    return __all__
