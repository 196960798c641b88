"""Files behind URLs, through fsspec: buckets, web servers, other file systems."""

import os
import posixpath
from collections.abc import Iterator


def is_url(text) -> bool:
    """Return whether something is a URL, such as `s3://bucket/photos`."""
    return isinstance(text, str) and "://" in text


def file_system(path: str) -> tuple:
    """Return the fsspec file system of a URL or a local path, and the path in it.

    Raises:
        ImportError: If fsspec is missing, or the package for such URLs.
        ValueError: If there are no such URLs.
    """
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            f"Expected fsspec, which reads {path}; received: none. Install it: "
            'pip install "keras_caffe_zoo[ray]"'
        ) from error
    if "::" in path and is_url(path):
        raise ValueError(f"Expected one URL, not a chain of several; received: {path}")
    return fsspec.core.url_to_fs(path)


def read_url(url: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    files, path = file_system(url)
    return files.cat_file(path)


def files_below(url: str) -> Iterator[str] | None:
    """Return the paths of the files below a folder, relative to it; none is hidden.

    Web servers do not tell folders from files, so that theirs must end in `/`.

    Returns:
        None if it is no folder.
    """
    files, root = file_system(url)
    is_folder = url.endswith("/")
    if not is_folder and not url.startswith(("http://", "https://")):
        is_folder = files.isdir(root)
    if not is_folder:
        return None
    names = (path.removeprefix(root).lstrip("/") for path in files.find(root))
    return (name for name in names if "/." not in f"/{name}")


def parent(url: str) -> str:
    """Return the URL of the folder that a file is in."""
    return posixpath.dirname(url)


def joined(folder: str, name: str) -> str:
    """Return the URL of a file in a folder; its name may be a URL itself."""
    return name if is_url(name) else f"{folder.rstrip('/')}/{name}"


def absolute(path: str) -> str:
    """Return a path that holds in any working folder; URLs do anyway."""
    return path if is_url(path) else os.path.abspath(path)
