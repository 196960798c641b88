"""`extract_features`: a vector per picture, for one picture or a million."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_caffe_zoo.extraction import local, ray_engine
from keras_caffe_zoo.extraction.output import format_of, to_file, to_memory
from keras_caffe_zoo.extraction.report import Features
from keras_caffe_zoo.extraction.sources import open_source
from keras_caffe_zoo.extraction.spec import Spec
from keras_caffe_zoo.extraction.urls import is_url
from keras_caffe_zoo.extraction.worker import BlockWorker
from keras_caffe_zoo.files import check_folder
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.pictures import silent_pillow
from keras_caffe_zoo.progress import Progress

ENGINES = {"local": (), "ray": ("address", "actors")}  # and their options


def extract_features(
    model: str | keras.Model,
    source,
    layers: str | Sequence[str],
    out: str | os.PathLike | None = None,
    *,
    weights: str | os.PathLike | None = "caffe",
    batch_size: int = 32,
    crops: int = 1,
    pool: str | None = None,
    dtype: str = "float32",
    preprocess: str | Callable | None = None,
    mean: Any = None,
    engine: str = "local",
    runtime: str = "keras",
    resume: bool = True,
    progress: bool = True,
    block_size: int | None = None,
    **options,
) -> Features:
    """Run pictures through a net and keep what it computes inside.

    Rows are in the source's order. A picture that cannot be read (damaged, truncated,
    a decompression bomb) has no row; it is named in the report.

    What is computed is kept in the folder `OUT.parts` block by block, so that a run
    that was interrupted in whatever way goes on where it was when it is started again.
    When all is done, the one file `out` appears and the folder goes. If `out` is there
    already with the same features of the same pictures, nothing is computed; pictures
    that were added at the end of the source are appended. Pictures are told by their
    names: one that was replaced under its old name is not noticed.

    Args:
        model: The name of a net of the zoo, or any Keras model with one input. One with
            the name of a net of the zoo is fed like it. What runs is its twin of
            `fold`, whose values are the model's to float32 rounding (1e-5 of the
            largest).
        source: A folder, a picture, a list of paths as a text file, an iterable of
            paths and RGB uint8 arrays (H, W, 3), or a `tf.data.Dataset` of such arrays.
            Arrays are resized and cropped like pictures, but for those that have the
            size of the net's input already.
        layers: Names of layers, as for `feature_extractor`.
        out: The file to write, `.h5` (or `.hdf5`) or `.parquet`; None for arrays in
            memory.
        weights: For the builder, where `model` is a name.
        batch_size: Pictures, or crops of them, that go through the net at once.
        crops: 1 for the centre, or 10: the features are averaged over Caffe's ten.
        pool: `"mean"` to average maps (H, W, C) over H and W; None to keep them.
        dtype: `"float32"` or `"float16"`, of what is kept.
        preprocess: The name of the net of the zoo whose rule makes the inputs; or a
            function of an RGB uint8 array (H, W, 3) that returns the model's input.
            Needed for a model of one's own.
        mean: As for `preprocess_input`.
        engine: `"local"`, or `"ray"` for a cluster, whose actors write the parts of
            `out`, which becomes a folder of Parquet files. Paths must be the same on
            all its machines.
        runtime: What computes the net on each machine: `"keras"`, `"onnxruntime"` or
            `"openvino"`, to the same numbers. The latter are for nets of Caffe's kinds
            of layers, on processors.
        resume: False to begin anew, whatever is there.
        progress: Whether to show a line of progress, on stderr.
        block_size: Pictures in a block; chosen by the size of a row if not given.
        **options: For Ray: `address` of a cluster, a Ray on this machine that ends
            with the call if not given; `actors`, how many nets work at once, one a
            GPU or one for two CPUs if not given.

    Returns:
        How many rows there are, which pictures are bad, and the path of the file or
        the arrays by layer: see `Features`.

    Raises:
        ValueError: If the arguments do not fit; if the source holds no picture; if
            `out` or what was begun of it is of another model, layer, weights,
            preprocessing, runtime or source (says which); if the runtime cannot run
            the net (names the layers).
        ImportError: If the runtime is not installed.
        RuntimeError: If another process writes the same file.
        FileNotFoundError: If there is no folder for `out`.
        OSError: If the disk is full. What was computed stays and counts.

    Example:
        >>> model = kcz.squeezenet_v1_1(weights=None)
        >>> pictures = [np.zeros((300, 400, 3), "uint8")] * 2
        >>> found = kcz.extract_features(
        ...     model, pictures, "fire9/concat", pool="mean", mean=(104, 117, 123),
        ...     progress=False,
        ... )
        >>> found.rows, found.shapes, found.values["fire9/concat"].shape
        (2, {'fire9/concat': (512,)}, (2, 512))
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    how = (batch_size, crops, pool, dtype, preprocess, mean, runtime)
    spec = Spec(model, names, weights, *how)
    write = _engine(engine, out, options)
    if out is not None:
        format_of(out).check_layers(names)
        if not is_url(out):
            check_folder(out)
    pictures = open_source(source)
    worker = BlockWorker(spec)
    size = block_size or _block_size(worker, pictures.in_memory)
    bar = Progress(pictures.total, enabled=progress)
    started = time.perf_counter()
    # Around all threads, since no thread can silence what Pillow warns of by itself.
    with silent_pillow(), contextlib.closing(bar):
        report = write(pictures, worker, size, resume, bar)
    seconds = time.perf_counter() - started
    return replace(report, computed=bar.computed, seconds=seconds)


def _engine(name: str, out, options: dict) -> Callable:
    """Return what writes a source's features, wherever it computes them."""
    if name not in ENGINES:
        raise ValueError(
            f"Expected an engine that there is; received: engine={name!r}. "
            f"{there_are(ENGINES, str(name))}"
        )
    if unknown := options.keys() - ENGINES[name]:
        raise TypeError(f"extract_features has no argument {unknown.pop()!r}")
    if name == "local":
        return partial(_locally, out)
    ray_engine.check(out, **options)
    return partial(ray_engine.to_shards, out, **options)


def _locally(out, source, worker, size: int, resume: bool, bar: Progress) -> Features:
    def compute(tasks):
        return local.compute(worker, tasks, bar.advance)

    if out is None:
        return to_memory(source, compute, size)
    return to_file(Path(out), source, worker, compute, size, resume, bar)


def _block_size(worker: BlockWorker, in_memory: bool) -> int:
    """Return as many pictures as give a part of at most 64 MB, 256 for vectors.

    Fewer where a block's pictures are arrays, since all of them are held.
    """
    values = [math.prod(side or 1 for side in s) for s in worker.shapes.values()]
    size = 32 if in_memory else 256
    while size > 16 and size * sum(values) * 4 > 64e6:
        size //= 2
    return size
