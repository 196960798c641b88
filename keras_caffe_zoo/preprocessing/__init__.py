"""What each net wants to eat: images resized, cropped, BGR, normalized."""

from keras_caffe_zoo.pictures import read_picture
from keras_caffe_zoo.preprocessing.crops import ten_crops
from keras_caffe_zoo.preprocessing.inputs import (
    check_crops,
    cut,
    cut_input,
    fit,
    load_image,
    net_input,
    ordered,
    preprocess_input,
    resized_sides,
)
from keras_caffe_zoo.preprocessing.means import mean_for
from keras_caffe_zoo.preprocessing.opencv import opencv_resize
from keras_caffe_zoo.preprocessing.resizing import resize, resize_float

__all__ = [
    "check_crops",
    "cut",
    "cut_input",
    "fit",
    "load_image",
    "mean_for",
    "net_input",
    "opencv_resize",
    "ordered",
    "preprocess_input",
    "read_picture",
    "resize",
    "resize_float",
    "resized_sides",
    "ten_crops",
]
