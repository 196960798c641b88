"""Solvers' states: bytes written by hand, HDF5 by h5py alone, and what is no state."""

import h5py
import numpy as np
import pytest
from caffe_bytes import GOLDENS, all_of, blob, decode, layer, legacy, num, sub

from keras_caffe_zoo import (
    CaffeFormatError,
    SolverState,
    inspect_file,
    read_caffemodel,
    read_mean,
    read_solverstate,
    write_solverstate,
)
from keras_caffe_zoo.caffe import read_net

RNG = np.random.default_rng(3)
HISTORY = [RNG.normal(size=s).astype("f4") for s in ((2, 3, 1, 1), (2,), (), (4, 2))]


def written_by_hand(path, iteration=7, name="/there/n_iter_7.caffemodel", blobs=None):
    blobs = [blob(x) for x in HISTORY] if blobs is None else blobs
    data = num(1, iteration) + sub(2, name) + b"".join(sub(3, x) for x in blobs)
    path.write_bytes(data + num(4, 2))
    return path


def written_by_h5py(path, history=HISTORY):
    with h5py.File(path, "w") as file:
        file["iter"], file["current_step"] = np.int32([7]), np.int32([2])
        file["learned_net"] = np.bytes_(b"/there/n_iter_7.caffemodel.h5")
        group = file.create_group("history")
        for i, x in enumerate(history):
            group[str(i)] = x
    return path


def assert_same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)


@pytest.fixture(params=["binary", "HDF5"])
def state(request, tmp_path):
    if request.param == "binary":
        return written_by_hand(tmp_path / "any name")
    return written_by_h5py(tmp_path / "any name")


def test_a_state_is_read(state):
    found = read_solverstate(state)
    assert (found.iteration, found.current_step) == (7, 2)
    assert found.learned_net.startswith("/there/n_iter_7.caffemodel")
    assert_same(found.history, HISTORY)


def test_what_old_caffes_and_forks_write_is_read(tmp_path):
    path, bias = tmp_path / "s", np.float32([5, 6])
    wide = sub(7, sub(1, b"\2")) + sub(8, np.float64([5, 6]).tobytes())
    old = [blob(bias, legacy(1, 1, 1, 2)), wide]
    path.write_bytes(num(1, 3) + b"".join(sub(3, x) for x in old) + num(9, 4))
    found = read_solverstate(path)
    assert found.iteration == 3 and not found.learned_net and not found.current_step
    assert_same(found.history, [bias.reshape(1, 1, 1, 2), bias])


def test_a_binary_state_is_written_as_protobuf_has_it(tmp_path):
    state = SolverState(300, "out/n_iter_300.caffemodel", 2, [*HISTORY, np.ones(2)])
    write_solverstate(tmp_path / "s", state)
    data = (tmp_path / "s").read_bytes()
    assert [field for field, _, _ in decode(data)] == [1, 2, 3, 3, 3, 3, 3, 4]
    assert all_of(data, 1) == [300] and all_of(data, 4) == [2]
    assert all_of(data, 2) == [b"out/n_iter_300.caffemodel"]
    expected = [blob(x) for x in (*HISTORY, np.ones(2))]
    expected[2] = expected[2].removeprefix(sub(7, sub(1, b"")))  # no axes, no shape
    assert all_of(data, 3) == expected


def test_a_state_in_hdf5_is_written_as_caffe_has_it(tmp_path):
    name = "out/größe_iter_300.caffemodel.h5"
    path = tmp_path / "s.h5"
    write_solverstate(path, SolverState(300, name, 2, HISTORY))
    with h5py.File(path) as file:
        assert set(file) == {"iter", "learned_net", "current_step", "history"}
        for key, value in (("iter", 300), ("current_step", 2)):
            assert file[key].shape == (1,) and file[key].dtype == "<i4"
            assert file[key][0] == value
        kind = file["learned_net"].id.get_type()
        assert not kind.is_variable_str()  # Caffe reads a buffer of the type's size
        assert file["learned_net"].shape == () and kind.get_size() > len(name.encode())
        assert file["learned_net"][()] == name.encode()
        assert set(file["history"]) == {"0", "1", "2", "3"}
        assert_same([file[f"history/{i}"][()] for i in range(4)], HISTORY)
    assert read_solverstate(path).learned_net == name


def test_more_than_ten_arrays_keep_their_order(tmp_path):
    history = [np.float32([i]) for i in range(23)]
    for name in ("s", "s.h5"):
        write_solverstate(tmp_path / name, SolverState(1, "", 0, history))
        assert_same(read_solverstate(tmp_path / name).history, history)


@pytest.mark.parametrize("read", [read_caffemodel, read_net, inspect_file])
def test_a_state_is_not_taken_for_parameters(state, read):
    match = r"iteration 7 with the caffemodel '/there/n_iter_7.*snapshot="
    with pytest.raises(CaffeFormatError, match=match):
        read(state)


def test_what_is_no_state_is_told(tmp_path):
    model = tmp_path / "m"
    model.write_bytes(layer("c", "Convolution", blob(np.ones((1, 1, 1, 1)))))
    with pytest.raises(CaffeFormatError, match="pass it as weights"):
        read_solverstate(model)
    model.write_bytes(b"name: 'net'")
    with pytest.raises(CaffeFormatError, match="received: text"):
        read_solverstate(model)
    mean = GOLDENS / "mean.binaryproto"  # begins as a state does
    assert mean.read_bytes()[:1] == b"\x08" and read_mean(mean).ndim == 3
    with pytest.raises(CaffeFormatError, match="channels|learned_net|wire type"):
        read_solverstate(mean)
    with pytest.raises(CaffeFormatError) as caught:
        read_net(mean)
    assert "solver's state" not in str(caught.value)


@pytest.mark.parametrize(
    "data, match",
    [
        (num(1, 1) + sub(3, sub(7, sub(1, b"\3")) + sub(5, b"\0" * 8)), "3 values"),
        (num(1, 1) + sub(3, sub(7, sub(1, b"\xff\xff\xff\x7f"))), "values for shape"),
        (num(1, -5) + sub(2, "n"), "at least 0; received: -5"),
        (num(1, 1) + sub(2, b"\xff"), "UTF-8"),
        (b"", "empty file"),
    ],
)
def test_damaged_states_are_refused(tmp_path, data, match):
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(CaffeFormatError, match=match):
        read_solverstate(tmp_path / "s")


def renamed(file):
    file.move("history/0", "history/x")


def elsewhere(file):
    del file["history/1"]
    file["history/1"] = h5py.ExternalLink("/etc/hostname", "/x")


def many_iterations(file):
    del file["iter"]
    file["iter"] = np.arange(3)


def no_name(file):
    del file["learned_net"]
    file["learned_net"] = np.ones(3)


def no_history(file):
    del file["history"]


@pytest.mark.parametrize(
    "change, match",
    [
        (renamed, r"datasets 0, 1, 2, …; received: \['1', '2', '3', 'x'\]"),
        (elsewhere, "in the file; received: 'history/1'"),
        (many_iterations, "whole number 'iter'"),
        (no_name, "name as 'learned_net'"),
        (no_history, "another HDF5 file"),
    ],
)
def test_hostile_states_in_hdf5_are_refused(tmp_path, change, match):
    path = written_by_h5py(tmp_path / "s.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(CaffeFormatError, match=match):
        read_solverstate(path)


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_truncation_anywhere(state, step):
    data = state.read_bytes()
    whole = read_solverstate(state)
    for size in range(0, len(data), step):
        state.write_bytes(data[:size])
        try:
            found = read_solverstate(state)
        except CaffeFormatError:
            continue
        # Between two fields a cut cannot be seen: fewer arrays, which no net fits.
        assert found.iteration in (0, 7) and len(found.history) <= len(whole.history)
        assert len(found.history) < 4 or found.current_step == 0


@pytest.mark.parametrize(
    "numbers, history, error",
    [
        ((-1, 0), [], ValueError),
        ((1, 1 << 31), [], ValueError),
        ((1, 0), [np.ones(2, int)], TypeError),
        ((1, 0), [np.float64([1e300])], ValueError),
    ],
)
@pytest.mark.parametrize("name", ["s", "s.h5"])
def test_what_caffe_could_not_read_is_not_written(
    tmp_path, name, numbers, history, error
):
    state = SolverState(numbers[0], "n", numbers[1], history)
    with pytest.raises(error):
        write_solverstate(tmp_path / name, state)
    assert not list(tmp_path.iterdir())
