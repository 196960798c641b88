"""Pictures: what a net sees where in an image, and what is inside a net."""

from keras_caffe_zoo.plots.boxes import draw_boxes
from keras_caffe_zoo.plots.maps import heatmap
from keras_caffe_zoo.plots.nets import show_activations, show_filters
from keras_caffe_zoo.plots.pages import show_digit_boxes, show_digits

__all__ = [
    "draw_boxes",
    "heatmap",
    "show_activations",
    "show_digit_boxes",
    "show_digits",
    "show_filters",
]
