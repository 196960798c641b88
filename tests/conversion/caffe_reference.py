"""Caffe's layers once more, in plain NumPy loops and float64, as the rules say."""

import math

import numpy as np


def conv(x, weight, bias, stride, pad, dilation, group):
    """Convolution of (N, C, *sizes) with (O, C / group, *window), of any rank."""
    rank = x.ndim - 2
    x = np.pad(x.astype("f8"), [(0, 0), (0, 0), *((p, p) for p in pad)])
    window = weight.shape[2:]
    reach = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    sizes = [
        (s - r) // t + 1 for s, r, t in zip(x.shape[2:], reach, stride, strict=True)
    ]
    outputs, channels = weight.shape[0] // group, x.shape[1] // group
    y = np.zeros((x.shape[0], weight.shape[0], *sizes))
    for place in np.ndindex(*sizes):
        cut = tuple(
            slice(place[i] * stride[i], place[i] * stride[i] + reach[i], dilation[i])
            for i in range(rank)
        )
        patch = x[(slice(None), slice(None), *cut)]
        for g in range(group):
            part = patch[:, g * channels : (g + 1) * channels].reshape(x.shape[0], -1)
            rows = weight[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
            y[(slice(None), slice(g * outputs, (g + 1) * outputs), *place)] = (
                part @ rows.T
            )
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def deconv(x, weight, bias, stride, pad, dilation, group):
    """Each value of (N, C, *sizes) adds (C, O / group, *window) times itself."""
    rank, window = x.ndim - 2, weight.shape[2:]
    sizes = [
        s * (n - 1) + d * (k - 1) + 1
        for s, n, d, k in zip(stride, x.shape[2:], dilation, window, strict=True)
    ]
    outputs, channels = weight.shape[1], x.shape[1] // group
    y = np.zeros((x.shape[0], outputs * group, *sizes))
    for place in np.ndindex(*x.shape[2:]):
        for tap in np.ndindex(*window):
            at = tuple(place[i] * stride[i] + tap[i] * dilation[i] for i in range(rank))
            for g in range(group):
                own = slice(g * channels, (g + 1) * channels)
                values = x[(slice(None), own, *place)].astype("f8")
                matrix = weight[(own, slice(None), *tap)]
                y[(slice(None), slice(g * outputs, (g + 1) * outputs), *at)] += (
                    values @ matrix
                )
    cut = tuple(slice(p, n - p) for p, n in zip(pad, sizes, strict=True))
    y = y[(slice(None), slice(None), *cut)]
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def pooled(size, kernel, stride, pad, padded, floor=False):
    rounded = math.floor if floor else math.ceil
    count = rounded((size + 2 * pad - kernel) / stride) + 1
    if padded and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def pool(x, kind, kernel, stride, pad, floor=False):
    """MAX, AVE or STOCHASTIC pooling; returns the values and the mask of the maxima."""
    counts = [
        pooled(x.shape[2 + i], kernel[i], stride[i], pad[i], any(pad), floor)
        for i in range(2)
    ]
    y = np.zeros((*x.shape[:2], *counts))
    mask = np.full(y.shape, -1.0)
    for n, c, i, j in np.ndindex(*y.shape):
        h0, w0 = i * stride[0] - pad[0], j * stride[1] - pad[1]
        h1 = min(h0 + kernel[0], x.shape[2] + pad[0])
        w1 = min(w0 + kernel[1], x.shape[3] + pad[1])
        area = (h1 - h0) * (w1 - w0)
        h0, w0 = max(h0, 0), max(w0, 0)
        h1, w1 = min(h1, x.shape[2]), min(w1, x.shape[3])
        values = x[n, c, h0:h1, w0:w1].astype("f8")
        if kind == "MAX":
            best = -3.4028234663852886e38
            for h in range(h0, h1):
                for w in range(w0, w1):
                    if x[n, c, h, w] > best:
                        best, mask[n, c, i, j] = x[n, c, h, w], h * x.shape[3] + w
            y[n, c, i, j] = best
        elif kind == "AVE":
            y[n, c, i, j] = values.sum() / area if area else np.nan
        else:
            total = values.sum()
            y[n, c, i, j] = (values**2).sum() / total if total > 0 else 0
    return y, mask


def spp(x, height, kind):
    flat = []
    for level in range(height):
        bins = 2**level
        kernel = [math.ceil(s / bins) for s in x.shape[2:]]
        pad = [
            (k * bins - s + 1) // 2 for k, s in zip(kernel, x.shape[2:], strict=True)
        ]
        y, _ = pool(x, kind, kernel, kernel, pad)
        flat.append(y)
    if height == 1:
        return flat[0]
    return np.concatenate([y.reshape(len(y), -1) for y in flat], 1)


def im2col(x, kernel, stride, pad, dilation):
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows, columns = ((x.shape[2 + i] - reach[i]) // stride[i] + 1 for i in range(2))
    y = np.zeros((len(x), x.shape[1] * kernel[0] * kernel[1], rows, columns))
    for c, i, j in np.ndindex(x.shape[1], *kernel):
        for r, s in np.ndindex(rows, columns):
            y[:, (c * kernel[0] + i) * kernel[1] + j, r, s] = x[
                :, c, r * stride[0] + i * dilation[0], s * stride[1] + j * dilation[1]
            ]
    return y


def argmax(x, top_k, out_max_val, axis):
    def search(values):
        pairs = sorted(((v, i) for i, v in enumerate(values)), reverse=True)[:top_k]
        return [i for _, i in pairs], [v for v, _ in pairs]

    if axis is None:
        rows = [search(item) for item in x.reshape(len(x), -1)]
        y = np.array([[i, v] if out_max_val else [i] for i, v in rows], float)
        return y.reshape(len(x), 1 + out_max_val, top_k, *[1] * (x.ndim - 3))
    moved = np.moveaxis(x, axis, -1)
    y = np.zeros((*moved.shape[:-1], top_k))
    for place in np.ndindex(*moved.shape[:-1]):
        y[place] = search(moved[place])[out_max_val]
    return np.moveaxis(y, -1, axis)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, cont, params, static=None, h=None, c=None):
    w_x, b, *w_static, w_h = [p.astype("f8") for p in params]
    units = w_h.shape[1]
    h = np.zeros((x.shape[1], units)) if h is None else h[0].astype("f8")
    c = np.zeros((x.shape[1], units)) if c is None else c[0].astype("f8")
    tops = []
    for step, keep in zip(x.reshape(*x.shape[:2], -1), cont, strict=True):
        keep = keep[:, None]
        gates = step @ w_x.T + b + (keep * h) @ w_h.T
        if static is not None:
            gates = gates + static.reshape(len(static), -1) @ w_static[0].T
        i, f, o, g = np.split(gates, 4, axis=1)
        c = keep * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        tops.append(h)
    return np.stack(tops), h[None], c[None]


def rnn(x, cont, params, static=None, h=None):
    w_x, b, *w_static, w_h, w_o, b_o = [p.astype("f8") for p in params]
    h = np.zeros((x.shape[1], len(w_h))) if h is None else h[0].astype("f8")
    tops = []
    for step, keep in zip(x.reshape(*x.shape[:2], -1), cont, strict=True):
        total = step @ w_x.T + b + (keep[:, None] * h) @ w_h.T
        if static is not None:
            total = total + static.reshape(len(static), -1) @ w_static[0].T
        h = np.tanh(total)
        tops.append(np.tanh(h @ w_o.T + b_o))
    return np.stack(tops), h[None]
