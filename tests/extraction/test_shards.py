"""Folders of parts: what is gone on with, what is thrown away, what is refused."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from keras_caffe_zoo.extraction.block import Bad, Block
from keras_caffe_zoo.extraction.shards import ShardFolder

pytest.importorskip("fsspec", reason="the extra [ray] is not installed")

IDENTITY = {"model": "tiny", "weights": "0" * 64, "layers": {"fc2": [2]}}


def block(first, count=3, bad=(), shape=(2,)):
    good = [i for i in range(first, first + count) if i not in bad]
    values = np.ones((len(good), *shape), "float32") * first
    reasons = [Bad(i, f"{i}.png", "empty file") for i in bad]
    index = np.array(good, "int64")
    return Block(first, index, [f"{i}.png" for i in good], {"fc2": values}, reasons)


@pytest.fixture(params=["path", "url", "memory"])
def path(request, tmp_path):
    memory = f"memory://{tmp_path.name}/f.parquet"
    local = tmp_path / "f.parquet"
    return {"path": str(local), "url": local.as_uri(), "memory": memory}[request.param]


def begun(path, identity=IDENTITY, size=3, resume=True):
    folder = ShardFolder(path)
    return folder, folder.begin(identity, size, resume)


def test_parts_that_were_written_are_found(path):
    folder, size = begun(path)
    assert (size, folder.parts) == (3, {})
    names = [folder.save(block(3, bad=[4])), folder.save(block(0))]
    assert names == ["part-000000003.parquet", "part-000000000.parquet"]
    assert all(folder.holds(name) for name in names)
    assert not folder.holds("part-000000006.parquet")
    again, size = begun(path, size=50)
    assert size == 3 and sorted(again.parts) == [0, 3]
    assert again.load(3).item_names() == ["3.png", "4.png", "5.png"]
    assert again.load(3).bad == [Bad(4, "4.png", "empty file")]
    assert again.load(0).shapes == {"fc2": (2,)}
    assert again.load(6) is None


@pytest.fixture
def local(tmp_path):
    return tmp_path / "f.parquet"


def test_another_identity_is_refused(local):
    begun(str(local))
    with pytest.raises(ValueError, match=r"weights was 0000.*--no-resume"):
        begun(str(local), IDENTITY | {"weights": "1" * 64})


def test_begun_anew_nothing_is_left(local):
    folder, _ = begun(str(local))
    folder.save(block(0))
    folder.save(block(3))
    folder, size = begun(str(local), IDENTITY | {"model": "other"}, 5, resume=False)
    assert (size, folder.parts) == (5, {})
    assert [p.name for p in local.iterdir()] == ["_provenance.json"]


def test_damaged_and_foreign_and_half_written_parts_are_thrown_away(local):
    folder, _ = begun(str(local))
    for first in (0, 3, 6):
        folder.save(block(first))
    whole = (local / "part-000000000.parquet").read_bytes()
    (local / "part-000000000.parquet").write_bytes(whole[:-9])
    (local / "part-000000009.parquet").write_bytes(whole)
    other, _ = begun(str(local.with_name("g.parquet")))
    other.save(block(3))
    (local / "part-000000003.parquet").write_bytes(
        (local.with_name("g.parquet") / "part-000000003.parquet").read_bytes()
    )
    (local / f".part-000000006.parquet.{'0' * 32}.tmp.parquet").write_bytes(whole)
    (local / ".keep").touch()
    folder, _ = begun(str(local))
    assert list(folder.parts) == [6]
    left = [".keep", "_provenance.json", "part-000000006.parquet"]
    assert sorted(p.name for p in local.iterdir()) == left


def test_a_part_without_rows_that_knows_no_shape_is_hidden_from_readers(local):
    folder, _ = begun(str(local))
    assert folder.save(block(0, bad=[0, 1, 2], shape=(0, 2))).startswith("_")
    folder.save(block(3, shape=(4, 2)))
    assert pq.read_table(local)["index"].to_pylist() == [3, 4, 5]
    folder, _ = begun(str(local))
    assert sorted(folder.parts) == [0, 3]
    assert (folder.load(0).count, folder.load(0).shapes) == (3, None)


def test_what_is_no_folder_of_features_is_refused_and_kept(local):
    local.mkdir()
    (local / "part-00.parquet").write_bytes(b"another program's")
    for resume in (True, False):
        with pytest.raises(ValueError, match="which holds part-00"):
            begun(str(local), resume=resume)
    file = local.with_name("one.parquet")
    file.write_bytes(b"of the local engine")
    with pytest.raises(ValueError, match=r"one\.parquet, a file"):
        begun(str(file), resume=False)
    assert file.read_bytes() and (local / "part-00.parquet").read_bytes()
