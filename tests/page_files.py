"""What the reader of a page has at hand: the files that its blocks name.

Pictures are scikit-learn's, Caffe's files the demo's or with random weights, data sets
a few records that are named as the nets of the time name theirs.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.io
import ssd300_files
from annotated_files import write_scenes
from PIL import Image
from published import write_caffemodel, write_photo
from shipped_data import write_data
from shipped_solvers import SOLVERS

import keras_caffe_zoo as kcz

DEMO = Path(kcz.__file__).parent / "data" / "demo"


def pictures(*names, folders=2, each=2):
    """Photographs, and `photos/` with so many folders, of as many pictures each."""

    def write(folder):
        for name in names:
            write_photo(folder / name)
        for i in range(folders):
            for j in range(each):
                name = "flower.jpg" if i % 2 else "china.jpg"
                path = folder / "photos" / f"class {i:02}" / f"{j}.jpg"
                write_photo(path, name, (300 + 10 * j, 280))

    return write


def digits(folder):
    """The demo's net as `deploy.prototxt` and `net.caffemodel`."""
    for ending, name in ((".prototxt", "deploy"), (".caffemodel", "net")):
        content = (DEMO / f"digits{ending}").read_bytes()
        (folder / name).with_suffix(ending).write_bytes(content)


def keras_file(folder):
    """What a cell of the page has written, which is run when the site is built."""
    kcz.load(DEMO / "digits.prototxt", DEMO / "digits.caffemodel").save(
        folder / "net.keras"
    )


def vgg_cnn_s(folder):
    """The published file, as fetched by hand."""
    write_caffemodel("vgg_cnn_s", folder)


def detector(folder):
    """A detector of cats and dogs, and the names of its classes."""
    model = kcz.mobilenet_ssd(weights=None, classes=3)
    kcz.to_caffe(model, folder / "deploy.prototxt", folder / "net.caffemodel")
    (folder / "names.txt").write_text("cat\ndog\n")


def lenet(solver, data, iterations=4):
    """LeNet's solver of Caffe's examples, for fewer iterations, and its databases."""

    def write(folder):
        shipped = SOLVERS["lenet"].shortened(iterations)
        (folder / "shipped").mkdir(exist_ok=True)
        shipped.write(folder / "shipped").replace(folder / solver)
        for net in (folder / "shipped").iterdir():
            net.replace(folder / net.name)
        (folder / data).mkdir(exist_ok=True)
        write_data(shipped, folder / data)

    return write


def lenets_snapshot(folder):
    """What Caffe left of LeNet at iteration 5000."""
    training = kcz.training.from_solver(
        folder / "lenet_solver.prototxt", data=folder / "mnist"
    )
    training.fit(verbose=0, callbacks=[training.snapshots(folder / "short")])
    (path,) = (folder / "short").glob("*.solverstate")
    name = "lenet_iter_5000.caffemodel"
    path.with_suffix(".caffemodel").rename(folder / name)
    state = replace(kcz.read_solverstate(path), iteration=5000, learned_net=name)
    kcz.write_solverstate(folder / "lenet_iter_5000.solverstate", state)


def elsewhere(folder):
    """A database that stands in another folder than the rest."""
    name = folder / "mnist/mnist_train_lmdb"
    shutil.copytree(name, folder / "elsewhere/train_lmdb")


def ssd(solver, weights):
    """SSD300's solver and nets, one picture a batch, and the weights it begins with."""

    def write(folder):
        beside = (folder / solver).parent
        beside.mkdir(exist_ok=True)
        (folder / solver).write_text(
            ssd300_files.SOLVER % {"max_iter": 1, "test_iter": 2}
        )
        for phase in ("train", "test"):
            text = ssd300_files.net(phase, batch=1)
            (beside / f"{phase}.prototxt").write_text(text)
        data = folder / "VOC0712"
        data.mkdir()
        for part in ("trainval", "test"):
            write_scenes(data / f"VOC0712_{part}_lmdb", 2)
        (data / "test_name_size.txt").write_text("000001 40 48\n000002 40 48\n")
        begin(folder / weights, filters=64)

    return write


def begin(caffemodel, filters):
    """Write what a training begins with: here VGG's first layer is enough."""
    kernel = np.random.default_rng(0).normal(0, 0.1, (filters, 3, 3, 3))
    blobs = [kernel.astype("float32"), np.zeros(filters, "float32")]
    kcz.write_caffemodel(caffemodel, {"conv1_1": blobs})


FCN_DATA = r"""
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "voc_layers" layer: "%s" param_str:
    "{\'%s\': \'../%s\', \'seed\': 1337, \'split\': \'%s\', "
    "\'mean\': (104.00699, 116.66877, 122.67892)}" } }
"""
FCN = """
layer { name: "conv1_1" type: "Convolution" bottom: "data" top: "conv1_1"
  convolution_param { num_output: 4 kernel_size: 3 pad: 4
    weight_filler { type: "xavier" } } }
layer { name: "score_fr" type: "Convolution" bottom: "conv1_1" top: "score_fr"
  convolution_param { num_output: 21 kernel_size: 2 stride: 2 } }
layer { name: "upscore" type: "Deconvolution" bottom: "score_fr" top: "upscore"
  param { lr_mult: 0 } convolution_param { num_output: 21 bias_term: false
    kernel_size: 4 stride: 2 } }
layer { name: "score" type: "Crop" bottom: "upscore" bottom: "data" top: "score"
  crop_param { axis: 2 offset: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label"
  top: "loss" loss_param { ignore_label: 255 normalize: false } }
"""
FCN_SOLVER = """
train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 2
test_interval: 999999999 display: 20 average_loss: 20 lr_policy: "fixed"
base_lr: 1e-10 momentum: 0.99 iter_size: 1 max_iter: 3 weight_decay: 0.0005
snapshot: 4000 snapshot_prefix: "snapshot/train" test_initialization: false
"""


def fcn(sbdd, voc, weights=None):
    """FCN-32s' solver with a small net in place of VGG-16, and its two data sets."""

    def write(folder):
        nets = folder / "voc-fcn32s"
        nets.mkdir()
        (nets / "solver.prototxt").write_text(FCN_SOLVER)
        train = FCN_DATA % ("SBDDSegDataLayer", "sbdd_dir", sbdd, "train")
        val = FCN_DATA % ("VOCSegDataLayer", "voc_dir", voc, "seg11valid")
        (nets / "train.prototxt").write_text(train + FCN)
        for place in (nets, folder):
            (place / "val.prototxt").write_text(val + FCN)
        for place in (sbdd, voc):
            segmented(folder / place)
        if weights:
            begin(folder / weights, filters=4)

    return write


def segmented(folder):
    """Write two pictures with maps of labels, as SBDD has them, and as VOC."""
    rng = np.random.default_rng(3)
    for part in ("img", "cls", "JPEGImages", "SegmentationClass"):
        (folder / part).mkdir(parents=True)
    names = ["2008_000001", "2008_000002"]
    for name, size in zip(names, [(32, 24), (24, 40)], strict=True):
        image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype="uint8"))
        labels = rng.integers(0, 21, size).astype("uint8")
        for part in ("img", "JPEGImages"):
            image.save(folder / part / f"{name}.jpg")
        Image.fromarray(labels).save(folder / "SegmentationClass" / f"{name}.png")
        value = {"GTcls": {"Segmentation": labels}}
        scipy.io.savemat(folder / "cls" / f"{name}.mat", value)
    lists = folder / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for path in (folder / "train.txt", lists / "seg11valid.txt"):
        path.write_text("\n".join(names) + "\n")


# What stands in the folder of each page, and which nets in its cache.
FILES = {
    "README.md": [pictures("photo.jpg"), digits, lenet("solver.prototxt", "data")],
    "docs/caffe_to_keras.md": [pictures("photo.jpg", folders=0)],
    "docs/start.md": [pictures("photo.jpg")],
    "docs/training.md": [
        lenet("lenet_solver.prototxt", "mnist"),
        lenets_snapshot,
        elsewhere,
        lenet("solver.prototxt", "mnist", iterations=5002),
        ssd(
            "SSD_300x300/solver.prototxt",
            "VGG_ILSVRC_16_layers_fc_reduced.caffemodel",
        ),
        fcn("data/sbdd/dataset", "data/pascal/VOC2011", "vgg16-fcn.caffemodel"),
    ],
    "docs/guides/classification.md": [pictures("photo.jpg"), vgg_cnn_s],
    "docs/guides/detection.md": [
        pictures("street.jpg", "party.jpg"),
        detector,
        ssd("solver.prototxt", "VGG_16.caffemodel"),
    ],
    "docs/guides/features.md": [pictures()],
    "docs/guides/features_at_scale.md": [pictures()],
    "docs/guides/fine_tuning.md": [pictures(folders=20, each=1)],
    "docs/guides/leaving_caffe.md": [digits, keras_file],
    "docs/guides/net_surgery.md": [pictures("photo.jpg")],
    "docs/guides/segmentation.md": [
        pictures("street.jpg", "grandmother.jpg", folders=0),
        fcn("data/dataset", "data/VOC2011"),
    ],
}

# What programs of a page have from the reader's own.
NAMES = {
    "docs/training.md": {
        "detections": np.array([[[0, 5, 0.9, 0.1, 0.1, 0.5, 0.5]]], "float32"),
        "objects": np.array([[[0, 5, 0, 0.1, 0.1, 0.5, 0.5, 0]]], "float32"),
    }
}
