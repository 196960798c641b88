"""Counts of what a classifier takes for what: those of matrices that are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe_zoo.training import confusion_matrix

KNOWN = np.array([[7, 2, 0], [1, 40, 3], [0, 0, 0]])


class Mirror(keras.Layer):
    """What it is given is what the model says."""

    def __init__(self, shape=(3,), **options):
        super().__init__(**options)
        self.shape = shape

    def call(self, x):
        return keras.ops.reshape(x, (-1, *self.shape))


def mirror(*shape):
    image = keras.Input((3,))
    return keras.Model(image, Mirror(shape or (3,))(image))


def known(seed=0):
    """Return scores and labels of pictures of which `KNOWN` is true."""
    pairs = [(i, j) for i, j in np.ndindex(3, 3) for _ in range(KNOWN[i, j])]
    true, said = np.random.default_rng(seed).permutation(pairs).T
    return np.eye(3, dtype="float32")[said] * 0.6 + 0.1, true


def one_hot(true):
    return np.eye(3, dtype="float32")[true]


X, TRUE = known()


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3)])
@pytest.mark.parametrize(
    "labels",
    [TRUE, TRUE[:, None], TRUE.astype("float32"), one_hot(TRUE), list(TRUE)],
    ids=["numbers", "a column", "floats", "one-hot", "a list"],
)
def test_counts_are_those_of_a_known_matrix(shape, labels):
    found = confusion_matrix(mirror(*shape), (X, labels))
    np.testing.assert_array_equal(found, KNOWN)
    assert found.dtype == np.int64


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        half = np.s_[:20] if index == 0 else np.s_[20:]
        return X[half], TRUE[half]


def test_batches_are_the_same_from_wherever_they_come():
    dataset = tf.data.Dataset.from_tensor_slices((X, one_hot(TRUE)))
    weighted = [(X, TRUE, np.ones(len(X)))]
    two = [(X[:30], TRUE[:30]), (X[30:], TRUE[30:])]
    lists = list(map(list, two))
    halves = dataset.batch(20), Batches(), weighted, two, iter(two), tuple(two), lists
    for data in halves:
        np.testing.assert_array_equal(confusion_matrix(mirror(), data), KNOWN)


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_inputs_may_be_a_list_or_a_tuple(kind):
    images = keras.Input((3,)), keras.Input((3,))
    model = keras.Model(images, keras.layers.Add()(images))
    x = kind([X, np.zeros_like(X)])
    for data in ((x, TRUE), [(x, TRUE)]):
        np.testing.assert_array_equal(confusion_matrix(model, data), KNOWN)


def endless():
    return tf.data.Dataset.from_tensors((X, TRUE)).repeat()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((X, TRUE[:9]), "as many labels as pictures; received: 9 and 53"),
        ((X, np.eye(4)[TRUE]), r"one-hot \(N, 3\); received: shape \(32, 4\)"),
        ((X, TRUE + 2), "labels from 0 to 2, .*received: 3"),
        ((X, TRUE - 1), "labels from 0 to 2, .*received: -1"),
        ((X, TRUE + 0.5), "labels from 0 to 2, .*received: "),
        ((X, np.full(53, np.nan)), "labels from 0 to 2, .*received: nan"),
        ((X, np.ones((53, 3))), "one class for each picture"),
        ((X, np.array(["cat"] * 53)), "received: .'cat'.. The number of a name"),
        ((np.full_like(X, np.nan), TRUE), "finite scores"),
        (X, r"batches of pictures and labels, \(x, labels\); received: ndarray"),
        ("photos/", r"a dataset of batches .*received: str"),
        ([], "received: no data"),
        (endless(), "Expected data that ends.*without repeat"),
    ],
)
def test_wrong_data_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        confusion_matrix(mirror(), data)


def test_models_that_are_no_classifiers_are_refused():
    image = keras.Input((3,))
    two = keras.Model(image, [image, image])
    x = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match="one output .*received: list of 2"):
        confusion_matrix(two, (x, [0, 1]))
    with pytest.raises(ValueError, match=r"one output .*shape \(2, 3, 1, 1\)"):
        confusion_matrix(mirror(3, 1, 1), (x, [0, 1]))
    with pytest.raises(ValueError, match="2 to 10,000 classes a score"):
        confusion_matrix(keras.Model(image, image[:, :1]), (x, [0, 1]))
