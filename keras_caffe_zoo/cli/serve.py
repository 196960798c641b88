"""The command that serves a page on which to try nets: serve."""

from keras_caffe_zoo.cli._command import add_command, mean_of
from keras_caffe_zoo.cli._tasks import add_labels, labels_of


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "serve",
        _serve,
        "Serve a page, on this machine, on which to try nets with pictures: what they "
        "say, where they see what, and the values inside.",
        example="serve --net caffenet --open",
        more="Nets that ship, and those whose weights are in the cache, can be chosen "
        'there. Needs pip install "keras_caffe_zoo[serve]". Ctrl-C ends it.',
    )
    parser.add_argument(
        "--net",
        action="append",
        default=[],
        metavar="NAME|PROTOTXT:CAFFEMODEL",
        help="a net to load first: one of the zoo, which is downloaded if need be, or "
        "one's own two files, as in deploy.prototxt:net.caffemodel; may be given "
        "several times",
    )
    parser.add_argument(
        "--mean",
        type=mean_of,
        metavar="B,G,R",
        help="of nets of one's own: what they subtract from each channel, as in "
        "104,117,123, or 0 for nothing, or the path of a .binaryproto",
    )
    parser.add_argument(
        "--scale", type=float, help="what they multiply the difference by"
    )
    parser.add_argument(
        "--preprocessing",
        metavar="NAME",
        help="the net of the zoo whose pictures they take, in place of both",
    )
    add_labels(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at; with any but this machine's own, whoever "
        "reaches it may use the page (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        help="the port to listen at, 0 for any (default: the first free one from 7860 "
        "on)",
    )
    parser.add_argument("--open", action="store_true", help="open the page, too")


def _serve(arguments) -> None:
    from keras_caffe_zoo.serving import serve

    serve(
        arguments.net,
        host=arguments.host,
        port=arguments.port,
        open_browser=arguments.open,
        mean=arguments.mean,
        scale=arguments.scale,
        preprocessing=arguments.preprocessing,
        labels=labels_of(arguments),
    )
