"""Inputs."""

from keras_caffe_zoo.convert.graph import handles


@handles("Input")
def input_layer(node):
    """Do nothing: the graph makes its inputs before it asks any handler."""
