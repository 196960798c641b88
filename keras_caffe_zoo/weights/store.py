"""One HDF5 file of parameters in Keras layout, keyed by Caffe layer name.

    file["fc6/kernel"], file["fc6/bias"]       float32, with attribute crc32
    file["fc6"].attrs                          caffe_type, index, input_channels
    file["mean"]                               (H, W, 3) BGR, where one was given
    file["prototxt"]                           the net's structure as Caffe wrote it
    file.attrs                                 where all of it came from

A dense kernel's rows are in H, W, C order where the file tells how many channels the
flattened blob had (`input_channels`), else in Caffe's C, H, W order (0 channels).
Blobs of other kinds of layers are stored as they are: `file["bn1/blob0"]`.
"""

import contextlib
import os
import zlib
from pathlib import Path

import h5py
import numpy as np

from keras_caffe_zoo.caffe import Net, parse_prototxt, read_mean, read_net
from keras_caffe_zoo.caffe.hdf5 import DUMP_FORMAT as FORMAT
from keras_caffe_zoo.conversion.structure import flattened_channels, learned_blobs
from keras_caffe_zoo.files import check_file, replacing_path
from keras_caffe_zoo.progress import Progress
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.version import package_version
from keras_caffe_zoo.weights.integrity import sha256_of

FORMAT_VERSION = 1


def dump_caffe_weights(
    caffemodel: str | os.PathLike,
    output: str | os.PathLike,
    *,
    mean: str | os.PathLike | None = None,
    progress: bool = True,
) -> Path:
    """Convert a `.caffemodel` into one HDF5 file in Keras layout.

    Args:
        caffemodel: The file, of any version, or a `.caffemodel.h5`. Without the net's
            structure, dense kernels stay in Caffe's order.
        output: The HDF5 file to write; it appears whole or not at all.
        mean: A mean image (`.binaryproto`) to store with it.
        progress: Whether to show a progress bar.

    Returns:
        The path of the HDF5 file.

    Raises:
        CaffeFormatError: If an input is damaged or no Caffe file.
        ValueError: If no layer has parameters, or `output` is one of the inputs.
        OSError: If a file cannot be read or written.

    Example:
        >>> import h5py
        >>> kcz.to_caffe(kcz.mtcnn_r(weights=None), "r.prototxt", "r.caffemodel")
        >>> path = kcz.dump_caffe_weights("r.caffemodel", "r.h5", progress=False)
        >>> with h5py.File(path) as file:
        ...     file["conv1/kernel"].shape, file["prelu1"].attrs["caffe_type"]
        ((3, 3, 3, 28), 'PReLU')
    """
    caffemodel, output = Path(caffemodel), Path(output)
    if output.exists() and any(
        output.samefile(p) for p in (caffemodel, mean) if p and Path(p).exists()
    ):
        raise ValueError(f"Expected another file to write to; received: {output}")
    net = read_net(caffemodel)
    if not net.params:
        raise ValueError(
            f"Expected a caffemodel with parameters; received: {caffemodel}, in which "
            "no layer has any. A prototxt has none: pass the .caffemodel."
        )
    with replacing_path(output) as beside, h5py.File(beside, "w") as file:
        file.attrs.update(_provenance(caffemodel, net))
        file["prototxt"] = net.to_prototxt()
        if mean is not None:
            _write(file, "mean", np.moveaxis(read_mean(mean), 0, -1))
            file["mean"].attrs["source_file"] = Path(mean).name
        _write_layers(file, net, progress)
    return output


def _provenance(caffemodel: Path, net: Net) -> dict:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "source_file": caffemodel.name,
        "source_size": caffemodel.stat().st_size,
        "source_sha256": sha256_of(caffemodel),
        "caffe_format": net.version,
        "net_name": net.name,
        "converter": f"keras_caffe_zoo {package_version()}",
    }


def _write_layers(file: h5py.File, net: Net, progress: bool) -> None:
    layers = {layer.name: layer for layer in net.layers if layer.blobs}
    channels = flattened_channels(net)
    total = sum(blob.nbytes for layer in layers.values() for blob in layer.blobs)
    with contextlib.closing(Progress(total, "B", progress, scaled=True)) as line:
        for index, (name, layer) in enumerate(layers.items()):
            group = file.require_group(name)  # there already if "a/b" came before "a"
            group.attrs.update({"caffe_type": layer.type, "index": index})
            arrays = _keras_arrays(layer, channels.get(name, 0))
            if "kernel" in arrays and arrays["kernel"].ndim == 2:
                group.attrs["input_channels"] = channels.get(name, 0)
            for key, array in arrays.items():
                _write(group, key, array)
                line.advance(array.nbytes)


def _keras_arrays(layer, channels: int) -> dict[str, np.ndarray]:
    weight, *rest = learned_blobs(layer)
    rule = rule_of(layer.type)
    has_kernel = rule.has_kernel if rule else not layer.type  # a file without structure
    if not has_kernel or len(rest) > 1 or weight.ndim < 2:
        return {f"blob{i}": blob for i, blob in enumerate(layer.blobs)}
    if weight.ndim > 2:
        kernel = layout.conv_kernel(weight)
    else:
        kernel = layout.dense_kernel(weight, channels or 1)
    return {"kernel": kernel, **({"bias": rest[0]} if rest else {})}


def _write(group: h5py.Group, key: str, array: np.ndarray) -> None:
    array = np.ascontiguousarray(array, dtype="<f4")
    dataset = group.create_dataset(key, data=array)
    dataset.attrs["crc32"] = zlib.crc32(array)


class DamagedFileError(ValueError):
    """A file of weights is not what was once written."""


def _keys(group: h5py.Group) -> list[str]:
    """Return the names of a layer's arrays in order; HDF5 sorts them by alphabet.

    A layer `a` may have the group of a layer `a/b` beside its arrays.
    """
    keys = [key for key, item in group.items() if isinstance(item, h5py.Dataset)]
    return sorted(keys, key=("kernel", "bias", *map("blob{}".format, range(99))).index)


class StoredWeights:
    """A converted weight file, open for reading.

    Args:
        path: The HDF5 file that `dump_caffe_weights` wrote.

    Raises:
        ValueError: If it is another kind of HDF5 file, or damaged.

    Example:
        >>> from keras_caffe_zoo.weights import StoredWeights
        >>> kcz.to_caffe(kcz.mtcnn_r(weights=None), "r.prototxt", "r.caffemodel")
        >>> path = kcz.dump_caffe_weights("r.caffemodel", "r.h5", progress=False)
        >>> with StoredWeights(path) as stored:
        ...     stored.names[:2], stored.shapes("conv1")
        (['conv1', 'prelu1'], {'kernel': (3, 3, 3, 28), 'bias': (28,)})
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        check_file(path, "an HDF5 file of weights")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ValueError(
                f"Expected an HDF5 file; received: {path}, which is damaged or "
                f"something else ({error})."
            ) from error
        found = self._file.attrs.get("format"), self._file.attrs.get("format_version")
        if found != (FORMAT, FORMAT_VERSION):
            self._file.close()
            raise ValueError(
                "Expected an HDF5 file written by `keras-caffe-zoo dump` (format "
                f"version {FORMAT_VERSION}); received: {path} with format and version "
                f"{found}."
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    @property
    def net(self) -> Net:
        """The net's structure, without weights."""
        return parse_prototxt(self._file["prototxt"].asstr()[()], str(self.path))

    @property
    def names(self) -> list[str]:
        """Names of the layers with parameters, in Caffe's order."""
        found = []

        def visit(name, item):
            if isinstance(item, h5py.Group) and "caffe_type" in item.attrs:
                found.append((int(item.attrs["index"]), name))

        self._file.visititems(visit)
        return [name for _, name in sorted(found)]

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a layer's arrays as they are stored, by their names."""
        group = self._file[name]
        return {key: group[key].shape for key in _keys(group)}

    def arrays(self, name: str, channels: int) -> list[np.ndarray]:
        """Return a layer's kernel and bias in Keras layout.

        Args:
            name: Caffe's layer name.
            channels: How many channels the blob has that a dense layer flattens.

        Raises:
            ValueError: If the file is damaged, or was made for other channels.
        """
        group = self._file[name]
        arrays = [self._read(group[key]) for key in _keys(group)]
        stored = int(group.attrs.get("input_channels", channels)) or 1
        if stored != channels and 1 not in (stored, channels):
            raise ValueError(
                f"Expected a kernel for {channels} input channels for layer '{name}'; "
                f"received: one for {stored} channels, in {self.path}."
            )
        fits = arrays[0].shape[0] % channels == 0  # if not, the caller tells
        if (
            stored != channels and fits
        ):  # from one order of rows to the other, by Caffe's
            weight = layout.dense_weight(arrays[0], stored)
            arrays[0] = layout.dense_kernel(weight, channels)
        return arrays

    def _read(self, dataset: h5py.Dataset) -> np.ndarray:
        try:
            array = dataset[()]
        except OSError as error:
            raise self._damaged(dataset) from error
        if zlib.crc32(array) != int(dataset.attrs["crc32"]):
            raise self._damaged(dataset)
        return array

    def _damaged(self, dataset: h5py.Dataset) -> DamagedFileError:
        return DamagedFileError(
            f"Expected the weights that were stored; received: {self.path}, in which "
            f"{dataset.name} is damaged. Delete the file and convert it again."
        )
