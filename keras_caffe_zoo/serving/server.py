"""The server of the page, on this machine unless told otherwise."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import time
import webbrowser
from collections.abc import Iterable, Iterator

import keras

from keras_caffe_zoo.messages import say
from keras_caffe_zoo.serving.doors import Doors
from keras_caffe_zoo.serving.offers import offers
from keras_caffe_zoo.serving.page import Page, import_gradio, style, theme
from keras_caffe_zoo.serving.shelf import KEPT, Shelf
from keras_caffe_zoo.serving.uploads import MAX_BYTES

LOCAL = "127.0.0.1"
_PORTS = range(7860, 7960)
_LOCAL_NAMES = (LOCAL, "localhost", "::1", "[::1]")


def demo_app(
    nets: Iterable = (),
    *,
    mean=None,
    scale: float | None = None,
    preprocessing: str | None = None,
    labels=None,
):
    """Return the page that `serve` serves, as an app of Gradio, to put into others.

    Gradio's own bounds are all that guards it then, of which some hold only once it is
    launched: `serve` adds its own.

    Args:
        nets: As for `serve`, like the rest.
        mean: What nets of one's own subtract from pixels.
        scale: What they multiply the difference by.
        preprocessing: The net of the zoo whose pictures they take.
        labels: What their classes are called.

    Returns:
        A `gradio.Blocks`. The nets that were given are loaded, others when they are
        first chosen.

    Raises:
        ImportError: If Gradio is not installed; says how to install it.
        ValueError: As `serve`.
        OSError: As `serve`.

    Example:
        A net that the zoo does not have is told before any is loaded.

        >>> import keras_caffe_zoo as kcz
        >>> app = kcz.demo_app(["resnet_50"])
        Traceback (most recent call last):
            ...
        ValueError: ...Did you mean 'resnet50'...
    """
    own = {"mean": mean, "scale": scale, "preprocessing": preprocessing}
    own |= {"labels": labels}
    own = {name: value for name, value in own.items() if value is not None}
    is_one = isinstance(nets, str | os.PathLike | keras.Model)
    nets = [nets] if is_one else list(nets)
    known = offers(nets, **own)
    import_gradio()  # before the nets, which may have to be downloaded
    shelf = Shelf(known, max(KEPT, len(nets)))
    for offer in known[: len(nets)]:
        with shelf.using(offer.name):
            pass
    return Page(shelf).blocks


def serve(
    nets: Iterable = (),
    *,
    host: str = LOCAL,
    port: int | None = None,
    open_browser: bool = False,
    **own,
) -> None:
    """Serve a page on which to try nets with pictures, in a browser, until Ctrl-C.

        kcz.serve(["caffenet", "deploy.prototxt:net.caffemodel"], mean=[104, 117, 123])

    Drop a picture and choose a net: one that ships, one whose weights are in the cache,
    or one that is given here. The page has what the net says, with bars or boxes; where
    it sees a class; and the values inside. Nothing is downloaded but what is given by
    its name, nobody is told of the use, and the page asks no other machine. What is
    sent to it is deleted in the end, by Ctrl-C or SIGTERM.

    Args:
        nets: Names of the zoo's nets, which are downloaded if need be;
            `"NET.prototxt:NET.caffemodel"`; or models. One of these will do, too.
        host: The address that the server is reached by. With any but this machine's
            own, `"127.0.0.1"`, whoever reaches it may use it.
        port: The port; 0 for any, the first that is free from 7860 on if None.
        open_browser: Whether to open the page.
        **own: Of nets of one's own, as for `detect`: `mean`, `scale`, `preprocessing`
            and `labels`.

    Raises:
        ImportError: If Gradio is not installed; says how to install it.
        ValueError: If the zoo has no such net, none that is served, or a net of one's
            own does nothing that is.
        OSError: If a file cannot be read, or the port is taken.

    Example:
        A net that the zoo does not have is told before any is loaded.

        >>> import keras_caffe_zoo as kcz
        >>> kcz.serve(["resnet_50"])
        Traceback (most recent call last):
            ...
        ValueError: ...Did you mean 'resnet50'...
    """
    with served(nets, host=host, port=port, **own) as address:
        say(f"The page is at {address}; Ctrl-C ends it.")
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt), _ended_as_by_ctrl_c():
            while True:
                time.sleep(3600)  # which Ctrl-C interrupts on Windows, too
    say("The page is closed.")


@contextlib.contextmanager
def served(
    nets: Iterable = (), *, host: str = LOCAL, port: int | None = None, **own
) -> Iterator[str]:
    """Serve the page meanwhile, as `serve` does; yield its address."""
    with _sent_to_a_folder() as folder:
        app = demo_app(nets, **own)
        doors = _doors(folder, host)
        _, address, _ = app.launch(
            server_name=host,
            server_port=free_port(host, port),
            share=False,
            inline=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_BYTES,
            allowed_paths=[],
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            num_workers=0,
            app_kwargs={"middleware": [doors], "openapi_url": None},
            theme=theme(),
            css=style(),
        )
        try:
            yield address
        finally:
            app.close(verbose=False)


@contextlib.contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have what service managers send end the page, too: pictures would stay."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _sent_to_a_folder() -> Iterator[str]:
    """Have Gradio put what is sent into a folder of its own, which goes in the end."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="keras-caffe-zoo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def free_port(host: str, port: int | None = None) -> int:
    """Return a port that can be listened at.

    Args:
        host: The address.
        port: The port that is wanted; 0 for any, the first free one from 7860 on if
            None.

    Raises:
        ValueError: If there are no such ports.
        OSError: If it is taken, or may not be listened at.
    """
    if port is not None and not 0 <= port < 1 << 16:
        raise ValueError(f"Expected a port from 0 to 65535; received: port={port!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = host.strip("[]")
    wanted = _PORTS if port is None else [port]
    for one in wanted:
        try:
            with socket.create_server((address, one), family=family) as found:
                return found.getsockname()[1]
        except OSError as error:
            reason = error
    raise OSError(
        f"Expected a free port of {host}; received: {wanted[0]}, which cannot be "
        f"listened at ({reason.strerror or reason}). Choose another"
    ) from reason


def _doors(folder: str, host: str):
    """Return what guards the server, as Starlette's middleware."""
    from starlette.middleware import Middleware

    return Middleware(Doors, folder=folder, local_only=host in _LOCAL_NAMES)
