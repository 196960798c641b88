"""Layers that move values and change none: Reshape, Flatten, Slice, Crop, Tile."""

import math

import keras
from keras import ops

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
    """

    def __init__(self, shape, axis=0, num_axes=-1, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(int(size) for size in shape)
        self.axis, self.num_axes = int(axis), int(num_axes)
        if min(self.shape, default=0) < -1 or self.shape.count(-1) > 1:
            raise ValueError(
                "Expected `shape` of sizes, 0 to keep one, and at most one -1; "
                f"received: shape={self.shape}."
            )

    def _region(self, rank):
        start = self.axis if self.axis >= 0 else rank + self.axis + 1
        end = rank if self.num_axes == -1 else start + self.num_axes
        if not 0 <= start <= end <= rank:
            raise ValueError(
                f"Expected axes of a blob with {rank} axes; received: "
                f"axis={self.axis}, num_axes={self.num_axes}."
            )
        return start, end

    def blob_shape(self, shapes):
        start, end = self._region(len(shapes))
        axes = range(start, start + len(self.shape))
        copied = [axis for axis, size in zip(axes, self.shape, strict=True) if not size]
        if copied and copied[-1] >= len(shapes):
            raise ValueError(
                f"Expected a size to copy for each 0 in {self.shape} (axis={self.axis})"
                f"; received shape: {tuple(shapes)}."
            )
        kept = [*range(start), *range(end, len(shapes)), *copied]
        inferred = self._inferred(shapes, kept)
        new = [
            {0: shapes[axis] if axis in copied else None, -1: inferred}.get(size, size)
            for axis, size in zip(axes, self.shape, strict=True)
        ]
        return (*shapes[:start], *new, *shapes[end:])

    def _inferred(self, shapes, kept):
        """Return the size for -1, None if it or its absence cannot be known yet.

        Args:
            shapes: The shape of the bottom.
            kept: Its axes that the top has too.
        """
        fixed = math.prod(size for size in self.shape if size > 0)
        # An unknown size that is on both sides may be any.
        unknown = [i for i, size in enumerate(shapes) if not isinstance(size, int)]
        whole = [axis for axis in range(len(shapes)) if axis not in unknown]
        told = [axis for axis in kept if axis not in unknown]
        if any(kept.count(axis) != 1 for axis in unknown):
            fits, inferred = -1 in self.shape, None
        else:
            count = math.prod(shapes[axis] for axis in whole)
            explicit = fixed * math.prod(shapes[axis] for axis in told)
            if -1 in self.shape:
                fits = explicit > 0 and count % explicit == 0
            else:
                fits = count == explicit
            inferred = count // explicit if fits and explicit else None
        if not fits:
            raise ValueError(
                f"Expected a blob of as many values as the new shape {self.shape} "
                f"(axis={self.axis}, num_axes={self.num_axes}) has; received shape: "
                f"{tuple(shapes)}."
            )
        return inferred

    def compute(self, blobs):
        start, end = self._region(len(blobs.shape))
        target = list(self.blob_shape(tuple(blobs.shape)))
        if target.count(None) > 1:
            sizes = ops.shape(blobs)
            after = len(target) - (len(blobs.shape) - end)
            for i, size in enumerate(target):
                if size is None and i < start:
                    target[i] = sizes[i]
                elif size is None and i >= after:
                    target[i] = sizes[i - len(target)]
                elif size is None and self.shape[i - start] == 0:
                    target[i] = sizes[i]
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
    """

    def __init__(self, axis=1, end_axis=-1, **kwargs):
        super().__init__((-1,), axis, -1, **kwargs)
        self.end_axis = int(end_axis)

    def _region(self, rank):
        start = known_axis(self.axis, rank, self.name)
        end = known_axis(self.end_axis, rank, self.name)
        if end < start:
            raise ValueError(
                "Expected `end_axis` not to come before `axis`; received: "
                f"axis={start}, end_axis={end}."
            )
        return start, end + 1

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
    """

    def __init__(self, sizes, axis=-1, **kwargs):
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
    """

    def __init__(self, axis=2, offsets=(0,), **kwargs):
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.offsets = tuple(int(offset) for offset in offsets)

    def _offsets(self, rank):
        """Return where each axis is cut, None for those that are not."""
        axis = known_axis(self.axis, rank, self.name)
        offsets = self.offsets or (0,)
        if len(offsets) == 1:
            offsets *= rank - axis
        if len(offsets) != rank - axis:
            raise ValueError(
                f"Expected one of `offsets`, or one for each of {rank - axis} axes; "
                f"received: offsets={self.offsets}."
            )
        return (*[None] * axis, *offsets)

    def blob_shape(self, shapes):
        whole, part = shapes
        if len(whole) != len(part):
            raise ValueError(
                "Expected two blobs with the same number of axes; received: "
                f"{whole} and {part}."
            )
        result = list(whole)
        for i, offset in enumerate(self._offsets(len(whole))):
            if offset is None:
                continue
            result[i] = part[i]
            if None not in (whole[i], part[i]) and offset + part[i] > whole[i]:
                raise ValueError(
                    f"Expected a blob that holds {part[i]} from {offset} on along "
                    f"axis {i}; received: {whole[i]}."
                )
        return tuple(result)

    def compute(self, blobs):
        whole, part = blobs
        sizes = ops.shape(part)
        index = tuple(
            slice(None) if offset is None else slice(offset, offset + sizes[i])
            for i, offset in enumerate(self._offsets(len(whole.shape)))
        )
        return whole[index]

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "offsets": self.offsets}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeTile(keras.layers.Layer):
    """Repeat a tensor along an axis, as Caffe's `Tile` layer does.

    Args:
        tiles: How many times.
        axis: Axis of the tensor.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.
    """

    def __init__(self, tiles, axis=-1, **kwargs):
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
