"""A directory or a list of pictures as a net of the zoo wants them for training."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_caffe_zoo.files import check_exists
from keras_caffe_zoo.preprocessing import mean_for, resized_sides
from keras_caffe_zoo.preprocessing import resize as resize_to
from keras_caffe_zoo.training.data.pictures import (
    PictureFolders,
    PictureList,
    Pictures,
)
from keras_caffe_zoo.training.data.pipeline import record_dataset
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform
from keras_caffe_zoo.training.heads import classes_of
from keras_caffe_zoo.weights import entry_of, model_entry

_NAMED = 5  # folders, in an error


def image_dataset(
    source: str | os.PathLike,
    model: str | keras.Model,
    *,
    batch_size: int = 32,
    training: bool = True,
    shuffle: bool | None = None,
    mirror: bool | None = None,
    crop_size: int | None = None,
    resize: int | tuple[int, int] | None = None,
    mean=None,
    scale: float | None = None,
    seed: int = 0,
    repeat: bool = False,
    resume: keras.Model | None = None,
    bad_records: BadRecords | None = None,
    labels: Sequence[str] | None = None,
    root: str | os.PathLike | None = None,
):
    """Return pictures and labels as `fit` takes them, as Caffe trained this net.

    Pictures are resized by the net's own rule, as in `load_image`, then cropped, have
    the mean subtracted, are scaled and mirrored as `Transform` does it. They are
    decoded while the network trains, several at a time, in an order that depends on
    `seed` alone.

    One pass over the dataset is an epoch. With `resume`, a pass starts where the
    model's optimizer has got to, in the middle of an epoch too, and has as many batches
    as an epoch: their order, crops and mirrors are those that training without an
    interruption would have met. Pass the model from the start: `fit` with
    `keras.callbacks.BackupAndRestore` does the rest. (Keras does the epoch that was
    interrupted again in full length. To end after as many batches as without an
    interruption, save at the ends of epochs, or stop at a number of iterations.) Give
    the dataset to `fit` as it is: one made of it, by `map` or by a distribution
    strategy, is an error; `repeat()` is as `repeat=True`. Under mixed precision,
    batches that the optimizer skips for infinite gradients do not count. Without
    `resume` passes are counted, from epoch 0, and a look into the dataset is one too;
    on JAX and PyTorch Keras takes some.

    Args:
        source: A directory with one folder of pictures for each class, or the list
            file of Caffe's ImageData: a path, a space and a label on each line.
        model: A net's name, such as `"caffenet"`, or a Keras model. A model that has
            the name of a net of the zoo takes that net's resize rule, mean, scale and
            order of channels. Of a classifier there must be as many classes as it
            tells apart; give the net's name where labels do not matter.
        batch_size: Pictures in a batch; an epoch's last batch may be smaller.
        training: Whether to crop at random; in the middle otherwise.
        shuffle: Whether each epoch is shuffled anew; as `training` if None.
        mirror: Whether half of the pictures are mirrored; as `training` if None.
        crop_size: Side of the crop; the net's input size if None. Nets that take
            pictures whole crop none.
        resize: Height and width that pictures are squeezed to before the crop, instead
            of the net's rule. For a model that is no net of the zoo, the crop's if
            None: then there is nothing to choose for the crop.
        mean: The mean instead of the net's, BGR: values, an image `(H, W, 3)` of the
            size before the crop, or the path of a `.binaryproto`.
        scale: What the pictures are multiplied by, after the mean is subtracted; as
            the net was trained if None.
        seed: Chooses orders, crops and mirrors.
        repeat: Whether the dataset is endless, for `fit(steps_per_epoch=…)`. Batches
            then run over the end of an epoch, as Caffe's do.
        resume: The compiled model that is trained, to go on where it is; not for
            validation data, and not with Keras on JAX.
        bad_records: Where records that cannot be read are counted and named; without
            it the first of them is an error.
        labels: Names of a directory's folders in the order of their labels, such as
            `dataset_classes(directory)` of another directory, whether it has all of
            them or not; sorted if None.
        root: Folder of the pictures of a list file; that of the list if None.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(N, crop_size, crop_size, 3)`,
        as the net takes them, and int32 `(N,)`. `(…, 1)`, grey, for a model whose input
        is.

    Raises:
        ValueError: If an argument does not fit, the net's mean is not known, a
            classifier has not as many classes as there are, or a record is bad.
        OSError: If the source cannot be read.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (9, 9), (1, 2, 3)).save("red.png")
        >>> with open("train.txt", "w") as file:
        ...     _ = file.write("red.png 4")
        >>> x = keras.Input((8, 8, 3))
        >>> model = keras.Model(x, keras.layers.Flatten()(x))
        >>> data = kcz.training.image_dataset(
        ...     "train.txt", model, resize=9, mean=1, scale=0.5
        ... )
        >>> ((images, labels),) = data
        >>> tuple(images.shape), labels.numpy().tolist()
        ((1, 8, 8, 3), [4])
        >>> images.numpy()[0, 0, 0].tolist()  # BGR
        [1.0, 0.5, 0.0]
    """
    net = _net_of(model, crop_size)
    items = _items(source, labels, root)
    _check_classes(items, model)
    if resize is None and net.entry is None:
        resize = net.crop_size
    if isinstance(resize, int):
        resize = (resize, resize)
    transform = _transform(
        net,
        resize,
        crop_size=net.crop_size,
        mirror=training if mirror is None else mirror,
        mean=mean,
        scale=scale,
        phase="TRAIN" if training else "TEST",
    )
    return record_dataset(
        Pictures(items, _resizing(net, resize), net.gray),
        transform,
        batch_size=batch_size,
        shuffle=training if shuffle is None else shuffle,
        seed=seed,
        repeat=repeat,
        resume=resume,
        bad_records=bad_records,
    )


@dataclass(frozen=True)
class _Net:
    """What is known of a net: its entry in the manifest, if any, and its input."""

    entry: object | None
    crop_size: int | None
    gray: bool

    @property
    def colour_entry(self):
        """The entry, unless the model takes grey pictures and so is another net."""
        return None if self.gray else self.entry


def _net_of(model, crop_size: int | None) -> _Net:
    if isinstance(model, str):
        return _Net(model_entry(model), _crop(crop_size, model_entry(model)), False)
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3):
        raise ValueError(
            "Expected the name of a net, or a Keras model with one input of images "
            "(N, H, W, 3) or (N, H, W, 1), channels last; received: "
            f"{model!r} with input_shape={shape}"
        )
    entry, gray = entry_of(model.name), shape[3] == 1
    if None in shape[1:3]:
        return _Net(entry, _crop(crop_size, entry, model.name), gray)
    if entry and crop_size is None and shape[1:3] == entry.input_size:
        return _Net(entry, _crop(None, entry), gray)
    if shape[1] == shape[2] and crop_size in (None, shape[1]):
        return _Net(entry, shape[1], gray)
    raise ValueError(
        "Expected a model with square input, and its size as crop_size; received: "
        f"input_shape={shape}, crop_size={crop_size}"
    )


def _crop(given: int | None, entry, name: str = "") -> int | None:
    """Return the side of the crop; None where a net takes pictures whole."""
    if given is not None:
        return given
    if entry is None or entry.input_size is None:
        raise ValueError(
            f"Expected `crop_size=…` for {name or entry.name}, which takes pictures of "
            "any size; received: None"
        )
    whole = entry.resize is not None and entry.resize.rule == "to_input"
    return None if whole else entry.input_size[0]


def _items(source, labels, root):
    check_exists(
        source, "a folder with one folder of pictures for each class, or a list file"
    )
    if not os.path.isdir(source):
        if labels is not None:
            raise ValueError(
                "Expected `labels` for a directory alone, a list file has its own; "
                f"received: source={os.fspath(source)}, labels={labels!r}"
            )
        return PictureList(source, root)
    if root is not None:
        raise ValueError(
            "Expected `root` for a list file alone; received: the directory "
            f"{os.fspath(source)} and root={os.fspath(root)}"
        )
    return PictureFolders(source, labels)


def _check_classes(items, model) -> None:
    """Compare the classes that there are with those that a classifier tells apart.

    Raises:
        ValueError: If they are not as many.
    """
    count = None if isinstance(model, str) else classes_of(model)
    if count is None:
        return
    if isinstance(items, PictureList):
        largest = items.largest_label()
        if largest is not None and largest >= count:
            raise ValueError(
                f"Expected labels from 0 to {count - 1} for '{model.name}', which "
                f"tells {count} classes apart; received: {largest} in {items.source}"
            )
    elif len(items.classes) != count:
        raise ValueError(
            f"Expected {count} folders, one for each class of '{model.name}'; "
            f"received: {len(items.classes)} ({_some(items.classes)}) in {items.root}. "
            f"Make the model with classes={len(items.classes)}; or, where not every "
            "class has a folder here, name all of them, in their order, as `labels=`"
        )


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _resizing(net: _Net, size: tuple[int, int] | None):
    """Return the function that resizes a picture."""
    if size is not None:
        return functools.partial(resize_to, size=tuple(size))

    def by_rule(image):
        return resize_to(image, resized_sides(net.entry, image.shape))

    return by_rule


def _transform(net: _Net, size, *, mean, scale, **options):
    """Return the transform, with the net's mean and scale where none are given."""
    entry = net.colour_entry
    if scale is None:
        scale = entry.scale if entry else 1.0
    if mean is not None:
        transform = Transform(mean=mean, scale=scale, **options)
    elif entry is None:
        raise ValueError(
            "Expected `mean=…` for a model that has no name of a net of the zoo, BGR: "
            "values, an image (H, W, C) or the path of a .binaryproto (0 for none); "
            "received: None"
        )
    else:
        transform = _with_own_mean(net, size, scale, options)
    is_rgb = entry is not None and entry.channel_order == "RGB"
    return _InRGB(transform) if is_rgb else transform


def _with_own_mean(net: _Net, size, scale, options):
    entry = net.entry
    crop = (net.crop_size,) * 2 if net.crop_size else entry.input_size
    if entry.mean and entry.mean.kind == "image":
        mean = mean_for(entry, size or resized_sides(entry, (1, 1)))
        return Transform(mean=mean, scale=scale, **options)
    mean = mean_for(entry, crop)
    if mean.ndim == 1:
        return Transform(mean=mean, scale=scale, **options)
    return _MeanOfCrop(Transform(**options), mean, np.float32(scale))


@dataclass(frozen=True, eq=False)
class _InRGB:
    """A transform for a net that takes RGB: Caffe's own hands BGR on."""

    transform: object

    @property
    def crop_size(self):
        return self.transform.crop_size

    def __call__(self, image, position: int = 0, seed: int = 0) -> np.ndarray:
        return np.ascontiguousarray(self.transform(image, position, seed)[..., ::-1])


@dataclass(frozen=True, eq=False)
class _MeanOfCrop:
    """A transform whose mean image belongs to the net's input, after the crop.

    VGG_CNN and the ResNets published such means; Caffe's transformer has no place for
    them, so it is `preprocess_input` that is followed.
    """

    transform: Transform
    mean: np.ndarray
    scale: np.float32

    @property
    def crop_size(self):
        return self.transform.crop_size

    def __call__(self, image, position: int = 0, seed: int = 0) -> np.ndarray:
        out = self.transform(image, position, seed)
        out -= self.mean
        out *= self.scale
        return out
