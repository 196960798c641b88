"""A program of a user's, as mypy sees it: `tests/test_packaging.py` has it checked."""

from pathlib import Path

import numpy as np

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.layers import CaffeLRN


def look(folder: Path) -> list[str]:
    """Classify pictures, detect things, and tell of both."""
    model = kcz.caffenet(weights=None)
    image = kcz.load_image(folder / "photo.jpg", "caffenet")
    x = kcz.preprocess_input(image[None], "caffenet")
    scores = model.predict(x)
    (best,) = kcz.decode_predictions(scores, top=5)
    found = kcz.detect("mobilenet_ssd", folder / "street.jpg")
    names = [str(name) for name in found.names]
    return [str(best), *names, str(found.boxes.shape)]


def move(prototxt: Path, caffemodel: Path) -> dict[str, list[np.ndarray]]:
    """Read a net's files, and write them in other formats."""
    params = kcz.read_caffemodel(caffemodel)
    model = kcz.from_caffe(prototxt, caffemodel)
    kcz.to_caffe(model, "deploy.prototxt", "net.caffemodel")
    kcz.convert(kcz.fold(model), "net.onnx")
    try:
        net = parse_prototxt(prototxt.read_text())
    except kcz.CaffeFormatError as error:
        print(error)
    else:
        print([layer.type for layer in net.layers])
    return params


def train(solver: Path) -> float:
    """Train as a solver says, and with an optimizer and a loss of Caffe's."""
    training = kcz.training.from_solver(solver, data=solver.parent)
    training.fit(verbose=0)
    policy = kcz.training.LearningRatePolicy("step", 0.01, gamma=0.1, stepsize=100)
    model = kcz.finetune("caffenet", classes=2, weights=None)
    loss = kcz.training.SoftmaxWithLoss(ignore_label=255)
    model.compile(kcz.training.CaffeSGD(policy, momentum=0.9), loss)
    rows: list[kcz.training.Multipliers] = [kcz.training.Multipliers(2, 0)]
    return rows[0].lr_mult


def facts() -> str:
    """Tell what is known of the zoo's nets."""
    layer = CaffeLRN(local_size=5, alpha=1e-4, beta=0.75)
    info = kcz.model_info(kcz.list_models()[0])
    return f"{kcz.__version__}: {info.name}, {info.task}, {layer.name}"
