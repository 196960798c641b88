"""Pictures with maps of labels, by list, and as FCN's Python layers read them."""

import random

import keras
import numpy as np
import pytest
import scipy.io
from data_files import picture, png
from PIL import Image

from keras_caffe_zoo.caffe import CaffeFormatError, read_prototxt
from keras_caffe_zoo.rules.python import name_python_layers
from keras_caffe_zoo.training.data import (
    BadRecords,
    layer_dataset,
    segmentation_dataset,
)
from keras_caffe_zoo.training.data.fcn import told_folders

SIZES = [(20, 23), (18, 30), (25, 16)]
NAMES = ["2008_000001", "2008_000002", "2008_000003"]
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
MEAN = np.array([104.00699, 116.66877, 122.67892])


def labels_of(number, low=0, high=21):
    rng = np.random.default_rng(100 + number)
    labels = rng.integers(low, high, SIZES[number])
    labels[:2] = low
    return labels


def write_palette(path, labels):
    image = Image.fromarray(labels.astype("uint8"), "L").convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([7 * i % 256 for i in range(768)])
    image.save(path)


def folder_of(root, **writers):
    """Write files of all names; a writer takes a path and a record's number."""
    for pattern, write in writers.values():
        for number, name in enumerate(NAMES):
            path = root / pattern.replace("{}", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, number)
    return root


def write_colours(path, number):
    path.write_bytes(png(picture(number, SIZES[number])))


def write_voc(path, number):
    write_palette(path, np.where(labels_of(number) == 0, 255, labels_of(number)))


def mat(field, low=0, high=21):
    def write(path, number):
        labels = labels_of(number, low, high).astype("int16")
        name, _, part = field.partition(".")
        value = {"Boundaries": 0, part: labels} if part else labels
        scipy.io.savemat(path, {name: value}, do_compression=bool(number % 2))

    return write


def jpegs(path, number):
    Image.fromarray(picture(number, SIZES[number])).save(path, quality=100)


def write_names(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(NAMES) + "\n")
    return path


def colours(number, mean=MEAN):
    """Return what FCN's layers make of a picture: float32, minus a mean, in place."""
    pixels = np.array(picture(number, SIZES[number]), "float32")[..., ::-1].copy()
    pixels -= mean
    return pixels


def one_pass(dataset):
    """Return batches of one as (x, y) of NumPy arrays."""
    return [keras.tree.map_structure(lambda x: x.numpy()[0], b) for b in dataset]


@pytest.fixture
def voc(tmp_path):
    folder_of(
        tmp_path,
        images=("JPEGImages/{}.png", write_colours),
        labels=("SegmentationClass/{}.png", write_voc),
    )
    write_names(tmp_path / "train.txt")
    return tmp_path


VOC = {"images": "JPEGImages/{}.png", "labels": "SegmentationClass/{}.png"}


def test_pictures_and_palettes_by_list(voc):
    data = segmentation_dataset(voc / "train.txt", **VOC, mean=MEAN)
    images, labels = data.element_spec
    assert images.shape.as_list() == [None, None, None, 3]
    assert labels.shape.as_list() == [None, None, None]
    found = one_pass(data)
    assert len(found) == int(data.cardinality()) == 3
    for number, (image, labels) in enumerate(found):
        np.testing.assert_array_equal(image, colours(number))
        wanted = labels_of(number)
        np.testing.assert_array_equal(labels, np.where(wanted == 0, 255, wanted))


def test_pairs_of_paths_and_a_shift(voc):
    lines = [f"JPEGImages/{n}.png SegmentationClass/{n}.png" for n in NAMES]
    (voc / "pairs.txt").write_text("\n".join(lines))
    found = one_pass(segmentation_dataset(voc / "pairs.txt", shift=-10))
    labels = np.where(labels_of(1) == 0, 255, labels_of(1)) - 10
    np.testing.assert_array_equal(found[1][1], np.where(labels < 0, 255, labels))
    np.testing.assert_array_equal(found[1][0], colours(1, 0))
    with pytest.raises(Exception, match="two paths"):
        one_pass(segmentation_dataset(voc / "train.txt"))


def test_labels_and_pictures_stay_as_they_are_stored(voc):
    """A camera's orientation turns no picture away from its labels."""
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    path = voc / "JPEGImages" / f"{NAMES[0]}.png"
    Image.open(path).save(path, exif=exif)
    deep = np.where(labels_of(0) == 0, 300, labels_of(0)).astype("uint16")
    Image.fromarray(deep).save(voc / "SegmentationClass" / f"{NAMES[0]}.png")
    image, labels = one_pass(segmentation_dataset(voc / "train.txt", **VOC))[0]
    np.testing.assert_array_equal(image, colours(0, 0))
    np.testing.assert_array_equal(labels, deep)


def test_the_order_of_python_2(voc):
    """FCN's seed gives FCN's pictures: Python 2 takes `int(random() * count)`."""
    options = {**VOC, "randomize": True, "seed": 1337}
    data = segmentation_dataset(voc / "train.txt", **options, repeat=True)
    found = [labels for _, labels in one_pass(data.take(40))]
    random.seed(1337)
    for labels in found:
        number = int(random.random() * 3)
        assert labels.shape == SIZES[number]
    # A pass is three batches; the next one goes on.
    passes = segmentation_dataset(voc / "train.txt", **options)
    again = [labels for _ in range(4) for _, labels in one_pass(passes)]
    for one, other in zip(again, found, strict=False):
        np.testing.assert_array_equal(one, other)


def test_large_seeds_are_pythons_too(voc):
    seed = 2**40 + 12345
    options = {**VOC, "randomize": True, "seed": seed, "repeat": True}
    data = segmentation_dataset(voc / "train.txt", **options)
    random.seed(seed)
    wanted = [SIZES[int(random.random() * 3)] for _ in range(12)]
    assert [labels.shape for _, labels in one_pass(data.take(12))] == wanted


def test_pictures_of_one_size_make_batches(voc):
    (voc / "same.txt").write_text(f"{NAMES[0]}\n{NAMES[0]}\n{NAMES[0]}\n")
    batches = list(segmentation_dataset(voc / "same.txt", **VOC, batch_size=2))
    assert [x.shape[0] for x, _ in batches] == [2, 1]
    with pytest.raises(Exception, match="one size in a batch"):
        list(segmentation_dataset(voc / "train.txt", **VOC, batch_size=2))


def test_what_cannot_be_read_is_named(voc):
    listfile = voc / "train.txt"
    with pytest.raises(ValueError, match="both `images` and `labels`"):
        segmentation_dataset(listfile, images="{}.jpg")
    with pytest.raises(ValueError, match="mean of 1 or 3"):
        segmentation_dataset(listfile, mean=[1, 2])
    path = voc / "SegmentationClass" / f"{NAMES[1]}.png"
    for write, said in (
        (lambda: path.unlink(), "No such file"),
        (lambda: path.write_bytes(b"junk"), "no picture"),
        (lambda: path.write_bytes(png(picture(0))), "colours in place of numbers"),
        (lambda: write_voc(path, 0), "one height"),
    ):
        write()
        with pytest.raises(Exception, match=f"(?s){NAMES[1]}.*{said}"):
            one_pass(segmentation_dataset(listfile, **VOC))
    scipy.io.savemat(voc / "SegmentationClass/x.mat", {"S": np.full((2, 2), np.nan)})
    options = {**VOC, "labels": "SegmentationClass/x.mat"}
    with pytest.raises(Exception, match="`field`"):
        one_pass(segmentation_dataset(listfile, **options))
    with pytest.raises(Exception, match="integers"):
        one_pass(segmentation_dataset(listfile, **options, field="S"))
    (voc / "empty.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="empty one"):
        segmentation_dataset(voc / "empty.txt", **VOC)


def test_no_name_leads_out_of_the_root(voc):
    (voc / "list.txt").write_text("../../secret")
    with pytest.raises(Exception, match="inside"):
        one_pass(segmentation_dataset(voc / "list.txt", **VOC, root=voc))


@pytest.mark.slow
def test_training_goes_on_where_it_was(voc):
    model = keras.Sequential([keras.Input((None, None, 3)),
                              keras.layers.Conv2D(21, 1)])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255)
    model.compile("sgd", loss)
    options = {**VOC, "randomize": True, "seed": 5, "repeat": True}
    whole = one_pass(segmentation_dataset(voc / "train.txt", **options).take(6))
    data = segmentation_dataset(voc / "train.txt", **options, resume=model)
    model.fit(data, steps_per_epoch=4, verbose=0)
    np.testing.assert_array_equal(next(iter(data))[1][0], whole[4][1])


def prototxt(folder, module, layer, params, tops="data label"):
    tops = " ".join(f'top: "{top}"' for top in tops.split())
    text = f"""layer {{ name: "data" type: "Python" {tops}
      python_param {{ module: "{module}" layer: "{layer}" param_str: "{params}" }} }}"""
    path = folder / "train.prototxt"
    path.write_text(text)
    return path


def voc_params(folder="voc_dir", **more):
    params = {folder: "../../data", "split": "train", "mean": tuple(MEAN.tolist())}
    return {"seed": 1337, **params, **more}


def test_voc_as_its_layer_reads_it(tmp_path):
    root = folder_of(
        tmp_path / "VOC2011",
        images=("JPEGImages/{}.jpg", jpegs),
        labels=("SegmentationClass/{}.png", write_voc),
    )
    write_names(root / "ImageSets/Segmentation/val.txt")
    params = voc_params(split="val")
    net = prototxt(tmp_path, "voc_layers", "VOCSegDataLayer", params)
    found = one_pass(layer_dataset(net, root))
    for number, (image, labels) in enumerate(found):  # in the list's order
        stored = np.asarray(Image.open(root / f"JPEGImages/{NAMES[number]}.jpg"))
        wanted = stored[..., ::-1].astype("float32")
        wanted -= MEAN
        np.testing.assert_array_equal(image, wanted)
        np.testing.assert_array_equal(labels == 255, labels_of(number) == 0)
    net = prototxt(tmp_path, "voc_layers", "VOCSegDataLayer", voc_params())
    with pytest.raises(OSError, match=r"train\.txt"):
        layer_dataset(net, root)
    with pytest.raises(ValueError, match=r"source=….*\.\./\.\./data"):
        layer_dataset(net)


def test_sbdd_as_its_layer_reads_it(tmp_path):
    root = folder_of(
        tmp_path / "dataset",
        images=("img/{}.jpg", jpegs),
        labels=("cls/{}.mat", mat("GTcls.Segmentation")),
    )
    write_names(root / "train.txt")
    params = voc_params("sbdd_dir")
    net = prototxt(tmp_path, "voc_layers", "SBDDSegDataLayer", params)
    found = one_pass(layer_dataset(net, root, seed=8, repeat=True).take(9))
    random.seed(1337)
    for _, labels in found:
        np.testing.assert_array_equal(labels, labels_of(int(random.random() * 3)))


def test_sift_flow_has_two_kinds_of_labels(tmp_path):
    root = folder_of(
        tmp_path / "sift-flow",
        images=(f"Images/{SCENES}/{{}}.jpg", jpegs),
        semantic=(f"SemanticLabels/{SCENES}/{{}}.mat", mat("S", 0, 34)),
        geometric=(f"GeoLabels/{SCENES}/{{}}.mat", mat("S", -1, 4)),
    )
    write_names(root / "test.txt")
    params = {"siftflow_dir": "../data", "split": "test", "seed": 1337}
    name = "SIFTFlowSegDataLayer"
    net = prototxt(tmp_path, "siftflow_layers", name, params, "data sem geo")
    for number, (image, labels) in enumerate(one_pass(layer_dataset(net, root))):
        assert image.shape == (*SIZES[number], 3)
        semantic, geometric = labels_of(number, 0, 34), labels_of(number, -1, 4)
        geometric[geometric == -1] = 0
        for top, stored in (("sem", semantic), ("geo", geometric)):
            wanted = stored.astype("uint8")
            wanted -= 1  # as bytes: 0 becomes 255
            np.testing.assert_array_equal(labels[top], wanted)
    net = prototxt(tmp_path, "siftflow_layers", name, params)
    with pytest.raises(CaffeFormatError, match="3 tops"):
        layer_dataset(net, root)


def write_depths(path, number):
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(1, 9999, SIZES[number]).astype("uint16")).save(path)


def test_nyud_has_the_tops_that_are_asked_for(tmp_path):
    root = folder_of(
        tmp_path / "nyud",
        images=("data/images/img_{}.png", write_colours),
        hha=("data/hha/img_{}.png", write_colours),
        depths=("data/depth/img_{}.png", write_depths),
        labels=("segmentation/img_{}.mat", mat("segmentation", 0, 41)),
    )
    write_names(root / "test.txt")
    params = {"tops": ["color", "depth", "hha", "label"], "nyud_dir": "x"}
    params |= {"split": "test"}
    names = "colour d h label"
    net = prototxt(tmp_path, "nyud_layers", "NYUDSegDataLayer", params, names)
    for number, (x, labels) in enumerate(one_pass(layer_dataset(net, root))):
        mean = np.float32([116.190, 97.203, 92.318])
        np.testing.assert_array_equal(x["colour"], colours(number, mean))
        pixels = picture(number, SIZES[number]).astype("float32")
        pixels -= np.float32([132.431, 94.076, 118.477])
        np.testing.assert_array_equal(x["h"], pixels)
        depths = np.random.default_rng(number).integers(1, 9999, SIZES[number])
        logarithms = np.log(depths.astype("float32")) - np.float32(7.844)
        np.testing.assert_array_equal(x["d"][..., 0], logarithms)
        wanted = labels_of(number, 0, 41).astype("uint8") - np.uint8(1)
        np.testing.assert_array_equal(labels, wanted)
    for tops in (["color", "x"], "color", None):
        bad = params | {"tops": tops}
        net = prototxt(tmp_path, "nyud_layers", "NYUDSegDataLayer", bad, names)
        with pytest.raises(CaffeFormatError, match="tops of color"):
            layer_dataset(net, root)


def test_pascal_context_has_59_of_400_classes(tmp_path):
    labels = ("trainval/{}.mat", mat("LabelMap", 0, 12))
    context = folder_of(tmp_path / "context", labels=labels)
    voc = folder_of(
        tmp_path / "VOC/VOC2010",
        images=("JPEGImages/{}.jpg", jpegs),
    )
    write_names(voc / "ImageSets/Main/val.txt")
    known = ["accordion", "cat", "table", "bed clothes", "cloth", "dog", "x", "sky"]
    task = ["sky", "diningtable", "bedcloth", "clothes", "cat"]
    for file, names in (("labels.txt", known), ("59_labels.txt", task)):
        lines = [f"{i}: {name}" for i, name in enumerate(names, 1)]
        (context / file).write_text("\n".join(lines))
    params = {"voc_dir": "../data/pascal", "context_dir": "../c", "split": "val"}
    name = "PASCALContextSegDataLayer"
    net = prototxt(tmp_path, "pascalcontext_layers", name, params)
    of_label = {8: 1, 3: 2, 4: 3, 5: 4, 2: 5}
    found = one_pass(layer_dataset(net, context, root=tmp_path / "VOC"))
    for number, (_, labels) in enumerate(found):
        stored = labels_of(number, 0, 12)
        wanted = np.vectorize(lambda label: of_label.get(label, 0))(stored)
        np.testing.assert_array_equal(labels, wanted)
    with pytest.raises(ValueError, match="VOC2010"):
        layer_dataset(net, context)
    (context / "59_labels.txt").write_text("1: zebra")
    with pytest.raises(ValueError, match="zebra"):
        layer_dataset(net, context, root=tmp_path / "VOC")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"split": "../../etc/passwd"}, "split"),
        ({"split": 7}, "split"),
        ({"split": "train", "seed": "now"}, "seed"),
        ({"split": "train", "mean": (1, 2)}, "mean of 3"),
        ({"split": "train", "mean": "abc"}, "mean of 3"),
        ({"split": "train", "mean": (10**400, 1, 1)}, "mean of 3"),
        ({"split": "train", "mean": None}, "mean of 3"),
    ],
)
def test_what_a_param_str_must_not_be(tmp_path, more, said):
    params = voc_params(**more)
    net = prototxt(tmp_path, "voc_layers", "VOCSegDataLayer", params)
    with pytest.raises(CaffeFormatError, match=f"'data'.*{said}|{said}.*'data'"):
        layer_dataset(net, tmp_path)


def test_the_folders_that_layers_name(tmp_path):
    for module, name, params, wanted in (
        ("voc_layers", "VOCSegDataLayer", {"voc_dir": "v"}, ("v", "")),
        ("voc_layers", "SBDDSegDataLayer", {"sbdd_dir": "s"}, ("s", "")),
        ("pascalcontext_layers", "PASCALContextSegDataLayer",
         {"voc_dir": "v", "context_dir": "c"}, ("c", "v")),
        ("nyud_layers", "NYUDSegDataLayer", {}, ("", "")),
    ):  # fmt: skip
        net = read_prototxt(prototxt(tmp_path, module, name, params))
        assert told_folders(name_python_layers(net).layers[0]) == wanted


def test_what_these_layers_have_not(tmp_path):
    net = prototxt(tmp_path, "voc_layers", "VOCSegDataLayer", voc_params())
    for options in ({"mean": 3}, {"bad_records": BadRecords()}):
        with pytest.raises(ValueError, match="no `mean` and no `bad_records`"):
            layer_dataset(net, tmp_path, **options)
    with pytest.raises(ValueError, match="no `root`"):
        layer_dataset(net, tmp_path, root=tmp_path)
