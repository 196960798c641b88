"""Pictures: what a net sees where in an image, and what is inside a net."""

from keras_caffe_zoo.plots.boxes import draw_boxes
from keras_caffe_zoo.plots.faces import draw_faces
from keras_caffe_zoo.plots.maps import heatmap, show_digits
from keras_caffe_zoo.plots.nets import show_activations, show_filters

__all__ = [
    "draw_boxes",
    "draw_faces",
    "heatmap",
    "show_activations",
    "show_digits",
    "show_filters",
]
