"""Nets in short: a line for each layer."""

from keras_caffe_zoo.conversion import from_caffe

_DATA = "data Input -> data; input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } }"


def prototxt(*lines, data=_DATA):
    """Return a net of lines `name type bottoms -> tops; parameters`, and its data."""
    return "\n".join(map(_layer, (data, *lines)))


def _layer(line):
    line, _, params = line.partition(";")
    ends, _, tops = line.partition("->")
    name, kind, *bottoms = ends.split()
    wires = [f'bottom: "{blob}"' for blob in bottoms]
    wires += [f'top: "{blob}"' for blob in tops.split()]
    wires = " ".join(wires)
    return f'layer {{ name: "{name}" type: "{kind}" {wires} {params} }}'


def model_of(folder, *lines, **options):
    """Return the Keras model of such a net."""
    (folder / "net.prototxt").write_text(prototxt(*lines, **options))
    return from_caffe(folder / "net.prototxt")
