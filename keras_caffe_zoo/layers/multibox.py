"""What SSD's training loss reads, in one tensor."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeMultiBox(keras.layers.Layer):
    """Each prior box with what is predicted of it, as `MultiBoxLoss` takes it.

    A Keras loss compares one tensor with its targets; Caffe's reads three blobs.

    Args:
        num_classes: Classes, the background among them.
        share_location: Whether the offsets are the same for all classes.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Offsets `(N, priors * 4)`, or `(N, priors * classes * 4)` if they are not
        shared; scores `(N, priors * classes)`; priors `(1, 2, priors * 4)`, as
        `CaffePriorBox` makes them.

    Output shape:
        `(N, priors, 4 + classes + 8)`: of each prior the offsets (of each class, if
        they are not shared), the scores, its corners and its variances.

    Raises:
        ValueError: If the inputs do not fit the arguments.

    Reference:
        The first three bottoms of `MultiBoxLoss`, of the SSD fork of Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeMultiBox
        >>> offsets, scores = np.zeros((2, 8)), np.zeros((2, 6))  # of two priors
        >>> priors = np.array([[[0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0.1] * 8]])
        >>> tuple(CaffeMultiBox(num_classes=3)([offsets, scores, priors]).shape)
        (2, 2, 15)
    """

    def __init__(self, num_classes, share_location=True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_classes = int(num_classes)
        self.share_location = bool(share_location)
        if self.num_classes < 1:
            raise ValueError(
                f"Expected a positive `num_classes`; received: {num_classes}."
            )

    def call(self, inputs):
        offsets, scores, priors = (ops.convert_to_tensor(x) for x in inputs)
        self.compute_output_shape([x.shape for x in inputs])
        size = priors.shape[2]
        count = ops.shape(priors)[2] // 4 if size is None else size // 4
        priors = ops.transpose(ops.reshape(priors[0], (2, count, 4)), (1, 0, 2))
        priors = ops.reshape(priors, (1, count, 8))
        items = ops.shape(scores)[0]
        priors = ops.broadcast_to(priors, (items, count, 8))
        parts = [
            ops.reshape(offsets, (-1, count, self._offsets)),
            ops.reshape(scores, (-1, count, self.num_classes)),
            ops.cast(priors, scores.dtype),
        ]
        return ops.concatenate(parts, axis=-1)

    @property
    def _offsets(self):
        return 4 if self.share_location else 4 * self.num_classes

    def compute_output_shape(self, input_shape):
        offsets, scores, priors = (tuple(shape) for shape in input_shape)
        fits = (len(offsets), len(scores), len(priors)) == (2, 2, 3)
        fits = fits and priors[0] in (1, None) and priors[1] == 2
        count = priors[-1] // 4 if fits and priors[-1] is not None else None
        if count is not None:
            fits = fits and priors[-1] == 4 * count
            fits = fits and offsets[1] in (None, count * self._offsets)
            fits = fits and scores[1] in (None, count * self.num_classes)
        if not fits:
            raise ValueError(
                "Expected offsets (N, priors * 4"
                f"{'' if self.share_location else ' * classes'}), scores (N, priors * "
                f"{self.num_classes}) and priors (1, 2, priors * 4) for layer "
                f"'{self.name}'; received shapes: {offsets}, {scores}, {priors}."
            )
        return (scores[0], count, self._offsets + self.num_classes + 8)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "share_location": self.share_location,
        }
