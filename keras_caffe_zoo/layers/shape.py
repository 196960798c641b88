"""Layers that move values and change none: Reshape, Flatten, Slice, Crop, Tile."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.reshaping import (
    check_sizes,
    crop_offsets,
    cropped,
    joined_axes,
    kept_axes,
    replaced_axes,
    reshaped,
)
from keras_caffe_zoo.layers._blobs import BlobLayer, known_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeReshape(BlobLayer):
    """Change the shape of a blob, as Caffe's `Reshape` and `Flatten` layers do.

    Sizes and axes are Caffe's: a 4-D tensor is channels last outside, but counts as
    (N, C, H, W) here.

    Args:
        shape: Sizes in place of those of the axes from `axis` on; 0 copies the size
            that the input has at its place, one -1 takes what is left.
        axis: First axis to be replaced; -1 is after the last.
        num_axes: How many axes are replaced; -1 for all that follow.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the input does not fit.

    Reference:
        Caffe 1.0's `Reshape` layer.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeReshape
        >>> x = np.zeros((2, 5, 7, 3))  # to Caffe (2, 3, 5, 7)
        >>> tuple(CaffeReshape((0, 0, -1))(x).shape)
        (2, 3, 35)
    """

    def __init__(self, shape, axis=0, num_axes=-1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(int(size) for size in shape)
        self.axis, self.num_axes = int(axis), int(num_axes)
        check_sizes(self.shape)

    def _axes(self, rank):
        return replaced_axes(rank, self.axis, self.num_axes)

    def blob_shape(self, shapes):
        return reshaped(tuple(shapes), self.shape, self._axes(len(shapes)))

    def compute(self, blobs):
        target = list(self.blob_shape(tuple(blobs.shape)))
        if target.count(None) > 1:
            rank, sizes = len(blobs.shape), ops.shape(blobs)
            sources = kept_axes(rank, self.shape, self._axes(rank))
            for i, source in enumerate(sources):
                if source is not None:
                    target[i] = sizes[source]
        return ops.reshape(blobs, [-1 if size is None else size for size in target])

    def get_config(self):
        return {
            **super().get_config(),
            "shape": self.shape,
            "axis": self.axis,
            "num_axes": self.num_axes,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeFlatten(CaffeReshape):
    """Join axes of a blob in Caffe's order, as Caffe's `Flatten` layer does.

    Args:
        axis: First axis, counted as in (N, C, H, W).
        end_axis: Last axis.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the input has no such axes.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeFlatten
        >>> x = np.array([0.0, 10.0, 1.0, 11.0]).reshape(1, 1, 2, 2)
        >>> np.asarray(CaffeFlatten()(x)).tolist()  # the first channel, then the second
        [[0.0, 1.0, 10.0, 11.0]]
    """

    def __init__(self, axis=1, end_axis=-1, **kwargs) -> None:
        super().__init__((-1,), axis, -1, **kwargs)
        self.end_axis = int(end_axis)

    def _axes(self, rank):
        ends = (self.axis, self.end_axis)
        return joined_axes(*(known_axis(axis, rank, self.name) for axis in ends))

    def get_config(self):
        config = super().get_config()
        del config["shape"], config["num_axes"]
        return {**config, "end_axis": self.end_axis}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSlice(keras.layers.Layer):
    """Cut a tensor into several along an axis, as Caffe's `Slice` layer does.

    Args:
        sizes: Sizes of the parts along the axis.
        axis: Axis of the tensor.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the sizes are not the axis' when added up.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSlice
        >>> parts = CaffeSlice((1, 2))(np.array([[1.0, 2.0, 3.0]]))
        >>> [np.asarray(part).tolist() for part in parts]
        [[[1.0]], [[2.0, 3.0]]]
    """

    def __init__(self, sizes, axis=-1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(int(size) for size in sizes)
        self.axis = int(axis)

    def call(self, inputs):
        index, parts, start = [slice(None)] * len(inputs.shape), [], 0
        for size in self.sizes:
            index[self.axis] = slice(start, start + size)
            parts.append(inputs[tuple(index)])
            start += size
        return parts

    def compute_output_shape(self, input_shape):
        total = input_shape[self.axis]
        if total is not None and total != sum(self.sizes):
            raise ValueError(
                f"Expected an input of size {sum(self.sizes)} along axis {self.axis}, "
                f"the sum of {self.sizes}; received: {total}."
            )
        shapes = [list(input_shape) for _ in self.sizes]
        for shape, size in zip(shapes, self.sizes, strict=True):
            shape[self.axis] = size
        return [tuple(shape) for shape in shapes]

    def compute_output_spec(self, inputs):
        shapes = self.compute_output_shape(inputs.shape)
        return [keras.KerasTensor(shape, self.compute_dtype) for shape in shapes]

    def get_config(self):
        return {**super().get_config(), "sizes": self.sizes, "axis": self.axis}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeCrop(BlobLayer):
    """Cut the first input to the size of the second, as Caffe's `Crop` layer does.

    Args:
        axis: First axis that is cut, counted as in (N, C, H, W); all after it are too.
        offsets: Where the cut starts: one for all axes, or one for each.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the second input does not fit into the first.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeCrop
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> y = CaffeCrop(offsets=(1, 2))([x, np.zeros((1, 2, 2, 8))])
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[6.0, 7.0], [10.0, 11.0]]
    """

    def __init__(self, axis=2, offsets=(0,), **kwargs) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.offsets = tuple(int(offset) for offset in offsets)

    def _first(self, rank):
        return known_axis(self.axis, rank, self.name)

    def blob_shape(self, shapes):
        whole, part = shapes
        return cropped(whole, part, self._first(len(whole)), self.offsets)

    def compute(self, blobs):
        whole, part = blobs
        rank, sizes = len(whole.shape), ops.shape(part)
        axis = self._first(rank)
        starts = crop_offsets(rank, axis, self.offsets)
        cut = [slice(at, at + sizes[i]) for i, at in enumerate(starts, axis)]
        return whole[(*[slice(None)] * axis, *cut)]

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "offsets": self.offsets}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeTile(keras.layers.Layer):
    """Repeat a tensor along an axis, as Caffe's `Tile` layer does.

    Args:
        tiles: How many times.
        axis: Axis of the tensor.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeTile
        >>> np.asarray(CaffeTile(2)(np.array([[1.0, 2.0]]))).tolist()
        [[1.0, 2.0, 1.0, 2.0]]
    """

    def __init__(self, tiles, axis=-1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.tiles, self.axis = int(tiles), int(axis)
        if self.tiles < 1:
            raise ValueError(
                f"Expected `tiles` to be positive; received: tiles={tiles}."
            )

    def call(self, inputs):
        repeats = [1] * len(inputs.shape)
        repeats[self.axis] = self.tiles
        return ops.tile(inputs, repeats)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        if shape[self.axis] is not None:
            shape[self.axis] *= self.tiles
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "tiles": self.tiles, "axis": self.axis}
