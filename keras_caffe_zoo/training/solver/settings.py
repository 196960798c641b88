"""A solver's settings as a Keras optimizer with a learning rate policy."""

import keras

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.training.solver import optimizers
from keras_caffe_zoo.training.solver.policies import POLICIES, LearningRatePolicy


def _policy(message, source: str) -> LearningRatePolicy:
    names = ("gamma", "power", "stepsize", "max_iter")
    fields = {n: getattr(message, n) for n in names if message.HasField(n)}
    fields["stepvalue"] = list(message.stepvalue) or None
    if message.lr_policy not in POLICIES:
        raise CaffeFormatError(
            f"Expected one of {list(POLICIES)}; received: {message.lr_policy!r}",
            source=source,
            field="lr_policy",
        )
    try:
        return LearningRatePolicy(message.lr_policy, message.base_lr, **fields)
    except ValueError as error:
        raise CaffeFormatError(str(error), source=source) from None


def optimizer_of(message, source: str) -> keras.optimizers.Optimizer:
    """Return a solver's optimizer, without multipliers.

    Args:
        message: A `SolverParameter`.
        source: The solver's file, for errors.

    Raises:
        CaffeFormatError: If the solver asks for what Caffe does not have; names the
            field.
    """

    def check(good: bool, name: str, wanted: str) -> None:
        if not good:
            raise CaffeFormatError(
                f"Expected {wanted}; received: {getattr(message, name)!r}",
                source=source,
                field=name,
            )

    kinds = {
        "SGD": _sgd,
        "Nesterov": _sgd,
        "AdaGrad": _adagrad,
        "RMSProp": _rmsprop,
        "AdaDelta": _adadelta,
        "Adam": _adam,
    }
    check(message.type in kinds, "type", f"one of {list(kinds)}")
    check(message.max_iter > 0, "max_iter", "iterations above 0")
    check(message.iter_size > 0, "iter_size", "passes above 0")
    regularizations = optimizers.REGULARIZATIONS
    known = message.regularization_type in regularizations
    check(known, "regularization_type", f"one of {list(regularizations)}")
    if message.type in ("SGD", "Nesterov"):
        check(0 <= message.momentum <= 1, "momentum", "0 to 1")
    else:
        check(0 <= message.momentum < 1, "momentum", "at least 0 and less than 1")
    if message.type in ("AdaGrad", "RMSProp"):
        check(message.momentum == 0, "momentum", f"none with {message.type}")
    options = {
        "learning_rate": _policy(message, source),
        "weight_decay": message.weight_decay or None,
        "regularization": message.regularization_type,
    }
    if message.iter_size > 1:
        options["gradient_accumulation_steps"] = message.iter_size
    if message.clip_gradients >= 0:  # 0 leaves only what the weight decay adds
        # Caffe clips the sum of an iteration's gradients, before it divides by their
        # number; Keras the mean.
        options["global_clipnorm"] = message.clip_gradients / message.iter_size
    return kinds[message.type](message, options)


def _sgd(message, options):
    nesterov = message.type == "Nesterov"
    return optimizers.CaffeSGD(momentum=message.momentum, nesterov=nesterov, **options)


def _adagrad(message, options):
    return optimizers.CaffeAdaGrad(epsilon=message.delta, **options)


def _rmsprop(message, options):
    rho = message.rms_decay
    return optimizers.CaffeRMSProp(rho=rho, epsilon=message.delta, **options)


def _adadelta(message, options):
    rho = message.momentum
    return optimizers.CaffeAdaDelta(rho=rho, epsilon=message.delta, **options)


def _adam(message, options):
    return optimizers.CaffeAdam(
        beta_1=message.momentum,
        beta_2=message.momentum2,
        epsilon=message.delta,
        **options,
    )
