"""What Caffe's functions of one value come to where no value counts."""

import math


def constant_power(power: float, shift: float) -> float:
    """Return `shift ** power` as C does, which raises no error; 1 if `power` is 0."""
    if power == 0:
        return 1.0
    try:
        value = shift**power
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        odd = shift < 0 and power % 2 == 1
        return -math.inf if odd else math.inf
    return value if isinstance(value, float) else math.nan
