"""A solver's test net: what Caffe prints of it, over a number of batches."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import keras
import numpy as np

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import CaffeFormatError, Net
from keras_caffe_zoo.conversion.deploy import Kept, deploy_net
from keras_caffe_zoo.conversion.filling import fill
from keras_caffe_zoo.conversion.importer import build_net
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.conversion.roles import last_makers
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import role_of
from keras_caffe_zoo.training.losses import LOSS_LAYERS
from keras_caffe_zoo.training.metrics import METRIC_LAYERS
from keras_caffe_zoo.training.solver.building import prepare
from keras_caffe_zoo.training.solver.detecting import (
    DetectionTests,
    without_evaluations,
)
from keras_caffe_zoo.training.solver.objectives import UnreadTop, unread_tops


class TestNet:
    """A test net, whole: data, labels, losses and accuracies are in its model.

    Args:
        net: The net, filtered for its phase.
        name: What to call it, such as `"Test net #0"`.
        iterations: Batches of a test (`test_iter`).
        input_shape: Shapes of one item by data blob, as in `from_caffe`, where neither
            the net nor the data tell them.
        infogain: The matrix of an InfogainLoss.
        detecting: How detections are measured, of DetectionEvaluate layers.

    Attributes:
        name: As given, like `iterations` and `net`.
        outputs: The blobs that Caffe prints: tops that no layer reads, by the order of
            their names, as Caffe has them.
        weights: The weight of each of them that is a loss.
        inputs: The data blobs that a batch's `x` has.
        labels: Those that its `y` has.
        by_class: The average precisions of the last test by output and class, where
            the solver asks for them.

    Raises:
        CaffeFormatError: If the net has no outputs, or a layer that nobody can build.

    Reference:
        `Solver::Test` and `Net::Init` of Caffe 1.0.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''input: "data" input_shape { dim: 2 dim: 3 }
        ...     input: "label" input_shape { dim: 2 }
        ...     layer { name: "accuracy" type: "Accuracy" bottom: "data" bottom: "label"
        ...             top: "accuracy" }''')
        >>> test = kcz.training.TestNet(net, "Test net #0", iterations=2)
        >>> test.inputs, test.labels, test.outputs
        (('data',), ('label',), ['accuracy'])
        >>> scores = np.eye(3)[:2]  # of a 0 and a 1
        >>> batches = [(scores, np.array([0, 1])), (scores, np.array([0, 2]))]
        >>> test.evaluate(test.model, batches)
        {'accuracy': 0.75}
    """

    __test__ = False  # is none of pytest's

    def __init__(
        self,
        net: Net,
        name: str,
        iterations: int,
        input_shape=None,
        infogain=None,
        detecting: DetectionTests | None = None,
    ):
        self._detecting = detecting or DetectionTests()
        self._evaluated = self._detecting.of(net)
        net = without_evaluations(net)
        self.net, self.name, self.iterations = net, name, int(iterations)
        self.by_class: dict[str, dict[int, float]] = {}
        self._given_shapes, self._infogain = input_shape, infogain
        found = {
            name: top
            for name, top in unread_tops(net).items()
            if _is_known(net.layers[top.place[0]])
        }
        self.weights = {name: top.weight for name, top in found.items() if top.weight}
        rows = self._rows_of(net)
        for one in self._evaluated:
            found.pop(one.objects, None)
        self._ends = sorted({**found, **rows})
        tops = {one.top for one in self._evaluated}
        self.outputs = sorted({*tops, *(name for name in found if name not in rows)})
        found.update(rows)
        if not found:
            raise CaffeFormatError(
                "Expected a test net with a top that no layer reads; received none",
                source=net.source,
            )
        kept = [at for at, x in enumerate(net.layers) if _is_measure(x)]
        bottoms = [(at, i) for at in kept for i in range(len(net.layers[at].bottoms))]
        self._kept = Kept(set(kept), set(bottoms), {x.place for x in found.values()})
        self._part = deploy_net(net, answers=False, kept=self._kept)
        self._custom = prepare(self._part, net, self._kept, infogain)
        blobs = list(self._part.inputs)
        self.labels = tuple(b for b in blobs if b in self._only_labels(blobs))
        self.inputs = tuple(b for b in blobs if b not in self.labels)
        self._fed = (*self.inputs, *self.labels)
        objects = dict.fromkeys(one.objects for one in self._evaluated)
        self.labels += tuple(b for b in objects if b not in self._fed)
        self._shapes, self._model = None, None

    def _rows_of(self, net: Net) -> dict[str, UnreadTop]:
        """Return the tops whose detections are evaluated."""
        last = last_makers(net)
        names = [one.detections for one in self._evaluated]
        for name in names:
            if name not in last:
                raise CaffeFormatError(
                    f"Expected detections that a layer makes; received: {name!r}",
                    source=net.source,
                )
        return {name: UnreadTop(last[name], 0.0) for name in names}

    @property
    def model(self) -> keras.Model:
        """The Keras model, of data and labels: all of `inputs`, then of `labels`.

        Raises:
            CaffeFormatError: If the shape of a data blob is not known; it is once the
                first batch was there.
        """
        if self._model is None:
            self._build({})
        return self._model

    def evaluate(self, model: keras.Model, data: Iterable) -> dict:
        """Return what Caffe prints of a test: the mean of each output over batches.

        Args:
            model: The model whose parameters are tested; they are copied by the layers'
                names. Layers that it does not have keep their own.
            data: Batches `(x, y)`, or `x` where there are no labels: one array, or
                several by Caffe's blobs or in their order. An iterator is left where
                the test has stopped; what ends before is begun again.

        Returns:
            By output a float, or an array of a blob of several values in Caffe's order.

        Raises:
            ValueError: If a layer's parameters have other shapes, or there is no data.
        """
        sums, batches = {}, _endless(data)
        for one in self._evaluated:
            one.evaluation.reset()
        for i in range(self.iterations):
            arrays = self._by_blob(next(batches))
            self._fit({blob: np.shape(arrays[blob]) for blob in self._fed})
            if not i:
                self._copy(model)
            found = self._outputs_of(arrays)
            for one in self._evaluated:
                one.evaluation.update(found[one.detections], arrays[one.objects])
            for name in set(self.outputs) & set(found):
                sums[name] = sums.get(name, 0.0) + found[name]
        measured = {one.top: one.evaluation for one in self._evaluated}
        if self._detecting.by_class:
            self.by_class = {top: x.by_class() for top, x in measured.items()}
        means = {
            name: measured[name].result()
            if name in measured
            else sums[name] / self.iterations
            for name in self.outputs
        }
        return {k: float(x) if np.ndim(x) == 0 else x for k, x in means.items()}

    def _outputs_of(self, arrays: Mapping) -> dict:
        """Return the outputs of one batch in Caffe's order of axes, float64."""
        found = self._model.predict_on_batch([arrays[blob] for blob in self._fed])
        found = found if isinstance(found, dict) else {self._ends[0]: found}
        return {k: axes.in_caffe_order(x).astype("float64") for k, x in found.items()}

    def _only_labels(self, blobs) -> set[str]:
        """Return the data blobs that only labels are made of."""
        plain = deploy_net(self.net, answers=True)
        return {blob for blob in blobs if blob not in plain.inputs}

    def _by_blob(self, batch) -> dict:
        """Return the arrays of a batch by blob."""
        pair = batch if isinstance(batch, tuple) else (batch, None)
        found = {}
        for given, blobs in zip(pair, (self.inputs, self.labels), strict=False):
            if isinstance(given, Mapping):
                found.update(given)
            elif given is not None and blobs:
                arrays = given if isinstance(given, list | tuple) else [given]
                found.update(zip(blobs, arrays, strict=False))
        missing = [b for b in (*self.inputs, *self.labels) if b not in found]
        if missing:
            raise ValueError(
                f"Expected batches (x, y) with the blobs {list(self.inputs)} and "
                f"{list(self.labels)}; received none for {missing}. "
                f"{there_are(found, missing[0])}."
            )
        return {b: _array(found[b]) for b in (*self.inputs, *self.labels)}

    def _fit(self, shapes: Mapping) -> None:
        """Build the model for a batch's shapes, unless it takes them already."""
        if self._shapes is not None and all(
            _takes(self._shapes[blob], shape) for blob, shape in shapes.items()
        ):
            return
        last, known = self._model, self._shapes or shapes
        self._build(
            {blob: _common(known[blob], shape) for blob, shape in shapes.items()}
        )
        if last is not None:
            self._copy(last)

    def _build(self, shapes: Mapping) -> None:
        """Build the model for shapes of a batch, or for those that the net tells."""
        inputs = {
            blob: _merged(shape, shapes.get(blob))
            for blob, shape in self._part.inputs.items()
        }
        part = replace(self._part, inputs=inputs)
        given = self._given_shapes if not shapes else None
        builder, model = build_net(part, given, outputs=self._ends, custom=self._custom)
        by_blob = dict(zip(inputs, builder.inputs, strict=True))
        order = [by_blob[blob] for blob in self._fed]
        ends = {name: builder.blobs[name] for name in self._ends}
        self._model = keras.Model(order, ends, name=model.name)
        self._shapes = {blob: tuple(x.shape) for blob, x in by_blob.items()}
        fill(builder.nodes)

    def _copy(self, model: keras.Model) -> None:
        """Give the net the parameters of a model's layers of the same names."""
        theirs = {caffe_name(x.name): x for x in layers_with_weights(model)}
        for layer in layers_with_weights(self._model):
            other = theirs.get(caffe_name(layer.name))
            if other is None:
                continue
            shapes = [[tuple(w.shape) for w in x.weights] for x in (layer, other)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"Expected parameters of the shapes {shapes[0]} (Keras layout) for "
                    f"the layer '{caffe_name(layer.name)}' of {self.name}; received: "
                    f"{shapes[1]} of '{model.name}'."
                )
            for ours, weight in zip(layer.weights, other.weights, strict=True):
                # JAX gives the training model's own arrays away in its next step.
                ours.assign(keras.ops.copy(weight))


def _is_measure(layer) -> bool:
    return layer.type in (*LOSS_LAYERS, *METRIC_LAYERS)


def _is_known(layer) -> bool:
    """Tell whether what a layer makes can be computed, if it is a loss or measure."""
    return _is_measure(layer) or role_of(layer.type) not in ("loss", "metric")


def _array(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def _endless(data: Iterable):
    """Yield batches, from the beginning once more where they end."""
    while True:
        empty = True
        for batch in data:
            empty = False
            yield batch
        if empty:
            raise ValueError("Expected batches to test; received none.")


def _takes(known, shape) -> bool:
    return len(known) == len(shape) and all(
        size in (None, other) for size, other in zip(known, shape, strict=True)
    )


def _common(known, shape) -> tuple:
    """Return a shape that is free where two are not the same."""
    if len(known) != len(shape):
        return tuple(shape)
    return tuple(a if a == b else None for a, b in zip(known, shape, strict=True))


def _merged(declared, shape) -> tuple | None:
    """Return a shape in Caffe's order: a batch's, if there is one, or the declared."""
    return declared if shape is None else axes.caffe_shape(shape)
