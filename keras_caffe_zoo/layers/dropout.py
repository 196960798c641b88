"""Dropout that goes on after an interruption as if there had been none."""

import keras
from keras import ops

_STATE = "seed_state"


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeDropout(keras.layers.Dropout):
    """Dropout as Keras and Caffe compute it, whose random state is kept.

    Keras saves a model without the state of its random numbers: a training that is
    resumed would draw other masks than one that was never interrupted. This layer's
    state is saved with the model's weights, and restored where it is in a file.

    (With PyTorch as Keras' engine, a layer without `seed` draws from PyTorch's own
    generator, whose state nobody keeps. Give it a seed there.)

    Args:
        rate: Fraction that becomes 0 in training; the rest is divided by 1 - rate.
        scale_train: `False` leaves the rest as it is in training, and multiplies
            everything by 1 - rate when predicting.
        samples: Drop when predicting too, as Bayesian SegNet does
            (`sample_weights_test`): then each prediction is another one.
        **kwargs: Everything else that `keras.layers.Dropout` takes.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeDropout
        >>> x = np.ones((1, 4))
        >>> np.asarray(CaffeDropout(0.25)(x)).tolist()  # when predicting
        [[1.0, 1.0, 1.0, 1.0]]
        >>> np.asarray(CaffeDropout(0.25, scale_train=False)(x)).tolist()
        [[0.75, 0.75, 0.75, 0.75]]
        >>> set(np.asarray(CaffeDropout(0.5)(np.ones(100), training=True)).tolist())
        {0.0, 2.0}
    """

    def __init__(self, rate, scale_train=True, samples=False, **kwargs) -> None:
        super().__init__(rate, **kwargs)
        self.scale_train, self.samples = bool(scale_train), bool(samples)

    def call(self, inputs, training=False):
        training = training or self.samples
        outputs = super().call(inputs, training=training)
        if self.scale_train:
            return outputs
        # Trained as Keras does, all is a factor of 1 / (1 - rate) too large.
        return outputs * (1 - self.rate)

    def get_config(self):
        own = {"scale_train": self.scale_train, "samples": self.samples}
        return {**super().get_config(), **own}

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.rate > 0:
            store[_STATE] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store):
        if self.rate > 0 and _STATE in store:
            self.seed_generator.state.assign(store[_STATE][()])
