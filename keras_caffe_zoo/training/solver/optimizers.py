"""Caffe's solvers as Keras optimizers.

Where Keras' arithmetic is Caffe's, the optimizer is Keras' own with Caffe's rules in
front: multipliers for each parameter, and weight decay that is part of the gradient.
Keras' AdaGrad and RMSProp add their epsilon inside the root, Caffe outside: these two
have an update of their own.
"""

import inspect
from collections.abc import Mapping
from typing import NamedTuple

import keras
from keras import ops

from keras_caffe_zoo.rules.names import caffe_name

REGULARIZATIONS = ("L2", "L1")
_register = keras.saving.register_keras_serializable(package="keras_caffe_zoo")


class Multipliers(NamedTuple):
    """What a parameter's learning rate and weight decay are multiplied with.

    Example:
        >>> bias = kcz.training.Multipliers(lr_mult=2, decay_mult=0)  # as AlexNet's
        >>> bias.lr_mult, bias.decay_mult, tuple(kcz.training.Multipliers())
        (2, 0, (1.0, 1.0))
    """

    lr_mult: float = 1.0
    decay_mult: float = 1.0


class CaffeOptimizer:
    """What Caffe does to a gradient before any solver: clip, decay, multiply.

    The gradients of all parameters together are clipped to `global_clipnorm`; then
    `weight_decay * decay_mult` times the parameter (L2) or its sign (L1) is added; then
    the solver updates with `learning_rate * lr_mult`. A parameter with `lr_mult` 0 is
    left as it is and does not count for the clipping.

    Keras' own `weight_decay` would shrink the parameter beside the solver instead.
    """

    history_sign = 1.0  # what Caffe's history is multiplied with here

    @property
    def history_slots(self) -> tuple[list, ...]:
        """The variables that are Caffe's history, once built.

        A list by parameter for each array that Caffe keeps of one; empty if what it
        keeps is of no further use.
        """
        raise NotImplementedError

    def __init__(
        self,
        learning_rate,
        *args,
        multipliers: Mapping[str, tuple[float, float]] | None = None,
        regularization: str = "L2",
        **kwargs,
    ):
        if regularization not in REGULARIZATIONS:
            raise ValueError(
                f"Expected regularization to be one of {list(REGULARIZATIONS)}; "
                f"received: {regularization!r}"
            )
        super().__init__(learning_rate, *args, **kwargs)
        self.regularization = regularization
        self.multipliers = {
            path: Multipliers(*map(float, pair))
            for path, pair in dict(multipliers or {}).items()
        }
        self._by_index: list[Multipliers] = []

    def build(self, variables):
        """Make the solver's variables, one set for each parameter."""
        if self.built:
            return
        paths = [variable.path for variable in variables]
        self._by_index = [Multipliers()] * len(paths)
        for name, pair in self.multipliers.items():
            self._by_index[_index_of(name, paths)] = pair
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        """Update the parameters, but those with `lr_mult` 0."""
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        known = trainable_variables or self._trainable_variables
        grads = [
            ops.zeros_like(g)
            if g is not None and self._rules_of(variable).lr_mult == 0
            else g
            for g, variable in zip(grads, known, strict=True)
        ]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Update one parameter by its gradient."""
        rules = self._rules_of(variable)
        if rules.lr_mult == 0:
            return
        decay = (self.weight_decay or 0.0) * rules.decay_mult
        if decay:
            value = ops.convert_to_tensor(variable)
            pull = ops.sign(value) if self.regularization == "L1" else value
            gradient = ops.cast(gradient, value.dtype) + decay * pull
        super().update_step(gradient, variable, learning_rate * rules.lr_mult)

    def _clip_gradients(self, grads):
        """Clip the gradients; to 0 too, which Keras takes for no bound."""
        if self.global_clipnorm == 0:
            return [g if g is None else g * 0.0 for g in grads]
        return super()._clip_gradients(grads)

    def _rules_of(self, variable) -> Multipliers:
        return self._by_index[self._get_variable_index(variable)]

    def _apply_weight_decay(self, variables):
        """Do nothing: the decay is part of the gradient."""

    @property
    def learning_rate(self):
        """The rate of the current iteration.

        Keras would count the passes that are accumulated into one iteration.
        """
        rate = self._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return rate(self.iterations)
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        keras.optimizers.Optimizer.learning_rate.fset(self, value)

    def get_config(self):
        multipliers = {path: list(pair) for path, pair in self.multipliers.items()}
        return {
            **super().get_config(),
            "multipliers": multipliers,
            "regularization": self.regularization,
        }


def _index_of(name: str, paths: list[str]) -> int:
    """Return the index of the one path that is, or ends with, a name."""
    if name in paths:
        return paths.index(name)
    found = [i for i, path in enumerate(paths) if _ends_with(path, name)]
    if len(found) != 1:
        several = [paths[i] for i in found]
        raise ValueError(
            "Expected multipliers of the model's trainable parameters "
            f"{several or paths}; received: {name!r}, which is "
            + ("the end of several. " if several else "none of them. ")
            + "Give the whole `variable.path`."
        )
    return found[0]


def _ends_with(path: str, name: str) -> bool:
    """Tell whether a path ends with a name, the layer's Keras' or Caffe's."""
    parts = path.split("/")
    ends = (parts[i:] for i in range(len(parts)))
    return any(name in ("/".join(end), "/".join(map(caffe_name, end))) for end in ends)


_RULES = """

    Args:
        learning_rate: A number, or a schedule such as `LearningRatePolicy`.
{args}        multipliers: `(lr_mult, decay_mult)` by `variable.path` or its end, such
            as `{{"conv1/bias": (2, 0)}}`, the layer by Caffe's name or Keras';
            `(1, 1)` where not given.
        weight_decay: Caffe's: part of the gradient, after clipping.
        regularization: `"L2"` or `"L1"`: what `weight_decay` pulls with.
        global_clipnorm: Bound of the norm of all gradients together; a solver's
            `clip_gradients` divided by its `iter_size`, since Caffe clips the sum.
        gradient_accumulation_steps: A solver's `iter_size`: so many batches make one
            iteration, with the mean of their gradients.
        **kwargs: Everything else that a Keras optimizer takes.

    Reference:
        Caffe 1.0's solvers.
    """


def _documented(args: str = ""):
    """Add to a class's docstring, before its example, what all solvers have."""

    def add(cls):
        said, example = inspect.cleandoc(cls.__doc__).split("\n\nExample:\n")
        rules = inspect.cleandoc(_RULES.format(args=args))
        cls.__doc__ = f"{said}\n\n{rules}\n\nExample:\n{example}\n"
        return cls

    return add


_MOMENTUM = "        momentum: What is kept of the last update.\n"


@_register
@_documented(
    _MOMENTUM
    + "        nesterov: Whether to look ahead: Caffe's solver type `Nesterov`.\n"
)
class CaffeSGD(CaffeOptimizer, keras.optimizers.SGD):
    """Stochastic gradient descent as Caffe's `SGD` and `Nesterov` solvers do it.

    `v = momentum * v + rate * gradient`, `w -= v`: Keras' own arithmetic, with -v.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> optimizer = kcz.training.CaffeSGD(0.1, momentum=0.5, weight_decay=0.5)
        >>> for _ in range(2):  # the decay is part of the gradient: it has momentum
        ...     optimizer.apply([np.array([0.5, 0.0], "float32")], [w])
        ...     print(np.asarray(w).astype(float).round(4).tolist())
        [0.9, 0.95]
        [0.755, 0.8775]
    """

    history_sign = -1.0

    @property
    def history_slots(self):
        """The last updates; none without momentum."""
        return (self.momentums,)


@_register
@_documented(
    "        beta_1: A solver's `momentum`.\n"
    "        beta_2: A solver's `momentum2`.\n"
    "        epsilon: A solver's `delta`.\n"
)
class CaffeAdam(CaffeOptimizer, keras.optimizers.Adam):
    """Adam as Caffe's `Adam` solver does it: Keras' own arithmetic.

    Example:
        >>> w = keras.Variable([1.0, 1.0])
        >>> optimizer = kcz.training.CaffeAdam(0.1, multipliers={w.path: (2, 1)})
        >>> optimizer.apply([np.array([5.0, -0.01], "float32")], [w])
        >>> np.asarray(w).astype(float).round(3).tolist()  # steps of 0.1, doubled
        [0.8, 1.2]
    """

    @property
    def history_slots(self):
        """The means of the gradients, and of their squares."""
        return self._momentums, self._velocities


@_register
@_documented(
    "        rho: A solver's `momentum`.\n        epsilon: A solver's `delta`.\n"
)
class CaffeAdaDelta(CaffeOptimizer, keras.optimizers.Adadelta):
    """AdaDelta as Caffe's `AdaDelta` solver does it: Keras' own arithmetic.

    Example:
        >>> w = keras.Variable([1.0])
        >>> optimizer = kcz.training.CaffeAdaDelta(1.0, rho=0.75, epsilon=1.0)
        >>> optimizer.apply([np.array([2.0], "float32")], [w])
        >>> np.asarray(w).astype(float).round(4).tolist()  # 1 - 2 * sqrt(1 / 2)
        [-0.4142]
    """

    @property
    def history_slots(self):
        """The means of the gradients' squares, and of the updates'."""
        return self._accumulated_grads, self._accumulated_delta_vars


class _AdaGrad(keras.optimizers.Adagrad):
    def update_step(self, gradient, variable, learning_rate):
        history = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(history, ops.square(gradient))
        root = ops.sqrt(history) + self.epsilon
        self.assign_sub(variable, learning_rate * gradient / root)


class _RMSProp(keras.optimizers.RMSprop):
    def update_step(self, gradient, variable, learning_rate):
        history = self._velocities[self._get_variable_index(variable)]
        square = (1.0 - self.rho) * ops.square(gradient)
        self.assign(history, self.rho * history + square)
        root = ops.sqrt(history) + self.epsilon
        self.assign_sub(variable, learning_rate * gradient / root)


@_register
@_documented("        epsilon: A solver's `delta`.\n")
class CaffeAdaGrad(CaffeOptimizer, _AdaGrad):
    """AdaGrad as Caffe's `AdaGrad` solver does it.

    `h = h + gradient ^ 2` from 0, `w -= rate * gradient / (sqrt(h) + epsilon)`.

    Example:
        >>> w = keras.Variable([1.0])
        >>> optimizer = kcz.training.CaffeAdaGrad(0.1)
        >>> for gradient in 3.0, 4.0:  # 0.1 * 3 / 3, then 0.1 * 4 / 5
        ...     optimizer.apply([np.array([gradient], "float32")], [w])
        ...     print(np.asarray(w).astype(float).round(4).tolist())
        [0.9]
        [0.82]
    """

    def __init__(self, learning_rate=0.01, epsilon=1e-8, **kwargs) -> None:
        kwargs.setdefault("initial_accumulator_value", 0.0)
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    @property
    def history_slots(self):
        """The sums of the gradients' squares."""
        return (self._accumulators,)


@_register
@_documented(
    "        rho: A solver's `rms_decay`.\n        epsilon: A solver's `delta`.\n"
)
class CaffeRMSProp(CaffeOptimizer, _RMSProp):
    """RMSProp as Caffe's `RMSProp` solver does it, without momentum.

    `h = rho * h + (1 - rho) * gradient ^ 2` from 0,
    `w -= rate * gradient / (sqrt(h) + epsilon)`.

    Example:
        >>> w = keras.Variable([1.0])
        >>> optimizer = kcz.training.CaffeRMSProp(0.1, rho=0.75)
        >>> optimizer.apply([np.array([3.0], "float32")], [w])
        >>> np.asarray(w).astype(float).round(4).tolist()  # 1 - 0.1 * 3 / 1.5
        [0.8]
    """

    def __init__(self, learning_rate=0.01, rho=0.99, epsilon=1e-8, **kwargs) -> None:
        if kwargs.get("momentum") or kwargs.get("centered"):
            raise ValueError(
                "Expected neither momentum nor centered, which Caffe's RMSProp does "
                f"not know; received: momentum={kwargs.get('momentum')}, "
                f"centered={kwargs.get('centered')}"
            )
        super().__init__(learning_rate, rho=rho, epsilon=epsilon, **kwargs)

    @property
    def history_slots(self):
        """The means of the gradients' squares."""
        return (self._velocities,)
