"""The engine: bounded, ordered, the same values whatever the threads do."""

import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from keras_caffe_zoo.extraction import local
from keras_caffe_zoo.extraction.block import Item, load_block, save_block
from keras_caffe_zoo.extraction.sources import blocks_of, open_source
from keras_caffe_zoo.extraction.spec import Spec
from keras_caffe_zoo.extraction.worker import BlockWorker

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def model():
    return tiny.net()


@pytest.fixture(scope="module")
def worker(model):
    return BlockWorker(
        Spec(model, ("fc2", "conv1"), preprocess=tiny.centre, batch_size=3)
    )


def items(count):
    return [Item(i, str(i), tiny.picture(i)) for i in range(count)]


def computed(worker, items):
    (block,) = local.compute(worker, [items])
    return block


def test_a_worker_computes_a_block_by_itself(worker, model):
    some = [*items(10)[4:8], Item(8, "x", b"no picture")]
    block = computed(worker, some)
    assert (block.first, block.count, block.names) == (4, 5, list("4567"))
    assert block.index.tolist() == [4, 5, 6, 7]
    assert block.bad == [(8, "x", "no picture, but text that begins 'no picture'")]
    wanted = tiny.expected(model, [item.data for item in some[:4]])
    assert list(block.values) == ["fc2", "conv1"]
    for name in wanted:
        np.testing.assert_allclose(block.values[name], wanted[name], 1e-4, 1e-5)


def test_what_to_extract_travels_to_other_processes(worker):
    copy = BlockWorker(pickle.loads(pickle.dumps(worker.spec)))
    assert copy.identity == worker.identity
    some = items(5)
    for one, other in zip(
        computed(copy, some).values.values(),
        computed(worker, some).values.values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_blocks_values_do_not_depend_on_the_blocks_before(worker):
    blocks = list(local.compute(worker, blocks_of(items(20), 7)))
    assert [block.first for block in blocks] == [0, 7, 14]
    alone = list(local.compute(worker, [items(20)[7:14]]))
    for name in worker.shapes:
        np.testing.assert_array_equal(blocks[1].values[name], alone[0].values[name])


def test_few_pictures_are_taken_ahead(worker):
    taken = itertools.count()
    source = (tiny.picture(next(taken) % 50) for _ in range(1000))
    blocks = local.compute(worker, blocks_of(open_source(source).items(), 6))
    next(blocks)
    ahead = 3 * (local._BATCHES_DECODED_AHEAD + worker.batches_at_once + 100 // 3)
    assert next(taken) < ahead
    blocks.close()


def test_parts_are_what_was_saved(worker, tmp_path):
    block = computed(worker, [*items(3), Item(3, "é", b"x")])
    save_block(tmp_path / "p.npz", block, "stamp")
    found = load_block(tmp_path / "p.npz", "stamp")
    assert (found.first, found.names, found.bad) == (0, block.names, block.bad)
    assert found.item_names() == ["0", "1", "2", "é"]
    for name in block.values:
        np.testing.assert_array_equal(found.values[name], block.values[name])
    with pytest.raises(ValueError, match="of another extraction"):
        load_block(tmp_path / "p.npz", "other")


CODE = """
import resource, sys
import tiny
from keras_caffe_zoo import extract_features

def arrays(count):
    for i in range(count):
        yield tiny.picture(i % 10, 200, 200)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def extract(count):
    extract_features(tiny.net(), arrays(count), ["conv1", "fc2"], sys.argv[1],
                     preprocess=tiny.centre, progress=False, resume=False)

extract(300)
before = peak()
extract(int(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "f.h5", "6000"],
        env={"PYTHONPATH": f"{HERE.parents[1]}:{HERE}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 60  # MB; the pictures are 720
