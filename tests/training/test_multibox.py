"""SSD's loss against what SSD computed, and against a reading of it box by box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from multibox_reference import reference
from support import GOLDENS, examples, relative_error
from test_losses import value_and_gradient

from keras_caffe_zoo.layers import CaffeMultiBox
from keras_caffe_zoo.training.losses import MultiBoxLoss, box_targets

CODES = ("corner", "center_size", "corner_size")


def joined(offsets, scores, priors, variances):
    """Return predictions as CaffeMultiBox makes them, made by NumPy."""
    items, count, _ = scores.shape
    known = np.concatenate([priors, variances], axis=1)
    known = np.broadcast_to(known, (items, count, 8))
    parts = [offsets.reshape(items, count, -1), scores, known]
    return np.concatenate(parts, axis=2).astype("float32")


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("multibox_ssd", {}),
        (
            "multibox_hard",
            {
                "mining_type": "hard_example",
                "nms_threshold": 0.9,
                "nms_top_k": 40,
                "sample_size": 40,
            },
        ),
    ],
)
def test_loss_and_gradients_are_ssds(case, options):
    with np.load(GOLDENS / "forks" / f"{case}.npz") as arrays:
        arrays = dict(arrays)
    bottoms = [arrays[f"blob/{name}"] for name in ("locs", "confs", "prior")]
    y_pred = ops.convert_to_numpy(CaffeMultiBox(4)(bottoms))
    targets = box_targets(arrays["blob/gt"], 2)
    loss = MultiBoxLoss(4, code_type="center_size", **options)
    value, gradient = value_and_gradient(loss, targets, y_pred)
    assert value == pytest.approx(arrays["blob/y"].item(), rel=2e-5)
    gradient = gradient * arrays["top_diff/y"]
    for name, found in [("locs", gradient[..., :4]), ("confs", gradient[..., 4:8])]:
        wanted = arrays[f"diff/{name}"]
        assert relative_error(found.reshape(wanted.shape), wanted) <= 1e-4
    assert not gradient[..., 8:].any()


def boxes(rng, count, large=0.5):
    corner = rng.uniform(-0.1, 0.8, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0.1, large, (count, 2))], 1)


def problem(seed, classes=4, each=1, items=3, count=13, objects=4, background=0):
    """Return rows, offsets, scores, priors and variances, of float32."""
    rng = np.random.default_rng(seed)
    priors = boxes(rng, count)
    rows = np.full((items, objects, 8), -1.0)
    others = [c for c in range(classes) if c != background] or [1]
    for n in range(items):
        for j in range(rng.integers(0, objects + 1)):
            near = priors[rng.integers(count)] + rng.uniform(-0.1, 0.1, 4)
            box = near if rng.random() < 0.7 else boxes(rng, 1)[0]
            rows[n, j] = n, rng.choice(others), 0, *box, rng.random() < 0.3
    rows = rows[:, rng.permutation(objects)]
    offsets = rng.normal(0, 1.5, (items, count, each, 4))
    scores = rng.normal(0, 2, (items, count, classes))
    variances = rng.choice([0.1, 0.2, 0.5], (count, 4))
    found = (rows, offsets, scores, priors, variances)
    return tuple(x.astype("float32") for x in found)


def check(given_, options, classes=4):
    rows, *rest = given_
    loss = MultiBoxLoss(classes, **options)
    value, gradient = value_and_gradient(loss, rows, joined(*rest))
    wide = [x.astype("float64") for x in given_]
    expected, d_offsets, d_scores = reference(*wide, **options)
    assert value == pytest.approx(expected, rel=2e-5, abs=1e-6)
    size = d_offsets[0, 0].size
    shape = d_offsets.shape
    wanted = np.concatenate([d_offsets.reshape(*shape[:2], size), d_scores], axis=2)
    found = gradient[..., : size + classes]
    assert relative_error(found, wanted.astype("float32")) <= 1e-4
    assert not gradient[..., size + classes :].any()
    return value


OPTIONS = st.fixed_dictionaries(
    {
        "match_type": st.sampled_from(["per_prediction", "bipartite"]),
        "overlap_threshold": st.sampled_from([0.3, 0.5, 0.7]),
        "use_difficult_gt": st.booleans(),
        "code_type": st.sampled_from(CODES),
        "encode_variance_in_target": st.booleans(),
        "ignore_cross_boundary_bbox": st.booleans(),
        "bp_inside": st.booleans(),
        "use_prior_for_matching": st.booleans(),
        "background_label_id": st.sampled_from([0, 0, 2]),
        "loc_loss_type": st.sampled_from(["smooth_l1", "l2"]),
        "conf_loss_type": st.sampled_from(["softmax", "logistic"]),
        "loc_weight": st.sampled_from([1.0, 0.25]),
        "normalization": st.sampled_from(["valid", "full", "batch_size", "none"]),
    }
)
MINING = st.one_of(
    st.fixed_dictionaries({"mining_type": st.just("none")}),
    st.fixed_dictionaries(
        {
            "mining_type": st.just("max_negative"),
            "neg_pos_ratio": st.sampled_from([3.0, 0.7, 1.5]),
            "neg_overlap": st.sampled_from([0.5, 0.2]),
        }
    ),
    st.fixed_dictionaries(
        {
            "mining_type": st.just("hard_example"),
            "sample_size": st.sampled_from([2, 6, 64]),
        }
    ),
)
SUPPRESSION = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "nms_threshold": st.sampled_from([0.2, 0.5]),
            "nms_top_k": st.sampled_from([None, 0, 3, 8]),
            "use_prior_for_nms": st.booleans(),
        }
    ),
)


@examples(1)
@given(st.integers(0, 2**32), OPTIONS, MINING, SUPPRESSION)
def test_all_options_are_the_references(seed, options, mining, suppression):
    given_ = problem(seed, background=options["background_label_id"])
    check(given_, {**options, **mining, **suppression})


@pytest.mark.slow
@examples(40)
@given(st.integers(0, 2**32), OPTIONS, MINING, SUPPRESSION)
def test_all_options_are_the_references_in_many_cases(
    seed, options, mining, suppression
):
    given_ = problem(seed, background=options["background_label_id"])
    check(given_, {**options, **mining, **suppression})


@examples(1)
@given(st.integers(0, 2**32), OPTIONS)
def test_offsets_of_each_class_are_the_references(seed, options):
    given_ = problem(seed, each=4, background=options["background_label_id"])
    check(given_, {**options, "mining_type": "none", "share_location": False})
