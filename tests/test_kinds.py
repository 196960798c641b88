"""What is wrong with a file is said: what it is, and what it should be."""

import io
import pickle
import zipfile
from importlib.resources import files

import h5py
import numpy as np
import pytest
from PIL import Image

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import read_mean, read_net, read_solver, read_solverstate
from keras_caffe_zoo.cli import main
from keras_caffe_zoo.conversion.comparison import arrays_by_blob
from keras_caffe_zoo.extraction.provenance import refuse_other
from keras_caffe_zoo.extraction.sources import open_source
from keras_caffe_zoo.files import replacing
from keras_caffe_zoo.kinds import kind_of
from keras_caffe_zoo.pictures import PictureError, read_picture
from keras_caffe_zoo.training.data.matlab import read_mat

PNG = io.BytesIO()
Image.new("RGB", (2, 2)).save(PNG, "PNG")
PNG = PNG.getvalue()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "an empty file"),
        (bytes(9), "nothing but zeros"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html>", "markup, such as an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "an SVG drawing"),
        ("größer\nals".encode(), "text that begins 'größer'"),
        (b"ab\n\xc3", "text that begins 'ab'"),
        (b"a" * 99, f"text that begins '{'a' * 39}…'"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom", "a film (MP4 or the like)"),
        (pickle.dumps([1]), "a pickle, which is never read"),
        (PNG, "a PNG picture"),
        (b"\x0a\x03net\xa2\x06", ""),
        (b"caf\xe9 \xff", ""),
    ],
)
def test_a_file_is_known_by_how_it_begins(head, kind):
    assert kind_of(head) == kind


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>404</html>", "no picture, but markup, such as an HTML page"),
        (b"version https://git-lfs.github.com", "no picture, but a Git LFS pointer"),
        (b"\x8a\x91\xf0", "no picture, but a file that Pillow does not know"),
        (b"\0\0\0\x18ftypheic" + bytes(9), "a HEIC picture, which Pillow does not"),
        (b"\xff\xd8\xff" + bytes(9), "no picture: it begins like a JPEG picture"),
        (PNG[:45], "truncated"),
    ],
)
def test_why_a_picture_is_none(data, reason, tmp_path):
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(PictureError, match=r"x\.jpg") as error:
        read_picture(tmp_path / "x.jpg")
    assert error.value.reason.startswith(reason)


READERS = {
    "a picture": kcz.load_image,
    "a caffemodel or a prototxt": read_net,
    "a binaryproto": read_mean,
    "a prototxt": read_solver,
    "a solverstate": read_solverstate,
    "a MATLAB file": lambda path: read_mat(path, "S"),
    "an .npz of arrays by blob name": arrays_by_blob,
    "a caffemodel, a prototxt or a binaryproto": kcz.inspect_file,
    "an HDF5 file of weights": kcz.weights.StoredWeights,
    "a text file with the path": kcz.training.hdf5_dataset,
    "a log of Caffe's": kcz.training.read_log,
    "a window file": lambda path: kcz.training.window_dataset(path, crop_size=1),
}


@pytest.mark.parametrize(("expected", "read"), READERS.items())
def test_a_folder_and_nothing_are_no_file(expected, read, tmp_path):
    (tmp_path / "networks").mkdir()
    with pytest.raises(IsADirectoryError, match=f"^Expected {expected}.*, a folder$"):
        read(tmp_path / "networks")
    with pytest.raises(
        FileNotFoundError,
        match=f"^Expected {expected}.*No such file. Did you mean 'networks'",
    ):
        read(tmp_path / "network.x")


FOLDERS = {
    "a folder with one folder of pictures for each class, or a list file": (
        lambda path: kcz.training.image_dataset(path, "caffenet")
    ),
    "a directory with one folder of pictures": kcz.training.dataset_classes,
    "a folder, a picture, or a list of pictures": open_source,
}


@pytest.mark.parametrize(("expected", "read"), FOLDERS.items())
def test_a_folder_that_is_not_there_may_be_one_beside_it(expected, read, tmp_path):
    (tmp_path / "classes").mkdir()
    match = f"^Expected {expected}.*clases/?. No such f.*Did you mean 'classes'"
    with pytest.raises(FileNotFoundError, match=match):
        read(f"{tmp_path}/clases/")
    match = "clases/cats. No such f.*, and no folder 'clases' in .*mean 'classes'"
    with pytest.raises(FileNotFoundError, match=match):
        read(tmp_path / "clases" / "cats")


def test_names_are_close_by_more_than_their_ends(tmp_path):
    for name in ("ab.caffemodel", "vgg16.jpg", "vgg16.caffemodel"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match="mean 'vgg16.caffemodel' or 'vgg16.jp"):
        read_net(tmp_path / "vgg_16.caffemodel")
    with pytest.raises(FileNotFoundError, match="No such file$"):
        read_net(tmp_path / "resnet.caffemodel")
    with pytest.raises(FileNotFoundError, match="an empty name"):
        read_net("")


def test_of_many_pictures_none_is_looked_for_beside_it(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(FileNotFoundError, match=r"a picture.*b\.jpg. No such file$"):
        read_picture(tmp_path / "b.jpg")


def test_each_of_a_nets_files_that_is_not_there_is_told(tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x03net")
    (tmp_path / "net.prototxt").write_text("name: 'net'")
    pairs = ("nett.prototxt", "net.caffemodel"), ("net.prototxt", "nett.caffemodel")
    calls = [(load, pair) for load in (kcz.from_caffe, kcz.load) for pair in pairs]
    for load, names in [*calls, (kcz.load, ["nett.keras"])]:
        with pytest.raises(FileNotFoundError, match="^Expected a .*Did you mean 'net."):
            load(*(tmp_path / name for name in names))


def test_a_folder_is_no_name_of_a_file_to_write(tmp_path):
    (tmp_path / "out").mkdir()
    match = r"^Expected the name of a file to write; received: .*out, a folder"
    with pytest.raises(IsADirectoryError, match=match), replacing(tmp_path / "out"):
        pass
    with (
        pytest.raises(FileNotFoundError, match="^Expected an existing folder for"),
        replacing(tmp_path / "no" / "out"),
    ):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def arrays_file(path, kind):
    if kind == "hdf5":
        h5py.File(path, "w").close()
    elif kind == "array":
        np.save(path.with_suffix(".npy"), np.zeros(2))
        path.with_suffix(".npy").rename(path)
    elif kind == "objects":
        np.savez(path, data=np.array([{}], object))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"data": 1}))
    elif kind == "cut":
        np.savez(path, data=np.zeros(99))
        path.write_bytes(path.read_bytes()[:-30])
    else:
        path.write_bytes(kind)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("hdf5", "an HDF5 file"),
        ("array", "a single NumPy array"),
        ("objects", r"\(an array in it holds Python objects"),
        ("pickle", "a pickle, which is never read"),
        ("cut", r"\(File is not a zip file\)"),
        (b"", "an empty file"),
        (b"\x0a\x03net\xa2\x06", "which is none"),
    ],
)
def test_what_is_no_npz_is_said_to_be_what_it_is(kind, said, tmp_path):
    arrays_file(tmp_path / "x.npz", kind)
    match = (
        rf"^Expected an \.npz of arrays by blob name; received: .*x.npz,? {said}.*savez"
    )
    with pytest.raises(ValueError, match=match) as error:
        arrays_by_blob(tmp_path / "x.npz")
    assert "allow_pickle" not in str(error.value)


def test_a_zip_of_other_files_is_no_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("photo.jpg", b"x")
    with pytest.raises(ValueError, match=r"a zip archive of other files.*photo\.jpg"):
        arrays_by_blob(tmp_path / "x.npz")


IDENTITY = {
    "model": "vgg16",
    "structure": "0" * 64,
    "weights": "1" * 64,
    "layers": {"fc7": [4096]},
    "pool": None,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"structure": "2" * 64, "weights": "3" * 64, "layers": {"fc6": [4096]}},
            "layers were fc7, are now fc6. Ask for fc7 (--layer), or write",
        ),
        (
            {"weights": "3" * 64, "layers": {"fc6": [9], "fc7": [4096]}, "crops": 10},
            "layers were fc7, are now fc6, fc7; crops was none, is now 10. Ask",
        ),
        (
            {"model": "vgg19", "structure": "2" * 64, "weights": "3" * 64},
            "model was vgg16, is now vgg19. Write",
        ),
        (
            {"structure": "2" * 64, "pool": "mean"},
            "pool was none, is now mean. Write",
        ),
        ({"weights": "3" * 64}, f"weights was {'1' * 16}…, is now {'3' * 16}…. Write"),
    ],
)
def test_another_extraction_is_told_by_what_was_chosen(changes, said):
    with pytest.raises(ValueError, match="received another") as error:
        refuse_other(IDENTITY, IDENTITY | changes, "features.h5")
    assert f"received another: {said}" in str(error.value)


def test_commands_say_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x03net")
    extract = ["extract", "fotos/", "--model", "caffenet", "--layer", "fc7"]
    for words, said in (
        (["inspect", "photos"], "received: photos, a folder"),
        (["inspect", "net.caffemodle"], "Did you mean 'net.caffemodel'?"),
        ([*extract, "-o", "x.h5"], "Did you mean 'photos'?"),
        (["classify", "foto.jpg", "--model", "caffenet"], "Did you mean 'photos'?"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_what_is_written_is_no_folder_and_what_is_listed_no_picture(tmp_path):
    demo = files("keras_caffe_zoo") / "data" / "demo"
    net = demo / "digits.prototxt", demo / "digits.caffemodel"
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"^Expected the name of.*net\.onnx, a"):
        kcz.to_onnx(*net, tmp_path / "net.onnx")
    (tmp_path / "x.png").write_bytes(PNG)
    with pytest.raises(ValueError, match=r"a list of pictures.*x\.png, a PNG picture"):
        kcz.training.image_dataset(tmp_path / "x.png", "squeezenet_v1_1", mean=0)
