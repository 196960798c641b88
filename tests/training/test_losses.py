"""Caffe's losses against loops over their definitions, and Caffe's gradients."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from support import every

from keras_caffe_zoo.caffe import CaffeFormatError, parse_prototxt, write_mean
from keras_caffe_zoo.training.losses import (
    LOSS_LAYERS,
    ContrastiveLoss,
    EuclideanLoss,
    HingeLoss,
    InfogainLoss,
    MultinomialLogisticLoss,
    SigmoidCrossEntropyLoss,
    SoftmaxWithLoss,
    joined_labels,
    loss_of,
)

RNG = np.random.default_rng(0)
FLT_MIN = 2.0**-126
MODES = ("valid", "full", "batch_size", "none")
IGNORE = 255


def value_and_gradient(loss, y_true, y_pred, **options):
    """Return a loss and its gradient at the predictions, on whichever engine runs."""
    y_pred = np.asarray(y_pred, "float32")
    engine = keras.config.backend()
    if engine == "tensorflow":
        import tensorflow as tf

        x = tf.constant(y_pred)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(y_true, x, **options)
        gradient = tape.gradient(value, x)
    elif engine == "jax":
        import jax

        value, gradient = jax.value_and_grad(lambda x: loss(y_true, x, **options))(
            jax.numpy.asarray(y_pred)
        )
    else:
        import torch

        x = ops.convert_to_tensor(y_pred).requires_grad_()
        value = loss(y_true, x, **options)
        (gradient,) = torch.autograd.grad(value, x)
    value = ops.convert_to_numpy(value)
    assert value.shape == ()
    return float(value), ops.convert_to_numpy(gradient)


def softmax(scores):
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def divisor(mode, labels, ignore=None):
    counted = sum(int(label) != ignore for label in labels.flat)
    sizes = {"valid": counted, "full": labels.size, "batch_size": len(labels)}
    return max(1, sizes.get(mode, 1))


def places(labels, scores, ignore):
    for at in np.ndindex(labels.shape):
        if int(labels[at]) != ignore:
            yield at, int(labels[at]), [float(s) for s in scores[at]]


def reference_softmax_loss(labels, scores, mode="valid", ignore=None):
    total, gradient = 0.0, np.zeros(scores.shape)
    for at, label, place in places(labels, scores, ignore):
        p = softmax(place)
        total -= math.log(max(p[label], FLT_MIN))
        gradient[at] = p
        gradient[at][label] -= 1
    by = divisor(mode, labels, ignore)
    return total / by, gradient / by


def reference_infogain_loss(labels, scores, matrix, mode="valid", ignore=None):
    total, gradient = 0.0, np.zeros(scores.shape)
    for at, label, place in places(labels, scores, ignore):
        p, row = softmax(place), matrix[label]
        for k in range(len(p)):
            total -= row[k] * math.log(max(p[k], 1e-20))
            gradient[at][k] = p[k] * sum(row) - row[k]
    by = divisor(mode, labels, ignore)
    return total / by, gradient / by


def maps(classes=4):
    """Return scores of maps and their labels, some of them to be ignored."""
    scores = RNG.normal(0, 3, (2, 3, 5, classes)).astype("float32")
    labels = RNG.integers(0, classes, (2, 3, 5)).astype("float32")
    labels[0, 1, :3] = IGNORE
    return labels, scores


def vectors(items=5, classes=4):
    scores = RNG.normal(0, 3, (items, classes)).astype("float32")
    return RNG.integers(0, classes, items).astype("float32"), scores


@pytest.mark.parametrize("ignore", [None, IGNORE])
@pytest.mark.parametrize("mode", MODES)
def test_softmax_loss_of_maps_is_divided_as_caffe_divides(mode, ignore):
    labels, scores = maps()
    if ignore is None:
        labels = labels % 4
    loss = SoftmaxWithLoss(mode, ignore)
    value, gradient = value_and_gradient(loss, labels, scores)
    expected, slope = reference_softmax_loss(labels, scores, mode, ignore)
    assert value == pytest.approx(expected, rel=2e-6)
    np.testing.assert_allclose(gradient, slope, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "int64"])
def test_softmax_loss_takes_labels_of_any_type_and_a_last_axis(dtype):
    labels, scores = vectors()
    expected, _ = reference_softmax_loss(labels, scores)
    for given in (labels, labels[:, None]):
        value, _ = value_and_gradient(SoftmaxWithLoss(), given.astype(dtype), scores)
        assert value == pytest.approx(expected, rel=2e-6)


def test_all_labels_ignored_is_a_loss_of_nothing():
    labels, scores = np.full(3, 7), RNG.normal(size=(3, 4))
    value, gradient = value_and_gradient(
        SoftmaxWithLoss(ignore_label=7), labels, scores
    )
    assert value == 0 and not gradient.any()


def test_softmax_loss_stops_at_flt_min_and_its_gradient_does_not():
    scores = np.array([[0, 1000, 0], [0, 88, 0], [0, 80, 0]], "float32")
    labels = np.zeros(3)
    value, gradient = value_and_gradient(SoftmaxWithLoss("none"), labels, scores)
    assert value == pytest.approx(2 * 87.33654 + 80, rel=1e-6)
    wanted = [[-1, 1, 0]] * 3
    np.testing.assert_allclose(gradient, wanted, atol=1e-6)


def test_probabilities_give_the_loss_of_scores():
    labels, scores = maps()
    options = {"normalization": "valid", "ignore_label": IGNORE}
    of_scores = value_and_gradient(SoftmaxWithLoss(**options), labels, scores)
    loss = SoftmaxWithLoss(**options, from_logits=False)

    def through_softmax(y_true, x):
        return loss(y_true, ops.softmax(x, axis=-1))

    value, gradient = value_and_gradient(through_softmax, labels, scores)
    assert value == pytest.approx(of_scores[0], rel=1e-5)
    np.testing.assert_allclose(gradient, of_scores[1], atol=1e-6)


def test_a_probability_of_zero_costs_log_flt_min_and_has_a_finite_gradient():
    loss = SoftmaxWithLoss(from_logits=False)
    value, gradient = value_and_gradient(loss, np.array([1]), [[1.0, 0.0]])
    assert value == pytest.approx(87.33654, rel=1e-6)
    assert np.isfinite(gradient).all()


LOSSES_OF_LABELS = [
    SoftmaxWithLoss(),
    SoftmaxWithLoss(ignore_label=IGNORE),
    InfogainLoss(np.eye(4)),
    MultinomialLogisticLoss(),
    HingeLoss(),
    HingeLoss("L2"),
]


@pytest.mark.parametrize("wrong", [4, -1, 254, math.nan, 1e9])
@pytest.mark.parametrize("loss", LOSSES_OF_LABELS, ids=lambda x: type(x).__name__)
def test_a_label_that_is_no_class_makes_the_loss_nan(loss, wrong):
    labels, scores = vectors()
    scores = np.abs(scores)
    right, _ = value_and_gradient(loss, labels, scores)
    assert math.isfinite(right)
    labels[2] = wrong
    value, _ = value_and_gradient(loss, labels, scores)
    assert math.isnan(value)


def test_labels_are_cut_to_whole_numbers_as_in_c():
    labels, scores = np.array([0.9, 2.999, -0.5]), RNG.normal(size=(3, 4))
    expected, _ = reference_softmax_loss(np.array([0, 2, 0]), scores)
    value, _ = value_and_gradient(SoftmaxWithLoss(), labels, scores)
    assert value == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("loss", LOSSES_OF_LABELS, ids=lambda x: type(x).__name__)
def test_one_hot_labels_are_refused(loss):
    with pytest.raises(ValueError, match="argmax"):
        loss(np.eye(4), RNG.normal(size=(4, 4)))


@pytest.mark.parametrize("mode", MODES)
def test_infogain_loss_is_caffes(mode):
    labels, scores = maps()
    matrix = RNG.uniform(0, 2, (4, 4)).astype("float32")
    loss = InfogainLoss(matrix, mode, IGNORE)
    value, gradient = value_and_gradient(loss, labels, scores)
    expected, slope = reference_infogain_loss(labels, scores, matrix, mode, IGNORE)
    assert value == pytest.approx(expected, rel=5e-6)
    np.testing.assert_allclose(gradient, slope, atol=2e-6)


def test_infogain_loss_stops_at_its_threshold_and_its_gradient_does_not():
    labels, scores = np.array([0]), np.array([[0, 200, 0]], "float32")
    matrix = np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]], "float32")
    value, gradient = value_and_gradient(InfogainLoss(matrix), labels, scores)
    expected, slope = reference_infogain_loss(labels, scores, matrix)
    assert value == pytest.approx(expected, rel=1e-6)
    assert value == pytest.approx(1.5 * 20 * math.log(10), rel=1e-6)
    np.testing.assert_allclose(gradient, slope, atol=1e-6)


def test_infogain_matrix_must_be_square_and_fit_the_classes():
    with pytest.raises(ValueError, match=r"\(C, C\); received shape: \(2, 3\)"):
        InfogainLoss(np.ones((2, 3)))
    with pytest.raises(ValueError, match="Expected predictions of 3 classes"):
        InfogainLoss(np.eye(3))(np.zeros(2), np.ones((2, 4)))


def test_multinomial_loss_and_gradient_have_caffes_threshold():
    probabilities = np.array([[0.2, 0.8], [0.0, 1.0], [1e-30, 1.0]], "float32")
    labels = np.zeros(3)
    loss = MultinomialLogisticLoss()
    value, gradient = value_and_gradient(loss, labels, probabilities)
    expected = -(math.log(0.2) + 2 * math.log(1e-20)) / 3
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        gradient[:, 0], [-5 / 3, -1e20 / 3, -1e20 / 3], rtol=1e-5
    )
    assert not gradient[:, 1].any()


@pytest.mark.parametrize("ignore", [None, 0, -1])
@pytest.mark.parametrize("mode", MODES)
def test_sigmoid_loss_is_caffes(mode, ignore):
    x = RNG.normal(0, 4, (2, 2, 3, 2)).astype("float32")
    x[0, 0, 0] = 0, 100
    x[0, 0, 1, 0] = -100
    targets = RNG.choice([-1, 0, 1, 0.25], x.shape).astype("float32")
    total, slope, counted = 0.0, np.zeros(x.shape), 0
    for at in np.ndindex(x.shape):
        s, t = float(x[at]), float(targets[at])
        if ignore is not None and int(t) == ignore:
            continue
        counted += 1
        total -= s * (t - (s >= 0)) - math.log(1 + math.exp(s - 2 * s * (s >= 0)))
        slope[at] = 1 / (1 + math.exp(-s)) - t
    by = {"valid": counted, "full": x.size, "batch_size": 2, "none": 1}[mode]
    loss = SigmoidCrossEntropyLoss(mode, ignore)
    value, gradient = value_and_gradient(loss, targets, x)
    assert value == pytest.approx(total / by, rel=2e-6)
    np.testing.assert_allclose(gradient, slope / by, atol=1e-6)


def test_sigmoid_loss_is_divided_by_items_if_nothing_is_said():
    x, targets = np.zeros((4, 3)), np.ones((4, 3))
    value, _ = value_and_gradient(SigmoidCrossEntropyLoss(), targets, x)
    assert value == pytest.approx(3 * math.log(2), rel=1e-6)


def test_euclidean_loss_is_divided_by_twice_the_items():
    x, targets = RNG.normal(size=(3, 2, 2, 4)), RNG.normal(size=(3, 2, 2, 4))
    value, gradient = value_and_gradient(EuclideanLoss(), targets, x)
    total = sum((a - b) ** 2 for a, b in zip(x.flat, targets.flat, strict=True))
    assert value == pytest.approx(total / 6, rel=2e-6)
    np.testing.assert_allclose(gradient, (x - targets) / 3, atol=1e-6)


def test_targets_of_another_shape_are_refused_and_never_spread():
    for loss in (EuclideanLoss(), SigmoidCrossEntropyLoss()):
        for shape in [(4, 4), (1, 1), (4, 1, 2), (3, 1), (3,)]:
            with pytest.raises(ValueError, match="Expected targets"):
                loss(np.ones(shape), np.zeros((4, 1)))
        expected = float(loss(np.ones((4, 1)), np.zeros((4, 1))))
        for shape in [(4,), (4, 1, 1), (4, 1, 1, 1)]:
            assert float(loss(np.ones(shape), np.zeros((4, 1)))) == expected


def test_targets_of_an_item_may_be_flattened_in_caffes_order():
    x, targets = RNG.normal(size=(3, 2, 2, 4)), RNG.normal(size=(3, 2, 2, 4))
    flat = np.moveaxis(targets, -1, 1).reshape(3, -1)
    for loss in (EuclideanLoss(), SigmoidCrossEntropyLoss()):
        assert float(loss(flat, x)) == pytest.approx(float(loss(targets, x)))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((2, 3, 5, 4), 1),
        ((2, 3, 5, 4), -2),
        ((2, 4, 6), 1),
        ((2, 4, 6), 2),
        ((3, 4), -1),
    ],
)
def test_classes_are_along_an_axis_of_caffes(shape, axis):
    """Predictions of four axes are channels last, labels in Caffe's order of axes."""
    scores = RNG.normal(0, 3, shape).astype("float32")
    blob = np.moveaxis(scores, -1, 1) if scores.ndim == 4 else scores
    by_class = np.moveaxis(blob, axis, -1)
    labels = RNG.integers(0, by_class.shape[-1], by_class.shape[:-1])
    expected, slope = reference_softmax_loss(labels, by_class)
    slope = np.moveaxis(slope, -1, axis)
    slope = np.moveaxis(slope, 1, -1) if scores.ndim == 4 else slope
    loss = SoftmaxWithLoss(axis=axis)
    wide = np.expand_dims(labels, axis)  # Caffe's labels often keep the axis
    wide = np.moveaxis(wide, 1, -1) if wide.ndim == 4 else wide
    for given in (labels, labels.reshape(len(labels), -1), wide):
        value, gradient = value_and_gradient(loss, given, scores)
        assert value == pytest.approx(expected, rel=2e-6)
        np.testing.assert_allclose(gradient, slope, atol=1e-6)
    with pytest.raises(ValueError, match="have the axis 7"):
        SoftmaxWithLoss(axis=7)(labels, scores)


@pytest.mark.parametrize("kind", [SoftmaxWithLoss, InfogainLoss])
@pytest.mark.parametrize(("axis", "items"), [(1, 2), (2, 6), (-1, 30)])
def test_the_batch_size_is_what_stands_before_the_axis(kind, axis, items):
    """Caffe's `outer_num_`; of a blob (2, 3, 5, 4), channels last here."""
    scores = RNG.normal(size=(2, 5, 4, 3)).astype("float32")
    by_class = np.moveaxis(np.moveaxis(scores, -1, 1), axis, -1)
    classes = by_class.shape[-1]
    labels = RNG.integers(0, classes, by_class.shape[:-1])
    expected, _ = reference_softmax_loss(labels, by_class)  # the mean of all places
    matrix = [np.eye(classes)] if kind is InfogainLoss else []
    loss = kind(*matrix, normalization="batch_size", axis=axis)
    wanted = expected * labels.size / items
    assert float(loss(labels, scores)) == pytest.approx(wanted, rel=2e-6)


def test_labels_of_four_axes_of_one_are_labels_of_items():
    labels, scores = vectors()
    expected, _ = reference_softmax_loss(labels, scores)
    for loss in (SoftmaxWithLoss(), HingeLoss(), MultinomialLogisticLoss()):
        plain = float(loss(labels, np.abs(scores)))
        assert float(loss(labels[:, None, None, None], np.abs(scores))) == plain
    assert float(SoftmaxWithLoss()(labels[:, None, None, None], scores)) == (
        pytest.approx(expected, rel=2e-6)
    )


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_hinge_loss_is_caffes(norm):
    labels, scores = vectors()
    total, slope = 0.0, np.zeros(scores.shape)
    for i, k in np.ndindex(scores.shape):
        sign = -1 if k == labels[i] else 1
        short = max(0.0, 1 + sign * float(scores[i, k]))
        total += short if norm == "L1" else short**2
        slope[i, k] = sign * (short > 0 if norm == "L1" else 2 * short)
    value, gradient = value_and_gradient(HingeLoss(norm), labels, scores)
    assert value == pytest.approx(total / 5, rel=2e-6)
    np.testing.assert_allclose(gradient, slope / 5, atol=1e-6)


def reference_contrastive_loss(similar, difference, margin, legacy):
    total, slope = 0.0, np.zeros(difference.shape)
    for i, row in enumerate(difference.astype(float)):
        squared = sum(v * v for v in row)
        distance = math.sqrt(squared)
        if similar[i]:
            total += squared
            slope[i] = row
        elif legacy:
            total += max(margin - squared, 0)
            slope[i] = -row * (margin > squared)
        else:
            total += max(margin - distance, 0) ** 2
            slope[i] = -max(margin - distance, 0) / (distance + 1e-4) * row
    return total / len(difference) / 2, slope / len(difference)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_contrastive_loss_is_caffes(margin, legacy):
    difference = RNG.normal(0, 0.7, (8, 3)).astype("float32")
    difference[:3] *= [[1e-3], [1e-5], [5]]
    similar = np.array([0, 0, 0, 0, 1, 1, 0, 1])
    loss = ContrastiveLoss(margin, legacy)
    value, gradient = value_and_gradient(loss, similar, difference)
    expected, slope = reference_contrastive_loss(similar, difference, margin, legacy)
    assert value == pytest.approx(expected, rel=2e-6)
    np.testing.assert_allclose(gradient, slope, atol=2e-6)


def test_a_pair_at_distance_zero_has_a_gradient_of_zero():
    loss = ContrastiveLoss(2.0)
    value, gradient = value_and_gradient(loss, np.zeros((1, 1)), np.zeros((1, 3)))
    assert value == pytest.approx(2.0)
    np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


def test_losses_of_vectors_refuse_maps():
    for loss in (HingeLoss(), ContrastiveLoss(), MultinomialLogisticLoss()):
        with pytest.raises(ValueError, match=r"Expected predictions \(N, C\)"):
            loss(np.zeros((2, 3, 3)), np.zeros((2, 3, 3, 4)))


def test_wrong_options_are_named():
    for loss in (SoftmaxWithLoss, SigmoidCrossEntropyLoss):
        with pytest.raises(ValueError, match="received: 'VALID'"):
            loss("VALID")
    with pytest.raises(ValueError, match="received: 'l1'"):
        HingeLoss("l1")


def test_sample_weights_multiply_the_share_of_items_and_of_places():
    labels, scores = maps()
    loss = SoftmaxWithLoss(ignore_label=IGNORE)
    shares = [
        reference_softmax_loss(labels[i : i + 1], scores[i : i + 1], "none", IGNORE)[0]
        for i in range(2)
    ]
    by = divisor("valid", labels, IGNORE)
    weights = np.array([0.25, 3.0], "float32")
    expected = sum(weights * shares) / by
    of_places = np.broadcast_to(weights[:, None, None], labels.shape)
    for given in (weights, weights[:, None], of_places, of_places[..., None]):
        value, _ = value_and_gradient(loss, labels, scores, sample_weight=given)
        assert value == pytest.approx(expected, rel=2e-6)
    for wrong in (np.ones((2, 3, 5, 4)), np.ones((2, 5)), np.ones(3)):
        with pytest.raises(ValueError, match="Expected weights of items"):
            loss(labels, scores, sample_weight=wrong)


def test_sample_weights_of_items_are_not_taken_for_those_of_channels():
    x, targets = RNG.normal(size=(3, 3)), np.zeros((3, 3))
    weights = np.array([1, 0, 0])
    value, _ = value_and_gradient(EuclideanLoss(), targets, x, sample_weight=weights)
    assert value == pytest.approx(sum(x[0] ** 2) / 6, rel=2e-6)


CASES = [
    SoftmaxWithLoss("full", IGNORE, name="mine"),
    SoftmaxWithLoss(from_logits=False),
    InfogainLoss(RNG.uniform(size=(4, 4)), "none", 2),
    SigmoidCrossEntropyLoss("valid", -1),
    EuclideanLoss(),
    HingeLoss("L2"),
    ContrastiveLoss(2.0, True),
    MultinomialLogisticLoss(),
]


def target_of(loss, items):
    if isinstance(loss, (EuclideanLoss, SigmoidCrossEntropyLoss)):
        return RNG.uniform(0, 1, (items, 4)).astype("float32")
    return RNG.integers(0, 2, items).astype("float32")


@pytest.mark.parametrize("loss", every(4, CASES), ids=lambda x: type(x).__name__)
def test_a_compiled_model_reports_the_loss_trains_and_is_loaded_again(loss, tmp_path):
    keras.utils.set_random_seed(0)
    of_probabilities = not getattr(loss, "from_logits", True)
    activation = "softmax" if of_probabilities else None
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, activation=activation)]
    )
    model.compile(keras.optimizers.SGD(0.01), loss)
    x, target = RNG.normal(size=(12, 6)).astype("float32"), target_of(loss, 12)
    expected = float(ops.convert_to_numpy(loss(target, model(x))))
    losses = model.fit(x, target, batch_size=12, epochs=3, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    last = float(ops.convert_to_numpy(loss(target, model(x))))
    assert last < losses[-1] < losses[0]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert type(again.loss) is type(loss)
    assert again.loss.get_config() == loss.get_config()
    assert again.evaluate(x, target, batch_size=12, verbose=0) == pytest.approx(last)


def test_maps_of_unknown_size_train_with_weights_of_items():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1)(inputs))
    model.compile(keras.optimizers.SGD(0.1), SoftmaxWithLoss(ignore_label=IGNORE))
    labels, _ = maps()
    x = RNG.normal(size=(2, 3, 5, 2)).astype("float32")
    weights = np.array([1.0, 0.0], "float32")
    only_first = model.predict(x, verbose=0)[:1]
    total, _ = reference_softmax_loss(labels[:1], only_first, "none", IGNORE)
    first = float(model.train_on_batch(x, labels.astype("uint8"), weights))
    assert first == pytest.approx(total / divisor("valid", labels, IGNORE), rel=1e-5)
    assert model.train_on_batch(x, labels.astype("uint8"), weights) < first


def layer_of(kind, param="", bottoms=("x", "y")):
    ends = " ".join(f'bottom: "{b}"' for b in bottoms)
    text = f'layer {{ name: "a/b" type: "{kind}" {ends} top: "z" {param} }}'
    return parse_prototxt(text).layers[0]


@pytest.mark.parametrize(
    "param, expected",
    [
        ("", ("valid", None)),
        ("loss_param { normalize: true }", ("valid", None)),
        ("loss_param { normalize: false }", ("batch_size", None)),
        ("loss_param { normalize: false normalization: FULL }", ("full", None)),
        ("loss_param { normalization: VALID }", ("valid", None)),
        ("loss_param { normalization: BATCH_SIZE }", ("batch_size", None)),
        ("loss_param { normalization: NONE ignore_label: 0 }", ("none", 0)),
        ("loss_param { ignore_label: 255 }", ("valid", 255)),
    ],
)
def test_a_layers_normalization_is_read_as_caffe_reads_it(param, expected):
    loss = loss_of(layer_of("SoftmaxWithLoss", param))
    assert (loss.normalization, loss.ignore_label) == expected
    assert loss.from_logits and loss.name == "a>b"
    infogain = loss_of(layer_of("InfogainLoss", param), np.eye(2))
    assert (infogain.normalization, infogain.ignore_label) == expected
    sigmoid = loss_of(layer_of("SigmoidCrossEntropyLoss", param))
    says = "normaliz" in param
    assert sigmoid.normalization == (expected[0] if says else "batch_size")
    assert sigmoid.ignore_label == expected[1]


def test_every_loss_layer_becomes_its_loss():
    needed = {"MultiBoxLoss": "multibox_loss_param { num_classes: 2 }"}
    for kind in LOSS_LAYERS:
        loss = loss_of(layer_of(kind, needed.get(kind, "")), np.eye(2))
        assert type(loss).__name__ == kind
    hinge = layer_of("HingeLoss", "hinge_loss_param { norm: L2 }")
    assert loss_of(hinge).norm == "L2"
    assert loss_of(layer_of("HingeLoss")).norm == "L1"
    param = "contrastive_loss_param { margin: 2.5 legacy_version: true }"
    loss = loss_of(layer_of("ContrastiveLoss", param))
    assert (loss.margin, loss.legacy_version) == (2.5, True)
    assert not loss_of(layer_of("SoftmaxWithLoss"), from_logits=False).from_logits


def test_a_layers_axis_is_read():
    for kind, param in [
        ("SoftmaxWithLoss", "softmax_param { axis: -2 }"),
        ("InfogainLoss", "infogain_loss_param { axis: -2 }"),
    ]:
        assert loss_of(layer_of(kind, param), np.eye(2)).axis == -2
        assert loss_of(layer_of(kind), np.eye(2)).axis == 1


def test_another_layer_is_refused_by_name():
    with pytest.raises(CaffeFormatError, match=r"layer 'a/b': \(ReLU\) Expected"):
        loss_of(layer_of("ReLU"))


def test_the_infogain_matrix_may_come_with_the_labels():
    labels, scores = maps()
    matrix = RNG.uniform(size=(4, 4)).astype("float32")
    loss = InfogainLoss(None, ignore_label=IGNORE)
    expected, slope = reference_infogain_loss(labels, scores, matrix, "valid", IGNORE)
    for given in (matrix, matrix.reshape(1, 4, 4, 1)):
        joined = joined_labels([labels, given])
        value, gradient = value_and_gradient(loss, joined, scores)
        assert value == pytest.approx(expected, rel=2e-6)
        np.testing.assert_allclose(gradient, slope, atol=1e-6)
    assert InfogainLoss.from_config(loss.get_config()).matrix is None
    with pytest.raises(ValueError, match="a last axis of 1"):
        loss(labels[..., :4], scores)
    with pytest.raises(ValueError, match=r"matrix \(C, C\).*\(2, 3\)"):
        joined_labels([labels, matrix[:2, :3]])


def test_the_infogain_matrix_is_given_or_asked_for(tmp_path):
    layer = layer_of("InfogainLoss", 'infogain_loss_param { source: "/etc/H.b" }')
    with pytest.raises(CaffeFormatError, match="received none.*'/etc/H.b'"):
        loss_of(layer)
    matrix = RNG.uniform(size=(3, 3)).astype("float32")
    write_mean(tmp_path / "H.binaryproto", matrix[None])
    for given in (matrix, matrix[None, None], tmp_path / "H.binaryproto"):
        np.testing.assert_array_equal(loss_of(layer, given).matrix, matrix)
    with pytest.raises(CaffeFormatError, match=r"received shape: \(2, 3\)"):
        loss_of(layer, matrix[:2])
