"""Between Caffe's nets and Keras' models.

What there is stands in `__init__.pyi`; it is imported when it is asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
