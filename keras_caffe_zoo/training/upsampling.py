"""Layers that enlarge maps of scores, as FCN's authors start them in Python."""

from collections.abc import Sequence

import keras

from keras_caffe_zoo.conversion.model import named_layer
from keras_caffe_zoo.models.fcn import BilinearKernel
from keras_caffe_zoo.rules.names import caffe_name


def interpolate_upsampling(
    model: keras.Model, names: Sequence[str] | None = None
) -> list[str]:
    """Let layers enlarge maps by bilinear interpolation, channel by channel.

    FCN's prototxt has no filler for them, and `lr_mult: 0`: its `solve.py` sets them
    before it trains. Do so too, before the first step.

    Args:
        model: A model with such layers: transposed convolutions without groups, of as
            many channels as filters, and of a window twice the stride. It is changed.
        names: The layers' names, Caffe's or Keras'; all with `"up"` in theirs that
            have a kernel if None, as FCN chooses them.

    Returns:
        The names, Caffe's.

    Raises:
        ValueError: If there is no such layer, or one has no kernel of that shape.

    Reference:
        The `interp` function of the FCN authors' net surgery.

    Example:
        >>> x = keras.Input((2, 2, 1))
        >>> upscore = keras.layers.Conv2DTranspose(1, 4, strides=2, name="upscore")
        >>> model = keras.Model(x, upscore(x))
        >>> kcz.training.interpolate_upsampling(model)
        ['upscore']
        >>> (4 * upscore.get_weights()[0][1, :, 0, 0] / 3).tolist()
        [0.25, 0.75, 0.75, 0.25]
    """
    if names is None:
        layers = [x for x in model.layers if "up" in x.name and hasattr(x, "kernel")]
    else:
        layers = [named_layer(model, name) for name in names]
    if not layers:
        raise ValueError(
            "Expected layers with a kernel and 'up' in their names, or `names`; "
            f"received: none in '{model.name}'"
        )
    for layer in layers:
        shape = tuple(getattr(getattr(layer, "kernel", None), "shape", ()))
        if len(shape) != 4 or shape[0] != shape[1] or shape[2] != shape[3]:
            raise ValueError(
                "Expected a square kernel with as many channels as filters; received: "
                f"'{caffe_name(layer.name)}' with {shape}"
            )
    for layer in layers:
        layer.kernel.assign(BilinearKernel()(layer.kernel.shape))
    return [caffe_name(layer.name) for layer in layers]
