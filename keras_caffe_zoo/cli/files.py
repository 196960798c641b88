"""Commands about Caffe's files: dump."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_dump,):
        add(commands)


def _add_dump(commands) -> None:
    parser = add_command(
        commands,
        "dump",
        _dump,
        "Convert a .caffemodel into one HDF5 file of weights in Keras layout, keyed "
        "by Caffe's layer names.",
        example="dump VGG_CNN_S.caffemodel --mean VGG_mean.binaryproto -o vgg_cnn_s.h5",
    )
    parser.add_argument("caffemodel", type=Path, metavar="NET.caffemodel")
    parser.add_argument(
        "--mean", type=Path, metavar="MEAN.binaryproto", help="a mean image to store"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5")


def _dump(arguments) -> None:
    from keras_caffe_zoo.weights import StoredWeights, dump_caffe_weights

    path = dump_caffe_weights(
        arguments.caffemodel, arguments.output, mean=arguments.mean
    )
    print(f"{'layer':<32} {'array':<8} {'shape'}")
    with StoredWeights(path) as stored:
        for name in stored.names:
            for key, shape in stored.shapes(name).items():
                print(f"{name:<32.32} {key:<8} {' x '.join(map(str, shape))}")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
