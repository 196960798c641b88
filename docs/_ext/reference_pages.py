"""The pages of the reference: every public name, in the order of a reader."""

from collections.abc import Iterator
from typing import NamedTuple

from public_names import PACKAGE, ROOMS, Public, public_names

from keras_caffe_zoo import list_models


class Page(NamedTuple):
    """A page of the reference.

    Attributes:
        title: Its heading.
        lead: A paragraph or two in reStructuredText.
        groups: Headings, and the names below each, in order, as they stand below the
            package.
        room: The room whose other public names end the page; `""` is the package,
            `None` for none.
    """

    title: str
    lead: str
    groups: dict[str, str]
    room: str | None = None


PAGES = {
    "tasks": Page(
        "What is in a picture",
        "A net's name or a model of your own, and a picture, a list of pictures or a "
        "folder: each function gives a result for each picture, in its own pixels.",
        {
            "Functions": "classify detect find_faces segment estimate_pose find_edges "
            "colorize",
            "Results": "Detections Faces Poses",
        },
    ),
    "models": Page(
        "Nets and pictures",
        "Which nets there are and what is known of them, what becomes of a picture "
        "before the first layer, and what the numbers behind the last one mean. The "
        "nets' builders stand in :doc:`the zoo </zoo/index>`, each on its own page.",
        {
            "The zoo": "list_models model_info model_card",
            "Before and behind a net": "load_image preprocess_input decode_predictions "
            "WeightsDownloadError",
        },
        "",
    ),
    "conversion": Page(
        "Any Caffe network",
        "From Caffe's files to a Keras model, from there to the files of other "
        "engines, and back to Caffe.",
        {
            "From Caffe": "from_caffe supported_layers detections inspect_file",
            "To other engines": "convert to_onnx fold",
            "Weights, and back to Caffe": "caffe_params set_caffe_params to_caffe",
            "Finding where numbers differ": "compare conversion.Comparison",
        },
        "conversion",
    ),
    "dense": Page(
        "Large images",
        "A classifier slid over an image of any size, with its numbers at each place.",
        {"Functions": "to_fully_convolutional predict_dense output_grid top_boxes"},
        "dense",
    ),
    "features": Page(
        "Features",
        "What a net says inside, for one picture or a million.",
        {"Functions": "feature_extractor extract_features"},
    ),
    "training": Page(
        "Training",
        "Caffe's solvers, losses, fillers and data with Keras' ``fit``. "
        ":doc:`/training` tells what was compared with Caffe, and what is different.",
        {
            "Solvers": "training.from_solver training.Training "
            "training.CaffeTrainingModel training.TestNet training.SolverLog "
            "training.read_log CaffeSnapshot",
            "Fine-tuning": "finetune training.interpolate_upsampling",
            "Optimizers": "training.CaffeSGD training.CaffeAdam training.CaffeAdaGrad "
            "training.CaffeAdaDelta training.CaffeRMSProp training.Multipliers "
            "training.LearningRatePolicy",
            "Losses": "training.SoftmaxWithLoss training.SigmoidCrossEntropyLoss "
            "training.EuclideanLoss training.HingeLoss training.ContrastiveLoss "
            "training.InfogainLoss training.MultinomialLogisticLoss "
            "training.SmoothL1Loss training.MultiBoxLoss training.SumLoss "
            "training.box_annotator_ohem training.box_targets training.joined_labels",
            "Measures": "training.Accuracy training.AccuracyPerClass "
            "training.DetectionEvaluation training.average_precision",
            "Data": "training.layer_dataset training.net_dataset "
            "training.image_dataset training.lmdb_dataset training.leveldb_dataset "
            "training.hdf5_dataset training.window_dataset "
            "training.segmentation_dataset training.annotated_dataset "
            "training.dataset_classes training.Transform training.BadRecords",
            "Pictures with boxes": "training.AnnotatedTransform "
            "training.AnnotatedPictures training.VOCPictures training.COCOPictures "
            "training.BatchSampler training.Distortion training.Fitting "
            "training.LabelMap training.read_label_map",
            "Fillers": "training.Xavier training.MSRA training.Bilinear "
            "training.Gaussian training.PositiveUnitball",
        },
        "training",
    ),
    "layers": Page(
        "Layers",
        "Keras layers with Caffe's arithmetic, for nets of your own. They run on "
        "TensorFlow, JAX and PyTorch. Which of Caffe's layers each one is, and its "
        "fields, :doc:`/caffe_to_keras` tells.",
        {
            "Convolutions and inner products": "CaffeConv2D layers.CaffeConvND "
            "layers.CaffeDeconv2D layers.CaffeInnerProduct layers.CaffeEmbed "
            "layers.CaffeIm2col",
            "Poolings": "CaffePool2D layers.CaffeMaxPool2DWithMask "
            "layers.CaffeStochasticPool2D layers.CaffeSPP layers.CaffeUnpool",
            "Normalization": "CaffeLRN layers.CaffeBatchNorm layers.CaffeScale "
            "layers.CaffeBias layers.CaffeMVN layers.CaffeNormalize "
            "layers.CaffeSegNetBN layers.CaffePSPNetBN",
            "Value by value": "layers.CaffeLeakyReLU layers.CaffeReLU6 "
            "layers.CaffeNegReLU layers.CaffeSELU layers.CaffeHardSigmoid "
            "layers.CaffeSwish layers.CaffePower layers.CaffeExp layers.CaffeLog "
            "layers.CaffeAbs layers.CaffeClip layers.CaffeThreshold "
            "layers.CaffeDropout",
            "Joining, cutting, reshaping": "layers.CaffeWeightedSum layers.CaffeAxpy "
            "layers.CaffeSlice layers.CaffeCrop layers.CaffeReshape "
            "layers.CaffeFlatten layers.CaffePermute layers.CaffeTile "
            "layers.CaffeShuffleChannel layers.CaffeReverse layers.CaffeReorg "
            "layers.CaffeReduction layers.CaffeArgMax layers.CaffeBatchReindex "
            "layers.CaffeConstant layers.CaffeParameter layers.CaffeSilence",
            "Sizes of maps": "layers.CaffeInterp layers.CaffeResample "
            "layers.CaffeDownsample",
            "Boxes": "layers.CaffePriorBox layers.CaffePriorBoxClustered "
            "layers.CaffeDetectionOutput layers.CaffeMultiBox layers.CaffeProposal "
            "layers.CaffeROIPooling layers.CaffePSROIPooling layers.CaffeROIAlign "
            "layers.CaffeYoloDetections layers.CaffeYolov3Detections",
            "Sequences": "layers.CaffeLSTM layers.CaffeRNN "
            "layers.CaffeCTCGreedyDecoder",
            "Optical flow": "layers.CaffeCorrelation layers.CaffeFlowWarp "
            "layers.CaffeChannelNorm layers.CaffeAccum layers.CaffeMean "
            "layers.CaffeSubtractMean",
        },
        "layers",
    ),
    "plots": Page(
        "Plots",
        "Pictures of what a net sees and of what is inside. Each function returns "
        "what it draws, and writes it where ``output`` says.",
        {},
        "plots",
    ),
    "rules": Page(
        "Rules: layers of your own",
        "A rule says everything that the package needs to know of a type of layer.",
        {"Rules": "register Rule Param Codec STORED Traits Window"},
        "rules",
    ),
    "files": Page(
        "Caffe's files",
        "Caffe's files read and written without Caffe. A damaged or hostile file "
        "raises an error that says where, and costs no more memory than it has bytes.",
        {
            "Weights": "read_caffemodel write_caffemodel dump_caffe_weights",
            "Means": "read_mean caffe.write_mean",
            "Solvers": "read_solverstate write_solverstate SolverState",
            "Errors": "CaffeFormatError",
        },
        "caffe",
    ),
}
_OTHERS = "More"
_CLASS = "   :members:\n   :show-inheritance:\n"


def reference_pages() -> dict[str, str]:
    """Return the pages as reStructuredText by their file's stem.

    Raises:
        ValueError: If a page names what is not public, or none has a public name.
    """
    found = {stem: list(_groups(page)) for stem, page in PAGES.items()}
    _check([one for groups in found.values() for _, names in groups for one in names])
    pages = {stem: _page(PAGES[stem], groups) for stem, groups in found.items()}
    return {"index": _index(), **pages}


def _groups(page: Page) -> Iterator[tuple[str, list[Public]]]:
    names = public_names()
    for title, listed in page.groups.items():
        paths = [f"{PACKAGE}.{one}" for one in listed.split()]
        if wrong := [path for path in paths if path not in names]:
            raise ValueError(f"Expected public names; received: {', '.join(wrong)}")
        yield title, [names[path] for path in paths]
    if others := _rest(page):
        yield (_OTHERS if page.groups else "Functions"), others


def _rest(page: Page) -> list[Public]:
    """Return the names of a page's room that no page lists."""
    if page.room is None:
        return []
    listed = {
        f"{PACKAGE}.{one}"
        for other in PAGES.values()
        for names in other.groups.values()
        for one in names.split()
    }
    builders = {f"{PACKAGE}.{name}" for name in list_models()}
    return [
        one
        for path, one in public_names().items()
        if one.room == page.room and path not in listed | builders
    ]


def _check(shown: list[Public]) -> None:
    """Check that each public name stands on one page."""
    paths = [one.path for one in shown]
    paths += [f"{PACKAGE}.{name}" for name in list_models()]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise ValueError(f"Expected each name on one page; twice: {', '.join(twice)}")
    if missing := sorted(set(public_names()) - set(paths)):
        raise ValueError(
            f"Expected a page for each public name; none for: {', '.join(missing)}. "
            f"Rooms are {ROOMS}"
        )


def _page(page: Page, groups: list[tuple[str, list[Public]]]) -> str:
    blocks = [_title(page.title, "="), page.lead]
    for title, names in groups:
        blocks += [_title(title, "-"), _summary(names)]
        blocks += [_entry(one) for one in names]
    return "\n\n".join(blocks) + "\n"


def _index() -> str:
    blocks = [
        _title("Reference", "="),
        "Every public name, by what it is for. ``import keras_caffe_zoo as kcz`` is "
        "what all examples begin with.",
        ".. toctree::\n   :maxdepth: 2\n\n" + "".join(f"   {stem}\n" for stem in PAGES),
        "* :ref:`All names by the alphabet <genindex>`\n"
        "* :doc:`The builders of all nets </zoo/index>`\n"
        "* :doc:`What Caffe's layers and pycaffe's calls are here </caffe_to_keras>`",
    ]
    return "\n\n".join(blocks) + "\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _summary(names: list[Public]) -> str:
    shown = "".join(f"   ~{one.path}\n" for one in names if one.kind != "data")
    return f".. autosummary::\n   :nosignatures:\n\n{shown}" if shown else ""


def _entry(one: Public) -> str:
    if one.kind == "data":
        return f".. py:data:: {one.path}\n   :type: {type(one.thing).__name__}\n"
    options = _CLASS if one.kind in ("class", "exception") else ""
    return f".. auto{one.kind}:: {one.path}\n{options}"
