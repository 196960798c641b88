"""What is there already: gone on with, extended, refused, repaired; never doubled."""

import errno
import os
import shutil
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from support import every

from keras_caffe_zoo import extract_features
from keras_caffe_zoo.extraction import block as block_module
from keras_caffe_zoo.extraction import output as output_module
from keras_caffe_zoo.extraction.folder import WorkingFolder

COUNT = 22


class Interrupted(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.fixture(scope="module")
def model():
    return tiny.net()


@pytest.fixture
def folder(tmp_path):
    tiny.write_pictures(tmp_path / "photos", COUNT)
    return tmp_path / "photos"


@pytest.fixture(params=["f.h5", "f.parquet"])
def out(request, tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / request.param


@pytest.fixture
def h5(tmp_path):
    return tmp_path / "f.h5"


def extract(model, source, out, layers=("conv1", "fc2"), **options):
    defaults = {"preprocess": tiny.centre, "batch_size": 2, "block_size": 4}
    return extract_features(model, source, layers, out, **defaults | options)


def contents(path):
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {
                "name": [name.decode() for name in file["names"]],
                "index": file["index"][:].tolist(),
                **{name: file[name][:] for name in ("conv1", "fc2")},
            }
    table = pq.read_table(path)
    rows = {n: table[n].combine_chunks().flatten().to_numpy() for n in ("conv1", "fc2")}
    rows = {name: values.reshape(len(table), -1) for name, values in rows.items()}
    rows["conv1"] = rows["conv1"].reshape(-1, 4, 4, 4)
    return {n: table[n].to_pylist() for n in ("name", "index")} | rows


def assert_holds(path, model, pictures):
    found, wanted = contents(path), tiny.expected(model, pictures)
    assert found["name"] == [f"{i:04}.png" for i in range(len(pictures))]
    assert found["index"] == list(range(len(pictures)))
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], 1e-4, 1e-5)


def pictures(count):
    return [tiny.picture(i, 14 + i % 7, 13 + i % 5) for i in range(count)]


def parts(out):
    return sorted(out.with_name(f"{out.name}.parts").glob("part-*"))


def interrupt(model, folder, out, blocks=2, **options):
    """Interrupt an extraction when it has kept so many blocks."""
    kept, save = [], WorkingFolder.save

    def save_some(self, block):
        if len(kept) == blocks:
            raise Interrupted
        kept.append(block)
        save(self, block)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(WorkingFolder, "save", save_some)
        extract(model, folder, out, **options)


def test_interrupted_it_goes_on_where_it_was(model, folder, out):
    interrupt(model, folder, out)
    assert not out.exists()
    assert len(parts(out)) == 2
    report = extract(model, folder, out)
    assert report.computed == COUNT - 2 * 4
    assert_holds(out, model, pictures(COUNT))
    assert list(out.parent.iterdir()) == [out]


def test_batch_size_and_block_size_may_change_between_runs(model, folder, out):
    interrupt(model, folder, out)
    kept = len(parts(out))
    report = extract(model, folder, out, batch_size=5, block_size=7)
    assert report.computed == COUNT - 4 * kept
    assert_holds(out, model, pictures(COUNT))


def test_a_finished_file_is_left_as_it_is(model, folder, out):
    extract(model, folder, out)
    before = out.read_bytes()
    report = extract(model, folder, out)
    assert (report.computed, report.rows) == (0, COUNT)
    assert report.shapes == {"conv1": (4, 4, 4), "fc2": (6,)}
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pictures_added_at_the_end_are_appended(model, folder, out, dtype):
    extract(model, folder, out, dtype=dtype)
    once = contents(out)
    tiny.write_pictures(folder, 7, first=COUNT)
    (folder / "0030.png").write_bytes(b"no picture")
    report = extract(model, folder, out, dtype=dtype)
    assert (report.computed, report.rows) == (8, COUNT + 7)
    assert [bad.name for bad in report.bad] == ["0030.png"]
    found = contents(out)
    assert found["name"] == [f"{i:04}.png" for i in range(COUNT + 7)]
    np.testing.assert_array_equal(found["fc2"][:COUNT], once["fc2"])
    wanted = tiny.expected(model, pictures(COUNT + 7))["conv1"]
    np.testing.assert_allclose(found["conv1"], wanted, 2e-3, 2e-3)


def test_interrupted_while_extending_the_old_file_stays_whole(model, folder, out):
    extract(model, folder, out)
    before = out.read_bytes()
    tiny.write_pictures(folder, 10, first=COUNT)
    interrupt(model, folder, out, blocks=1)
    assert out.read_bytes() == before
    report = extract(model, folder, out)
    assert report.computed == 10 - 2  # the first new block ends at a multiple of 4
    assert_holds(out, model, pictures(COUNT + 10))


def test_pictures_added_while_it_was_interrupted_are_counted(model, folder, out):
    interrupt(model, folder, out, blocks=5)
    tiny.write_pictures(folder, 5, first=COUNT)
    extract(model, folder, out)
    assert_holds(out, model, pictures(COUNT + 5))


def test_beginning_anew_computes_all_and_outlives_an_interruption(model, folder, out):
    extract(model, folder, out)
    first = tiny.picture(999)
    tiny.Image.fromarray(first).save(folder / "0000.png")  # under its old name
    assert extract(model, folder, out).computed == 0
    interrupt(model, folder, out, resume=False)
    kept = len(parts(out))
    report = extract(model, folder, out)  # goes on anew, not with the old file
    assert report.computed == COUNT - 4 * kept < COUNT
    assert_holds(out, model, [first, *pictures(COUNT)[1:]])


@pytest.mark.parametrize("unfinished", every(2, [True, False]))
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": tiny.net(seed=1)}, r"weights was [0-9a-f]{16}…, is now"),
        ({"layers": ["fc2"]}, "another: layers were conv1, fc2, are now fc2. Ask"),
        ({"pool": "mean"}, r"layers: conv1 was \[4, 4, 4\], is now \[4\]"),
        ({"dtype": "float16"}, "dtype was float32, is now float16"),
        ({"preprocess": lambda p: tiny.centre(p)}, "preprocessing: function was"),
    ],
)
def test_another_extraction_is_refused(
    model, folder, out, changes, message, unfinished
):
    if unfinished:
        interrupt(model, folder, out)
    else:
        extract(model, folder, out)
    before = [path.read_bytes() for path in (*parts(out), *out.parent.glob("f.*5"))]
    arguments = {"model": model, "layers": ("conv1", "fc2"), **changes}
    with pytest.raises(ValueError, match=f"{message}.*resume=False"):
        extract(source=folder, out=out, **arguments)
    after = [path.read_bytes() for path in (*parts(out), *out.parent.glob("f.*5"))]
    assert before == after
    extract(model, folder, out)
    assert_holds(out, model, pictures(COUNT))


def renamed_layers(start):
    """Return the same net, its layers named by Keras, which counts them."""
    keras.backend.clear_session()
    for _ in range(start):
        keras.layers.Conv2D(1, 1), keras.layers.Dense(1), keras.layers.Flatten()
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(4, 3, strides=3, activation="relu")(inputs)
    flat = keras.layers.Flatten()(x)
    y = keras.layers.Dense(6, name="fc2")(flat)
    model = keras.Model(inputs, y)
    model.set_weights(tiny.net().get_weights())
    return model


def test_names_that_keras_counts_make_no_other_model(folder, h5):
    extract(renamed_layers(0), folder, h5, "fc2")
    second = renamed_layers(3)
    assert second.layers[1].name == "conv2d_3"
    assert extract(second, folder, h5, "fc2").computed == 0


@pytest.mark.parametrize("unfinished", [True, False])
@pytest.mark.parametrize("change", ["first", "gone", "fewer"])
def test_a_changed_folder_is_refused(model, folder, out, change, unfinished):
    if unfinished:
        interrupt(model, folder, out)
    else:
        extract(model, folder, out)
    name = {"first": "place 0 0000.png; received: 00.png", "gone": "0001.png"}
    if change == "first":
        tiny.write_pictures(folder, 1)
        (folder / "0000.png").rename(folder / "00.png")
    elif change == "gone":
        (folder / "0001.png").unlink()
    else:
        for path in sorted(folder.iterdir())[2:]:
            path.unlink()
    with pytest.raises(ValueError, match=name.get(change, "0002.png; received: none")):
        extract(model, folder, out)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "other block"])
def test_damaged_and_foreign_parts_are_computed_anew(model, folder, out, damage):
    interrupt(model, folder, out)
    victim, other, *_ = parts(out)
    data = bytearray(victim.read_bytes())
    if damage == "cut":
        victim.write_bytes(data[:-100])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "empty":
        victim.write_bytes(b"")
    elif damage == "other block":
        victim.write_bytes(other.read_bytes())
    else:
        block = block_module.Block(0, np.arange(4), ["x"] * 4, {"fc2": np.ones((4, 6))})
        block_module.save_block(victim, block, "another extraction's")
    kept = len(parts(out))
    report = extract(model, folder, out)
    assert report.computed == COUNT - 4 * (kept - 1)
    assert_holds(out, model, pictures(COUNT))


def test_a_stray_part_beyond_the_source_does_no_harm(model, folder, h5):
    interrupt(model, folder, h5)
    (h5.with_name("f.h5.parts") / "part-000000400.npz").write_bytes(b"what")
    extract(model, folder, h5)
    assert_holds(h5, model, pictures(COUNT))


@pytest.mark.parametrize("content", [b"", b"mine", "foreign"])
def test_a_file_that_is_none_of_ours_is_not_replaced(model, folder, out, content):
    if content == "foreign":
        if out.suffix == ".h5":
            h5py.File(out, "w").close()
        else:
            pq.write_table(pa.table({"a": [1]}), out)
    else:
        out.write_bytes(content)
    before = out.read_bytes()
    with pytest.raises(ValueError, match="one of extract_features, at .*resume=False"):
        extract(model, folder, out)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]
    extract(model, folder, out, resume=False)
    assert_holds(out, model, pictures(COUNT))


@pytest.mark.parametrize("when", ["part", "merging"])
def test_on_a_full_disk_it_says_so_and_goes_on_later(
    model, folder, out, when, monkeypatch
):
    real, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) == 4 or os.fspath(target) == os.fspath(out):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    def merge_only(source, target):
        if os.fspath(target) == os.fspath(out):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full if when == "part" else merge_only)
        with pytest.raises(OSError, match="room on the disk.*goes on") as raised:
            extract(model, folder, out)
    assert raised.value.errno == errno.ENOSPC
    assert not out.exists()
    report = extract(model, folder, out)
    assert report.computed == (COUNT - 2 * 4 if when == "part" else 0)
    assert_holds(out, model, pictures(COUNT))
    assert list(out.parent.iterdir()) == [out]


def test_without_room_for_the_output_it_is_not_begun(model, folder, out, monkeypatch):
    usage = shutil.disk_usage(folder)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=99))
        with pytest.raises(OSError, match="bytes are needed, 99 are free") as raised:
            extract(model, folder, out)
    assert raised.value.errno == errno.ENOSPC
    assert [path.name for path in out.parent.iterdir()] == [f"{out.name}.parts"]
    assert not list(out.parent.glob("*/merged*"))
    assert extract(model, folder, out).computed == 0
    assert_holds(out, model, pictures(COUNT))


def test_a_second_process_is_refused(model, folder, h5):
    lock = h5.with_name("f.h5.parts") / ".lock"
    lock.parent.mkdir()
    code = "import sys, time, filelock; lock = filelock.FileLock(sys.argv[1]); "
    code += "lock.acquire(); print('held', flush=True); time.sleep(60)"
    held = subprocess.Popen(
        [sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True
    )
    try:
        assert held.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match="another process is at work"):
            extract(model, folder, h5)
    finally:
        held.kill()
        held.wait()
        held.stdout.close()
    extract(model, folder, h5)
    assert_holds(h5, model, pictures(COUNT))


def test_a_folder_that_is_not_there_is_an_error(model, folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        extract(model, folder, tmp_path / "nowhere" / "f.h5")


def test_a_finished_output_removes_what_a_killed_run_left(
    model, folder, out, monkeypatch
):
    """Killed after the output appeared, before its parts were gone."""
    with monkeypatch.context() as patch:
        folder_class = output_module.WorkingFolder
        patch.setattr(folder_class, "remove", lambda self: time.sleep(0))
        plan = folder_class.begin

        def begin(self, *arguments):
            self.path.mkdir(exist_ok=True)
            return plan(self, *arguments)

        patch.setattr(folder_class, "begin", begin)
        extract(model, folder, out)
    assert parts(out)
    assert extract(model, folder, out).computed == 0
    assert list(out.parent.iterdir()) == [out]
    assert_holds(out, model, pictures(COUNT))
