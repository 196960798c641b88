"""Caffe's networks in Keras 3, computing what Caffe computed.

The public names stand in `__init__.pyi`. Each is imported when it is first asked for,
and Keras with the first that needs it: reading Caffe's files does not.
"""

from keras_caffe_zoo.lazy import public_names, register_with_keras

__getattr__, __dir__, __all__ = public_names(__name__, __file__)

register_with_keras()
