"""A small SSD trains from its solver on a database, by the layers of its own net."""

import keras
import numpy as np
import pytest
from annotated_files import annotated_datum
from data_files import write_lmdb

from keras_caffe_zoo.training import MultiBoxLoss, from_solver, layer_dataset

SIDE, COLOURS = 32, np.array([[220, 40, 40], [40, 60, 220]], "uint8")
SOLVER = """net: "net.prototxt" base_lr: 0.002 lr_policy: "fixed" max_iter: 60
  type: "Adam" momentum: 0.9 momentum2: 0.999 random_seed: 1"""
DATA = """layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
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
  bottom: "prior" bottom: "label" top: "mbox_loss"
  loss_param { normalization: VALID }
  multibox_loss_param { num_classes: 3 code_type: CENTER_SIZE neg_pos_ratio: 3 } }""",
    ]
)


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
