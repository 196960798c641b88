"""A rule: everything known of one type of Caffe layer, and of the Keras layer it is.

    @register
    class GainRule(Rule):
        types, layers = ("Gain",), (Gain,)
        param = Param("gain_param", "1 shift float=0; 2 filler FillerParameter", 143)
        codec, fillers = STORED, ("filler",)
        traits = Traits(places="kept", channels="kept", order="kept")

        def build(self, node, x):
            node.learns((node.channels(x),))
            return Gain(node.param.shift, name=node.name)(x)

        def onnx(self, node, x):
            node.learns((node.channels(x),))
            y = node.op("Mul", x, node.array(0)[:, None, None])
            return node.op("Add", y, node.param.shift)

        def encode(self, call):
            call.add("Gain", gain_param={"shift": call.layer.shift})

Whatever a rule does not declare is refused where it is needed, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.caffe import Layer, Param
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.names import caffe_name

Arrays = list[np.ndarray]


class Window(NamedTuple):
    """How a layer slides along one axis of a map, in cells of its input.

    Attributes:
        kernel: Cells in the window.
        stride: Cells from one window to the next.
        dilation: Cells from one cell of the window to the next.
        before: Cells that the layer adds before the first.
        after: Cells that it adds behind the last.
        size: Windows.

    Example:
        >>> from keras_caffe_zoo.rules import traits_of
        >>> pool = kcz.CaffePool2D(kernel_size=3, strides=2)
        >>> y = pool(keras.Input((None, None, 8)))
        >>> window = traits_of(pool).places(pool, 6, 0)  # of 6 rows
        >>> window  # Caffe rounds up: of three windows the last hangs over the end
        Window(kernel=3, stride=2, dilation=1, before=0, after=0, size=3)
        >>> window.stride * (window.size - 1) + window.kernel
        7
    """

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    size: int


class Traits(NamedTuple):
    """What a layer does to a map, for whoever moves nets and weights about.

    A trait that is `None` is not known, and what would need it is refused.

    Attributes:
        places: What the cell (y, x) of the output is made of. `"kept"`: of the inputs'
            cells (y, x); of a window of cells: a function from the layer, the size of
            its input along an axis, and the axis (0 or 1) to a `Window`; `"first"`: of
            the first input's cell; `"uniform"`: of the same cells around it, wherever
            it is, in a way that no `Window` tells; `"mixed"`: of anything else.
        channels: `"kept"` if the output has the channels of the (first) input.
        order: How the values of an output stand when it is flattened. `"kept"`: as
            those of the inputs; `"flattened"`: so too, and a map's without its axes;
            `"flattened in Caffe's order"`; `"permuted"`: the layer brings a map into
            Caffe's order of axes; `"new"`: as values of a vector that is no map
            flattened; `"first"`: as those of the first input; `"moved"` in another
            order of the same axes, `"shuffled"` across axes.
        outputs: The argument that says how many channels come out, such as `"units"`.
        activation: `"relu"` or `"softmax"` if the layer is that.
        reads: How many of its inputs the output is made of, `None` for all; others
            only tell a size.
        enlarges: Whether it makes larger maps of the maps that it reads.

    Example:
        >>> from keras_caffe_zoo.rules import traits_of
        >>> traits = kcz.Traits(places="kept", channels="kept", order="kept")
        >>> traits == traits_of(kcz.CaffeLRN())  # a place looks at itself alone
        True
        >>> traits_of(keras.layers.GRU(2)).places is None  # nobody has told
        True
    """

    places: str | Callable[[keras.Layer, int, int], Window] | None = None
    channels: str | None = None
    order: str | None = None
    outputs: str | None = None
    activation: str | None = None
    reads: int | None = None
    enlarges: bool = False


def activation_of(layer: keras.Layer) -> str | None:
    """Return the trait that a layer has by the activation that is built into it."""
    known = {keras.activations.relu: "relu", keras.activations.softmax: "softmax"}
    return known.get(layer.activation)


# Layers that look at one value at a time.
POINTWISE = Traits(places="kept", channels="kept", order="kept")
MIXED = Traits(places="mixed", order="moved")


class Codec(NamedTuple):
    """How a Keras layer's weights are Caffe's blobs, and the other way round.

    Both functions take the layer and a list of arrays, and return a list of arrays.

    Example:
        >>> transposed = kcz.Codec(
        ...     lambda layer, weights: [weights[0].T],
        ...     lambda layer, blobs: [blobs[0].T],
        ... )
        >>> (blob,) = transposed.encode(None, [np.array([[1, 2, 3]])])
        >>> blob.tolist(), transposed.decode(None, [blob])[0].tolist()
        ([[1], [2], [3]], [[1, 2, 3]])
    """

    encode: Callable[[keras.Layer, Arrays], Arrays]
    decode: Callable[[keras.Layer, Arrays], Arrays]


def _as_stored(_, arrays: Arrays) -> Arrays:
    return list(arrays)


STORED = Codec(_as_stored, _as_stored)  # the weights are the blobs

Ends = tuple[int, int | None]  # least and largest number; None for any


class Rule:
    """One type of Caffe layer, or several that differ little.

    Attributes:
        types: Caffe's names of the types; none for a Keras layer that Caffe has no
            type for, and that is written as layers of other types.
        fork: The fork of Caffe that has these types; `""` for BVLC's own, and yours.
        layers: The Keras classes that layers of these types become, or that are
            written as such; of Keras' own and this package's the names will do. They
            are found by their class, or that of a base whose `call` they do not
            replace.
        param: The parameter message of the types.
        variants: What other forks have in its place under the same name, with other
            fields, defaults or numbers; `param_of` tells which one is a layer's.
        also: Other messages that their layers may have.
        bottoms: Least and largest number of bottoms; `None` for any.
        tops: Likewise.
        role: `"layer"`, or what becomes of it in a net that predicts: `"input"` and
            `"data"` give the net its inputs, `"loss"`, `"metric"` and `"output"` are
            left out or leave a prediction, `"silence"` ends what nobody reads,
            `"targets"` only makes labels (see `rcnn.Targets`).
        refused: Why layers of the type cannot be built, if they cannot.
        codec: How weights are blobs; `None` for layers without weights.
        fillers: Names of the fields with the fillers of each blob, in their order.
        traits: What all layers of the classes do; see `traits_of`.
        in_place: `"usual"` if Caffe's nets have the layer write into the blob that it
            reads, `"possible"` if Caffe can; `""` if it would go wrong.
        keeps_tops: Whether Caffe needs a layer's tops again in its next pass.
        splits: Whether the tops of a Caffe layer are one Keras tensor.
        applies_to_each: Whether a layer of several bottoms has a top for each.
        same_shapes: Whether the bottoms must have the same shape.
        same_items: Whether the bottoms must have the same number of items.
        left_out: Whether a Keras layer is none in Caffe: what reads it does its work.
        has_kernel: Whether its first blob is a matrix or kernel (out, in, …), its
            second a bias.
        flattens: Whether it reads its bottom flattened, in Caffe's order of axes.
        compares_reads: Whether which layer it reads tells nets apart whose blobs have
            the same shapes.
        config: Names of what the code of Python layers takes from its configuration,
            and `from_caffe` as `python_config`.
        rows: What rows of its tops stand for that begin with the number of their item:
            `"of one item"` if the first axis is that of the items, `"of all items"` if
            the rows of all items follow one another; then what is made of such rows
            has them, too.
        precision: In which precision a layer may compute, in a model of less than
            float32: `"reduced"` in the model's, with float32 for what needs it;
            `"kept"` in that of what it reads; `""` in float32, for exact coordinates
            and sums of many values.
        spare_rows: Whether rows of its first output that have a negative number of
            their item stand for nothing: Caffe's blob, and those made of it row by
            row, do not have them.

    Example:
        >>> class TimesRule(kcz.Rule):
        ...     types = ("Times",)
        ...     param = kcz.Param("times_param", "factor float=2")
        ...
        ...     def build(self, node, x):
        ...         return keras.layers.Rescaling(node.param.factor, name=node.name)(x)
        >>> net = '''input: "data" input_shape { dim: 1 dim: 2 }
        ... layer { name: "y" type: "Times" bottom: "data" top: "y"
        ...         times_param { factor: 10 } }'''
        >>> with open("net.prototxt", "w") as file:
        ...     _ = file.write(net)
        >>> model = kcz.from_caffe("net.prototxt", custom_layers={"Times": TimesRule})
        >>> np.asarray(model(np.array([[1.0, 2.0]]))).tolist()
        [[10.0, 20.0]]
    """

    types: tuple[str, ...] = ()
    fork: str = ""
    layers: tuple[type | str, ...] = ()
    param: Param | None = None
    variants: tuple[Param, ...] = ()
    also: tuple[Param, ...] = ()
    bottoms: Ends = (1, 1)
    tops: Ends = (1, 1)
    role: str = "layer"
    refused: str = ""
    codec: Codec | None = None
    fillers: tuple[str, ...] = ()
    traits: Traits = Traits()
    in_place: str = ""
    keeps_tops: bool = False
    splits: bool = False
    applies_to_each: bool = False
    same_shapes: bool = False
    same_items: bool = False
    left_out: bool = False
    has_kernel: bool = False
    flattens: bool = False
    compares_reads: bool = False
    config: tuple[str, ...] = ()
    rows: str = ""
    precision: str = ""
    spare_rows: bool = False

    def build(self, node, *bottoms):
        """Return the tensors of a Caffe layer's tops: one, or a list.

        Args:
            node: The layer, a `Node`.
            *bottoms: A symbolic tensor for each bottom; 4-D blobs are channels last,
                others in Caffe's order of axes.
        """
        raise node.error(self.refused or "Expected a type that can be built")

    def onnx(self, node, *bottoms):
        """Return the tensors of a Caffe layer's tops in an ONNX graph: one, or a list.

        Operations are those of the standard's operator set 17; numbers and arrays among
        their inputs become constants, Python's floats float32.

        Args:
            node: The layer, an `OnnxNode`, whose `op` adds operations; as in `build` it
                is told with `learns` which blobs the layer has, and then gives them as
                `array(0)`, … in Caffe's layout.
            *bottoms: A `Value` for each bottom, in Caffe's order of axes.
        """
        raise node.error("Expected a type that can be written as ONNX operations")

    def encode(self, call) -> None:
        """Add to `call`, a `Target`, the Caffe layers that a Keras layer is."""
        raise call.error("Caffe has no such layer")

    def unwritten(self, layer: keras.Layer) -> dict:
        """Return what no Caffe file tells of a Keras layer: attributes of its node."""
        return {}

    def param_of(self, layer: Layer) -> Param | None:
        """Return the parameter message of one Caffe layer."""
        return self.param

    def params_of(self, layer: Layer) -> list[Param]:
        """Return the messages that one Caffe layer may have, its own first."""
        return [p for p in (self.param_of(layer), *self.also) if p is not None]

    def precision_of(self, layer: keras.Layer) -> str:
        """Return the precision of one layer, where its arguments matter."""
        return self.precision

    def traits_of(self, layer: keras.Layer) -> Traits:
        """Return what one layer does, where its arguments matter."""
        return self.traits

    def blob_axes(self, layer: Layer) -> Sequence[int | None] | None:
        """Return how many axes each blob of a Caffe layer has.

        `None` for one whose axes are as stored; `None` at all where not even the
        number of blobs is known.
        """
        return () if self.codec is None else None

    def channels(self, layer: Layer, bottoms: list[int | None]) -> int | None:
        """Return the channels of a Caffe layer's tops, given those of its bottoms."""
        kept = self.traits.channels == "kept" and bottoms
        return bottoms[0] if kept else None

    def facts(self, layer: Layer) -> dict:
        """Return what tells a Caffe layer from others with blobs of the same shapes.

        Args:
            layer: The Caffe layer.

        Returns:
            Attributes of the Keras layer, and the values that they must have.
        """
        return {}

    def learned_blobs(self, layer: Layer) -> Arrays:
        """Return a Caffe layer's blobs as `codec` takes them."""
        return layer.blobs

    def stored(self, node, index: int, array: np.ndarray) -> np.ndarray:
        """Return a blob as a caffemodel has it, where `codec` takes another.

        Of a blob as in the file it returns what `codec` takes.
        """
        return array

    def filler_fields(self, node) -> Sequence[str]:
        """Return the field with the filler of each of a layer's blobs."""
        return self.fillers[: len(node.shapes)]

    def fill(self, node, index: int, initializer) -> np.ndarray:
        """Return a blob that is filled with what an initializer makes.

        Args:
            node: The layer.
            index: Which blob.
            initializer: A Keras initializer; it gets the shape of Keras' kernel.
        """
        return filled(node.shapes[index], initializer)

    def params(self, layer: keras.Layer) -> list[Arrays]:
        """Return the blobs of each of the Caffe layers that a Keras layer becomes.

        Raises:
            ValueError: If the rule has no codec.
        """
        if self.codec is None:
            raise no_codec(layer)
        weights = [ops.convert_to_numpy(w).astype("float32") for w in layer.weights]
        return [self.codec.encode(layer, weights)]

    def own_params(self, layer: keras.Layer) -> bool:
        """Tell whether blobs are not weights one by one, but made of them."""
        return False

    def is_copy(self, layer: keras.Layer) -> bool:
        """Tell whether a Keras layer gives back what it is given."""
        return False

    def affine(self, layer: keras.Layer, x) -> Affine | None:
        """Return what a layer does to each channel when it predicts.

        Args:
            layer: The Keras layer.
            x: The symbolic tensor that it reads.

        Returns:
            Factors and offsets, in float64; `None` if it does anything else.
        """
        return Affine() if self.is_copy(layer) else None

    def function(self, layer: keras.Layer) -> str | None:
        """Return the function that a layer is, if layers can have it built in.

        Returns:
            Keras' name of the activation, or `None`.
        """
        return None

    def by_channel(self, layer: keras.Layer, x, kernel: np.ndarray):
        """Return a view of a layer's kernel by its channels.

        Args:
            layer: The Keras layer, whose weights are the kernel and perhaps a bias.
            x: The symbolic tensor that it reads.
            kernel: The kernel.

        Returns:
            A view (window, groups, inputs, outputs), or `None` if the layer has no such
            kernel, or its channels are not at Caffe's axis 1.
        """
        return None

    def sees_zeros(self, layer: keras.Layer, x) -> bool:
        """Tell whether some windows of a layer with a kernel reach beyond its input."""
        return True

    def shares_memory(self, call) -> bool:
        """Tell whether Caffe copies nothing: the top is the bottom's memory.

        Args:
            call: A call of the Keras layer, with `layer`, `inputs` and `outputs`.
        """
        return False

    def timed_inputs(self, layer: keras.Layer) -> int:
        """Return how many of the first inputs are made of data that has time first."""
        return 0

    def caffe_bottoms(self, inputs: list) -> list:
        """Return those of a Keras layer's inputs that are bottoms in Caffe."""
        return inputs

    def blob(self, layer: keras.Layer, array: np.ndarray) -> np.ndarray:
        """Return an output that a model computed as the blob that Caffe has."""
        return layout.blob_from_tensor(array)

    def on_map(self, layer: keras.Layer, image) -> keras.Layer | None:
        """Return the layer that does on a larger map what this one does on a vector.

        Args:
            layer: A layer of a classifier, behind the point where its map was flattened
                or on the way there.
            image: Tells `(height, width)` of the map that a layer reads flattened.

        Returns:
            The new layer, without weights; `None` for one that a map does not need.

        Raises:
            ValueError: If there is none; says why, as a half sentence.
        """
        places = self.traits_of(layer).places
        if places in (None, "mixed"):
            raise ValueError("it looks at the whole map" if places else UNDECLARED)
        config = layer.get_config()
        if all(len(y.shape) == 4 for y in keras.tree.flatten(layer.output)):
            return layer.__class__.from_config(config)
        if places != "kept":
            raise ValueError("it looks at the whole vector")
        return layer.__class__.from_config(self._on_last_axis(config))

    def _on_last_axis(self, config: dict) -> dict:
        if "axis" not in config:
            return config
        axis = config["axis"]
        axis = axis if isinstance(axis, int) else axis[0]
        if axis not in (-1, 1):
            raise ValueError(f"its axis is {axis}")
        return {**config, "axis": -1}

    def give_weights(self, layer: keras.Layer, source: keras.Layer, image) -> None:
        """Give the layer that `on_map` made the weights of the one it was made of."""
        layer.set_weights(source.get_weights())


def no_codec(layer: keras.Layer) -> ValueError:
    """Return an error that says whose weights nobody can turn into blobs."""
    return ValueError(
        f"Layer '{caffe_name(layer.name)}' has weights, and no rule says how Caffe "
        f"stores those of a {type(layer).__name__}. Register one with its codec "
        "(keras_caffe_zoo.register), or leave the layer out."
    )


UNDECLARED = "no rule declares what it does to a map"


def filled(shape: Sequence[int], initializer) -> np.ndarray:
    """Return a blob of a shape in Caffe's order of axes, filled."""
    kernel = initializer((*shape[2:], *shape[1::-1]))
    blob = ops.convert_to_numpy(kernel)
    return layout.conv_weight(blob) if blob.ndim > 1 else blob
