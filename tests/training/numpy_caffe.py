"""Caffe's training once more, in plain NumPy: nets, gradients, solvers, policies.

It shares nothing with the package but the reader of prototxt: each layer's forward and
backward pass, and each solver's update, are written down here from Caffe's formulas, in
float64 or in any other precision, NCHW as in Caffe. Slow, and free of random numbers:
Dropout is refused unless it is told to be off.
"""

from math import ceil

import numpy as np

STATISTICS = "BatchNorm"  # the type whose blobs no solver moves
DATA = {"Data", "ImageData", "WindowData", "HDF5Data", "Input"}
LOSSES = {}
LAYERS = {}


def layer(*types, table=LAYERS):
    def add(function):
        table.update(dict.fromkeys(types, function))
        return function

    return add


class Network:
    """A net that was filtered for its phase, forward and backward.

    Args:
        net: The `Net`.
        params: Arrays in Caffe's layout by layer name.
        dtype: What everything is computed in.
        dropout: `False` to leave Dropout layers out; else they are refused.
        train: Whether BatchNorm takes the batch's own statistics.
        at_data: Whether gradients at the data are wanted, too.
    """

    def __init__(
        self, net, params, dtype="float64", dropout=None, train=True, at_data=False
    ):
        self.layers = [one for one in net.layers if one.type not in DATA]
        self.dtype, self.dropout, self.train = np.dtype(dtype), dropout, train
        self.at_data = at_data
        self.params, self.rules, self._keys = {}, {}, {}
        shared = {}
        for one in self.layers:
            for i, blob in enumerate(params.get(one.name, [])):
                specs = one.message.param
                spec = specs[i] if i < len(specs) else None
                name = spec.name if spec is not None else ""
                key = shared.setdefault(name, (one.name, i)) if name else (one.name, i)
                self._keys[one.name, i] = key
                self.params.setdefault(key, np.array(blob, self.dtype))
                if key not in self.rules:
                    rules = (spec.lr_mult, spec.decay_mult) if spec else (1.0, 1.0)
                    self.rules[key] = (0, 0) if one.type == STATISTICS else rules

    def wants(self, blob):
        """Tell whether the gradient at a blob, as it is now, leads anywhere."""
        return self.at_data or self._versions[blob][1] > 0

    def of(self, name):
        """Return a layer's parameters as they are now."""
        keys = [key for key in self._keys if key[0] == name]
        return [self.params[self._keys[key]] for key in sorted(keys)]

    def forward(self, data):
        """Return the losses by blob, each times its weight; `backward` may follow.

        Args:
            data: Arrays by blob, as Caffe's data layers give them.
        """
        self.blobs = {name: np.asarray(x, self.dtype) for name, x in data.items()}
        self._versions = {name: (name, 0) for name in data}
        self._tape, self.losses = [], {}
        for one in self.layers:
            if one.type == "Dropout":
                if self.dropout is not False:
                    raise ValueError("Expected dropout=False with Dropout layers")
                self._record(one, [self.blobs[one.bottoms[0]]], lambda dy: [dy])
                continue
            bottoms = [self.blobs[name] for name in one.bottoms]
            if one.type in LOSSES:
                self._loss(one, bottoms)
            elif one.type in LAYERS:
                tops, back = LAYERS[one.type](self, one, bottoms)
                self._record(one, tops, back)
            elif one.type != "Accuracy":
                raise ValueError(f"Expected a layer of {set(LAYERS)}: {one.type}")
        return self.losses

    def _record(self, one, tops, back):
        sources = [self._versions[name] for name in one.bottoms]
        made = []
        for name, value in zip(one.tops, tops, strict=True):
            self.blobs[name] = value
            version = self._versions.get(name, (name, 0))
            self._versions[name] = (name, version[1] + 1)
            made.append(self._versions[name])
        self._tape.append((sources, made, back))

    def _loss(self, one, bottoms):
        weights = list(one.message.loss_weight)
        weight = self.dtype.type(weights[0] if weights else 1.0)
        value, back = LOSSES[one.type](self, one, bottoms)
        name = one.tops[0] if one.tops else one.name
        self.losses[name] = float(weight * value)
        if weight:
            sources = [self._versions[blob] for blob in one.bottoms]
            self.seed(sources, lambda: back(weight))

    def seed(self, sources, back):
        """Add an end where gradients begin: versions of blobs, and their gradients."""
        self._tape.append((sources, [], back))

    def version(self, blob):
        """Return a blob's last value's name: each layer that writes it makes one."""
        return self._versions[blob]

    def backward(self):
        """Return the gradients by parameter; zeros for those with `lr_mult` 0.

        Those of the data are in `at_inputs` then, with `at_data`.
        """
        at, self.diffs = {}, {k: np.zeros_like(p) for k, p in self.params.items()}
        for sources, made, back in reversed(self._tape):
            given = [at.pop(version, None) for version in made]
            if made and all(one is None for one in given):
                continue
            for version, diff in zip(sources, back(*given), strict=True):
                if diff is not None:
                    at[version] = at[version] + diff if version in at else diff
        self.at_inputs = {name: diff for (name, n), diff in at.items() if n == 0}
        return self.diffs

    def learn(self, name, i, diff):
        """Add to the gradient of a layer's parameter."""
        key = self._keys[name, i]
        if self.rules[key][0]:
            self.diffs[key] += diff.reshape(self.diffs[key].shape)


def _windows(x, kernel, stride, shape):
    """Return a view (N, C, H', W', kh, kw) of windows of an array that is padded."""
    (kh, kw), (sh, sw), (oh, ow) = kernel, stride, shape
    n, c, h, w = x.strides
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:2], oh, ow, kh, kw), (n, c, h * sh, w * sw, h, w), writeable=False
    )


def _pairs(param, *names):
    """Return each field's values for height and width."""
    for name in names:
        short = name.removesuffix("_size")
        h, w = getattr(param, f"{short}_h"), getattr(param, f"{short}_w")
        given = getattr(param, name)
        listed = list(given) if hasattr(given, "__len__") else [given]
        listed = [one for one in listed if one] or [int(name == "stride")]
        yield (h, w) if h or w else (listed[0], listed[-1])


@layer("Convolution")
def _convolution(net, one, bottoms):
    param, (x,), blobs = one.param, bottoms, net.of(one.name)
    kernel, stride, pad = _pairs(param, "kernel_size", "stride", "pad")
    (n, _, h, w), groups, weights = x.shape, param.group, blobs[0]
    shape = [
        (side + 2 * p - k) // s + 1
        for side, p, k, s in zip((h, w), pad, kernel, stride, strict=True)
    ]
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)))
    windows = _windows(padded, kernel, stride, shape)
    outputs, per_group = len(weights) // groups, x.shape[1] // groups
    rows, parts = [], []
    for g in range(groups):
        part = windows[:, g * per_group : (g + 1) * per_group]
        rows.append(
            part.transpose(0, 2, 3, 1, 4, 5).reshape(n * shape[0] * shape[1], -1)
        )
        of_group = weights[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
        parts.append(rows[-1] @ of_group.T)
    y = np.concatenate(parts, 1).reshape(n, *shape, -1).transpose(0, 3, 1, 2)
    if len(blobs) > 1:
        y = y + blobs[1].reshape(1, -1, 1, 1)

    wanted = net.wants(one.bottoms[0])

    def back(dy):
        flat = dy.transpose(0, 2, 3, 1).reshape(-1, len(weights))
        at_weights = np.zeros_like(weights)
        at_padded = np.zeros((n, *padded.shape[2:], x.shape[1]), x.dtype)
        for g in range(groups):
            mine = slice(g * outputs, (g + 1) * outputs)
            diff = np.ascontiguousarray(flat[:, mine])
            at_weights[mine] = (diff.T @ rows[g]).reshape(at_weights[mine].shape)
            if not wanted:
                continue
            channels = slice(g * per_group, (g + 1) * per_group)
            for i, j in np.ndindex(*kernel):
                spread = (diff @ weights[mine, :, i, j]).reshape(n, *shape, -1)
                down = slice(i, i + stride[0] * shape[0], stride[0])
                right = slice(j, j + stride[1] * shape[1], stride[1])
                at_padded[:, down, right, channels] += spread
        net.learn(one.name, 0, at_weights)
        if len(blobs) > 1:
            net.learn(one.name, 1, flat.sum(0))
        inside = at_padded[:, pad[0] : pad[0] + h, pad[1] : pad[1] + w]
        return [inside.transpose(0, 3, 1, 2) if wanted else None]

    return [y], back


@layer("InnerProduct")
def _inner_product(net, one, bottoms):
    (x,), blobs = bottoms, net.of(one.name)
    flat = x.reshape(len(x), -1)
    y = flat @ blobs[0].T + (blobs[1] if len(blobs) > 1 else 0)

    def back(dy):
        net.learn(one.name, 0, dy.T @ flat)
        if len(blobs) > 1:
            net.learn(one.name, 1, dy.sum(0))
        return [(dy @ blobs[0]).reshape(x.shape)]

    return [y], back


@layer("Pooling")
def _pooling(net, one, bottoms):
    param, (x,) = one.param, bottoms
    kernel, stride, pad = _pairs(param, "kernel_size", "stride", "pad")
    sides = x.shape[2:]
    if param.global_pooling:
        kernel, stride, pad = sides, (1, 1), (0, 0)
    shape = [
        ceil((side + 2 * p - k) / s) + 1
        for side, p, k, s in zip(sides, pad, kernel, stride, strict=True)
    ]
    if any(pad):  # the last window must begin inside the map or its first padding
        shape = [
            n - ((n - 1) * s >= side + p)
            for n, s, side, p in zip(shape, stride, sides, pad, strict=True)
        ]
    reach = [(n - 1) * s + k for n, s, k in zip(shape, stride, kernel, strict=True)]
    width = [
        (p, max(r - side - p, 0)) for p, r, side in zip(pad, reach, sides, strict=True)
    ]
    is_max = param.pool == 0
    fill = -np.inf if is_max else 0
    padded = np.pad(x, ((0, 0), (0, 0), *width), constant_values=fill)
    windows = _windows(padded, kernel, stride, shape)
    flat = windows.reshape(*windows.shape[:4], -1)
    places = np.indices(shape)[:, None, None]  # of windows
    if is_max:
        first = flat.argmax(-1)
        y = np.take_along_axis(flat, first[..., None], -1)[..., 0]
    else:
        sizes = [
            np.minimum(np.arange(n) * s + k, side + 2 * p) - np.arange(n) * s
            for n, s, k, side, p in zip(shape, stride, kernel, sides, pad, strict=True)
        ]
        divisor = np.outer(*sizes).astype(x.dtype)
        y = flat.sum(-1) / divisor

    def back(dy):
        at = np.zeros_like(padded)
        if is_max:
            item, channel = np.indices(dy.shape)[:2]
            row = places[0] * stride[0] + first // kernel[1]
            column = places[1] * stride[1] + first % kernel[1]
            np.add.at(at, (item, channel, row, column), dy)
        else:
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    at[
                        :,
                        :,
                        i : i + stride[0] * shape[0] : stride[0],
                        j : j + stride[1] * shape[1] : stride[1],
                    ] += dy / divisor
        (top, _), (left, _) = width
        return [at[:, :, top : top + sides[0], left : left + sides[1]]]

    return [y], back


@layer("LRN")
def _lrn(net, one, bottoms):
    param, (x,) = one.param, bottoms
    n, alpha, beta = param.local_size, param.alpha, param.beta
    half = (n - 1) // 2
    if param.norm_region == 1:  # within a channel, where k counts for nothing
        shift, factor = 1.0, alpha / n**2
        around = ((0, 0), (0, 0), (half, half), (half, half))

        def total(values):
            padded = np.pad(values, around)
            return _windows(padded, (n, n), (1, 1), values.shape[2:]).sum((-1, -2))

    else:
        shift, factor = param.k, alpha / n
        around = ((0, 0), (half, half), (0, 0), (0, 0))

        def total(values):
            padded, c = np.pad(values, around), values.shape[1]
            return sum(padded[:, i : i + c] for i in range(n))

    scale = np.asarray(shift + factor * total(x * x), x.dtype)
    power = scale**-beta
    y = x * power

    def back(dy):
        return [dy * power - 2 * beta * factor * x * total(dy * y / scale)]

    return [y], back


@layer("ReLU")
def _relu(net, one, bottoms):
    (x,), slope = bottoms, one.param.negative_slope
    return [np.where(x > 0, x, slope * x)], lambda dy: [dy * np.where(x > 0, 1, slope)]


@layer("Sigmoid")
def _sigmoid_layer(net, one, bottoms):
    y = _sigmoid(bottoms[0])
    return [y], lambda dy: [dy * y * (1 - y)]


def _sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


@layer("BatchNorm")
def _batch_norm(net, one, bottoms):
    (x,), blobs = bottoms, net.of(one.name)
    axes = (0, *range(2, x.ndim))
    along = (1, -1, *(1,) * (x.ndim - 2))
    count, eps = x.size // x.shape[1], one.param.eps
    if net.train:
        mean, variance = x.mean(axes), x.var(axes)
        keep = net.dtype.type(one.param.moving_average_fraction)
        unbiased = variance * (count / (count - 1))
        for blob, new in zip(blobs, (mean, unbiased, 1), strict=True):
            blob[...] = keep * blob + new
    else:
        factor = blobs[2].item()
        mean, variance = (b / factor if factor else b * 0 for b in blobs[:2])
    root = np.sqrt(variance + net.dtype.type(eps)).reshape(along)
    y = (x - mean.reshape(along)) / root

    def back(dy):
        if not net.train:
            return [dy / root]
        drop = dy.mean(axes).reshape(along) + y * (dy * y).mean(axes).reshape(along)
        return [(dy - drop) / root]

    return [y], back


@layer("Scale")
def _scale(net, one, bottoms):
    (x,), blobs = bottoms, net.of(one.name)
    along = (1, -1, *(1,) * (x.ndim - 2))
    axes = (0, *range(2, x.ndim))
    y = x * blobs[0].reshape(along)
    if len(blobs) > 1:
        y = y + blobs[1].reshape(along)

    def back(dy):
        net.learn(one.name, 0, (dy * x).sum(axes))
        if len(blobs) > 1:
            net.learn(one.name, 1, dy.sum(axes))
        return [dy * blobs[0].reshape(along)]

    return [y], back


@layer("Flatten")
def _flatten(net, one, bottoms):
    (x,) = bottoms
    return [x.reshape(len(x), -1)], lambda dy: [dy.reshape(x.shape)]


@layer("Concat")
def _concat(net, one, bottoms):
    at = np.cumsum([x.shape[1] for x in bottoms])[:-1]
    return [np.concatenate(bottoms, 1)], lambda dy: np.split(dy, at, 1)


@layer("Slice")
def _slice(net, one, bottoms):
    (x,), points = bottoms, list(one.param.slice_point)
    tops = np.split(x, points or len(one.tops), 1)

    def back(*dys):
        pairs = zip(tops, dys, strict=True)
        whole = [np.zeros_like(top) if dy is None else dy for top, dy in pairs]
        return [np.concatenate(whole, 1)]

    return tops, back


@layer("Softmax")
def _softmax_layer(net, one, bottoms):
    y = _softmax(bottoms[0])
    return [y], lambda dy: [y * (dy - (dy * y).sum(1, keepdims=True))]


def _softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@layer("SoftmaxWithLoss", table=LOSSES)
def _softmax_loss(net, one, bottoms):
    x, labels = bottoms[0], bottoms[1].astype(int).reshape(len(bottoms[0]), 1)
    x = x.reshape(len(x), -1)
    share = _softmax(x)
    of_label = np.take_along_axis(share, labels, 1)
    tiny = np.finfo("float32").tiny  # Caffe's bound, whatever it computes in

    def back(weight):
        diff = share.copy()
        np.put_along_axis(diff, labels, of_label - 1, 1)
        return [(diff * (weight / len(x))).reshape(bottoms[0].shape), None]

    return -np.log(np.maximum(of_label, tiny)).sum() / len(x), back


@layer("SigmoidCrossEntropyLoss", table=LOSSES)
def _sigmoid_loss(net, one, bottoms):
    x, target = (values.reshape(len(values), -1) for values in bottoms)
    loss = np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))

    def back(weight):
        diff = (_sigmoid(x) - target) * (weight / len(x))
        return [diff.reshape(bottoms[0].shape), None]

    return loss.sum() / len(x), back


@layer("EuclideanLoss", table=LOSSES)
def _euclidean_loss(net, one, bottoms):
    diff = bottoms[0] - bottoms[1]
    n = len(diff)

    def back(weight):
        return [diff * (weight / n), -diff * (weight / n)]

    return (diff * diff).sum() / (2 * n), back


@layer("ContrastiveLoss", table=LOSSES)
def _contrastive_loss(net, one, bottoms):
    a, b, similar = bottoms
    similar = similar.reshape(-1).astype(bool)
    diff, margin, n = (a - b).reshape(len(a), -1), one.param.margin, len(a)
    squares = (diff * diff).sum(1)
    if one.param.legacy_version:
        far = np.maximum(margin - squares, 0)
        terms = far
    else:
        distance = np.sqrt(squares)
        far = np.maximum(margin - distance, 0)
        terms = far * far

    def back(weight):
        if one.param.legacy_version:
            away = np.where(far > 0, -1.0, 0.0)
        else:  # Caffe divides by a bit more than the distance
            away = -far / (distance + 1e-4)
        factor = np.where(similar, 1.0, away)[:, None] * (weight / n)
        at = (factor * diff).astype(diff.dtype).reshape(a.shape)
        return [at, -at, None]

    return np.where(similar, squares, terms).sum() / (2 * n), back


def rate(solver, iteration):
    """Return a solver's learning rate in an iteration, counted from 0."""
    s, t = solver, iteration
    policies = {
        "fixed": lambda: 1.0,
        "step": lambda: s.gamma ** (t // s.stepsize),
        "exp": lambda: s.gamma**t,
        "inv": lambda: (1 + s.gamma * t) ** -s.power,
        "multistep": lambda: s.gamma ** sum(t >= step for step in s.stepvalue),
        "poly": lambda: (1 - t / s.max_iter) ** s.power,
        "sigmoid": lambda: 1 / (1 + np.exp(-s.gamma * (t - s.stepsize))),
    }
    return s.base_lr * policies[s.lr_policy]()


class Solver:
    """A solver at work on a `Network`.

    Args:
        message: The `SolverParameter`.
        network: The training net.
    """

    def __init__(self, message, network):
        self.message, self.network, self.iteration = message, network, 0
        self.history = {
            key: [np.zeros_like(value), np.zeros_like(value)]
            for key, value in network.params.items()
        }

    def step(self, *batches):
        """Do one iteration, on `iter_size` batches; return the mean of their losses."""
        total, losses = None, []
        for batch in batches:
            losses.append(sum(self.network.forward(batch).values()))
            diffs = self.network.backward()
            total = diffs if total is None else {k: total[k] + diffs[k] for k in total}
        self._update(total, len(batches))
        self.iteration += 1
        return float(np.mean(losses))

    def _update(self, diffs, passes):
        s, base = self.message, rate(self.message, self.iteration)
        if s.clip_gradients > 0:
            norm = np.sqrt(sum((diff * diff).sum() for diff in diffs.values()))
            if norm > s.clip_gradients:
                diffs = {k: d * (s.clip_gradients / norm) for k, d in diffs.items()}
        for key, value in self.network.params.items():
            lr_mult, decay_mult = self.network.rules[key]
            if not lr_mult:
                continue
            diff, decay = diffs[key] / passes, s.weight_decay * decay_mult
            if decay:
                pull = np.sign(value) if s.regularization_type == "L1" else value
                diff = diff + value.dtype.type(decay) * pull
            update = getattr(self, f"_{s.type.lower()}")
            step = update(diff, value.dtype.type(base * lr_mult), self.history[key])
            value -= step.astype(value.dtype, copy=False)

    def _sgd(self, diff, lr, history):
        history[0][...] = self.message.momentum * history[0] + lr * diff
        return history[0]

    def _nesterov(self, diff, lr, history):
        momentum, last = self.message.momentum, history[0].copy()
        history[0][...] = momentum * last + lr * diff
        return (1 + momentum) * history[0] - momentum * last

    def _adagrad(self, diff, lr, history):
        history[0] += diff * diff
        return lr * diff / (np.sqrt(history[0]) + self.message.delta)

    def _rmsprop(self, diff, lr, history):
        keep = self.message.rms_decay
        history[0][...] = keep * history[0] + (1 - keep) * diff * diff
        return lr * diff / (np.sqrt(history[0]) + self.message.delta)

    def _adadelta(self, diff, lr, history):
        keep, delta = self.message.momentum, self.message.delta
        history[0][...] = keep * history[0] + (1 - keep) * diff * diff
        step = diff * np.sqrt((history[1] + delta) / (history[0] + delta))
        history[1][...] = keep * history[1] + (1 - keep) * step * step
        return lr * step

    def _adam(self, diff, lr, history):
        first, second = self.message.momentum, self.message.momentum2
        t = self.iteration + 1
        history[0][...] = first * history[0] + (1 - first) * diff
        history[1][...] = second * history[1] + (1 - second) * diff * diff
        correction = np.sqrt(1 - second**t) / (1 - first**t)
        return lr * correction * history[0] / (np.sqrt(history[1]) + self.message.delta)
