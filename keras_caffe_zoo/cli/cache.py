"""Commands about the cache of published weights: download, install, verify, remove."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_download, _add_install, _add_verify, _add_remove):
        add(commands)


def _add_download(commands) -> None:
    parser = add_command(
        commands,
        "download",
        _download,
        "Fetch the published weights of nets, and their mean images, verify them and "
        "put them into the cache. What is there already is read in full, and replaced "
        "if it is damaged.",
        example="download caffenet vgg_cnn_s",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a net's name")


def _download(arguments) -> None:
    from keras_caffe_zoo.weights import WeightsDownloadError

    failures = []
    for entry in _entries(arguments.names):
        try:
            _download_one(entry)
        except WeightsDownloadError as error:  # the others may still be had
            failures.append(f"{entry.name}: {error}")
    if failures:
        raise WeightsDownloadError("\n".join(failures))


def _entries(names):
    from keras_caffe_zoo.weights import model_entry

    return [model_entry(name) for name in dict.fromkeys(names)]


def _download_one(entry) -> None:
    from keras_caffe_zoo.weights import converted_weights

    print(f"{entry.name}: {_sized(converted_weights(entry.name, verify=True))}")
    if entry.mean and entry.mean.file:
        print(f"  {_fetch_mean(entry)}")


def _fetch_mean(entry) -> str:
    """Return where the mean image is, or what is subtracted without it."""
    from keras_caffe_zoo.weights import WeightsDownloadError, cached_mean, mean_image

    try:
        mean_image(entry.name, download=True)
        return f"mean: {cached_mean(entry.name)}"
    except WeightsDownloadError as error:
        means = entry.mean.channels or entry.mean.stand_in
        instead = f"; until then {means} are subtracted" if means else ""
        return f"Note: the net is ready, its mean image is missing{instead}. {error}"


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
    parser.add_argument("file", type=Path, metavar="FILE", help="it is only read")


def _install(arguments) -> None:
    from keras_caffe_zoo.weights import install, model_names

    name, file = arguments.name, str(arguments.file)
    if file in model_names() and name not in model_names():
        raise ValueError(
            "Expected the net's name first and the file second; received them the "
            f"other way round. Swap them: {file} {name}"
        )
    print(f"Installed {install(arguments.name, arguments.file)}")


def _add_verify(commands) -> None:
    parser = add_command(
        commands,
        "verify",
        _verify,
        "Read everything in the cache again and say which files are damaged. Exit "
        "status 1 if any is; it is replaced when it is next used, or by `download`.",
        example="verify",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a net's name; all nets if none"
    )


def _verify(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.weights import cache_dir, verify_cache

    damaged = count = 0
    for file in verify_cache(arguments.names or None):
        print(f"{'damaged' if file.damage else 'ok':<7}  {file.path}", flush=True)
        if file.damage:
            print(f"         {file.damage}")
        count, damaged = count + 1, damaged + bool(file.damage)
    print(f"{count} file{'s' * (count != 1)} in {cache_dir()}, {damaged} damaged.")
    return None, int(damaged > 0)


def _add_remove(commands) -> None:
    parser = add_command(
        commands,
        "remove",
        _remove,
        "Remove what the cache holds of nets: converted weights, the mean image if no "
        "other net there uses it, and what interrupted downloads left.",
        example="remove caffenet",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a net's name")


def _remove(arguments) -> None:
    from keras_caffe_zoo.weights import remove

    for entry in _entries(arguments.names):
        removal = remove(entry.name)
        for path, size in removal.freed:
            print(f"Removed {path} ({_megabytes(size)})")
        for path, reason in removal.kept:
            print(f"Kept {path}: {reason}")
        print(f"{entry.name}: freed {_megabytes(removal.bytes_freed)}")


def _sized(path: Path) -> str:
    return f"{path} ({_megabytes(path.stat().st_size)})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
