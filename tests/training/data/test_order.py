"""The order of records: a function of the batch's number, and nothing else."""

import itertools

import numpy as np
import pytest

from keras_caffe_zoo.training.data.order import Order


def taken(order, start, count):
    end = min(order.end_of_pass(start), start + count)
    return [order.batch(number) for number in range(start, end)]


def test_records_come_in_order_without_shuffle():
    first, second, last = taken(Order(7, 3), 0, 9)
    np.testing.assert_array_equal(first[1], [0, 1, 2])
    np.testing.assert_array_equal(second[1], [3, 4, 5])
    np.testing.assert_array_equal(last[1], [6])


def test_a_shuffled_epoch_has_each_record_once_and_no_epoch_is_like_another():
    order = Order(50, 8, shuffle=True, seed=1)
    epochs = [order.epoch(i) for i in range(5)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_every_place_is_equally_likely_for_a_record():
    order = Order(5, 5, shuffle=True, seed=9)
    places = np.array([np.flatnonzero(order.epoch(i) == 2)[0] for i in range(2000)])
    counts = np.bincount(places, minlength=5)
    assert ((counts - 400) ** 2 / 400).sum() < 18.5  # chi-squared


@pytest.mark.parametrize("repeat", [False, True])
def test_a_start_in_the_middle_goes_on_as_if_there_had_been_no_stop(repeat):
    order = Order(10, 4, shuffle=True, seed=2, repeat=repeat)
    whole = [*taken(order, 0, 3), *taken(order, 3, 3), *taken(order, 6, 3)]
    rest = [*taken(Order(10, 4, True, 2, repeat), 4, 2)]
    for (positions, indices), (at, which) in zip(whole[4:6], rest, strict=True):
        np.testing.assert_array_equal(positions, at)
        np.testing.assert_array_equal(indices, which)


def test_positions_count_over_all_epochs():
    order = Order(10, 4, shuffle=True)
    positions = [order.batch(number)[0] for number in range(6)]
    np.testing.assert_array_equal(np.concatenate(positions), np.arange(20))


def test_endless_batches_are_full_and_run_over_the_end():
    order = Order(3, 4, shuffle=True, repeat=True)
    sequence = np.concatenate([indices for _, indices in taken(order, 0, 6)])
    assert all(len(indices) == 4 for _, indices in taken(order, 0, 6))
    wanted = np.concatenate([order.epoch(epoch) for epoch in range(8)])
    np.testing.assert_array_equal(sequence, wanted)


def test_files_are_shuffled_and_rows_within_files():
    order = Order([3, 4, 5], 12, shuffle=True, seed=4)
    for number in range(10):
        epoch = order.epoch(number)
        files = np.searchsorted([3, 7], epoch, side="right")
        assert len(list(itertools.groupby(files))) == 3
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    orders = {tuple(order.epoch(i)) for i in range(10)}
    assert len(orders) == 10


@pytest.mark.parametrize(
    "arguments", [(0, 1), (3, 0), (3, 1.5), (3, 1, True, -1), (3, 1, True, "a")]
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match="received"):
        Order(*arguments)
