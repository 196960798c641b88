"""A small SSD trains from its solver on a database, by the layers of its own net."""

import io

import keras
import numpy as np
import pytest
import ssd300_files
from annotated_files import annotated_datum
from annotated_files import scene as noise
from average_precision_reference import by_hand
from data_files import write_lmdb
from multibox_reference import reference

from keras_caffe_zoo import caffe_params, from_caffe, write_caffemodel
from keras_caffe_zoo.training import MultiBoxLoss, from_solver, layer_dataset

SIDE, COLOURS = 32, np.array([[220, 40, 40], [40, 60, 220]], "uint8")
SOLVER = """net: "net.prototxt" base_lr: 0.002 lr_policy: "fixed" max_iter: 60
  type: "Adam" momentum: 0.9 momentum2: 0.999 random_seed: 1"""
TESTS = """ test_iter: 3 test_interval: 50 eval_type: "detection" display: 25
  ap_version: "11point" show_per_class_result: true max_iter: 150"""
DATA = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { mirror: true scale: 0.0078125
    mean_value: 104 mean_value: 117 mean_value: 123
    resize_param { prob: 1 resize_mode: WARP height: 32 width: 32
      interp_mode: LINEAR interp_mode: AREA interp_mode: CUBIC }
    emit_constraint { emit_type: CENTER }
    distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5
      contrast_lower: 0.8 contrast_upper: 1.2 hue_prob: 0.5 hue_delta: 4
      saturation_prob: 0.5 saturation_lower: 0.8 saturation_upper: 1.2 }
    expand_param { prob: 0.3 max_expand_ratio: 1.5 } }
  data_param { source: "theirs_lmdb" batch_size: 16 backend: LMDB }
  annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.6 max_scale: 1 min_aspect_ratio: 0.5
      max_aspect_ratio: 2 } sample_constraint { min_jaccard_overlap: 0.1 }
      max_sample: 1 max_trials: 50 } label_map_file: "theirs.prototxt" } }
"""


def convolution(name, bottom, outputs, stride):
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 stride: {stride}
    weight_filler {{ type: "xavier" }} }} }}"""


def head(name, outputs):
    return f"""{convolution(name, "conv3", outputs, 1)}
layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}" top: "{name}_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "{name}_flat" type: "Flatten" bottom: "{name}_perm" top: "{name}_flat"
  flatten_param {{ axis: 1 }} }}"""


def relu(name):
    return f'layer {{ name: "{name}r" type: "ReLU" bottom: "{name}" top: "{name}" }}'


NET = "\n".join(
    [
        DATA,
        convolution("conv1", "data", 8, 2) + relu("conv1"),
        convolution("conv2", "conv1", 16, 2) + relu("conv2"),
        convolution("conv3", "conv2", 16, 1) + relu("conv3"),
        head("loc", 8),
        head("conf", 6),
        """
layer { name: "prior" type: "PriorBox" bottom: "conv3" bottom: "data" top: "prior"
  prior_box_param { min_size: 10 max_size: 18 clip: false
    variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" bottom: "label" top: "mbox_loss" include { phase: TRAIN }
  loss_param { normalization: VALID }
  multibox_loss_param { num_classes: 3 code_type: CENTER_SIZE neg_pos_ratio: 3 } }""",
    ]
)

TEST_DATA = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { scale: 0.0078125 mean_value: 104 mean_value: 117 mean_value: 123
    resize_param { prob: 1 resize_mode: WARP height: 32 width: 32 } }
  data_param { source: "/home/them/test_lmdb" batch_size: 8 backend: LMDB } }
"""
FOUND = """
layer { name: "shaped" type: "Reshape" bottom: "conf_flat" top: "shaped"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "chances" type: "Softmax" bottom: "shaped" top: "chances"
  softmax_param { axis: 2 } }
layer { name: "flat" type: "Flatten" bottom: "chances" top: "flat"
  flatten_param { axis: 1 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "flat"
  bottom: "prior" top: "detection_out" include { phase: TEST }
  detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.45 top_k: 40 }
    code_type: CENTER_SIZE keep_top_k: 20 confidence_threshold: 0.01 } }
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out"
  bottom: "label" top: "detection_eval" include { phase: TEST }
  detection_evaluate_param { num_classes: 3 overlap_threshold: 0.5
    evaluate_difficult_gt: false name_size_file: "data/VOC/test_name_size.txt" } }
"""


def scene(seed):
    """Return a grey picture with a box of a class's colour, and where it is."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(90, 140, (SIDE, SIDE, 3), dtype="uint8")
    label, (top, left) = int(rng.integers(1, 3)), rng.integers(0, 18, 2)
    height, width = rng.integers(10, 15, 2)
    rgb[top : top + height, left : left + width] = COLOURS[label - 1]
    corners = np.array([left, top, left + width, top + height]) / SIDE
    return rgb, [(label, [tuple(corners.tolist())])]


@pytest.mark.slow
def test_a_small_ssd_trains_from_its_solver_on_a_database(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    values = [annotated_datum(*scene(seed)) for seed in range(64)]
    database = write_lmdb(tmp_path / "db", values)
    training = from_solver(tmp_path / "solver.prototxt")
    assert isinstance(training.model.loss, MultiBoxLoss)
    data = layer_dataset(tmp_path / "net.prototxt", database, seed=1, repeat=True)
    losses = []
    after = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs=None: training.model.reset_metrics(),
        on_train_batch_end=lambda batch, logs: losses.append(float(logs["loss"])),
    )
    training.fit(data, callbacks=[after], verbose=0)
    assert len(losses) == 60 and np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


def write_all(folder):
    """Write a net for both phases, its solver, and a folder of data."""
    data = folder / "data"
    data.mkdir()
    (folder / "net.prototxt").write_text("\n".join([TEST_DATA, NET, FOUND]))
    solver = SOLVER.replace("max_iter: 60", "") + TESTS
    (folder / "solver.prototxt").write_text(solver)
    for name, seeds in (("theirs", range(64)), ("test", range(100, 124))):
        values = [annotated_datum(*scene(seed)) for seed in seeds]
        write_lmdb(data / f"{name}_lmdb", values)
    sizes = "".join(f"{i} {SIDE} {SIDE}\n" for i in range(24))
    (data / "test_name_size.txt").write_text(sizes)
    return data


@pytest.mark.slow
def test_an_ssd_learns_from_its_solver_and_its_tests_tell_how_much(tmp_path):
    data = write_all(tmp_path)
    training = from_solver(tmp_path / "solver.prototxt", data=data)
    images, rows = next(iter(training.data))
    y_pred = training.model.predict(images, verbose=0).astype("float64")
    offsets, scores, known = np.split(y_pred, [4, 7], axis=2)
    expected, _, _ = reference(
        rows.numpy().astype("float64"),
        offsets[:, :, None],
        scores,
        known[0, :, :4],
        known[0, :, 4:],
        code_type="center_size",
    )
    loss = training.model.evaluate(images, rows, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(expected, rel=1e-5)
    out = io.StringIO()
    log = training.log_lines(out, plain=True)
    history = training.fit(callbacks=[log], verbose=0).history
    assert [test.iteration for test in training.results] == [0, 50, 100, 150]
    (last,) = training.results[-1].outputs
    assert last.name == "detection_eval" and last.weight == 0
    assert history["val_detection_eval"][-1] == last.value > 0.8
    assert history["val_detection_eval"][0] < 0.2
    assert history["val_detection_eval/2"][-1] == last.by_class[1][1]
    lines = out.getvalue().splitlines()
    assert f"    Test net output #0: detection_eval = {last.value:g}" in lines
    assert f"class2: {last.by_class[1][1]:g}" in lines
    batches = detected(training, tmp_path, data)
    sizes = [(SIDE, SIDE)]
    mean, each = by_hand(batches, 3, "11point", False, sizes)
    assert last.value == pytest.approx(mean, rel=1e-5)
    assert dict(last.by_class) == pytest.approx(dict(enumerate(each, 1)), rel=1e-5)


def detected(training, folder, data):
    """Return batches of detections, by the net that is imported, and of objects."""
    path = folder / "net.caffemodel"
    net = folder / "net.prototxt"
    write_caffemodel(path, caffe_params(training.model), net=net)
    model = from_caffe(net, path, phase="TEST")
    batches = layer_dataset(net, data / "test_lmdb", phase="TEST")
    return [(model.predict(x, verbose=0), rows.numpy()) for x, rows in batches]


# Keras' own in PyTorch, which `pytest.warns` gives back as if it were ours.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_without_the_sizes_of_pictures_boxes_are_compared_as_fractions(tmp_path):
    data = write_all(tmp_path)
    (data / "test_name_size.txt").unlink()
    with pytest.warns(UserWarning, match="as fractions.*'test_name_size.txt'"):
        training = from_solver(tmp_path / "solver.prototxt", data=data)
    assert training.tests[0].net.outputs == ["detection_eval"]


@pytest.mark.slow
def test_ssd300_trains_and_is_tested_as_it_stands(tmp_path):
    """26 million parameters: half a minute, and 2 GB of memory."""
    solver = ssd300_files.SOLVER % {"test_iter": 2, "max_iter": 1}
    solver = solver.replace("test_interval: 10000", "test_interval: 1")
    (tmp_path / "solver.prototxt").write_text(solver)
    for phase, name in (("train", "trainval"), ("test", "test")):
        text = ssd300_files.net(phase, batch=2)
        (tmp_path / f"{phase}.prototxt").write_text(text)
        values = [annotated_datum(*noise(seed, (120, 160))) for seed in range(4)]
        write_lmdb(tmp_path / f"VOC0712_{name}_lmdb", values)
    sizes = "".join(f"{i:06} 120 160\n" for i in range(4))
    (tmp_path / "test_name_size.txt").write_text(sizes)
    training = from_solver(tmp_path / "solver.prototxt", data=tmp_path, seed=1)
    model = training.model
    assert model.count_params() == 26_285_486
    assert model.output_shape == (None, 8732, 4 + 21 + 8)
    assert training.optimizer.multipliers["conv1_1/bias"] == (2, 0)
    history = training.fit(verbose=0).history
    assert int(training.optimizer.iterations) == 1
    assert 10 < history["loss"][0] < 40
    (test,) = training.results
    assert [output.name for output in test.outputs] == ["detection_eval"]
    assert 0 <= test.outputs[0].value < 0.5
