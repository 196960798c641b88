"""A net to be looked at: its layers, and what is known of each."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net, read_net
from keras_caffe_zoo.caffe.sniff import check_order
from keras_caffe_zoo.conversion.deploy import DeployNet, Kept, deploy_net, with_data
from keras_caffe_zoo.conversion.exporter import open_net
from keras_caffe_zoo.conversion.loading import stored_by_position
from keras_caffe_zoo.conversion.preparing import given_shapes
from keras_caffe_zoo.kinds import KERAS, ending
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import did_you_mean
from keras_caffe_zoo.onnx.sizing import LayerSizes, Shape, Sizing
from keras_caffe_zoo.rules.forks import fork_of_type
from keras_caffe_zoo.rules.python import code_name, name_python_layers
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.view.kinds import kind_of
from keras_caffe_zoo.view.settings import short_settings
from keras_caffe_zoo.weights import model_names

PathLike = str | os.PathLike
InputShape = tuple | Mapping[str, tuple] | None

_NAME = re.compile(r"[\w-]+(\.\d+)?")  # as nets have, and files seldom
MAX_DRAWN = 2000  # layers; more are listed, without shapes
_BYTES = 4  # of a float32


@dataclass
class ViewedLayer:
    """One layer.

    Attributes:
        layer: The layer as the file has it.
        kind: What it does, a key of `kinds.KINDS`.
        settings: The few settings that tell most.
        fork: The fork of Caffe that has its type; `""` for BVLC's own, and unknown.
        sizes: Its shapes and figures.
    """

    layer: Layer
    kind: str
    settings: str
    fork: str
    sizes: LayerSizes

    @property
    def name(self) -> str:
        """Caffe's name."""
        return self.layer.name

    @property
    def type(self) -> str:
        """Caffe's type; of a Python layer its class, where that is told."""
        return code_name(self.layer)

    @property
    def in_place(self) -> bool:
        """Whether it writes into the blob that it reads, and into nothing else."""
        return bool(self.layer.tops) and self.layer.tops == self.layer.bottoms[:1]

    @property
    def memory(self) -> int | None:
        """Bytes of the blobs that it adds, in float32; None if nobody knows."""
        if self.in_place:
            return 0
        sizes = [None if s is None or None in s else math.prod(s) for s in self.tops]
        return None if None in sizes else _BYTES * sum(sizes)

    @property
    def tops(self) -> list[Shape | None]:
        """The shapes of what it writes."""
        return self.sizes.tops


@dataclass
class ViewedNet:
    """A net.

    Attributes:
        name: The net's name.
        source: The file.
        layers: Its layers in the order in which Caffe runs them.
        items: How many items a batch has: figures are those of one.
        notes: What is to be known besides, a sentence each.
        kernel: The first layer's filters (out, in, height, width), where the file has
            them; None if not.
        kernel_of: The name of that layer.
    """

    name: str
    source: str
    layers: list[ViewedLayer]
    items: int = 1
    notes: list[str] = field(default_factory=list)
    kernel: np.ndarray | None = None
    kernel_of: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether it has few enough layers for a picture."""
        return len(self.layers) <= MAX_DRAWN

    @property
    def parameters(self) -> int:
        """Numbers that it has learned."""
        return sum(x.sizes.parameters for x in self.layers)

    @property
    def is_counted(self) -> bool:
        """Whether the multiply-adds of all its layers are known."""
        return all(x.sizes.multiply_adds is not None for x in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Products that its sums are of for one item, as far as that is known."""
        known = [x.sizes.multiply_adds for x in self.layers]
        return sum(x for x in known if x is not None) // self.items

    @property
    def memory(self) -> int:
        """Bytes of all its blobs for one item, as far as that is known."""
        known = [x.memory for x in self.layers]
        return sum(x for x in known if x is not None) // self.items

    @property
    def unsized(self) -> list[ViewedLayer]:
        """The layers whose shapes are not known."""
        return [x for x in self.layers if x.sizes.problem]

    def as_dict(self) -> dict:
        """Return all figures for programs."""
        return {
            "name": self.name,
            "source": self.source,
            "items": self.items,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "memory": self.memory,
            "notes": list(self.notes),
            "layers": [_as_dict(x) for x in self.layers],
        }


def _as_dict(viewed: ViewedLayer) -> dict:
    return {
        "name": viewed.name,
        "type": viewed.type,
        "bottoms": list(viewed.layer.bottoms),
        "tops": list(viewed.layer.tops),
        "shapes": [None if s is None else list(s) for s in viewed.tops],
        "parameters": viewed.sizes.parameters,
        "multiply_adds": viewed.sizes.multiply_adds,
        "memory": viewed.memory,
        "problem": viewed.sizes.problem,
    }


def viewed_file(
    path: PathLike,
    weights: PathLike | None = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    input_shape: InputShape = None,
    advance: Callable[[int], None] = lambda _: None,
) -> ViewedNet:
    """Read a net to be looked at, without Keras.

    Args:
        path: A `.prototxt`, or a `.caffemodel`, which has its net in it.
        weights: The `.caffemodel` of a `.prototxt`, if there is one.
        phase: `"TEST"` or `"TRAIN"`.
        level: As in `from_caffe`.
        stages: As in `from_caffe`.
        input_shape: As in `from_caffe`, in place of the net's own; `(H, W)` will do
            where the net tells the channels of its image.
        advance: Is told of each layer whose sizes are known.

    Raises:
        CaffeFormatError: If a file is damaged, or no net.
        ValueError: If an argument is not as above.
        OSError: If a file cannot be read.
    """
    check_order(path, weights)
    whole = read_net(path)
    if not whole.layers or whole.version == "HDF5":
        raise CaffeFormatError(
            "Expected a net with layers; received none. Give the .prototxt first, then "
            "the file with its weights",
            source=str(path),
        )
    trained = read_net(weights, gaps=True) if weights is not None else None
    if trained is None and whole.params:
        trained = whole
    whole = whole.fold_splits()
    other = "TEST" if phase == "TRAIN" else "TRAIN"
    net = whole.filter(phase, level, stages)
    net = with_data(net, whole, whole.filter(other, level, stages))
    return _viewed(net, trained, input_shape, advance)


def is_opened(net: PathLike) -> bool:
    """Tell whether it is a net of the zoo or a file of Keras, which Keras must open.

    Raises:
        FileNotFoundError: If it is almost the name of a net of the zoo, and no file.
    """
    name = os.fspath(net)
    if ending(net) == KERAS:
        return True
    if os.path.exists(name):
        return False
    if name in model_names():
        return True
    hint = _NAME.fullmatch(name) and did_you_mean(model_names(), name)
    if hint:
        raise FileNotFoundError(
            "Expected a file of Caffe's or Keras', or the name of a net of the zoo; "
            f"received: {name}, which is neither. {hint}"
        )
    return False


def viewed_net(
    net: Net,
    shapes: Mapping[str, Shape] | None = None,
    params: Mapping[str, list[np.ndarray]] | None = None,
    unwritten: Mapping[str, dict] | None = None,
) -> ViewedNet:
    """Return a net in Caffe's terms as one to be looked at.

    Args:
        net: The net, filtered for its phase.
        shapes: The shapes of its data blobs; the net's own if not given.
        params: Its parameters by layer.
        unwritten: What no file tells of single layers, as of `OnnxBuilder`.
    """
    layers = [replace(x, blobs=(params or {}).get(x.name, x.blobs)) for x in net.layers]
    trained = Net(net.name, layers) if params else None
    return _viewed(net, trained, None, shapes=shapes, unwritten=unwritten or {})


def viewed_model(model: keras.Model) -> ViewedNet:
    """Return a Keras model as a net to be looked at, in Caffe's terms.

    Raises:
        ValueError: If the model has layers that Caffe does not have; names all of them.
    """
    opened = open_net(model)
    return viewed_net(opened.net, opened.shapes, opened.params, opened.unwritten)


def _viewed(
    net: Net,
    trained: Net | None,
    input_shape: InputShape,
    advance: Callable[[int], None] = lambda _: None,
    shapes: Mapping[str, Shape] | None = None,
    unwritten: Mapping[str, dict] | None = None,
) -> ViewedNet:
    notes: list[str] = []
    named = name_python_layers(net)
    stored = {} if trained is None else stored_by_position(named, trained)
    if len(net.layers) > MAX_DRAWN:
        sizes = [_unsized(layer) for layer in net.layers]
        shapes = {}
        notes.append(
            f"Of {len(net.layers):,} layers there is only a list: shapes and a picture "
            f"are made of at most {MAX_DRAWN:,}."
        )
    else:
        if shapes is None:
            shapes = _input_shapes(named, trained, input_shape, notes)
        shapes = {blob: _with_items(shape) for blob, shape in shapes.items()}
        options = {"fixed": True, "unwritten": unwritten or {}}
        sizes = Sizing(named, shapes, {}, **options).sizes(advance)
    _add_stored(sizes, stored)
    found = ViewedNet(
        net.name,
        net.source,
        [
            _layer(mine, its_name, known)
            for mine, its_name, known in zip(
                net.layers, named.layers, sizes, strict=True
            )
        ],
        _items(shapes),
        notes,
    )
    if found.is_drawn and found.unsized:
        count = len(found.unsized)
        notes.append(
            f"The shapes of {count:,} layer{'s' * (count > 1)} are unknown, first of "
            f"'{found.unsized[0].name[:80]}': {found.unsized[0].sizes.problem[:300]}."
        )
    found.kernel, found.kernel_of = _kernel(named, stored)
    return found


def _layer(layer: Layer, named: Layer, sizes: LayerSizes) -> ViewedLayer:
    rule = rule_of(named.type)
    fork = rule.fork if rule is not None else fork_of_type(code_name(layer)) or ""
    return ViewedLayer(layer, kind_of(named.type), short_settings(named), fork, sizes)


def _unsized(layer: Layer) -> LayerSizes:
    return LayerSizes(
        [None] * len(layer.bottoms), [None] * len(layer.tops), multiply_adds=None
    )


def _input_shapes(
    net: Net, trained: Net | None, input_shape: InputShape, notes: list[str]
) -> dict[str, Shape | None]:
    """Return the shapes of the data blobs, labels among them, as far as told."""
    every = [(at, i) for at, x in enumerate(net.layers) for i in range(len(x.tops))]
    part = deploy_net(net, trained, by_place=True, kept=Kept(tops=frozenset(every)))
    if input_shape is not None:
        given = input_shape if isinstance(input_shape, Mapping) else {}
        first = next(iter(part.inputs), None)
        if not given:
            input_shape = _with_channels(tuple(input_shape), part.inputs.get(first))
        told = {
            blob: shape
            for blob, shape in part.inputs.items()
            if shape or blob in given or (not given and blob == first)
        }
        part.inputs |= given_shapes(DeployNet(part.net, told, part.data), input_shape)
    for blob, shape in part.inputs.items():
        if any(size is not None and not 0 < size < 2**31 for size in shape or ()):
            part.inputs[blob] = None
            notes.append(f"No data blob has the sizes of '{blob[:80]}': {shape[:8]}.")
    return part.inputs


def _with_channels(given: tuple, own: Shape | None) -> tuple:
    """Return height and width with the channels of the net's own image behind them."""
    if len(given) == 2 and own is not None and len(own) == 4:
        return (*given, own[1])
    return given


def _with_items(shape: Shape | None) -> Shape | None:
    """Return a shape whose number of items is known: 1, if nobody tells."""
    return None if not shape else (shape[0] or 1, *shape[1:])


def _items(shapes: Mapping[str, Shape | None]) -> int:
    """Return how many items a batch has, if all data blobs agree."""
    first = {shape[0] or 1 for shape in shapes.values() if shape}
    return first.pop() if len(first) == 1 else 1


def _add_stored(sizes: list[LayerSizes], stored: Mapping[int, list]) -> None:
    """Count the parameters that only the weights tell of."""
    for at, blobs in stored.items():
        if not sizes[at].params:
            sizes[at].params = [tuple(blob.shape) for blob in blobs]
            sizes[at].parameters = sum(blob.size for blob in blobs)


def _kernel(net: Net, stored: Mapping[int, list]) -> tuple[np.ndarray | None, str]:
    """Return the filters of the first layer that has any, if they see 1 or 3 maps."""
    for at, layer in enumerate(net.layers):
        rule = rule_of(layer.type)
        if rule is not None and rule.has_kernel:
            blobs = stored.get(at, [])
            fits = blobs and blobs[0].ndim == 4 and blobs[0].shape[1] in (1, 3)
            return (blobs[0], layer.name) if fits else (None, "")
    return None, ""
