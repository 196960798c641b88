"""The builders' docstrings: what the net is, then what all builders share."""

from keras_caffe_zoo.weights import ModelEntry

_ARGUMENTS = """
A layer has the name and the values of Caffe's blob: `fc7` is taken after its ReLU.

Args:
    include_top: Whether to have the classifier; else the model ends with the last
        pooling and takes images of any size from {smallest} pixels.
    weights: `"caffe"` for the published weights, `None` for random ones, or the path of
        a `.caffemodel`, an `.h5` of `keras-caffe-zoo dump`, or a Keras `.weights.h5`.
    input_tensor: Keras tensor to use as the image.
    input_shape: `(H, W, 3)`; with the top it can only be `({size}, {size}, 3)`, or with
        `fully_convolutional` anything from there, `None` included.
    pooling: `None`, `"avg"` or `"max"` over the last pooling, without the top.
    classes: Number of classes. With weights for another number, the last layer is new
        and the rest is loaded, which a message says.
    classifier_activation: Activation of the last layer; `None` for its raw values.
    name: The model's name.
    fully_convolutional: Turn the inner products into convolutions (`fc6-conv`, …) with
        the same weights. The model then takes images of any size from {size} pixels and
        gives a map of answers, one for each {size} x {size} window.

Returns:
    A `keras.Model`. It takes `(N, {size}, {size}, 3)` images in BGR with the mean
    subtracted, which `preprocess_input` makes.

Raises:
    ValueError: On arguments that do not go together, or weights that do not fit.
    WeightsDownloadError: If the published weights cannot be had.
"""


def describe(text: str, entry: ModelEntry, smallest: int) -> str:
    """Return a builder's docstring.

    Args:
        text: What the net is.
        entry: What the manifest knows of it.
        smallest: Least height and width of an image without the top.
    """
    arguments = _ARGUMENTS.format(size=entry.input_size, smallest=smallest)
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
