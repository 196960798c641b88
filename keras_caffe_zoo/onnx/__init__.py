"""Caffe's nets as ONNX files, which need neither Keras nor TensorFlow."""
