"""Pictures: what a net sees where in an image, and what is inside a net."""

from keras_caffe_zoo.plots.maps import heatmap, show_digits
from keras_caffe_zoo.plots.nets import show_activations, show_filters
from keras_caffe_zoo.plots.segments import show_segments

__all__ = [
    "heatmap",
    "show_activations",
    "show_digits",
    "show_filters",
    "show_segments",
]
