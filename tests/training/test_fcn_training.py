"""FCN trains as its repository trains it: maps of any size, and labels beside them."""

import keras
import numpy as np
import pytest
import scipy.io
from PIL import Image

from keras_caffe_zoo.training import (
    Accuracy,
    from_solver,
    interpolate_upsampling,
    layer_dataset,
    net_dataset,
)

NAMES = ["2008_000001", "2008_000002", "2008_000003"]
SIZES = [(12, 9), (9, 14), (11, 11)]
CLASSES = 5
DATA = r"""
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "voc_layers" layer: "%s" param_str:
    "{\'%s\': \'../../data/sbdd/dataset\', \'seed\': 1337, \'split\': \'%s\', "
    "\'mean\': (104.00699, 116.66877, 122.67892)}" } }
"""
CONV = """
layer { name: "%(name)s" type: "Convolution" bottom: "%(of)s" top: "%(name)s"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: %(filters)d pad: %(pad)d kernel_size: %(size)d
    weight_filler { type: "xavier" } } }
"""
RELU = 'layer { name: "relu%s" type: "ReLU" bottom: "%s" top: "%s" }\n'
POOL = """
layer { name: "%(name)s" type: "Pooling" bottom: "%(of)s" top: "%(name)s"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""
END = """
layer { name: "upscore" type: "Deconvolution" bottom: "score_fr" top: "upscore"
  param { lr_mult: 0 }
  convolution_param { num_output: %(classes)d bias_term: false
    kernel_size: %(kernel)d stride: %(stride)d } }
layer { name: "score" type: "Crop" bottom: "upscore" bottom: "data" top: "score"
  crop_param { axis: 2 offset: %(offset)d } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label"
  top: "loss" loss_param { ignore_label: 255 normalize: false } }
"""
SOLVER = """
train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 2
test_interval: 999999999 display: 20 average_loss: 20 lr_policy: "fixed"
base_lr: 1e-6 momentum: 0.9 iter_size: %d max_iter: 3 weight_decay: 0.0005
snapshot: 4000 snapshot_prefix: "snapshot/train" test_initialization: false
random_seed: 1
"""


def conv(name, of, filters, pad, size):
    options = {"name": name, "of": of, "filters": filters, "pad": pad, "size": size}
    return CONV % options


def tiny(head):
    return "".join(
        [
            head,
            conv("conv", "data", 4, 4, 3),
            RELU % ("", "conv", "conv"),
            POOL % {"name": "pool", "of": "conv"},
            conv("score_fr", "pool", CLASSES, 0, 1),
            END % {"classes": CLASSES, "kernel": 4, "stride": 2, "offset": 2},
        ]
    )


def write_images(folder, sizes, classes):
    """Write pictures and labels as SBDD has them, and VOC's."""
    rng = np.random.default_rng(3)
    for part in ("img", "cls", "JPEGImages", "SegmentationClass"):
        (folder / part).mkdir()
    for name, size in zip(NAMES, sizes, strict=False):
        image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype="uint8"))
        labels = rng.integers(0, classes, size).astype("uint8")
        labels[1] = 255
        for part in ("img", "JPEGImages"):
            image.save(folder / part / f"{name}.jpg")
        Image.fromarray(labels).save(folder / "SegmentationClass" / f"{name}.png")
        value = {"GTcls": {"Segmentation": labels}}
        scipy.io.savemat(folder / "cls" / f"{name}.mat", value)
    names = "\n".join(NAMES[: len(sizes)]) + "\n"
    (folder / "train.txt").write_text(names)
    lists = folder / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "seg11valid.txt").write_text(names)


@pytest.fixture
def files(tmp_path):
    write_images(tmp_path, SIZES, CLASSES)
    heads = {
        "train": DATA % ("SBDDSegDataLayer", "sbdd_dir", "train"),
        "val": DATA % ("VOCSegDataLayer", "voc_dir", "seg11valid"),
    }
    for name, head in heads.items():
        (tmp_path / f"{name}.prototxt").write_text(tiny(head))
    return tmp_path


def loss_by_numpy(params, image, labels, least=-np.inf):
    """Return Caffe's loss of the tiny net, in float64.

    No logarithm is below `least`, but the gradient that Caffe takes knows none.
    """
    (kernel, bias), (score, score_bias), up = params
    x = np.pad(image.astype("float64"), ((4, 4), (4, 4), (0, 0)))
    rows, columns = x.shape[0] - 2, x.shape[1] - 2
    y = np.zeros((rows, columns, 4)) + bias
    for i in range(3):
        for j in range(3):
            y += x[i : i + rows, j : j + columns] @ kernel[i, j]
    y = np.maximum(y, 0)
    odd = [(0, side % 2) for side in y.shape[:2]]  # Caffe's windows may hang over
    y = np.pad(y, [*odd, (0, 0)], constant_values=-np.inf)
    y = y.reshape(y.shape[0] // 2, 2, y.shape[1] // 2, 2, 4).max((1, 3))
    y = y @ score[0, 0] + score_bias
    large = np.zeros((2 * y.shape[0] + 2, 2 * y.shape[1] + 2, CLASSES))
    for i in range(4):
        for j in range(4):
            to = np.s_[i : i + 2 * y.shape[0] : 2, j : j + 2 * y.shape[1] : 2]
            large[to] += y @ up[i, j].T  # (filters, channels)
    scores = large[2 : 2 + labels.shape[0], 2 : 2 + labels.shape[1]]
    scores = scores - scores.max(-1, keepdims=True)
    logarithms = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    counted = labels != 255
    chosen = np.take_along_axis(logarithms, np.where(counted, labels, 0)[..., None], -1)
    return -np.maximum(chosen[..., 0], least)[counted].sum()


def parameters(model):
    weights = {
        w.path: keras.ops.convert_to_numpy(w).astype("f8") for w in model.weights
    }
    return (
        (weights["conv/kernel"], weights["conv/bias"]),
        (weights["score_fr/kernel"], weights["score_fr/bias"]),
        weights["upscore/kernel"],
    )


def test_a_small_fcn_trains_from_its_files(files):
    (files / "solver.prototxt").write_text(SOLVER % 1)
    training = from_solver(files / "solver.prototxt")
    model = training.model
    assert model.output_shape == (None, None, None, CLASSES)
    assert interpolate_upsampling(model) == ["upscore"]
    window = [0.25, 0.75, 0.75, 0.25]
    wanted = np.einsum("i,j,kl->ijkl", window, window, np.eye(CLASSES))
    np.testing.assert_array_equal(parameters(model)[2], wanted)
    data = layer_dataset(files / "train.prototxt", files, repeat=True)
    velocity = np.zeros(CLASSES)
    for image, labels in data.take(4):
        before = parameters(model)
        one = image.numpy()[0], labels.numpy()[0]
        wanted = loss_by_numpy(before, *one, np.log(np.finfo("float32").tiny))
        bias, gradient = before[1][1], np.zeros(CLASSES)
        for i, step in enumerate(np.eye(CLASSES) * 1e-4):
            moved = [
                loss_by_numpy((before[0], (before[1][0], b), before[2]), *one)
                for b in (bias - step, bias + step)
            ]
            gradient[i] = (moved[1] - moved[0]) / 2e-4
        model.reset_metrics()  # else Keras tells the mean of all batches
        loss = model.train_on_batch(image, labels)
        np.testing.assert_allclose(loss, wanted, rtol=2e-6)
        velocity = 0.9 * velocity + 2e-6 * gradient  # lr_mult 2, no decay
        after = parameters(model)
        np.testing.assert_allclose(after[1][1], bias - velocity, rtol=1e-4, atol=1e-8)
        np.testing.assert_array_equal(after[2], before[2])


@pytest.mark.slow
def test_gradients_add_up_over_pictures_of_any_size(files):
    (files / "solver.prototxt").write_text(SOLVER % 2)
    training = from_solver(files / "solver.prototxt")
    data = layer_dataset(files / "train.prototxt", files, resume=training.model)
    tests = layer_dataset(files / "val.prototxt", files, phase="TEST")
    history = training.fit(data, tests, verbose=0).history
    assert int(training.optimizer.iterations) == 3
    assert np.isfinite(history["loss"] + history["val_loss"]).all()


@pytest.fixture
def places(tmp_path):
    """The folders that FCN's layers name, and a solver with its nets beside them."""
    folders = {"SBDD": "sbdd/dataset", "VOC": "pascal/VOC2011"}
    for folder in folders.values():
        (tmp_path / folder).mkdir(parents=True)
        write_images(tmp_path / folder, SIZES, CLASSES)
    head = DATA % ("VOCSegDataLayer", "voc_dir", "seg11valid")
    heads = {
        "train": DATA % ("SBDDSegDataLayer", "sbdd_dir", "train"),
        "val": head.replace("sbdd/dataset", folders["VOC"]),
    }
    for name, head in heads.items():
        (tmp_path / f"{name}.prototxt").write_text(tiny(head))
    return tmp_path


def test_what_layers_name_is_found_in_the_callers_folders(places):
    for phase, name in (("TRAIN", "train"), ("TEST", "val")):
        data = net_dataset(
            places / f"{name}.prototxt", [places / "sbdd", places / "pascal"],
            phase=phase,
        )  # fmt: skip
        (image, labels), *_ = data.take(1)
        assert image.shape[1:3] == labels.shape[1:] and image.shape[3] == 3
    with pytest.raises(FileNotFoundError, match="'VOC2011' .source of layer 'data'"):
        net_dataset(places / "val.prototxt", places / "sbdd")


@pytest.mark.slow
def test_a_solver_trains_and_its_maps_are_measured_as_by_fcn(places):
    solver = (SOLVER % 1).replace("999999999", "2")
    (places / "solver.prototxt").write_text(solver)
    folders = [places / "sbdd", places / "pascal"]
    training = from_solver(places / "solver.prototxt", data=folders)
    interpolate_upsampling(training.model)
    training.fit(verbose=0)
    assert int(training.optimizer.iterations) == 3
    assert [test.iteration for test in training.results] == [2]
    measures = (
        keras.metrics.MeanIoU(CLASSES, ignore_class=255, sparse_y_pred=False),
        Accuracy(ignore_label=255),
    )
    counts = np.zeros((CLASSES, CLASSES))
    data = layer_dataset(places / "val.prototxt", folders[1] / "VOC2011", phase="TEST")
    for image, labels in data:
        scores = training.model(image)
        for measure in measures:
            measure.update_state(labels, scores)
        labels, best = labels.numpy()[0], np.argmax(scores[0], -1)
        there = labels != 255
        np.add.at(counts, (labels[there], best[there]), 1)
    right = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - right
    wanted = (right[union > 0] / union[union > 0]).mean(), right.sum() / counts.sum()
    found = [float(measure.result()) for measure in measures]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_cannot_be_interpolated():
    model = keras.Sequential([keras.Input((None, None, 3)),
                              keras.layers.Conv2D(2, 3, name="up")])  # fmt: skip
    with pytest.raises(ValueError, match=r"'up' with \(3, 3, 3, 2\)"):
        interpolate_upsampling(model)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="fc")])
    for options, said in (({}, "received: none in"), ({"names": ["fc"]}, "'fc' with")):
        with pytest.raises(ValueError, match=said):
            interpolate_upsampling(model, **options)


TWO = """
layer { name: "data" type: "Python" top: "data" top: "sem" top: "geo"
  python_param { module: "siftflow_layers" layer: "SIFTFlowSegDataLayer" param_str:
    "{'siftflow_dir': '../data/sift-flow', 'seed': 1337, 'split': 'trainval'}" } }
"""


@pytest.mark.slow
def test_labels_of_two_kinds_train_two_losses(tmp_path):
    scenes = "spatial_envelope_256x256_static_8outdoorcategories"
    rng, (name, size) = np.random.default_rng(0), (NAMES[0], (10, 12))
    folder = tmp_path / "sift-flow"
    for part in ("Images", "SemanticLabels", "GeoLabels"):
        (folder / part / scenes).mkdir(parents=True)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype="uint8"))
    image.save(folder / "Images" / scenes / f"{name}.jpg")
    for part, classes in (("SemanticLabels", 5), ("GeoLabels", 3)):
        labels = rng.integers(0, classes + 1, size)
        scipy.io.savemat(folder / part / scenes / f"{name}.mat", {"S": labels})
    (folder / "trainval.txt").write_text(name)
    loss = """layer { name: "%(l)s" type: "SoftmaxWithLoss" bottom: "%(s)s" top: "%(l)s"
      bottom: "%(y)s" loss_param { ignore_label: 255 normalize: false } }"""
    ends = [
        conv("score_sem", "conv", 5, 0, 1),
        loss % {"l": "loss", "s": "score_sem", "y": "sem"},
        conv("score_geo", "conv", 3, 0, 1),
        loss % {"l": "loss_geo", "s": "score_geo", "y": "geo"},
    ]
    net = "".join([TWO, conv("conv", "data", 4, 1, 3), *ends])
    (tmp_path / "train.prototxt").write_text(net)
    solver = SOLVER.replace('test_net: "val.prototxt" test_iter: 2', "") % 1
    (tmp_path / "solver.prototxt").write_text(solver)
    training = from_solver(tmp_path / "solver.prototxt", data=tmp_path)
    history = training.fit(verbose=0).history
    assert {"loss", "loss_unweighted", "loss_geo"} <= set(history)
    assert history["loss"][0] == pytest.approx(
        history["loss_unweighted"][0] + history["loss_geo"][0], rel=1e-5
    )


RGBD = """
layer { name: "color" type: "Python" top: "color" top: "hha" top: "label"
  python_param { module: "nyud_layers" layer: "NYUDSegDataLayer" param_str:
    "{'tops': ['color', 'hha', 'label'], 'seed': 1337, "
    "'nyud_dir': '../../data/nyud', 'split': 'trainval'}" } }
"""
CONTEXT = """
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "pascalcontext_layers" layer: "PASCALContextSegDataLayer"
    param_str: "{'context_dir': '../../data/pascal-context', 'seed': 1337, "
    "'split': 'trainval', 'voc_dir': '../../data/pascal'}" } }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label"
  top: "loss" loss_param { ignore_label: 255 normalize: false } }
"""


def write_rgbd(folder, rng, image):
    nyud = folder / "nyud"
    for part in ("data/images", "data/hha", "segmentation"):
        (nyud / part).mkdir(parents=True)
    for part in ("images", "hha"):
        image.save(nyud / "data" / part / f"img_{NAMES[0]}.png")
    labels = rng.integers(0, 6, image.size[::-1])
    path = nyud / "segmentation" / f"img_{NAMES[0]}.mat"
    scipy.io.savemat(path, {"segmentation": labels})
    (nyud / "trainval.txt").write_text(NAMES[0])
    both = """layer { name: "score" type: "Eltwise" bottom: "a" bottom: "b" top: "score"
      eltwise_param { operation: SUM coeff: 0.5 coeff: 0.5 } }"""
    ends = [conv("a", "color", 5, 1, 3), conv("b", "hha", 5, 1, 3), both]
    return "".join([RGBD, *ends, LOSS])


def write_context(folder, rng, image):
    voc, context = folder / "pascal/VOC2010", folder / "pascal-context"
    for path in (voc / "JPEGImages", voc / "ImageSets/Main", context / "trainval"):
        path.mkdir(parents=True)
    image.save(voc / "JPEGImages" / f"{NAMES[0]}.jpg")
    (voc / "ImageSets/Main/trainval.txt").write_text(NAMES[0])
    labels = {"LabelMap": rng.integers(0, 5, image.size[::-1])}
    scipy.io.savemat(context / "trainval" / f"{NAMES[0]}.mat", labels)
    (context / "labels.txt").write_text("1: cat\n2: dog\n3: sky\n4: table\n")
    (context / "59_labels.txt").write_text("1: sky\n2: diningtable\n")
    return "".join([CONTEXT, conv("score", "data", 3, 1, 3), LOSS])


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_rgbd, write_context])
def test_solvers_of_other_data_sets_find_their_folders(tmp_path, write):
    rng, size = np.random.default_rng(0), (10, 12)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype="uint8"))
    (tmp_path / "train.prototxt").write_text(write(tmp_path, rng, image))
    solver = SOLVER.replace('test_net: "val.prototxt" test_iter: 2', "") % 1
    (tmp_path / "solver.prototxt").write_text(solver)
    training = from_solver(tmp_path / "solver.prototxt", data=tmp_path)
    history = training.fit(verbose=0).history
    assert int(training.optimizer.iterations) == 3
    assert np.isfinite(history["loss"]).all()


def fcn32s(head):
    """Return FCN-32s as its authors' `net.py` writes it, without fillers."""
    text, last = [head], "data"
    for block, (count, filters) in enumerate(
        [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1
    ):
        for number in range(1, count + 1):
            name = f"{block}_{number}"
            pad = 100 if name == "1_1" else 1
            text.append(conv(f"conv{name}", last, filters, pad, 3))
            last = f"conv{name}"
            text.append(RELU % (name, last, last))
        text.append(POOL % {"name": f"pool{block}", "of": last})
        last = f"pool{block}"
    for number, size in ((6, 7), (7, 1)):
        text.append(conv(f"fc{number}", last, 4096, 0, size))
        last = f"fc{number}"
        text.append(RELU % (number, last, last))
        text.append(
            f'layer {{ name: "drop{number}" type: "Dropout" bottom: "{last}" '
            f'top: "{last}" dropout_param {{ dropout_ratio: 0.5 }} }}\n'
        )
    text.append(conv("score_fr", last, 21, 0, 1))
    end = END % {"classes": 21, "kernel": 64, "stride": 32, "offset": 19}
    return "".join([*text, end]).replace('weight_filler { type: "xavier" }', "")


@pytest.mark.slow
def test_fcn32s_takes_a_step_from_its_own_files(tmp_path):
    """136 million parameters: half a minute, and 4 GB of memory."""
    write_images(tmp_path, [(33, 40)], 21)
    head = DATA % ("SBDDSegDataLayer", "sbdd_dir", "train")
    (tmp_path / "train.prototxt").write_text(fcn32s(head))
    head = DATA % ("VOCSegDataLayer", "voc_dir", "seg11valid")
    (tmp_path / "val.prototxt").write_text(fcn32s(head))
    solver = (SOLVER % 1).replace("1e-6", "1e-10").replace("0.9", "0.99")
    (tmp_path / "solver.prototxt").write_text(solver)
    training = from_solver(tmp_path / "solver.prototxt")
    assert training.model.count_params() == 136_152_917
    interpolate_upsampling(training.model)
    kernel = training.model.get_layer("upscore").kernel
    before = keras.ops.convert_to_numpy(kernel)
    (image, labels), *_ = layer_dataset(tmp_path / "train.prototxt", tmp_path)
    assert training.model(image).shape == (1, 33, 40, 21)
    loss = training.model.train_on_batch(image, labels)
    assert np.isfinite(loss) and loss > 0
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kernel), before)
    assert int(training.optimizer.iterations) == 1
