"""Caffe's size arithmetic, which needs no Keras: of layers, and of what is written."""
