"""Mutated files of data: each is read or refused, and never takes the process down."""

import json
import random
import shutil
import warnings

import h5py
import numpy as np
import pytest
import tensorflow as tf
from annotated_files import annotated_datum, voc_xml
from data_files import datum, picture, png, write_leveldb
from scipy.io import savemat

from keras_caffe_zoo.caffe import SolverState, read_solverstate, write_solverstate
from keras_caffe_zoo.training.data import COCOPictures, VOCPictures, read_label_map
from keras_caffe_zoo.training.data.annotated import decode_annotated_datum
from keras_caffe_zoo.training.data.database import Datums
from keras_caffe_zoo.training.data.hdf5 import hdf5_dataset
from keras_caffe_zoo.training.data.matlab import read_mat
from keras_caffe_zoo.training.data.windows import Windows

RGB = picture(0, (8, 10))
BOXES = [(1, [(0.1, 0.2, 0.6, 0.7)]), (2, [(0.3, 0.3, 0.9, 0.8)])]
OBJECTS = [("dog", (1, 2, 5, 6), 0), ("cat", (2, 2, 9, 7), 1)]


def mutated(data, rng):
    """Return bytes with some of them changed, cut out, doubled or cut off."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(data) + 1)
        length = rng.choice([1, 1, 4, 40])
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 4 and rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def annotated(path):
    path.write_bytes(annotated_datum(RGB, BOXES))
    return lambda: decode_annotated_datum(path.read_bytes())


def voc(path):
    (path.parent / "file.png").write_bytes(png(RGB))
    path = path.rename(path.with_suffix(".xml")) if path.exists() else path
    path.write_text(voc_xml((8, 10), OBJECTS))
    labels = {"dog": 1, "cat": 2}
    xml = path.with_suffix(".xml")

    def read():
        shutil.copy(path, xml)
        VOCPictures(path.parent, path.parent, labels, ["file"]).read(0)

    return read


def coco(path):
    (path.parent / "file.png").write_bytes(png(RGB))
    told = {
        "images": [{"id": 7, "file_name": "file.png", "height": 8, "width": 10}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0}
        ],
    }
    path.write_text(json.dumps(told))

    def read():
        records = COCOPictures(path, path.parent)
        for index in range(len(records)):
            records.read(index)

    return read


def windows(path):
    (path.parent / "file.png").write_bytes(png(RGB))
    rows = "1 0.9 1 1 5 5\n2 0.1 0 0 3 3\n"
    path.write_text(f"# 0\nfile.png\n3\n8\n10\n2\n{rows}# 1\nfile.png\n3\n8\n10\n0\n")

    def read():
        records = Windows(path)
        for index in range(len(records)):
            records.read(index)

    return read


def matlab(packed):
    def write(path):
        values = np.arange(12, dtype="uint8").reshape(3, 4)
        told = {"GTcls": {"Boundaries": values, "Segmentation": values}}
        with open(path, "wb") as file:
            savemat(file, told, do_compression=packed)
        return lambda: read_mat(path, "GTcls.Segmentation")

    return write


def label_map(path):
    items = ("dog", "cat", "bird")
    path.write_text(
        "".join(
            f'item {{\n  name: "{x}"\n  label: {i}\n  display_name: "A {x}"\n}}\n'
            for i, x in enumerate(items)
        )
    )
    return lambda: read_label_map(path)


def state(ending):
    def write(path):
        history = [np.ones((2, 3), "float32"), np.zeros(3, "float32")]
        other = path.with_suffix(ending)
        write_solverstate(other, SolverState(7, "n_iter_7.caffemodel", 1, history))
        shutil.move(other, path)
        return lambda: read_solverstate(path)

    return write


def rows(path):
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = np.ones((4, 2, 3, 3), "float32"), np.ones(4)
    listfile = path.with_suffix(".txt")
    listfile.write_text(path.name)
    return lambda: list(hdf5_dataset(listfile, batch_size=2))


KINDS = {
    "AnnotatedDatum": (annotated, 3000),
    "VOC": (voc, 3000),
    "COCO": (coco, 3000),
    "windows": (windows, 3000),
    "mat": (matlab(False), 3000),
    "packed mat": (matlab(True), 3000),
    "label map": (label_map, 3000),
    "solverstate": (state(".solverstate"), 3000),
    "solverstate.h5": (state(".h5"), 1000),
    "HDF5": (rows, 100),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused(tmp_path, kind):
    write, count = KINDS[kind]
    path, rng = tmp_path / "file.dat", random.Random(0)
    read = write(path)
    read()
    whole, refused = path.read_bytes(), 0
    for _ in range(count):
        path.write_bytes(mutated(whole, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except (OSError, ValueError, tf.errors.InvalidArgumentError):
            refused += 1
    assert refused > count // 20


@pytest.mark.slow
def test_a_mutated_leveldb_is_read_or_refused(tmp_path):
    whole = write_leveldb(tmp_path / "whole", [datum(RGB, i) for i in range(9)])
    rng, refused = random.Random(0), 0
    for number in range(300):
        path = tmp_path / f"db{number}"
        shutil.copytree(whole, path)
        file = rng.choice([x for x in sorted(path.iterdir()) if x.stat().st_size])
        file.write_bytes(mutated(file.read_bytes(), rng))
        try:
            records = Datums(path, backend="LEVELDB")
            for index in range(len(records)):
                records.read(index)
            del records
        except (OSError, ValueError):
            refused += 1
        shutil.rmtree(path)
    assert refused > 15
