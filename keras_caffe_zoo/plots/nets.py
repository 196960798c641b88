"""Pictures of what is inside a net: its filters, and what they answer to an image."""

import math
import os

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

from keras_caffe_zoo.features import feature_extractor
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.plots._figure import saved
from keras_caffe_zoo.rules.names import caffe_name, keras_name, twin_name

_ACROSS = 8.0  # inches
_FEW = 4  # tiles, which fit in one row


def show_filters(
    model: keras.Model,
    layer: str,
    *,
    limit: int = 48,
    share_scale: bool = True,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw the filters of a convolution, as Caffe's notebooks did.

    Filters of three input channels are drawn in colour, from BGR as Caffe's nets take
    it; of one input channel in grey. Of any other number, a column has one filter's
    input channels. Black is the smallest value of all that is drawn, white the
    largest; the title says which these are.

    Args:
        model: A model with the layer.
        layer: Caffe's name of a convolution, such as `"conv1"`.
        limit: Of more input channels than three, draw so many of them, and so many
            filters.
        share_scale: Compare the filters on one scale. If not, each has its own, which
            shows the form of weak ones.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If the model has no convolution of that name.

    Example:
        >>> model = kcz.caffenet(weights=None)
        >>> figure = kcz.plots.show_filters(model, "conv1", output="conv1.png")
        >>> figure.axes[0].get_title()
        'conv1: 96 filters, 11 x 11 pixels, -0.0... to 0.0...'
    """
    kernel = _kernel(model, layer)  # (height, width, channels, filters)
    height, width, channels, filters = kernel.shape
    shown = f"{filters} filters"
    if channels == 3:
        tiles, columns = kernel[:, :, ::-1].transpose(3, 0, 1, 2), None
    elif channels == 1:
        tiles, columns = kernel[:, :, 0].transpose(2, 0, 1), None
    else:
        kernel = kernel[:, :, :limit, :limit]
        rows, columns = kernel.shape[2:]
        tiles = kernel.transpose(2, 3, 0, 1).reshape(-1, height, width)
        shown = (
            f"{_some(columns, filters)} filters (across), "
            f"{_some(rows, channels)} input channels (down)"
        )
    title = f"{layer}: {shown}, {height} x {width} pixels, {_range(tiles)}"
    return _draw_tiles(tiles, columns, title, share_scale, output)


def show_activations(
    model: keras.Model,
    image: np.ndarray,
    layer: str,
    *,
    limit: int = 256,
    share_scale: bool = True,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw the values that an image has in a blob, as Caffe's notebooks did.

    A map is drawn channel by channel, black the smallest and white the largest value
    of all channels drawn. Of a vector, such as `fc6`, the values are plotted, and how
    often each occurs among the positive ones.

    Args:
        model: Any functional model.
        image: What the net takes, `(H, W, C)`, or a batch whose first item is drawn.
        layer: Caffe's name of a blob, such as `"pool5"`, as for `feature_extractor`.
        limit: Of more channels than that, draw so many.
        share_scale: Compare the channels on one scale. If not, each has its own.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If the model has no blob of that name, or the blob is neither a map
            nor a vector.

    Example:
        >>> model, image = kcz.squeezenet_v1_1(weights=None), np.zeros((227, 227, 3))
        >>> figure = kcz.plots.show_activations(model, image, "fire2/concat")
        >>> figure.axes[0].get_title()
        'fire2/concat: 128 channels, 56 x 56, 0 to 0'
    """
    values = image_activations(model, image, layer)
    return draw_activations(
        values, layer, limit=limit, share_scale=share_scale, output=output
    )


def image_activations(model: keras.Model, image: np.ndarray, layer: str) -> np.ndarray:
    """Return the values that an image has in a blob, as for `show_activations`."""
    image = np.asarray(image)
    batch = image[None] if image.ndim == 3 else image[:1]
    # For one image, called: `predict` would be compiled first.
    return ops.convert_to_numpy(feature_extractor(model, layer)(batch)[0])


def draw_activations(
    values: np.ndarray,
    layer: str,
    *,
    limit: int = 256,
    share_scale: bool = True,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw the values of a blob, those of one image, as `show_activations` does."""
    if values.ndim == 1:
        return _draw_vector(values, layer, output)
    if values.ndim != 3:
        raise ValueError(
            "Expected a blob that is a map (N, H, W, C) or a vector (N, C) for each "
            f"image; received: {layer!r} of shape {(None, *values.shape)}."
        )
    height, width, channels = values.shape
    tiles = values[..., :limit].transpose(2, 0, 1)
    shown = _some(len(tiles), channels)
    title = f"{layer}: {shown} channels, {height} x {width}, {_range(tiles)}"
    return _draw_tiles(tiles, None, title, share_scale, output)


def _kernel(model: keras.Model, name: str) -> np.ndarray:
    convolutions = {
        layer.name: layer
        for layer in model.layers
        if len(getattr(getattr(layer, "kernel", None), "shape", ())) == 4
    }
    for candidate in (name, keras_name(name), keras_name(twin_name(name))):
        if candidate in convolutions:
            return ops.convert_to_numpy(convolutions[candidate].kernel)
    known = there_are(map(caffe_name, convolutions), caffe_name(name))
    raise ValueError(f"'{model.name}' has no convolution {name!r}. {known}.")


def _some(shown: int, there: int) -> str:
    return str(there) if shown == there else f"the first {shown} of {there}"


def _range(values: np.ndarray) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"


def _draw_tiles(tiles, columns, title, share_scale, output) -> Figure:
    picture = mosaic(scaled(tiles, share_scale), columns)
    height, width = picture.shape[:2]
    size = _ACROSS, min(_ACROSS * height / width, 2 * _ACROSS) + 0.5
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return saved(figure, output)


def scaled(tiles: np.ndarray, together: bool) -> np.ndarray:
    """Return values from 0, the smallest, to 1; of all tiles together or of each."""
    axes = None if together else tuple(range(1, tiles.ndim))
    low = tiles.min(axes, keepdims=True)
    span = tiles.max(axes, keepdims=True) - low
    flat = span == 0  # nothing but one value: grey
    return np.where(flat, 0.5, (tiles - low) / np.where(flat, 1, span))


def mosaic(tiles: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Return pictures side by side, with white lines between them.

    Args:
        tiles: `(N, height, width)`, or `(N, height, width, 3)`, from 0 to 1.
        columns: How many there are in a row; by default all of a few, or about as
            many as rows.
    """
    count = len(tiles)
    square = math.ceil(math.sqrt(count))
    columns = columns or (count if count <= _FEW else square)
    rows = math.ceil(count / columns)
    # One white line right of and below each tile, and white for tiles there are not.
    widths = [(0, rows * columns - count), (0, 1), (0, 1)]
    widths += [(0, 0)] * (tiles.ndim - 3)
    grid = np.pad(tiles, widths, constant_values=1.0)
    height, width = grid.shape[1:3]
    grid = grid.reshape(rows, columns, *grid.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *tiles.shape[3:])[:-1, :-1]


def _draw_vector(values, layer, output) -> Figure:
    figure = Figure(figsize=(_ACROSS, 5.0), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1)
    above.plot(values, linewidth=0.8, drawstyle="steps-mid")
    above.set(xlabel="channel", ylabel="value", xlim=(0, max(len(values) - 1, 1)))
    above.set_title(f"{layer}: {len(values)} values, {_range(values)}", fontsize=10)
    positive = values[values > 0]
    below.hist(positive, bins=min(100, max(10, len(values) // 4)))
    below.set(xlabel="value", ylabel="how often")
    below.set_title(f"the {len(positive)} positive ones", fontsize=10)
    return saved(figure, output)
