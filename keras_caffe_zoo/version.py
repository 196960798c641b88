"""The package's version, as it is written into files."""

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Return this package's version, or "unknown" where it is not installed."""
    try:
        return version("keras_caffe_zoo")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


__version__ = package_version()
