"""Pictures: what a net sees where in an image, and what is inside a net."""

from keras_caffe_zoo.plots.boxes import draw_boxes
from keras_caffe_zoo.plots.confusion import confusion
from keras_caffe_zoo.plots.curves import history, show_curves
from keras_caffe_zoo.plots.edges import draw_edges
from keras_caffe_zoo.plots.faces import draw_faces
from keras_caffe_zoo.plots.graphs import show_net
from keras_caffe_zoo.plots.maps import heatmap
from keras_caffe_zoo.plots.nets import show_activations, show_filters
from keras_caffe_zoo.plots.pages import show_digit_boxes, show_digits
from keras_caffe_zoo.plots.segments import draw_segments
from keras_caffe_zoo.plots.skeletons import draw_poses

__all__ = [
    "confusion",
    "draw_boxes",
    "draw_edges",
    "draw_faces",
    "draw_poses",
    "heatmap",
    "history",
    "show_activations",
    "show_curves",
    "show_digit_boxes",
    "show_digits",
    "show_filters",
    "show_net",
    "draw_segments",
]


def __dir__() -> list[str]:
    return __all__
