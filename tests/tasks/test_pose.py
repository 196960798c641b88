"""People of known places, found again in maps of them."""

import json
import math

import keras
import numpy as np
import pytest
from people import maps_of, standing

import keras_caffe_zoo as kcz
from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.tasks.grouping import OPENPOSE, limbs_between
from keras_caffe_zoo.tasks.peaks import along_lines, enlarged, peaks
from keras_caffe_zoo.tasks.pose import PoseEstimator, poses_of
from keras_caffe_zoo.tasks.skeletons import COCO, MPI, skeleton_of


def found_in(people, skeleton=COCO, cells=(30, 40), scale=8, rules=OPENPOSE):
    maps = maps_of(people, skeleton, cells)
    sides = tuple(scale * side for side in cells)
    return poses_of(maps, sides, sides, skeleton, rules)


def check(poses, people, scale=8):
    """Each person is there, whole, and nobody else."""
    assert len(poses) == len(people)
    left = list(people)
    for points in poses.points:
        there = {int(n): points[n, :2] for n in np.flatnonzero(points[:, 2])}
        far = [
            max(np.abs((there[n] + 0.5) / scale - 0.5 - p[n]).max() for n in p)
            if p.keys() == there.keys()
            else np.inf
            for p in left
        ]
        assert min(far) <= 0.2, far  # cells
        left.pop(int(np.argmin(far)))
        assert np.isnan(points[points[:, 2] == 0, :2]).all()


@pytest.mark.parametrize(
    "people",
    [
        [],
        [standing(10, 5)],
        [standing(9, 5), standing(24.5, 6.3), standing(32, 5.5, size=0.8)],
        # Side by side, arms crossing: whose wrist is whose only the fields tell.
        [standing(14, 5), standing(20.3, 6)],
        # Without head; legs cut off at the knees; one arm only.
        [standing(9, 5, {0, 14, 15, 16, 17}), standing(28, 6, {9, 10, 12, 13})],
        [standing(12, 5, {2, 3, 4, 8, 9, 10})],
    ],
    ids=["nobody", "one", "three", "crossing", "missing", "half"],
)
def test_people_are_found_whole(people):
    check(found_in(people), people)


def test_the_fifteen_points_of_mpii_are_found_too():
    people = [standing(9, 5, mpi=True), standing(26, 6, {3, 4}, mpi=True)]
    poses = found_in(people, MPI)
    check(poses, people)
    assert (poses.names[0], poses.names[14]) == ("head", "chest")


def test_who_has_too_few_points_is_nobody():
    wrist = standing(10, 5, set(range(18)) - {2, 3, 4})
    assert len(found_in([wrist])) == 0
    assert len(found_in([wrist], rules=OPENPOSE._replace(points=3))) == 1
    assert len(found_in([wrist], rules=OPENPOSE._replace(points=3, score=9))) == 0


def test_an_ear_and_a_shoulder_alone_are_no_person():
    pair = standing(10, 5, set(range(18)) - {2, 16})
    assert len(found_in([pair], rules=OPENPOSE._replace(points=2))) == 0


def test_the_surest_is_first_and_scores_are_means():
    maps = maps_of([standing(9, 5), standing(28, 5)], COCO, (30, 40))
    maps[:, 20:, :18] *= 0.7
    poses = poses_of(maps, (240, 320), (240, 320), COCO)
    assert poses.points[0, 1, 0] < poses.points[1, 1, 0]
    assert poses.scores[0] > poses.scores[1] > 0.4
    assert 0.8 < poses.scores[0] <= 1.05  # splines overshoot


def test_points_are_in_the_pictures_own_pixels():
    person = standing(10, 5)
    maps = maps_of([person], COCO, (30, 40))
    poses = poses_of(maps, (240, 320), (480, 1600), COCO)
    x, y = person[1]
    expected = [(x + 0.5) * 40 - 0.5, (y + 0.5) * 16 - 0.5]
    np.testing.assert_allclose(poses.points[0, 1, :2], expected, atol=5)
    assert poses.size == (480, 1600)


def test_limb_pairs_and_fields_are_each_others():
    for skeleton, maps in ((COCO, 57), (MPI, 44)):
        assert skeleton.maps == maps
        assert sorted(skeleton.fields) == list(range(0, 2 * len(skeleton.pairs), 2))
        reached = {skeleton.pairs[0][0]}
        for pair in skeleton.limbs:  # a tree, that grows from its first point
            assert len(reached & set(pair)) == 1
            reached |= set(pair)
        assert reached == set(range(len(skeleton.points)))
    with pytest.raises(ValueError, match="57 maps .* 44 .*; received: 78 maps"):
        skeleton_of(78)


def plain_peaks(heat, threshold):
    found = []
    for y, x in np.ndindex(heat.shape):
        others = [
            heat[y + dy, x + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (dy or dx)
            and 0 <= y + dy < heat.shape[0]
            and 0 <= x + dx < heat.shape[1]
        ]
        if heat[y, x] > threshold and heat[y, x] > max(others):
            found.append((x, y, heat[y, x]))
    return found


def test_peaks_are_those_of_a_plain_search():
    heat = np.random.default_rng(0).random((23, 31), "float32")
    found, expected = peaks(heat, 0.4), np.array(plain_peaks(heat, 0.4))
    assert len(found) > 30
    np.testing.assert_array_equal(np.rint(found[:, :2]), expected[:, :2])
    np.testing.assert_array_equal(found[:, 2], expected[:, 2])


def test_of_equal_neighbours_one_is_the_peak():
    heat = np.zeros((6, 7), "float32")
    heat[2, 3:5] = heat[5, 0] = 1
    found = peaks(heat, 0.1)
    np.testing.assert_allclose(found, [[3.5, 2, 1], [0, 5, 1]])
    assert peaks(np.zeros((4, 4), "float32"), 0).shape == (0, 3)


def test_a_peak_between_pixels_is_found_there():
    y, x = np.mgrid[:9, :9]
    heat = 1 - 0.01 * ((x - 4.3) ** 2 + (y - 2.8) ** 2)
    np.testing.assert_allclose(peaks(heat, 0.5)[0, :2], [4.3, 2.8], atol=1e-5)


def plain_along(field, start, end):
    """Read a field along a line, place by place."""
    (ax, ay), (bx, by) = start, end
    length = math.hypot(bx - ax, by - ay)
    rows, columns, _ = field.shape
    for i in range(10):
        x, y = ax + (bx - ax) * i / 9, ay + (by - ay) * i / 9
        x, y = min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)
        total = [0.0, 0.0]
        for row in range(rows):
            for column in range(columns):
                near = max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
                total[0] += near * field[row, column, 0]
                total[1] += near * field[row, column, 1]
        yield (total[0] * (bx - ax) + total[1] * (by - ay)) / length


def test_the_integral_along_lines_is_that_of_plain_python():
    rng = np.random.default_rng(1)
    field = rng.standard_normal((7, 9, 2))
    starts, ends = rng.random((3, 2)) * [10, 8] - 1, rng.random((4, 2)) * [10, 8] - 1
    found = along_lines(field, starts, ends)
    for a, b in np.ndindex(3, 4):
        expected = list(plain_along(field, starts[a], ends[b]))
        np.testing.assert_allclose(found[a, b], expected, rtol=1e-9, atol=1e-12)
    assert not along_lines(field, starts, starts)[0, 0].any()
    assert along_lines(field, starts[:0], ends).shape == (0, 4, 10)


def test_the_surest_pair_goes_first_and_no_point_twice():
    field = np.zeros((9, 12, 2))
    field[..., 0] = 0.5
    field[5:, :, 0] = 1
    starts, ends = np.array([[1.0, 2], [1, 6]]), np.array([[4.0, 6], [4, 2]])
    found = limbs_between(field, starts, ends, 30, OPENPOSE)
    assert [pair[:2] for pair in found] == [(1, 0), (0, 1)]
    assert found[0][2] == pytest.approx(1) and found[1][2] == pytest.approx(0.5)
    # Half of the picture's height is long: what is longer is less sure.
    (pair,) = limbs_between(field, starts[1:], ends[:1], 4, OPENPOSE)
    assert pair[2] == pytest.approx(1 + 0.5 * 4 / 3 - 1)
    # The field must be there at more than eight of the ten places.
    field[:, 10:] = 0
    longer = np.array([[10.0, 2]])
    (pair,) = limbs_between(field, starts[:1], longer, 30, OPENPOSE)
    field[:, 9:] = 0
    assert limbs_between(field, starts[:1], longer, 30, OPENPOSE) == []
    field[:, 2:] = 0
    assert limbs_between(field, starts, ends, 30, OPENPOSE) == []


def test_maps_are_enlarged_by_catmull_roms_spline():
    ramp = np.arange(6.0)[:, None] * 2 + np.arange(7.0)
    large = enlarged(ramp[..., None].astype("float32"), (48, 56))[0]
    y, x = (np.mgrid[:48, :56] + 0.5) / 8 - 0.5
    inside = (slice(12, 36), slice(12, 44))
    np.testing.assert_allclose(large[inside], (2 * y + x)[inside], atol=1e-5)
    one = np.zeros((9, 9, 1), "float32")
    one[4, 4] = 1
    large = enlarged(one, (27, 27))[0]
    assert large[13, 13] == 1  # it goes through the cells' own values
    assert large.sum() == pytest.approx(9, abs=1e-4)


def small_net(skeleton, sides=(None, None)):
    image = keras.Input((*sides, 3), name="image")
    x = keras.layers.AveragePooling2D(8)(image)
    x = keras.layers.Conv2D(skeleton.maps, 1, name="maps")(x)
    return keras.Model(image, x)


def test_pictures_of_any_size_go_through_a_net_of_any_kind():
    pictures = [np.full((61, 97, 3), 90, "uint8"), np.full((130, 40, 3), 9, "uint8")]
    for sides in ((None, None), (48, 64)):
        net = small_net(MPI, sides)
        found = kcz.estimate_pose(net, pictures, mean=0, scale=1 / 255, height=64)
        assert [one.size for one in found] == [(61, 97), (130, 40)]
        assert all(one.points.shape[1:] == (15, 3) for one in found)


def test_results_are_told_in_json_and_in_lines():
    poses = found_in([standing(10, 5, {0, 14, 15, 16, 17})])
    told = json.loads(json.dumps(poses.as_dict()))
    (person,) = told["people"]
    assert len(person["points"]) == 13
    assert person["points"]["left knee"].keys() == {"x", "y", "score"}
    assert "nose" not in person["points"]
    assert "1 person in 320 x 240 pixels" in repr(poses)
    assert "13 of 18 points at 4" in poses.lines()[0]
    assert found_in([]).as_dict()["people"] == []


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="multiple of 8; received: height=100"):
        kcz.estimate_pose(small_net(COCO), "x.jpg", mean=0, height=100)
    with pytest.raises(ValueError, match="input_shape={'image': .None"):
        image = keras.Input((1, 1, 3))
        output = keras.layers.Conv2D(57, 1)(image)
        PoseEstimator(keras.Model(image, output), mean=0)
    with pytest.raises(ValueError, match="a net for pose; received: 'caffenet'"):
        kcz.estimate_pose("caffenet", "x.jpg")
    with pytest.raises(PictureError, match="too long and thin: 999 x 3"):
        net = small_net(COCO)
        kcz.estimate_pose(net, np.zeros((3, 999, 3), "uint8"), mean=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openpose_coco", "openpose_mpi"])
def test_nets_of_real_structure_answer(name, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), "uint8")
    found = kcz.estimate_pose(name, pixels, weights=None, height=64)
    assert found.points.shape[1:] == (18 if "coco" in name else 15, 3)
