"""Caffe's recurrent layers: time first, and a blob that says where sequences start."""

import math

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.layers._blobs import BlobLayer


class _Recurrent(BlobLayer):
    """What `LSTM` and `RNN` share: inputs, the walk through time, the states.

    Inputs are `[x, cont]`, then the static input if `static`, then the first states if
    `expose_hidden`; outputs are the top, then the last states if `expose_hidden`.
    """

    states = 1

    def __init__(self, units, static=False, expose_hidden=False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = int(units)
        self.static, self.expose_hidden = bool(static), bool(expose_hidden)

    def _sizes(self, input_shape):
        """Return the sizes of one step of x and of the static input, flattened."""
        self._check([caffe_shape(shape) for shape in input_shape])
        x = math.prod(caffe_shape(input_shape[0])[2:])
        static = math.prod(caffe_shape(input_shape[2])[1:]) if self.static else None
        return x, static

    def _check(self, shapes):
        count = 2 + self.static + self.states * self.expose_hidden
        x, cont = shapes[0], shapes[1]
        pairs = list(zip(x, cont, strict=False))
        fits = len(shapes) == count and len(x) > 1 and len(cont) == 2
        fits = fits and all(None in pair or pair[0] == pair[1] for pair in pairs)
        if self.static and fits:
            items = (x[1], shapes[2][0])
            fits = None in items or items[0] == items[1]
        if fits and self.expose_hidden:
            start = (1, x[1], self.units)
            fits = all(
                len(state) == 3
                and all(None in p or p[0] == p[1] for p in zip(state, start))  # noqa: B905
                for state in shapes[-self.states :]
            )
        if not fits or None in x[2:]:
            raise ValueError(
                f"Expected the {count} inputs of layer '{self.name}' to be (T, N, …), "
                "(T, N), the static input (N, …) if it has one, and its first states "
                f"(1, N, {self.units}) if it has; received: {shapes}."
            )

    def _weight(self, name, *shape):
        initializer = "zeros" if len(shape) == 1 else "glorot_uniform"
        return self.add_weight(shape, initializer, name=name)

    def compute(self, blobs):
        x, cont, *others = blobs
        time, batch = ops.shape(x)[:2]
        steps = self._project(ops.reshape(x, (time, batch, -1)), self.w_x) + self.b_x
        if self.static:
            static = ops.reshape(others.pop(0), (batch, -1))
            steps = steps + self._project(static, self.w_static)
        if others:
            start = [ops.reshape(state, (batch, self.units)) for state in others]
        else:
            start = [ops.zeros((batch, self.units), steps.dtype)] * self.states
        cont = ops.cast(ops.expand_dims(cont, -1), steps.dtype)
        # As one tensor: of several, Keras cannot scan an unknown number of steps.
        steps = ops.concatenate([steps, cont], axis=-1)
        last, hidden = ops.scan(self._step, start, steps)
        top = self._top(hidden)
        if not self.expose_hidden:
            return top
        return [top, *(ops.expand_dims(state, 0) for state in last)]

    @staticmethod
    def _project(x, weight):
        return ops.matmul(x, ops.transpose(ops.convert_to_tensor(weight)))

    def blob_shape(self, shapes):
        self._check(shapes)
        time, batch = shapes[0][:2]
        top = (time, batch, self.units)
        if not self.expose_hidden:
            return top
        return [top] + [(1, batch, self.units)] * self.states

    def get_config(self):
        own = {"units": self.units, "static": self.static}
        own["expose_hidden"] = self.expose_hidden
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeLSTM(_Recurrent):
    """Long short-term memory as Caffe's `LSTM` layer computes it.

    At each step the former hidden state, times `cont`, and the input give the gates
    i, f, o and g; then `c = cont * f * c + i * g` and `h = o * tanh(c)`.

    Args:
        units: Size of the state (`num_output`).
        static: Whether an input follows that is the same at each step, (N, …).
        expose_hidden: Whether the first states h and c follow as inputs, (1, N,
            units), and the last ones as outputs.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Inputs:
        `[x, cont]`: (T, N, …), time first, and (T, N), which is 0 where a sequence
        begins and 1 elsewhere. Each call begins with states of 0: Caffe begins with
        those that the last call left, which `cont` 0 makes void. Do not let
        `predict` cut the first axis into batches: it is time.

    Reference:
        Donahue et al., 2015; Caffe 1.0's `LSTM` layer. Weights are in its layout and
        order.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeLSTM
        >>> x, cont = np.ones((5, 2, 3)), np.ones((5, 2))  # 5 steps of 2 sequences
        >>> cont[[0, 3]] = 0  # sequences begin at steps 0 and 3
        >>> y = np.asarray(CaffeLSTM(4)([x, cont]))
        >>> y.shape, np.array_equal(y[:2], y[3:])
        ((5, 2, 4), True)
    """

    states = 2

    def build(self, input_shape):
        inputs, static = self._sizes(input_shape)
        self.w_x = self._weight("w_x", 4 * self.units, inputs)
        self.b_x = self._weight("b_x", 4 * self.units)
        if self.static:
            self.w_static = self._weight("w_static", 4 * self.units, static)
        self.w_h = self._weight("w_h", 4 * self.units, self.units)
        self.built = True

    def _step(self, states, inputs):
        (hidden, cell), step, cont = states, inputs[:, :-1], inputs[:, -1:]
        gates = step + self._project(hidden * cont, self.w_h)
        i, f, o, g = ops.split(gates, 4, axis=-1)
        cell = cont * ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.sigmoid(o) * ops.tanh(cell)
        return [hidden, cell], [hidden, cell]

    @staticmethod
    def _top(hidden):
        return hidden[0]


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeRNN(_Recurrent):
    """A recurrent network as Caffe's `RNN` layer computes it.

    `h = tanh(W_hh (cont * h) + W_xh x + b_h)`, and the output is
    `tanh(W_ho h + b_o)`.

    Arguments and inputs as of `CaffeLSTM`; there is one state, h.

    Reference:
        Caffe 1.0's `RNN` layer. Weights are in its layout and order.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeRNN
        >>> layer = CaffeRNN(1)
        >>> layer.build([(3, 1, 1), (3, 1)])
        >>> layer.set_weights([np.ones(weight.shape) * 100 for weight in layer.weights])
        >>> x, cont = np.array([-2.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        >>> y = layer([x.reshape(3, 1, 1), cont.reshape(3, 1)])
        >>> np.asarray(y).ravel().tolist()
        [0.0, 1.0, 1.0]
    """

    def build(self, input_shape):
        inputs, static = self._sizes(input_shape)
        self.w_x = self._weight("w_x", self.units, inputs)
        self.b_x = self._weight("b_x", self.units)
        if self.static:
            self.w_static = self._weight("w_static", self.units, static)
        self.w_h = self._weight("w_h", self.units, self.units)
        self.w_o = self._weight("w_o", self.units, self.units)
        self.b_o = self._weight("b_o", self.units)
        self.built = True

    def _step(self, states, inputs):
        (hidden,), step, cont = states, inputs[:, :-1], inputs[:, -1:]
        hidden = ops.tanh(step + self._project(hidden * cont, self.w_h))
        return [hidden], [hidden]

    def _top(self, hidden):
        return ops.tanh(self._project(hidden[0], self.w_o) + self.b_o)
