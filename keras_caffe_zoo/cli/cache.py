"""Commands about the cache of published weights: install."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_install,):
        add(commands)


def _add_install(commands) -> None:
    parser = add_command(
        commands,
        "install",
        _install,
        "Put a file that you fetched by hand into the cache: a net's .caffemodel, its "
        "archive, or its mean .binaryproto.",
        example="install vgg_cnn_s VGG_CNN_S.caffemodel",
    )
    parser.add_argument("name", metavar="NAME", help="the net's name")
    parser.add_argument("file", type=Path, metavar="FILE")


def _install(arguments) -> None:
    from keras_caffe_zoo.weights import install

    print(f"Installed {install(arguments.name, arguments.file)}")
