"""Caffe's learning rate policies as a Keras schedule."""

import math

import keras
from keras import ops

POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")
_DIVISORS = {"step": "stepsize", "poly": "max_iter"}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class LearningRatePolicy(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that changes with the iteration as Caffe's solvers change it.

    With t the iterations done so far:

    | policy | rate |
    |---|---|
    | `fixed` | base_lr |
    | `step` | base_lr * gamma ^ floor(t / stepsize) |
    | `exp` | base_lr * gamma ^ t |
    | `inv` | base_lr * (1 + gamma * t) ^ -power |
    | `multistep` | base_lr * gamma ^ (how many steps were taken up to t) |
    | `poly` | base_lr * (1 - t / max_iter) ^ power; 0 ^ power from max_iter on |
    | `sigmoid` | base_lr / (1 + exp(-gamma * (t - stepsize))) |

    What a policy reads and nobody gives is 0 (no steps for `multistep`), as in Caffe,
    0 ^ 0 is 1, and a `base_lr` of 0 trains nothing.

    `multistep` takes its steps in the order of `stepvalue`, one in an iteration: the
    next is due when t has reached its value. Of values that do not rise, one waits for
    those before it.

    Args:
        policy: One of the names above, a solver's `lr_policy`.
        base_lr: The rate that the policy starts from.
        gamma: Factor or slope.
        power: Exponent.
        stepsize: Iterations, above 0 for `step`.
        stepvalue: Iterations.
        max_iter: Iterations of the whole training, above 0.

    Raises:
        ValueError: If the policy is unknown, or divides by what is not above 0.

    Reference:
        Caffe 1.0's solvers.

    Example:
        >>> from keras_caffe_zoo.training import LearningRatePolicy
        >>> step = LearningRatePolicy("step", 0.01, gamma=0.1, stepsize=1000)
        >>> [round(float(step(t)), 6) for t in (0, 999, 1000, 2000)]
        [0.01, 0.01, 0.001, 0.0001]
        >>> poly = LearningRatePolicy("poly", 0.01, power=1, max_iter=1000)
        >>> [round(float(poly(t)), 6) for t in (0, 250, 1000)]
        [0.01, 0.0075, 0.0]
    """

    def __init__(
        self,
        policy: str,
        base_lr: float,
        *,
        gamma: float | None = None,
        power: float | None = None,
        stepsize: int | None = None,
        stepvalue=None,
        max_iter: int | None = None,
    ):
        super().__init__()
        self.policy, self.base_lr = policy, float(base_lr)
        self.gamma, self.power = gamma, power
        self.stepsize, self.max_iter = stepsize, max_iter
        self.stepvalue = None if stepvalue is None else [int(v) for v in stepvalue]
        self._check()

    def _check(self):
        if self.policy not in POLICIES:
            raise ValueError(
                f"Expected a learning rate policy, one of {list(POLICIES)}; received: "
                f"{self.policy!r}"
            )
        numbers = {"base_lr": self.base_lr, "gamma": self.gamma, "power": self.power}
        for name, value in numbers.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"Expected a finite {name}; received: {value}")
        divisor = _DIVISORS.get(self.policy)
        if divisor and (getattr(self, divisor) or 0) < 1:
            raise ValueError(
                f"Expected {divisor} above 0 for the learning rate policy "
                f"{self.policy!r}; received: {getattr(self, divisor)}"
            )

    @property
    def steps(self) -> list[int]:
        """The iterations at which `multistep` takes its steps."""
        found: list[int] = []
        for value in self.stepvalue or ():
            found.append(max(value, found[-1] + 1 if found else 0))
        return found

    def __call__(self, step):
        """Return the rate after `step` iterations."""
        t = ops.cast(step, "float32")
        return self.base_lr * getattr(self, f"_{self.policy}")(t)

    def _fixed(self, t):
        return ops.ones_like(t)

    def _step(self, t):
        return ops.power(self.gamma or 0.0, ops.floor(t / self.stepsize))

    def _exp(self, t):
        return ops.power(self.gamma or 0.0, t)

    def _inv(self, t):
        return ops.power(1.0 + (self.gamma or 0.0) * t, -(self.power or 0.0))

    def _multistep(self, t):
        steps = ops.convert_to_tensor(self.steps, "float32")
        done = ops.sum(ops.cast(steps <= t, "float32"))
        return ops.power(self.gamma or 0.0, done)

    def _poly(self, t):
        # Caffe stops at max_iter; Keras may be told to go on.
        left = ops.maximum(1.0 - t / self.max_iter, 0.0)
        return ops.power(left, self.power or 0.0)

    def _sigmoid(self, t):
        after = t - (self.stepsize or 0)
        return 1.0 / (1.0 + ops.exp(-(self.gamma or 0.0) * after))

    def get_config(self):
        names = ("policy", "base_lr", "gamma", "power", "stepsize", "stepvalue")
        return {name: getattr(self, name) for name in (*names, "max_iter")}
