"""Caffe's order of axes and that of models, which have channels last."""

TO_CAFFE = (0, 3, 1, 2)
TO_KERAS = (0, 2, 3, 1)


def caffe_shape(shape) -> tuple:
    """Return a shape in Caffe's order of axes."""
    shape = tuple(shape)
    return tuple(shape[i] for i in TO_CAFFE) if len(shape) == 4 else shape


def keras_shape(shape) -> tuple:
    """Return a shape in Caffe's order as models keep it."""
    shape = tuple(shape)
    return tuple(shape[i] for i in TO_KERAS) if len(shape) == 4 else shape


def keras_axis(axis: int, rank: int) -> int:
    """Return the axis of a tensor that is `axis` (from 0) of a Caffe blob."""
    return TO_CAFFE[axis] if rank == 4 else axis


def caffe_axis(axis: int, rank: int) -> int:
    """Return the axis of a Caffe blob that is `axis` (from 0) of a tensor."""
    return TO_KERAS[axis] if rank == 4 else axis


def in_caffe_order(array):
    """Return a NumPy array of a model with its axes in Caffe's order."""
    return array.transpose(TO_CAFFE) if array.ndim == 4 else array
