"""Between Caffe's nets and Keras' models.

What there is stands in `__init__.pyi`; it is imported when it is asked for.
"""

from keras_caffe_zoo.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
