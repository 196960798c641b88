"""The command that computes features: extract."""

from keras_caffe_zoo.cli._command import add_command
from keras_caffe_zoo.cli._pictures import (
    BAD_ARE_LISTED,
    EXIT_BAD_PICTURES,
    add_net,
    check_net,
    print_bad,
)


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "extract",
        _extract,
        "Run pictures through a net and write what it computes inside, a row for each "
        "picture. Interrupted and started again, it goes on where it was.",
        example="extract photos/ --model vgg_cnn_s --layer fc7 -o features.h5",
        more=BAD_ARE_LISTED,
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a folder, a picture, or a list: a text file with one path a line; or the "
        "URL of one, such as s3://bucket/photos",
    )
    add_net(parser)
    parser.add_argument(
        "--layer",
        action="append",
        required=True,
        dest="layers",
        metavar="NAME",
        help="a layer such as fc7; may be given several times",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT.h5|OUT.parquet",
        help="the file to write; with --engine ray the folder of Parquet shards",
    )
    _add_options(parser)


def _add_options(parser) -> None:
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="pictures that go through the net at once (default: %(default)s)",
    )
    parser.add_argument(
        "--crops",
        type=int,
        choices=(1, 10),
        default=1,
        help="the centre, or the average of Caffe's ten crops (default: %(default)s)",
    )
    parser.add_argument("--pool", choices=("mean",), help="average maps over the image")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="of what is written (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="this machine, or a Ray cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--address",
        help="where the Ray cluster is; if not given, --engine ray starts one here",
    )
    parser.add_argument(
        "--actors",
        type=int,
        metavar="N",
        help="how many nets Ray runs at once (default: one for two CPUs, or one a GPU)",
    )
    parser.add_argument(
        "--no-resume",
        action="store_true",
        help="begin anew, whatever earlier runs have left",
    )


def _extract(arguments) -> tuple[dict, int]:
    from keras_caffe_zoo.extraction import extract_features
    from keras_caffe_zoo.extraction.sources import join_sources

    check_net(arguments)
    options = {"address": arguments.address, "actors": arguments.actors}
    report = extract_features(
        arguments.model,
        join_sources(arguments.sources),
        arguments.layers,
        arguments.output,
        weights=arguments.weights,
        batch_size=arguments.batch_size,
        crops=arguments.crops,
        pool=arguments.pool,
        dtype=arguments.dtype,
        engine=arguments.engine,
        runtime=arguments.runtime,
        resume=not arguments.no_resume,
        progress=not arguments.json,
        **{name: value for name, value in options.items() if value is not None},
    )
    if not arguments.json:
        _print(report)
    return _as_dict(report), EXIT_BAD_PICTURES if report.bad else 0


def _print(report) -> None:
    print(f"{report.path}: {_counted(report.rows, 'row')}")
    for name, shape in report.shapes.items():
        print(f"  {name:<24} {' x '.join(map(str, shape))}")
    earlier = report.rows + len(report.bad) - report.computed
    if earlier:
        were = "was" if earlier == 1 else "were"
        print(f"{_counted(earlier, 'picture')} {were} there from earlier runs.")
    if report.computed:
        print(
            f"{_counted(report.computed, 'picture')} in {report.seconds:.1f} s: "
            f"{report.images_per_second:.1f} images/s"
        )
    print_bad([(name, reason) for _, name, reason in report.bad], "row")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _as_dict(report) -> dict:
    return {
        "output": str(report.path),
        "rows": report.rows,
        "layers": {name: list(shape) for name, shape in report.shapes.items()},
        "computed": report.computed,
        "seconds": report.seconds,
        "images_per_second": report.images_per_second,
        "bad": [bad._asdict() for bad in report.bad],
    }
