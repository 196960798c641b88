"""SSD's samplers and the boxes they move, against plain Python and by properties."""

import annotated_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe_zoo.training.data.boxes import (
    coverages,
    emitted,
    filled_up,
    mirrored,
    object_rows,
    overlaps,
    pixel_window,
    projected,
)
from keras_caffe_zoo.training.data.order import Draws
from keras_caffe_zoo.training.data.sampling import BatchSampler, sampled_part

SIDES = st.integers(0, 64).map(lambda n: n / 64)
BOXES = st.tuples(SIDES, SIDES, SIDES, SIDES).map(
    lambda s: (*sorted((s[0], s[2])), *sorted((s[1], s[3])))
)
BOXES = BOXES.map(lambda s: (s[0], s[2], s[1], s[3]))
OBJECTS = st.lists(BOXES, max_size=5)
# SSD's own: the whole picture, an overlap from 0.1 to 0.9, and up to 1.
SSD = [
    {"max_sample": 1, "max_trials": 1},
    *(
        {
            "min_scale": 0.3,
            "max_scale": 1.0,
            "min_aspect_ratio": 0.5,
            "max_aspect_ratio": 2.0,
            limit: value,
            "max_sample": 1,
            "max_trials": 50,
        }
        for limit, value in [
            *(("min_jaccard_overlap", v) for v in (0.1, 0.3, 0.5, 0.7, 0.9)),
            ("max_jaccard_overlap", 1.0),
        ]
    ),
]


def rows_of(boxes):
    return object_rows(np.arange(len(boxes)) + 1, np.array(boxes).reshape(-1, 4))


@given(OBJECTS, OBJECTS)
def test_overlap_and_coverage_are_those_of_plain_python(boxes, others):
    a, b = (np.array(x, "float32").reshape(-1, 4) for x in (boxes, others))
    for found, wanted in (
        (overlaps(a, b), reference.overlap),
        (coverages(a, b), reference.coverage),
    ):
        expected = [[wanted(x, y) for y in others] for x in boxes]
        np.testing.assert_allclose(
            found, np.array(expected).reshape(found.shape), rtol=1e-6
        )


@given(OBJECTS, BOXES, st.sampled_from([None, "center", 0.25]))
def test_objects_of_a_part_lie_in_it_and_are_those_of_plain_python(boxes, frame, emit):
    frame = (frame[0], frame[1], frame[2] + 1 / 64, frame[3] + 1 / 64)
    rows = rows_of(boxes)
    found = projected(emitted(rows, np.float32(frame), emit), np.float32(frame))
    assert ((found[:, 3:7] >= 0) & (found[:, 3:7] <= 1)).all()
    assert (found[:, 3:5] < found[:, 5:7]).all()
    wanted = reference.within(
        [(row[1], row[2], list(map(float, row[3:7])), row[7]) for row in rows],
        frame,
        emit,
    )
    np.testing.assert_array_equal(found[:, 1], [row[0] for row in wanted])
    boxes = np.array([row[2] for row in wanted]).reshape(-1, 4)
    np.testing.assert_allclose(found[:, 3:7], boxes, atol=1e-6)


@given(OBJECTS)
def test_mirrored_twice_is_as_before(boxes):
    rows = rows_of(boxes)
    once = mirrored(rows)
    assert (once[:, 3] <= once[:, 5]).all()
    np.testing.assert_array_equal(mirrored(once), rows)  # 64ths are exact


LIMITS = st.sampled_from(
    [
        {},
        {"min_jaccard_overlap": 0.1},
        {"min_jaccard_overlap": 0.3, "max_jaccard_overlap": 0.8},
        {"min_sample_coverage": 0.2},
        {"max_sample_coverage": 0.5},
        {"min_object_coverage": 0.6},
        {"max_object_coverage": 0.9, "min_object_coverage": 0.1},
    ]
)


@given(OBJECTS, LIMITS, st.integers(0, 99))
def test_a_sampled_part_is_within_its_limits(boxes, limits, position):
    sampler = BatchSampler(0.3, 1.0, 0.5, 2.0, **limits, max_sample=3, max_trials=20)
    parts = sampler.sample(rows_of(boxes), Draws(1, position))
    assert len(parts) <= 3 and (parts >= 0).all() and (parts <= 1 + 1e-6).all()
    sides = parts[:, 2:] - parts[:, :2]
    assert (np.sqrt(sides.prod(1)) >= 0.3 - 1e-6).all()
    ratio = sides[:, 0] / sides[:, 1]
    assert ((ratio > 0.5 - 1e-5) & (ratio < 2 + 1e-5)).all()
    kinds = {
        "jaccard_overlap": reference.overlap,
        "sample_coverage": reference.coverage,
        "object_coverage": lambda part, box: reference.coverage(box, part),
    }
    for part in parts.astype("float64"):
        assert not limits or any(
            all(
                (value - bound) * (1 if name.startswith("min") else -1) >= -1e-5
                for name, bound in limits.items()
                for value in [kinds[name[4:]](part, box)]
            )
            for box in boxes
        )


@settings(max_examples=50)
@given(OBJECTS, st.integers(0, 9), st.integers(0, 2**40))
def test_parts_are_those_of_the_forks_loop(boxes, seed, position):
    samplers = [BatchSampler(**told) for told in SSD]
    found = sampled_part(samplers, rows_of(boxes), Draws(seed, position))
    wanted = reference.sampled(SSD, boxes, reference.Chance(seed, position))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_of_several_kinds_of_limits_the_first_counts_as_in_the_fork():
    rows = rows_of([(0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)])
    parts = np.float32([(0, 0, 0.5, 0.5), (0.9, 0, 1, 0.1)])
    limits = {"min_jaccard_overlap": 0.9, "min_object_coverage": 2.0}
    sampler = BatchSampler(**limits)
    assert list(sampler.satisfied(parts, rows)) == [True, False]
    boxes = rows[:, 3:7].tolist()
    assert [reference.satisfies(p, boxes, limits) for p in parts] == [True, False]


def test_draws_are_a_function_of_seed_and_place():
    rows = rows_of([(0.1, 0.1, 0.6, 0.7)])
    sampler = BatchSampler(0.3, 1.0, 0.5, 2.0)
    one, same = (sampler.sample(rows, Draws(3, 7)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    for other in (Draws(3, 8), Draws(4, 7)):
        assert not np.array_equal(one, sampler.sample(rows, other))
    assert len(BatchSampler(use_original_image=False).sample(rows, Draws(0, 0))) == 0
    none = BatchSampler(0.1, 0.1, min_jaccard_overlap=0.9, max_trials=5)
    assert sampled_part([none], rows, Draws(0, 0)) is None
    assert sampled_part([], rows, Draws(0, 0)) is None


def test_a_part_of_the_picture_has_a_pixel_at_least():
    assert pixel_window((0.25, 0.5, 0.75, 1), (10, 8)) == (5, 2, 5, 4)
    assert pixel_window((0.9, 0.9, 0.95, 0.95), (3, 3)) == (2, 2, 1, 1)
    assert pixel_window((1, 1, 1, 1), (3, 3)) == (2, 2, 1, 1)


def test_objects_of_a_class_stand_together_and_are_counted():
    rows = object_rows([7, 3, 7, 3], np.eye(4), [0, 1, 0, 0])
    assert rows[:, 1].tolist() == [7, 7, 3, 3]
    assert rows[:, 2].tolist() == [0, 1, 0, 1]
    assert rows[:, 7].tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(rows[:, 3:7], np.eye(4)[[0, 2, 1, 3]])
    assert (filled_up(rows, 6)[4:] == -1).all() and len(filled_up(rows[:0], None)) == 1
    with pytest.raises(ValueError, match="max_objects"):
        filled_up(rows, 3)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"min_scale": 0}, "min_scale"),
        ({"max_scale": 1.5}, "max_scale=1.5"),
        ({"min_aspect_ratio": 3}, "min_aspect_ratio=3"),
        ({"max_trials": 10**9}, "max_trials"),
        ({"max_sample": -1}, "max_sample"),
        ({"min_scale": float("nan")}, "min_scale"),
    ],
)
def test_samplers_that_cannot_be_are_refused(told, said):
    with pytest.raises(ValueError, match=said):
        BatchSampler(**told)


@pytest.mark.parametrize(
    ("labels", "corners"), [([0.5], [[0, 0, 1, 1]]), ([1], [[0, 0, 1, np.nan]])]
)
def test_objects_that_cannot_be_are_refused(labels, corners):
    with pytest.raises(ValueError, match="Expected"):
        object_rows(labels, corners)
