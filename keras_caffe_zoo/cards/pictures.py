"""What a net's card says of its input: size, channels, mean, scale."""

from keras_caffe_zoo.cards.markdown import UNKNOWN, points
from keras_caffe_zoo.weights.manifest import MeanSpec, ModelEntry

_CHANNELS = {"BGR": "blue, green, red", "RGB": "red, green, blue"}


def what_it_takes(entry: ModelEntry) -> list[str]:
    """Return what becomes of a picture before the first layer, as a list."""
    return [points([*_sizes(entry), *_pixels(entry)])]


def _pixels(entry: ModelEntry) -> list[str]:
    """Return what becomes of the pixels of an image."""
    if entry.task == "colorization":  # no channels of colours, and no mean of them
        return ["Channels: one, the lightness, which `kcz.colorize` makes of a picture"]
    return [
        f"Channels: {_CHANNELS[entry.channel_order]}, from 0 to 255",
        f"Subtracted from them: {_mean(entry.mean) if entry.mean else UNKNOWN}",
        "The difference is not scaled"
        if entry.scale == 1
        else f"The difference is multiplied by {entry.scale:.6g}",
    ]


def _sizes(entry: ModelEntry) -> list[str]:
    """Return how large an image is, and how it becomes that."""
    size = "Size: any"
    if entry.input_size:
        height, width = entry.input_size
        size = f"Size: {height} pixels high, {width} wide"
    how = _resizing(entry)
    return [size, f"Resizing: {how}"] if how else [size]


def _resizing(entry: ModelEntry) -> str:
    if entry.resize is None:
        if entry.input_size is None:
            return ""
        return (
            f"{UNKNOWN}; here the picture is resized to 256 x 256 pixels, whatever its "
            "proportions, and the centre is cut out"
        )
    rule, side = entry.resize.rule, entry.resize.size
    if rule == "to_input":
        return "to that size, whatever the proportions"
    if rule == "fit":
        return (
            "in its proportions until the picture's shorter side has "
            f"{side} pixels, or the longer {entry.resize.longest}"
        )
    if rule == "shortest_side":
        how = f"in its proportions until its shorter side has {side} pixels"
    else:
        how = f"to {side} x {side} pixels, whatever its proportions"
    cut = "" if (side, side) == entry.input_size else "; the centre is cut out"
    return f"the picture is resized {how}{cut}"


def _mean(mean: MeanSpec) -> str:
    image = mean.file and f"the mean image `{mean.file.name}`"
    if not (channels := mean.channels or mean.stand_in):
        return f"{image}; no means of the channels were published"
    if not any(channels):
        return "nothing"
    blue, green, red = (f"{one:.6g}" for one in channels)
    numbers = f"{blue} from blue, {green} from green, {red} from red"
    if blue == green == red:
        numbers = f"{blue} from each"
    if image is None:
        return numbers
    whose = ", those of a related net" if mean.channels is None else ""
    return f"{image}, or while that is not in the cache {numbers}{whose}"
