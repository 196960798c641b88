"""What one call of a builder asks for: checked, then made input, model and weights."""

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np

from keras_caffe_zoo.conversion.model import CaffeModel, ZooModel
from keras_caffe_zoo.conversion.params import caffe_params, set_caffe_params
from keras_caffe_zoo.conversion.precision import check_dtype, in_precision
from keras_caffe_zoo.models._blocks import batch_norm, relu, scale
from keras_caffe_zoo.weights import ModelEntry, load_published, load_weights


@dataclass(frozen=True, kw_only=True)
class Design:
    """A net as one call of a builder asks for it: the call's arguments, checked.

    It makes what goes around a builder's layers: the inputs, the model, the weights.

    Attributes:
        ONE_SIZE: The error of an image of another size than the only one.
        entry: What the manifest knows of the net.
        smallest: Least height and width of an image; `None` if it can only have the
            size of training.
        weights: `"caffe"`, `None` or a path.
        input_tensor: Tensor to use as the image.
        input_shape: Shape of one image, `(H, W, 3)`.
        classes: Number of classes, or of the outputs that stand for them.
        name: The Keras model's name.
        dtype: The name of a dtype policy, or `None` for Keras' own setting.
        blobs: Caffe's blobs that are not the outputs of the layers of their names, as
            `CaffeModel.caffe_blobs` has them.
        inputs: The model's inputs, once `image` was asked for.
        written_down: Caffe's parameters of layers that nobody trained, by layer.

    Raises:
        ValueError: On arguments that do not go together.
    """

    ONE_SIZE: ClassVar[str] = (
        "Expected `input_shape` to be {exact}, the only size that this net takes; "
        "received: {shape}."
    )

    entry: ModelEntry
    smallest: int | None
    weights: Any
    input_tensor: Any
    input_shape: tuple | None
    classes: int
    name: str
    dtype: str | None
    blobs: dict = field(default_factory=dict, init=False)
    inputs: list = field(default_factory=list, init=False)
    written_down: dict = field(default_factory=dict, init=False)

    def __post_init__(self):
        self._check_weights()
        check_dtype(self.dtype)
        if self.dtype is not None and self.input_tensor is not None:
            raise ValueError(
                "Expected no `input_tensor` together with `dtype`: a net of another "
                "precision has inputs of its own. Call the net on the tensor."
            )
        if not isinstance(self.classes, int) or self.classes < 1:
            raise ValueError(
                "Expected `classes` to be a positive integer; received: "
                f"classes={self.classes!r}"
            )

    def _check_weights(self):
        if self.weights is None or self.weights == "caffe":
            return
        if not isinstance(self.weights, str | os.PathLike):
            received = repr(self.weights)
        elif os.path.isfile(self.weights):
            return
        else:
            received = f"{os.fspath(self.weights)!r}, where there is no file"
        raise ValueError(
            "Expected `weights` to be 'caffe' (the published ones), None (random), or "
            "the path of a .caffemodel, of an .h5 that `keras-caffe-zoo dump` wrote, "
            f"or of a Keras .weights.h5; received: weights={received}"
        )

    def image(self, name: str = "data", channels: int = 3):
        """Return the net's input tensor.

        Args:
            name: Caffe's name of the blob.
            channels: Its channels.
        """
        tensor = self.input_tensor
        if tensor is None:
            tensor = keras.Input(self._image_shape(channels), name=name)
            self.inputs.append(tensor)  # a search from the end takes 2 ** blocks steps
            return tensor
        if self.input_shape is not None:
            self._image_shape(channels)
        if not keras.backend.is_keras_tensor(tensor):
            tensor = keras.Input(tensor=tensor, name=name)
        self._check_shape(tuple(tensor.shape[1:]), channels)
        self.inputs.extend(keras.utils.get_source_inputs(tensor))
        return tensor

    def more_input(self, name: str, shape: tuple):
        """Return another input tensor, behind the image.

        Args:
            name: Caffe's name of the blob.
            shape: Its shape, without the batch.
        """
        tensor = keras.Input(shape, name=name)
        self.inputs.append(tensor)
        return tensor

    @property
    def _default_sides(self) -> tuple[int | None, int | None]:
        """Height and width of images, if nobody asks for others."""
        return self.entry.input_size or (None, None)

    @property
    def _exact_sides(self) -> tuple[int, int] | None:
        """The one height and width that images can have, if there is only one."""
        return self.entry.input_size if self.smallest is None else None

    @property
    def _least_sides(self) -> tuple[int, int]:
        return self.smallest, self.smallest

    def _image_shape(self, channels: int) -> tuple:
        default = (*self._default_sides, channels)
        shape = default if self.input_shape is None else tuple(self.input_shape)
        self._check_shape(shape, channels)
        return shape

    def _check_shape(self, shape: tuple, channels: int) -> None:
        if self._exact_sides:
            exact = (*self._exact_sides, channels)
            if shape != exact:
                raise ValueError(self.ONE_SIZE.format(exact=exact, shape=shape))
        elif (
            len(shape) != 3
            or shape[2] != channels
            or any(
                side is not None and side < least
                for side, least in zip(shape, self._least_sides, strict=False)
            )
        ):
            height, width = self._least_sides
            least = height if height == width else f"{height} and {width}"
            raise ValueError(
                f"Expected `input_shape` to be (height, width, {channels}), each side "
                f"at least {least} or None; received: {shape}"
            )

    def model(self, outputs) -> keras.Model:
        """Return the model that ends with `outputs`, its weights loaded."""
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        kind = CaffeModel if self.blobs else ZooModel
        model = kind(inputs, outputs, name=self.name)
        if self.blobs:
            model.caffe_blobs = self.blobs
        model = in_precision(model, self.dtype)
        set_caffe_params(model, self.written_down)
        self._load(model)
        self._fill_in(model)
        return model

    def wrote(self, blob: str, x):
        """Note that a tensor holds one of Caffe's blobs now, and return the tensor."""
        history = x._keras_history
        self.blobs[blob] = [history.operation.name, history.tensor_index]
        return x

    def normalized(
        self, x, blob: str, norm: str, factors: str, active: str = "", epsilon=1e-5
    ):
        """Apply BatchNorm, Scale and perhaps ReLU, all of which wrote one blob.

        Args:
            x: A map.
            blob: Caffe's blob that the last of them wrote.
            norm: Name of the BatchNorm.
            factors: Name of the Scale.
            active: Name of the ReLU, if there is one.
            epsilon: Added to the variance.
        """
        x = scale(batch_norm(x, norm, epsilon), factors)
        return self.wrote(blob, relu(x, active) if active else x)

    def known(self, layer: str, *params) -> None:
        """Note a layer's parameters, which its authors wrote down and did not train.

        The layer has them without weights, and where a file of weights has none for it
        or only zeros, which Caffe writes where a definition says nothing else.

        Args:
            layer: Caffe's name of the layer.
            *params: Its parameters, in Caffe's layout.
        """
        self.written_down[layer] = params

    def _fill_in(self, model: keras.Model) -> None:
        """Set what is known where it was read as zeros."""
        read = caffe_params(model) if self.written_down else {}
        missing = [n for n in self.written_down if not np.any(read[n][0])]
        set_caffe_params(model, {name: self.written_down[name] for name in missing})

    def _load(self, model: keras.Model) -> None:
        if self.weights is None:
            return
        heads = self._heads(model) if self.classes != self.entry.classes else ()
        known = self.written_down
        if self.weights == "caffe":
            load_published(model, self.entry.name, may_differ=heads, may_lack=known)
        else:
            load_weights(model, self.weights, may_differ=heads, may_lack=known)

    def _heads(self, model: keras.Model) -> list[str]:
        """Return the layers whose weights are of other shapes than the published."""
        published = self.entry.blobs
        return [
            name
            for name, blobs in caffe_params(model).items()
            if tuple(blob.shape for blob in blobs) != published.get(name)
        ]
