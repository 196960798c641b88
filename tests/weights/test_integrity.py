"""Whatever byte of a sealed file changes, it is found before HDF5 sees the file."""

import pytest
from tiny_net import caffemodel, params

from keras_caffe_zoo.weights.integrity import (
    check_layout,
    check_sealed,
    is_sealed,
    seal,
)
from keras_caffe_zoo.weights.store import StoredWeights, dump_caffe_weights

SHA = "a" * 64


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / f"tiny-{SHA[:16]}.h5"
    dump_caffe_weights(caffemodel(tmp_path), path, progress=False)
    seal(path, SHA)
    return path


def test_a_sealed_file_is_whole_and_still_hdf5(sealed):
    check_sealed(sealed)
    with StoredWeights(sealed) as stored:
        assert stored.names == ["conv1", "fc8"]
        assert (stored.arrays("conv1", 3)[1] == params()["conv1"][1]).all()


def test_every_flipped_bit_is_found(sealed):
    good = sealed.read_bytes()
    arrays = check_layout(sealed).arrays
    for index in range(0, len(good), 13):
        bad = bytearray(good)
        bad[index] ^= 1 << index % 8
        sealed.write_bytes(bad)
        in_array = any(at <= index < at + length for _, at, length, _ in arrays)
        assert is_sealed(sealed) == in_array, index
        with pytest.raises(ValueError, match="Expected"):
            check_sealed(sealed)


def test_every_truncation_is_found(sealed):
    good = sealed.read_bytes()
    for length in [*range(0, len(good), 97), len(good) - 1]:
        sealed.write_bytes(good[:length])
        assert not is_sealed(sealed)


def test_a_file_under_another_name_is_refused(sealed):
    other = sealed.rename(sealed.with_name(f"tiny-{'b' * 16}.h5"))
    with pytest.raises(ValueError, match=f"received: one made from {SHA}"):
        check_sealed(other)


def test_no_file_is_no_sealed_file(tmp_path):
    assert not is_sealed(tmp_path / "nowhere.h5")
