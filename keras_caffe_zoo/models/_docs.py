"""The builders' docstrings: what the net is, what all builders share, an example."""

import inspect
from collections.abc import Callable

from keras_caffe_zoo.weights import ModelEntry

_CLASSIFIER = """
A layer has the name and the values of Caffe's blob: `fc7` is taken after its ReLU.

Args:
    include_top: Whether to have the classifier; else the model takes images of any size
        from {smallest} x {smallest} pixels and ends with `{features}`.
    weights: `"caffe"` for the published weights, `None` for random ones, or the path of
        a `.caffemodel` or Caffe's `.caffemodel.h5`, an `.h5` of `keras-caffe-zoo
        dump`, or a Keras `.weights.h5`.
    input_tensor: Keras tensor to use as the image.
    input_shape: {input_shape}
    pooling: `None`, `"avg"` or `"max"` over all of that, without the top.
    classes: Number of classes. With weights for another number, what scores them is new
        and the rest is loaded, which a message says.
    classifier_activation: Activation of the last layer; `None` for its raw values.
    name: The model's name.
    fully_convolutional: {fully_convolutional}
    dtype: `"mixed_bfloat16"` to compute in bfloat16, but for what needs float32;
        `"float32"`. Keras' own setting if not given.

Returns:
    A `keras.Model`. It takes `{image}` images, {order} with the mean
    subtracted{scaled}; `preprocess_input` makes them.{answer}

Raises:
    ValueError: On arguments that do not go together, or weights that do not fit.
    WeightsDownloadError: If the published weights cannot be had.
"""

_ANY = """
A layer has the name and the values of Caffe's blob.

Args:
    weights: `"caffe"` for the published weights, `None` for random ones, or the path of
        a `.caffemodel` or Caffe's `.caffemodel.h5`, an `.h5` of `keras-caffe-zoo
        dump`, or a Keras `.weights.h5`.
    input_tensor: Keras tensor to use as the image.
    input_shape: {input_shape}
    name: The model's name.
    dtype: `"mixed_bfloat16"` to compute in bfloat16, but for what needs float32;
        `"float32"`. Keras' own setting if not given.
{classes}
Returns:
    A `keras.Model`. It takes `{image}` images, {takes}.

Raises:
    ValueError: On arguments that do not go together, or weights that do not fit.
    WeightsDownloadError: If the published weights cannot be had.
"""

_CLASSES = """\
    classes: How many, {count} if not given. With weights for another number, what
        scores them is new and the rest is loaded, which a message says.
"""
_OWN_SIZE = "`({height}, {width}, {channels})`, the only size that the net takes."
_FROM = """\
`(H, W, {channels})`, `({height}, {width}, {channels})` if not given; each side at least
        {smallest}, or None."""

_ONE_SIZE = """\
`(H, W, 3)`; with the top it can only be `({height}, {width}, 3)`, or with
        `fully_convolutional` anything from there, `None` included."""
_NO_OTHER = "`(H, W, 3)`; with the top it can only be `({height}, {width}, 3)`."
_ANY_SIZE = "`(H, W, {channels})`, anything, `None` included."
_TAKES = """\
{order} with the mean
    subtracted{scaled}; `preprocess_input` makes them"""

_FLAT = """
    It gives `{gives}`, as nets with inner products do. The published prototxt ends
    with a map of one place, and gives `{blob}` through `from_caffe`."""

_MAP = """\
        The model then takes images of any size from {pixels} and gives a map of
        answers, one for each {height} x {width} window."""
_DENSE = """\
Turn the inner products into convolutions with the same weights
        (`{name}` into `{name}-conv`).
"""
_POOLED = "Slide the last pooling over the map instead of taking it all.\n"
_ALREADY = "Makes no difference: the net is fully convolutional as it is."
_NOT = "Refused: layers look at the whole image, not at windows of it."

_EXAMPLE = "\n\nExample:\n"
_BUILD = """\
    >>> model = kcz.{name}(weights=None)
    >>> model.input_shape, model.output_shape
    ({takes}, {gives})
    >>> print(f"{{model.count_params():,}}")
    {parameters:,}
"""
_ANY_IMAGE = """\
    >>> dense = kcz.{name}(weights=None, fully_convolutional=True)
    >>> dense.output_shape  # a map, of images of any size
    (None, None, None, {classes})
"""
_OTHER_CLASSES = """\
    >>> mine = kcz.{name}(weights=None, classes=7)  # to train for seven classes
    >>> mine.output_shape
    {seven}
"""


def documented(layers: Callable, text: str, example: str = "") -> str:
    """Return a builder's docstring: what the net is, what builders share, an example.

    Args:
        layers: The list of layers, whose docstring may end with an example of its own.
        text: What the docstring says behind what the net is.
        example: Another example, for a list without one.
    """
    told, _, own = inspect.cleandoc(layers.__doc__).partition(_EXAMPLE)
    return f"{told}\n{text.rstrip()}{_EXAMPLE}{own or example}"


def builds_classifier(entry: ModelEntry, looks_at_all: bool) -> str:
    """Return an example, as a doctest, of what a classifier takes and gives.

    Args:
        entry: What the manifest knows of it.
        looks_at_all: Whether layers before the head look at the whole image.
    """
    sides = entry.input_size or (None, None)
    places = () if entry.input_size else sides
    slides = entry.input_size is not None and not looks_at_all
    return (_BUILD + (_ANY_IMAGE if slides else _OTHER_CLASSES)).format(
        name=entry.name,
        classes=entry.classes,
        parameters=entry.parameters,
        takes=(None, *sides, 3),
        gives=(None, *places, entry.classes),
        seven=(None, *places, 7),
    )


def describe_classifier(
    entry: ModelEntry, smallest: int, features: str, looks_at_all: bool
) -> str:
    """Return what a classifier's builder says behind what the net is.

    Args:
        entry: What the manifest knows of it.
        smallest: Least height and width of an image.
        features: Name of the last layer without the top.
        looks_at_all: Whether layers before the head look at the whole image.
    """
    sides = {**_sides(entry), "channels": 3}
    return _CLASSIFIER.format(
        smallest=smallest,
        features=features,
        input_shape=_shapes(entry, looks_at_all).format(**sides),
        fully_convolutional=_cast(entry, looks_at_all, sides),
        answer=_answer(entry),
        **_image(entry),
    ) + _facts(entry)


def describe(
    entry: ModelEntry, smallest: int | None, channels: int = 3, takes: str = ""
) -> str:
    """Return what the builder of any other net says behind what the net is.

    Args:
        entry: What the manifest knows of it.
        smallest: Least height and width of an image; None if it has its own size only.
        channels: Channels of an image.
        takes: What these are, if `preprocess_input` does not make them.
    """
    shapes = _OWN_SIZE if smallest is None else _FROM if entry.input_size else _ANY_SIZE
    has_classes = entry.class_labels is not None
    image = _image(entry, channels)
    return _ANY.format(
        input_shape=shapes.format(
            **_sides(entry), smallest=smallest, channels=channels
        ),
        classes=_CLASSES.format(count=entry.classes) if has_classes else "",
        takes=takes or _TAKES.format(**image),
        **image,
    ) + _facts(entry)


def _sides(entry: ModelEntry) -> dict:
    height, width = entry.input_size or ("H", "W")
    return {"height": height, "width": width}


def _image(entry: ModelEntry, channels: int = 3) -> dict:
    """Return what a net wants of images."""
    scaled = "" if entry.scale == 1 else f", multiplied by {entry.scale:.6g}"
    return {
        "image": "(N, {height}, {width}, {n})".format(n=channels, **_sides(entry)),
        "order": entry.channel_order,
        "scaled": scaled,
    }


def _facts(entry: ModelEntry) -> str:
    return "\nFacts:\n" + "".join(f"    {line}\n" for line in fact_lines(entry))


def _shapes(entry: ModelEntry, looks_at_all: bool) -> str:
    if entry.input_size is None:
        return _ANY_SIZE
    return _NO_OTHER if looks_at_all else _ONE_SIZE


def _answer(entry: ModelEntry) -> str:
    """Return how a net's answer is of another shape than Caffe's blob, if it is."""
    heads = [w for w, *_ in entry.blobs.values() if w[0] == entry.classes]
    if len(heads[-1]) != 4 or entry.input_size is None:
        return ""
    classes = entry.classes
    return _FLAT.format(gives=f"(N, {classes})", blob=f"(N, 1, 1, {classes})")


def _cast(entry: ModelEntry, looks_at_all: bool, sides: dict) -> str:
    """Return what `fully_convolutional` does to a net."""
    if looks_at_all:
        return _NOT
    if entry.input_size is None:
        return _ALREADY
    height, width = entry.input_size
    pixels = f"{height} pixels" if height == width else f"{height} x {width} pixels"
    windows = _MAP.format(pixels=pixels, **sides)
    inner_products = [n for n, (w, *_) in entry.blobs.items() if len(w) == 2]
    if inner_products:
        return _DENSE.format(name=inner_products[-1]) + windows
    return _POOLED + windows


def fact_lines(entry: ModelEntry) -> list[str]:
    """Return what the manifest knows of a net, a line each."""
    lines = [f"Weights: {entry.file.name}, {_size(entry)}."]
    lines.append(f"Licence: {entry.licence.text or 'unknown'}.")
    for accuracy in entry.accuracy:
        figures = [
            f"{value} % {what}"
            for what in ("top1", "top5", "mean_iu", "mean_ap", "accuracy")
            if (value := getattr(accuracy, what)) is not None
        ]
        where = ", ".join(filter(None, [accuracy.dataset, accuracy.protocol]))
        lines.append(f"Accuracy: {', '.join(figures)} ({where}; {accuracy.source}).")
    if entry.citation:
        lines.append(f"Paper: {entry.citation}")
    return lines


def _size(entry: ModelEntry) -> str:
    size = entry.file.size or entry.file.payload_bytes
    if not size:
        return "size unknown"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
