"""The builders' docstrings: what the net is, then what all builders share."""

from keras_caffe_zoo.weights import ModelEntry

_ARGUMENTS = """
A layer has the name and the values of Caffe's blob: `fc7` is taken after its ReLU.

Args:
    include_top: Whether to have the classifier; else the model takes images of any size
        from {smallest} x {smallest} pixels and ends with `{features}`.
    weights: `"caffe"` for the published weights, `None` for random ones, or the path of
        a `.caffemodel`, an `.h5` of `keras-caffe-zoo dump`, or a Keras `.weights.h5`.
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
    A `keras.Model`. It takes `{image}` images in BGR with the mean
    subtracted, which `preprocess_input` makes.

Raises:
    ValueError: On arguments that do not go together, or weights that do not fit.
    WeightsDownloadError: If the published weights cannot be had.
"""

_ONE_SIZE = """\
`(H, W, 3)`; with the top it can only be `({size}, {size}, 3)`, or with
        `fully_convolutional` anything from there, `None` included."""
_ANY_SIZE = "`(H, W, 3)`, anything, `None` included."

_MAP = """\
        The model then takes images of any size from {size} pixels and gives a map of
        answers, one for each {size} x {size} window."""
_DENSE = """\
Turn the inner products into convolutions with the same weights
        (`{name}` into `{name}-conv`).
"""
_POOLED = "Slide the last pooling over the map instead of taking it all.\n"
_ALREADY = "Makes no difference: the net is fully convolutional as it is."


def describe(text: str, entry: ModelEntry, smallest: int, features: str) -> str:
    """Return a builder's docstring.

    Args:
        text: What the net is.
        entry: What the manifest knows of it.
        smallest: Least height and width of an image.
        features: Name of the last layer without the top.
    """
    size = entry.input_size
    inner_products = [n for n, (w, *_) in entry.blobs.items() if len(w) == 2]
    if size is None:
        cast = _ALREADY
    elif inner_products:
        cast = _DENSE.format(name=inner_products[-1]) + _MAP.format(size=size)
    else:
        cast = _POOLED + _MAP.format(size=size)
    shape = _ONE_SIZE if size else _ANY_SIZE
    arguments = _ARGUMENTS.format(
        smallest=smallest,
        features=features,
        input_shape=shape.format(size=size, smallest=smallest),
        fully_convolutional=cast,
        image=f"(N, {size}, {size}, 3)" if size else "(N, H, W, 3)",
    )
    facts = "\n".join(f"    {line}" for line in fact_lines(entry))
    return f"{text}\n{arguments}\nFacts:\n{facts}\n"


def fact_lines(entry: ModelEntry) -> list[str]:
    """Return what the manifest knows of a net, a line each."""
    lines = [f"Weights: {entry.file.name}, {_size(entry)}."]
    lines.append(f"Licence: {entry.licence.text or 'unknown'}.")
    for accuracy in entry.accuracy:
        figures = [
            f"{value} % {what}"
            for what in ("top1", "top5", "mean_iu")
            if (value := getattr(accuracy, what)) is not None
        ]
        where = ", ".join(filter(None, [accuracy.dataset, accuracy.protocol]))
        lines.append(f"Accuracy: {', '.join(figures)} ({where}; {accuracy.source}).")
    if entry.citation:
        lines.append(f"Paper: {entry.citation}")
    return lines


def _size(entry: ModelEntry) -> str:
    size = entry.file.size or entry.file.payload_bytes
    return f"{size / 1e6:.0f} MB" if size else "size unknown"
