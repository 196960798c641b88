"""Caffe's learning rate policies as a Keras schedule."""

import keras
from keras import ops

# What each policy reads besides the base rate.
_FIELDS = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power", "max_iter"),
    "sigmoid": ("gamma", "stepsize"),
}
POLICIES = tuple(_FIELDS)


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
    | `multistep` | base_lr * gamma ^ (how many of stepvalue are at most t) |
    | `poly` | base_lr * (1 - t / max_iter) ^ power; 0 from max_iter on |
    | `sigmoid` | base_lr / (1 + exp(-gamma * (t - stepsize))) |

    Args:
        policy: One of the names above, a solver's `lr_policy`.
        base_lr: The rate that the policy starts from, above 0.
        gamma: Factor or slope.
        power: Exponent.
        stepsize: Iterations, above 0 for `step`.
        stepvalue: Iterations in ascending order.
        max_iter: Iterations of the whole training, above 0.

    Raises:
        ValueError: If the policy is unknown or something it reads is missing or out of
            range.

    Reference:
        Caffe 1.0's solvers.
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
        if self.policy not in _FIELDS:
            raise ValueError(
                f"Expected a learning rate policy, one of {list(POLICIES)}; received: "
                f"{self.policy!r}"
            )
        if not self.base_lr > 0:
            raise ValueError(f"Expected base_lr above 0; received: {self.base_lr}")
        for name in _FIELDS[self.policy]:
            value = getattr(self, name)
            positive = name == "max_iter" or (name, self.policy) == ("stepsize", "step")
            if value is None or (positive and value < 1):
                wanted = f"{name} above 0" if positive else name
                raise ValueError(
                    f"Expected {wanted} for the learning rate policy "
                    f"{self.policy!r}; received: {value}"
                )
        if self.policy == "multistep" and self.stepvalue != sorted(self.stepvalue):
            raise ValueError(
                f"Expected stepvalue in ascending order; received: {self.stepvalue}"
            )

    def __call__(self, step):
        """Return the rate after `step` iterations."""
        t = ops.cast(step, "float32")
        return self.base_lr * getattr(self, f"_{self.policy}")(t)

    def _fixed(self, t):
        return ops.ones_like(t)

    def _step(self, t):
        return ops.power(self.gamma, ops.floor(t / self.stepsize))

    def _exp(self, t):
        return ops.power(self.gamma, t)

    def _inv(self, t):
        return ops.power(1.0 + self.gamma * t, -self.power)

    def _multistep(self, t):
        steps = ops.convert_to_tensor(self.stepvalue, "float32")
        done = ops.sum(ops.cast(steps <= t, "float32"))
        return ops.power(self.gamma, done)

    def _poly(self, t):
        # Caffe stops at max_iter; Keras may be told to go on.
        return ops.power(ops.maximum(1.0 - t / self.max_iter, 0.0), self.power)

    def _sigmoid(self, t):
        return 1.0 / (1.0 + ops.exp(-self.gamma * (t - self.stepsize)))

    def get_config(self):
        names = ("policy", "base_lr", "gamma", "power", "stepsize", "stepvalue")
        return {name: getattr(self, name) for name in (*names, "max_iter")}
