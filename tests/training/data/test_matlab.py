"""MATLAB's files, as SciPy writes them, and damaged ones."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io

from keras_caffe_zoo.training.data import matlab
from keras_caffe_zoo.training.data.matlab import read_mat

RNG = np.random.default_rng(0)


def saved(path, packed=True, dtype="uint8"):
    labels = RNG.integers(0, 120, (5, 7)).astype(dtype)
    whole = {"Boundaries": "none", "Segmentation": labels, "n": 3.0}
    values = {"Q": np.eye(3), "S": labels, "GTcls": whole, "z": np.ones(3) * 1j}
    scipy.io.savemat(path, values, do_compression=packed)
    return labels


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "f4", "f8"])
def test_maps_are_those_that_scipy_wrote(tmp_path, packed, dtype):
    labels = saved(tmp_path / "x.mat", packed, dtype)
    for field in ("S", "GTcls.Segmentation"):
        np.testing.assert_array_equal(read_mat(tmp_path / "x.mat", field), labels)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("T", "variable 'T'; received: Q, S, GTcls"),
        ("GTcls", "class 2"),
        ("GTcls.Edges", "Boundaries, Segmentation, n"),
        ("GTcls.Boundaries", "class 4"),
        ("S.x", "no single struct"),
        ("z", "real numbers"),
    ],
)
def test_what_is_not_there_is_told(tmp_path, field, said):
    saved(tmp_path / "x.mat")
    with pytest.raises(ValueError, match=said):
        read_mat(tmp_path / "x.mat", field)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


HEAD = b"MATLAB 5.0".ljust(124, b"\0") + b"\x00\x01IM"


def test_other_files_are_none(tmp_path):
    path = tmp_path / "x.mat"
    for data, said in (
        (b"", "something else"),
        (b"MATLAB 7.3 MAT-file".ljust(600), "-v7"),
        (HEAD, "received: none"),
        (HEAD + element(9, bytes(8)), "an array"),
        (HEAD + element(15, b"junk"), "packed numbers"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=said):
            read_mat(path, "S")


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "_MOST_BYTES", 1 << 20)
    path = tmp_path / "x.mat"
    path.write_bytes(HEAD + element(15, zlib.compress(bytes(1 << 21))))
    with pytest.raises(ValueError, match="at most 1,048,576 bytes"):
        read_mat(path, "S")
    path.write_bytes(HEAD + bytes(1 << 20))
    with pytest.raises(ValueError, match="at most 1,048,576 bytes"):
        read_mat(path, "S")


def test_deep_structures_are_no_danger(tmp_path):
    """SciPy's reader crashes the process on these."""
    head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 1))
    depth, size, heads = 50_000, 0, []
    for level in range(depth):
        own = head + element(1, b"S" if level == depth - 1 else b"")
        size += len(own) + (8 if heads else 0)
        heads.append(struct.pack("<II", 14, size) + own)
    (tmp_path / "x.mat").write_bytes(HEAD + b"".join(reversed(heads)))
    with pytest.raises(ValueError, match="class 1"):
        read_mat(tmp_path / "x.mat", "S")


def test_damaged_files_are_told(tmp_path):
    path = tmp_path / "x.mat"
    labels = saved(path, packed=False)
    whole, errors = path.read_bytes(), 0
    for turn in range(160):
        data = bytearray(whole)
        if turn % 4:
            for at in RNG.integers(128, len(data), 1 + turn % 3):
                data[at] = RNG.integers(256)
        else:
            del data[RNG.integers(0, len(data)) :]
        path.write_bytes(data)
        try:
            found = read_mat(path, "GTcls.Segmentation")
            assert found.size <= len(data) and found.ndim == 2
        except ValueError:
            errors += 1
    assert errors > 40
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_mat(path, "S"), labels)
