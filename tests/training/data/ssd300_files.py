"""SSD300 for VOC as its authors train and test it: solver, nets and their settings."""

BLOCKS = ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3))
EXTRAS = ((6, 256, 512, 2), (7, 128, 256, 2), (8, 128, 256, 1), (9, 128, 256, 1))
MAPS = ("conv4_3_norm", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2")
SIZES = (30, 60, 111, 162, 213, 264, 315)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
STEPS = (8, 16, 32, 64, 100, 300)
MEAN = "mean_value: 104 mean_value: 117 mean_value: 123"

SOLVER = """
train_net: "models/VGGNet/VOC0712/SSD_300x300/train.prototxt"
test_net: "models/VGGNet/VOC0712/SSD_300x300/test.prototxt"
test_iter: %(test_iter)d test_interval: 10000 base_lr: 0.001 display: 10
max_iter: %(max_iter)d
lr_policy: "multistep" gamma: 0.1 momentum: 0.9 weight_decay: 0.0005 snapshot: 80000
snapshot_prefix: "models/VGGNet/VOC0712/SSD_300x300/VGG_VOC0712_SSD_300x300"
solver_mode: GPU device_id: 0 debug_info: false snapshot_after_train: true
test_initialization: false average_loss: 10
stepvalue: 80000 stepvalue: 100000 stepvalue: 120000
iter_size: 1 type: "SGD" eval_type: "detection" ap_version: "11point"
"""

TRAIN_DATA = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { mirror: true MEAN
    resize_param { prob: 1 resize_mode: WARP height: 300 width: 300
      interp_mode: LINEAR interp_mode: AREA interp_mode: NEAREST
      interp_mode: CUBIC interp_mode: LANCZOS4 }
    emit_constraint { emit_type: CENTER }
    distort_param { brightness_prob: 0.5 brightness_delta: 32
      contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
      hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5
      saturation_upper: 1.5 random_order_prob: 0.0 }
    expand_param { prob: 0.5 max_expand_ratio: 4.0 } }
  data_param { source: "examples/VOC0712/VOC0712_trainval_lmdb" batch_size: BATCH
    backend: LMDB }
  annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 } SAMPLERS
    label_map_file: "data/VOC0712/labelmap_voc.prototxt" } }"""
TEST_DATA = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { MEAN resize_param { prob: 1 resize_mode: WARP height: 300
    width: 300 interp_mode: LINEAR } }
  data_param { source: "examples/VOC0712/VOC0712_test_lmdb" batch_size: BATCH
    backend: LMDB }
  annotated_data_param { batch_sampler { }
    label_map_file: "data/VOC0712/labelmap_voc.prototxt" } }"""
SAMPLER = """batch_sampler { sampler { min_scale: 0.3 max_scale: 1.0
  min_aspect_ratio: 0.5 max_aspect_ratio: 2.0 }
  sample_constraint { %s } max_sample: 1 max_trials: 50 }
"""
LOSS = """
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "mbox_loc" bottom: "mbox_conf"
  bottom: "mbox_priorbox" bottom: "label" top: "mbox_loss" include { phase: TRAIN }
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false
  loss_param { normalization: VALID }
  multibox_loss_param { loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX
    loc_weight: 1.0 num_classes: 21 share_location: true match_type: PER_PREDICTION
    overlap_threshold: 0.5 use_prior_for_matching: true background_label_id: 0
    use_difficult_gt: true neg_pos_ratio: 3.0 neg_overlap: 0.5
    code_type: CENTER_SIZE ignore_cross_boundary_bbox: false
    mining_type: MAX_NEGATIVE } }"""
FOUND = """
layer { name: "mbox_conf_reshape" type: "Reshape" bottom: "mbox_conf"
  top: "mbox_conf_reshape" reshape_param { shape { dim: 0 dim: -1 dim: 21 } } }
layer { name: "mbox_conf_softmax" type: "Softmax" bottom: "mbox_conf_reshape"
  top: "mbox_conf_softmax" softmax_param { axis: 2 } }
layer { name: "mbox_conf_flatten" type: "Flatten" bottom: "mbox_conf_softmax"
  top: "mbox_conf_flatten" flatten_param { axis: 1 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "mbox_loc"
  bottom: "mbox_conf_flatten" bottom: "mbox_priorbox" top: "detection_out"
  include { phase: TEST }
  detection_output_param { num_classes: 21 share_location: true background_label_id: 0
    nms_param { nms_threshold: 0.45 top_k: 400 }
    save_output_param { output_directory: "/home/x/results/VOC2007/SSD_300x300/Main"
      output_name_prefix: "comp4_det_test_" output_format: "VOC"
      label_map_file: "data/VOC0712/labelmap_voc.prototxt"
      name_size_file: "data/VOC0712/test_name_size.txt" num_test_image: 4952 }
    code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.01 } }
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out"
  bottom: "label" top: "detection_eval" include { phase: TEST }
  detection_evaluate_param { num_classes: 21 background_label_id: 0
    overlap_threshold: 0.5 evaluate_difficult_gt: false
    name_size_file: "data/VOC0712/test_name_size.txt" } }"""


def net(phase, batch):
    """Return the net of a phase; `batch` pictures at a time (32 and 8 in the files)."""
    limits = [f"min_jaccard_overlap: {x}" for x in (0.1, 0.3, 0.5, 0.7, 0.9)]
    samplers = "".join(SAMPLER % x for x in [*limits, "max_jaccard_overlap: 1.0"])
    data = TRAIN_DATA if phase == "train" else TEST_DATA
    data = data.replace("MEAN", MEAN).replace("BATCH", str(batch))
    lines = [f'name: "VGG_VOC0712_SSD_300x300_{phase}"']
    lines += [data.replace("SAMPLERS", samplers), *_base(), *_heads()]
    return "\n".join([*lines, LOSS if phase == "train" else FOUND])


def _base():
    bottom = "data"
    for block, filters, count in BLOCKS:
        for i in range(1, count + 1):
            yield _conv(f"conv{block}_{i}", bottom, filters, 3, "pad: 1")
            yield _relu(f"relu{block}_{i}", f"conv{block}_{i}")
            bottom = f"conv{block}_{i}"
        window = "kernel_size: 2 stride: 2"
        if block == 5:
            window = "kernel_size: 3 stride: 1 pad: 1"
        yield (
            f'layer {{ name: "pool{block}" type: "Pooling" bottom: "{bottom}" '
            f'top: "pool{block}" pooling_param {{ pool: MAX {window} }} }}'
        )
        bottom = f"pool{block}"
    yield _conv("fc6", bottom, 1024, 3, "pad: 6 dilation: 6") + _relu("relu6", "fc6")
    yield _conv("fc7", "fc6", 1024, 1) + _relu("relu7", "fc7")
    bottom = "fc7"
    for i, small, filters, stride in EXTRAS:
        narrow, wide = f"conv{i}_1", f"conv{i}_2"
        pad = 1 if stride == 2 else 0
        yield _conv(narrow, bottom, small, 1, "pad: 0 stride: 1")
        yield _relu(f"{narrow}_relu", narrow)
        yield _conv(wide, narrow, filters, 3, f"pad: {pad} stride: {stride}")
        yield _relu(f"{wide}_relu", wide)
        bottom = wide
    yield (
        'layer { name: "conv4_3_norm" type: "Normalize" bottom: "conv4_3" '
        'top: "conv4_3_norm" norm_param { across_spatial: false '
        'scale_filler { type: "constant" value: 20 } channel_shared: false } }'
    )


def _heads():
    for i, bottom in enumerate(MAPS):
        boxes = 2 + 2 * len(RATIOS[i])
        for kind, each in (("loc", 4), ("conf", 21)):
            name = f"{bottom}_mbox_{kind}"
            yield _conv(name, bottom, each * boxes, 3, "pad: 1 stride: 1")
            yield (
                f'layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}" '
                f'top: "{name}_perm" '
                "permute_param { order: 0 order: 2 order: 3 order: 1 } }"
                f'layer {{ name: "{name}_flat" type: "Flatten" bottom: "{name}_perm" '
                f'top: "{name}_flat" flatten_param {{ axis: 1 }} }}'
            )
        ratios = " ".join(f"aspect_ratio: {x}" for x in RATIOS[i])
        name = f"{bottom}_mbox_priorbox"
        yield (
            f'layer {{ name: "{name}" type: "PriorBox" bottom: "{bottom}" '
            f'bottom: "data" top: "{name}" prior_box_param {{ min_size: {SIZES[i]} '
            f"max_size: {SIZES[i + 1]} {ratios} flip: true clip: false variance: 0.1 "
            f"variance: 0.1 variance: 0.2 variance: 0.2 step: {STEPS[i]} "
            "offset: 0.5 } }"
        )
    for kind, end, axis in (
        ("loc", "_flat", 1),
        ("conf", "_flat", 1),
        ("priorbox", "", 2),
    ):
        bottoms = " ".join(f'bottom: "{name}_mbox_{kind}{end}"' for name in MAPS)
        yield (
            f'layer {{ name: "mbox_{kind}" type: "Concat" {bottoms} '
            f'top: "mbox_{kind}" concat_param {{ axis: {axis} }} }}'
        )


def _conv(name, bottom, filters, size, more=""):
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" '
        f'top: "{name}" param {{ lr_mult: 1 decay_mult: 1 }} '
        "param { lr_mult: 2 decay_mult: 0 } convolution_param { "
        f"num_output: {filters} kernel_size: {size} {more} "
        'weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0 } } }'
    )


def _relu(name, blob):
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{blob}" top: "{blob}" }}'
