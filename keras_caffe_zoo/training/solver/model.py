"""A training net as a Keras model, and what it is compiled with."""

import math
import os
import warnings
from collections.abc import Iterable, Mapping

import keras
from keras import ops

from keras_caffe_zoo.caffe import Net, read_net
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.filling import fill
from keras_caffe_zoo.conversion.importer import build_net
from keras_caffe_zoo.conversion.loading import blobs_by_position, load
from keras_caffe_zoo.conversion.model import CaffeModel
from keras_caffe_zoo.conversion.unknown import check_unknown_fields
from keras_caffe_zoo.rules.registry import role_of
from keras_caffe_zoo.training.heads import ends_with_softmax
from keras_caffe_zoo.training.losses import SumLoss, loss_of, prediction_of
from keras_caffe_zoo.training.losses.in_graph import StopGradient
from keras_caffe_zoo.training.metrics import (
    AccuracyPerClass,
    LossValue,
    accuracy_of,
    accuracy_per_class_of,
)
from keras_caffe_zoo.training.solver.building import prepare
from keras_caffe_zoo.training.solver.debugging import MOST_VALUES
from keras_caffe_zoo.training.solver.label_net import LabelNet
from keras_caffe_zoo.training.solver.measuring import measures_of, warn_of
from keras_caffe_zoo.training.solver.objectives import (
    Objective,
    accuracies,
    objectives_of,
    unread_tops,
)
from keras_caffe_zoo.training.solver.reading import Measure, Reading

_MOST_CLASSES = 100  # whose accuracies are told one by one


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeTrainingModel(CaffeModel):
    """A model with an output for each loss of a training net.

    In every respect a `keras.Model`, but that `y` is what Caffe's data layers give and
    the model does not read itself: one array of labels for all losses, or a dict by
    Caffe's label blobs where there are several; nothing if all labels are made of the
    data. A dict by output, as Keras has it, will do too. Blobs that are labels, or that
    an Accuracy reads, and that are made by layers with parameters, are further outputs,
    without a loss.

    Besides the weighted sum, `loss`, what it reports has the names of Caffe's blobs:
    each loss without its weight, as Caffe prints it (`loss_unweighted` of one that is
    itself called `loss` and is not all of it), and `NAME_weighted` where the weight is
    not 1; accuracies, those of classes as `NAME/0`, `NAME/1`, … up to 100. Where
    `train_on_batch`, `test_on_batch` or `evaluate` is not asked for a dict, it returns
    the values of `metrics_names`, which tell nothing twice: of a net with one loss and
    no accuracies that is one number.

    `labels` maps each output to the label blobs that its loss reads, and
    `objectives` each loss to its weight, 0 for one that Caffe only prints.

    Example:
        >>> with open("net.prototxt", "w") as file:
        ...     _ = file.write('''input: "data" input_shape { dim: 2 dim: 1 }
        ...         input: "y" input_shape { dim: 2 dim: 1 }
        ...         layer { type: "InnerProduct" bottom: "data" top: "ip"
        ...             inner_product_param { num_output: 1 weight_filler { value: 1 }
        ...             } }
        ...         layer { type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "far"
        ...             loss_weight: 3 }''')
        >>> with open("solver.prototxt", "w") as file:
        ...     _ = file.write('''net: "net.prototxt" lr_policy: "fixed" base_lr: 0.1
        ...         max_iter: 1''')
        >>> model = kcz.training.from_solver("solver.prototxt").model
        >>> x, y = np.array([[1.0], [3.0]]), np.zeros((2, 1))  # (1 + 9) / (2 * 2)
        >>> told = model.test_on_batch(x, y, return_dict=True)
        >>> {name: float(value) for name, value in sorted(told.items())}
        {'far': 2.5, 'far_weighted': 7.5, 'loss': 7.5}
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.reading, self.measures = Reading(), {}
        self.unread = {}  # tensors of small blobs that no layer reads, for the log

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The label blobs of each loss, by output."""
        return self.reading.labels

    @property
    def objectives(self) -> dict[str, float]:
        """The weight of each loss, by Caffe's name, in the net's order."""
        return dict(self.reading.weights)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        """Return the sum of the losses, each times its weight."""
        if self.reading.weights:
            y, y_pred = self.reading.for_losses(x, y, y_pred)
        loss = super().compute_loss(x, y, y_pred, sample_weight, **kwargs)
        if any(isinstance(layer, StopGradient) for layer in self.layers):
            # What no gradient reaches has one of 0 in Caffe, and decays.
            loss += 0 * sum(ops.sum(weight) for weight in self.trainable_variables)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Return the metrics by name."""
        if self.reading.weights:
            for name, pair in self.reading.for_measures(x, y, y_pred).items():
                if name in self.measures:  # once it is compiled for a solver
                    self.measures[name].update_state(*pair)
            y, y_pred = self.reading.for_losses(x, y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_metrics_result(self):
        """Return what is reported, by Caffe's names."""
        results = super().get_metrics_result()
        for name, metric in self.measures.items():
            results.pop(metric.name, None)
            results.update(_by_class(name, metric.result()))
        return {**self._told_of_losses(results), **results}

    def _told_of_losses(self, results: dict) -> dict:
        """Take what Keras tells of each loss out of its results; return it renamed."""
        reading, found = self.reading, {}
        for name in reading.minimized:
            weight, total = reading.weights[name], "loss" in results
            if len(reading.minimized) > 1:
                value = results.pop(f"{name}_loss", None)
            else:
                value = results["loss"] / weight if total else None
            if value is None:
                continue
            alone = len(reading.minimized) == 1 and weight == 1
            if name != "loss":
                found[name] = value
            elif not alone:
                found["loss_unweighted"] = value
            if weight != 1:
                found[f"{name}_weighted"] = value * weight
        return found

    @property
    def metrics_names(self) -> list[str]:
        """What is reported where no dict is asked for: the sum, losses, accuracies."""
        if not self.reading.weights or not self.compiled:
            return super().metrics_names
        losses = self.reading.minimized
        named = ["loss_unweighted" if n == "loss" else n for n in losses]
        names = ["loss", *(named if len(losses) > 1 else ())]
        return [*names, *(n for m in self.measures.items() for n in _names_of(*m))]

    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight=None, return_dict=False
    ):
        """Do one pass, as Keras does; without a dict return what is told once."""
        logs = super().train_on_batch(x, y, sample_weight, class_weight, True)
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Test one batch, as Keras does; without a dict return what is told once."""
        logs = super().test_on_batch(x, y, sample_weight, True)
        return logs if return_dict else self._in_order(logs)

    def evaluate(self, x=None, y=None, *args, return_dict=False, **kwargs):
        """Test, as Keras does; without a dict return what is told once."""
        logs = super().evaluate(x, y, *args, return_dict=True, **kwargs)
        return logs if return_dict else self._in_order(logs)

    def _in_order(self, logs: dict):
        """Return the values of `metrics_names`, and of metrics that others compiled."""
        names = self.metrics_names
        twice = {name for name in self.reading.minimized if name != "loss"}
        twice |= {"loss_unweighted"}
        twice |= {f"{name}_weighted" for name in self.reading.minimized}
        others = sorted(name for name in logs if name not in {*names, *twice})
        found = [logs[name] for name in (*names, *others) if name in logs]
        return found[0] if len(found) == 1 else found

    def get_config(self):
        config = {**super().get_config(), "reading": self.reading.get_config()}
        measures = {
            name: keras.saving.serialize_keras_object(metric)
            for name, metric in self.measures.items()
        }
        return {**config, "measures": measures} if measures else config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        labels, reading = config.pop("labels", {}), config.pop("reading", None)
        measures = config.pop("measures", {})
        model = super().from_config(config, custom_objects=custom_objects)
        told = Reading.of_labels(labels)
        model.reading = Reading.from_config(reading) if reading else told
        model.measures = {
            name: keras.saving.deserialize_keras_object(metric)
            for name, metric in measures.items()
        }
        return model


def _by_class(name: str, result) -> dict:
    """Return a metric's result by name, or by class if it has one for each."""
    if len(result.shape) == 0:
        return {name: result}
    names = class_names(name, result.shape[0])
    return {name: result[i] for i, name in enumerate(names)}


def _names_of(name: str, metric: keras.metrics.Metric) -> list[str]:
    """Return the names under which a metric is reported."""
    if isinstance(metric, AccuracyPerClass):
        return class_names(name, metric.classes)
    return [name]


def class_names(name: str, classes: int) -> list[str]:
    """Return the names of the accuracies of classes; none where they are too many."""
    return [f"{name}/{i}" for i in range(classes if classes <= _MOST_CLASSES else 0)]


def training_model(
    net: Net,
    weights: str | os.PathLike | None = None,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    seed: int = -1,
    test_net: Net | None = None,
    infogain=None,
) -> tuple[keras.Model, list[str]]:
    """Return the model of a training net, which ends where its losses begin.

    Args:
        net: The net, filtered for its phase.
        weights: A caffemodel to start from; layers that it does not have start from
            their fillers.
        input_shape: As in `from_caffe`.
        seed: Makes the fillers' numbers the same every time, from 0 on.
        test_net: The test net, filtered, whose accuracies are to be measured too.
        infogain: The matrix of an InfogainLoss whose value other layers read.

    Returns:
        The model, and the Caffe names of the layers that took parameters from the file.
    """
    asked = objectives_of(net)
    trained = None if weights is None else read_net(weights, gaps=True)
    part = deploy_net(net, trained, answers=False, kept=asked.kept)
    replaced = part.changed - {objective.layer.name for objective in asked.losses}
    check_unknown_fields(net, replaced, training=True)
    measures = measures_of(test_net, net)
    custom = prepare(part, net, asked.kept, infogain)
    blobs = None if trained is None else blobs_by_position(part.net, trained)
    shown = {o.blobs[0] for o in asked.losses if len(o.blobs) == 1}
    ends = {blob for measure in measures.values() for blob in measure.ends}
    more = list(dict.fromkeys((*asked.computed, *sorted(ends - shown))))
    ends = dict.fromkeys(blob for o in asked.losses for blob in o.blobs)
    ends.update(dict.fromkeys(more))
    builder, model = build_net(
        part, input_shape, blobs=blobs, outputs=list(ends), custom=custom
    )
    outputs = {o.name: _prediction(o, builder.blobs) for o in asked.losses}
    for blob in more:
        tensor = builder.blobs[blob]
        stopped = not asked.computed.get(blob, False)
        outputs[blob] = StopGradient()(tensor) if stopped else tensor
    single = len(outputs) == 1
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    ends = next(iter(outputs.values())) if single else outputs
    whole = CaffeTrainingModel(inputs, ends, name=model.name)
    whole.remember(model.caffe_blobs, model.shared_params)
    whole.reading = _reading(net, part, asked.losses, more, measures)
    whole.unread = _unread(net, builder.blobs, part.inputs)
    if trained is not None:
        load(builder.nodes, trained.source, partial=True)
    fill(builder.nodes, seed=None if seed < 0 else seed)
    return whole, [node.layer.name for node, _ in builder.nodes if node.blobs]


def _unread(net: Net, blobs: Mapping, inputs: Mapping) -> dict:
    """Return the tensors of blobs that Caffe prints, but for losses and large ones."""
    items = max((shape[0] or 1 for shape in inputs.values() if shape), default=1)
    found = {}
    for name, top in unread_tops(net).items():
        layer = net.layers[top.place[0]]
        if top.weight or role_of(layer.type) != "layer" or name not in blobs:
            continue
        if math.prod(size or items for size in blobs[name].shape) <= MOST_VALUES:
            found[name] = blobs[name]
    return found


def _prediction(objective: Objective, blobs: Mapping):
    tensors = [blobs[blob] for blob in objective.blobs]
    if objective.is_sum:
        return tensors[0]
    prediction = prediction_of(objective.layer, tensors)
    return StopGradient()(prediction) if objective.stopped else prediction


def _reading(net, part, objectives, more, measures) -> Reading:
    """Return what a model's losses and metrics read."""
    labels = {o.name: o.labels for o in objectives}
    wanted = dict.fromkeys(blob for blobs in labels.values() for blob in blobs)
    made = LabelNet.of(net, wanted, more)
    known = {*part.inputs, *more}
    blobs = {o.name: o.blobs[0] for o in objectives if len(o.blobs) == 1}
    reading = Reading(
        inputs=tuple(part.inputs),
        blobs={**blobs, **{blob: blob for blob in more}},
        labels=labels,
        sources=tuple(b for b in made.sources(wanted) if b not in known),
        weights={o.name: o.weight for o in objectives},
        made=made,
    )
    for o in objectives:
        if not o.weight:
            reading.measures[o.name] = Measure(o.name, o.labels, True)
    known |= {blob for measure in measures.values() for blob in measure.ends}
    others = {}
    for name, (o, ends, source) in measures.items():
        made = LabelNet.of(source, (*o.blobs, *o.labels), ends)
        reading.measures[name] = Measure(o.blobs[0], o.labels, made=made)
        others.update(dict.fromkeys(made.sources((*o.blobs, *o.labels))))
    known |= set(reading.sources)
    reading.others = tuple(blob for blob in others if blob not in known)
    return reading


def compile_for(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    net: Net | None,
    test_net: Net | None = None,
    infogain=None,
) -> None:
    """Compile a model with an optimizer, with the losses of a net, metrics of another.

    Args:
        model: A model of `training_model`, or another with one output.
        optimizer: The optimizer.
        net: The training net, filtered. Without it the model keeps the loss that it is
            compiled with; if it is not, its labels are numbers of classes.
        test_net: The test net, filtered, whose accuracies become metrics too.
        infogain: The matrix of an InfogainLoss.
    """
    if net is None:
        loss = getattr(model, "loss", None) or "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        return
    asked = objectives_of(net)
    if not isinstance(model, CaffeTrainingModel):
        _compile_given(model, optimizer, asked.minimized, test_net, infogain)
        return
    _measure(model, asked.losses, measures_of(test_net, net), infogain)
    loss = {o.name: _loss(o, infogain) for o in asked.minimized}
    weights = {o.name: o.weight for o in asked.minimized}
    if len(loss) == 1:
        (loss,), (weight,) = loss.values(), weights.values()
        weights = None if weight == 1 else [weight]
    model.compile(optimizer, loss, loss_weights=weights)


def _loss(objective: Objective, infogain) -> keras.losses.Loss:
    if objective.is_sum:
        return SumLoss()
    return loss_of(objective.layer, infogain)


def _measure(model, objectives: Iterable[Objective], measures, infogain) -> None:
    """Give a model its metrics: losses that are only looked at, and accuracies."""
    wanted = model.reading.measures
    found = {  # a layer's name may be "loss", which is Keras' own
        o.name: LossValue(_loss(o, infogain), f"{o.name}_value")
        for o in objectives
        if o.name in wanted
    }
    for name, measure in measures.items():
        if name in wanted:
            found[name] = _metric(model, measure.objective)
    model.measures = found


def _metric(model, accuracy: Objective) -> keras.metrics.Metric:
    if accuracy.top == 0:
        return accuracy_of(accuracy.layer)
    prediction = model.reading.prediction(model, accuracy.name)
    return accuracy_per_class_of(accuracy.layer, prediction)


def _compile_given(model, optimizer, objectives, test_net, infogain) -> None:
    """Compile a model that is not the solver's own net."""
    objective = _only_objective(model, objectives)
    scores = not ends_with_softmax(model)
    loss = loss_of(objective.layer, infogain, from_logits=scores)
    weights = None if objective.weight == 1 else [objective.weight]
    metrics = []
    for accuracy in accuracies(test_net) if test_net else ():
        if accuracy.blobs == objective.blobs[:1] and accuracy.top == 0:
            metrics.append(accuracy_of(accuracy.layer))
        else:
            warn_of(test_net, accuracy)
    model.compile(optimizer, loss, loss_weights=weights, metrics=metrics)


def _only_objective(model: keras.Model, objectives: list[Objective]) -> Objective:
    if len(model.outputs) != 1:
        raise ValueError(
            "Expected a model with one output, or none for the solver's own net; "
            f"received: '{model.name}' with {len(model.outputs)}"
        )
    *others, objective = objectives
    if others:
        warnings.warn(
            f"'{model.name}' has one output, which gets the loss '{objective.name}' of "
            f"the solver's net; left out: {[o.name for o in others]}.",
            stacklevel=4,
        )
    return objective
