"""The command in a shell: pipes that nobody reads, Ctrl-C, typing mistakes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import GOLDENS

import keras_caffe_zoo
from keras_caffe_zoo import cli
from keras_caffe_zoo.conversion import formats

DEMO = Path(keras_caffe_zoo.__file__).parent / "data" / "demo"
NET = [str(GOLDENS / f"format_v2.{suffix}") for suffix in ("prototxt", "caffemodel")]
COMMAND = "import sys; from _keras_caffe_zoo_command import main; sys.exit(main())"
INTERRUPTED = "keras-caffe-zoo: interrupted\n"

# Presses Ctrl-C when a module is looked for; what is imported may swallow errors.
PRESSED = """
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
wanted = sys.argv.pop(1)
class Presser:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException as error:
                if "tensorflow" not in wanted:
                    raise
                raise ImportError("initialization failed") from None
sys.meta_path.insert(0, Presser())
"""


def started(*words, code=COMMAND, **pipes):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], **pipes)


def ended(*words, **more):
    """Return the status, and what was said on both streams, once it has ended."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with started(*words, **pipes, **more) as process:
        shown, said = process.communicate()
    return process.returncode, shown, said


def unread(*words, stream="stdout", **more):
    """Return the status, and what the other stream has, where nobody reads one."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(*words, **pipes, **more) as process:
        getattr(process, stream).close()
        other = process.stderr if stream == "stdout" else process.stdout
        said = other.read()
    return process.returncode, said


def test_help_ends_quietly_where_nobody_reads_it():
    assert unread("--help") == (cli.EXIT_NO_READER, b"")


@pytest.mark.slow
def test_an_error_ends_quietly_where_nobody_reads_it():
    found = unread("inspect", "none.prototxt", stream="stderr")
    assert found == (cli.EXIT_NO_READER, b"")


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--print-completion", "bash"],
        ["classify", "--help"],
        ["list"],
        ["card", "--all"],
        ["card", "vgg16", "--json"],
        ["inspect", *NET[:1]],
        ["inspect", *NET[:1], "--json"],
        ["verify"],
        ["view", NET[0], "-o", "net.html"],
        ["dump", NET[1], "-o", "net.h5"],
        ["demo"],
    ],
)
def test_every_command_ends_quietly_where_nobody_reads_it(words, unbuffered, tmp_path):
    home = {"KERAS_CAFFE_ZOO_HOME": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    found = unread(*words, cwd=tmp_path, env=os.environ | home)
    assert found == (cli.EXIT_NO_READER, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["clasify"], ["list", "--task", "no"], ["card"], ["demo", "-o", "file"]]
)
def test_every_error_ends_quietly_where_nobody_reads_it(words, tmp_path):
    (tmp_path / "file").touch()
    found = unread(*words, stream="stderr", cwd=tmp_path)
    assert found == (cli.EXIT_NO_READER, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk_is_one_message():
    with open("/dev/full", "w") as full:
        pipes = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        with started("--version", **pipes) as process:
            said = process.stderr.read()
    assert process.returncode == cli.EXIT_ERROR
    assert re.fullmatch(r"keras-caffe-zoo: error: .*No space left.*\n", said)


def test_a_closed_stdout_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["list", "--task", "pose"]) == 0


def pressed(module, *words, **more):
    return ended(module, *words, code=PRESSED + COMMAND, **more)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("argparse", ["--help"]),
        ("tensorflow", ["convert", *NET, "-o", "net.keras"]),
    ],
)
def test_ctrl_c_at_the_start_is_one_line(module, words, tmp_path):
    found = pressed(module, *words, cwd=tmp_path)
    assert found == (cli.EXIT_INTERRUPTED, "", INTERRUPTED)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["keras_caffe_zoo", "keras_caffe_zoo.cli", "lazy_loader", "keras", "h5py"]
)
def test_ctrl_c_in_any_import_is_one_line(module, tmp_path):
    found = pressed(module, "convert", *NET, "-o", "net.keras", cwd=tmp_path)
    assert found == (cli.EXIT_INTERRUPTED, "", INTERRUPTED)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [x / 10 for x in range(2, 80, 6)])
def test_ctrl_c_at_any_moment_is_one_line(moment, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with started("demo", cwd=tmp_path, **pipes) as process:
        time.sleep(moment)
        process.send_signal(2)
        shown, said = process.communicate()
    if said:
        assert (process.returncode, said) == (cli.EXIT_INTERRUPTED, INTERRUPTED)
    else:
        # All was done. Python takes its handlers back while it takes itself down, so
        # that Ctrl-C ends it as it ends any program.
        assert process.returncode in (0, -signal.SIGINT)
        assert shown.endswith("keras-caffe-zoo inspect net.prototxt\n")


@pytest.mark.slow
def test_ctrl_c_at_the_end_is_one_line():
    late = "import atexit, signal; atexit.register(signal.raise_signal, 2); "
    status, _, said = ended("list", "--task", "pose", code=late + COMMAND)
    assert (status, said) == (cli.EXIT_INTERRUPTED, INTERRUPTED)


DONE = """
import signal, sys
import _keras_caffe_zoo_command as command
from keras_caffe_zoo import cli
def at(frame, event, _):
    # The first line of the command's own once all is done.
    if event == "line" and frame.f_code is command.main.__code__ and done:
        sys.settrace(None)
        frame.f_trace = None
        signal.raise_signal(2)
    return at
done = []
cli.main = lambda argv=None: done.append(True) or 0
sys.settrace(at)
sys.exit(command.main())
"""


def test_ctrl_c_once_all_is_done_is_one_line():
    assert ended("list", code=DONE) == (cli.EXIT_INTERRUPTED, "", INTERRUPTED)


def test_python_does_not_look_through_tensorflow_at_its_end():
    late = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count())); "
    _, shown, _ = ended("list", "--task", "pose", code=late + COMMAND)
    assert int(shown.splitlines()[-1]) > 10_000


SWALLOWED = """
import time
from keras_caffe_zoo import cli
class Dying:
    def __del__(self):
        raise KeyboardInterrupt
def work(argv=None):
    Dying()  # Python can raise nothing where this ends
    time.sleep(20)
cli.main = work
"""


def test_ctrl_c_that_python_swallows_comes_again():
    start = time.monotonic()
    status, _, said = ended("list", code=SWALLOWED + COMMAND)
    assert (status, said) == (cli.EXIT_INTERRUPTED, INTERRUPTED)
    assert time.monotonic() - start < 15


def test_ctrl_c_while_the_words_are_read_is_one_line(capsys, monkeypatch):
    def press():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", press)
    assert cli.main(["list"]) == cli.EXIT_INTERRUPTED
    assert capsys.readouterr().err == INTERRUPTED


def refused(capsys, *words):
    """Return what is said of words that argparse refuses."""
    with pytest.raises(SystemExit, match="2"):
        cli.main([*map(str, words)])
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["clasify"], "'classify'"),
        (["find_faces"], "'find-faces'"),
        (["Classify"], "'classify'"),
        (["classify", "a.jpg", "--modle", "caffenet"], "'--model'"),
        (["list", "--tsak", "pose"], "'--task'"),
        (["classify", "a.jpg", "--model", "vgg16", "--runtime", "onnx"], "onnxruntime"),
        (
            [
                "extract",
                "a",
                *["--model", "b", "--layer", "c", "-o", "d.h5", "--engine", "rai"],
            ],
            "'ray'",
        ),
    ],
)
def test_a_word_that_is_mistyped_is_told(words, meant, capsys):
    said = refused(capsys, *words)
    assert f"Did you mean {meant}" in said or f"Did you mean '{meant}'" in said
    assert len(said) < 400 and "usage" not in said


def test_other_words_are_refused_without_a_guess(capsys):
    assert "Did you mean" not in refused(capsys, "qqqq")
    assert "unrecognized arguments: --qqqq" in refused(capsys, "list", "--qqqq")
    assert "Did you mean" not in refused(capsys, "inspect", "--phase")  # not --help


def test_what_is_required_is_what_help_shows(capsys):
    assert "are required: FILE\n" in refused(capsys, "inspect")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["list", "--task", "detecting"], "detection"),
        (["card", "caffenett"], "caffenet"),
        (["download", "SqueezeNet"], "squeezenet_v1_1"),
        (["remove", "ResNet-50"], "resnet50"),
        (["heatmap", "a.jpg", "--model", "vgg61"], "vgg16"),
        (["heatmap", "a.jpg", "--model", "vgg16", "--class", "taby"], "tabby"),
    ],
)
def test_a_name_that_is_mistyped_is_told(words, meant, capsys):
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert "Did you mean" in said and f"'{meant}'" in said.split("There are")[0]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("squeezenet", "squeezenet_v1_1"),
        ("caffenett", "caffenet"),
        ("ResNet50", "resnet50"),
        ("from_cafe", "from_caffe"),
    ],
)
def test_attributes_of_the_package_are_guessed(name, meant):
    assert not hasattr(keras_caffe_zoo, name)
    with pytest.raises(AttributeError, match=f"Did you mean .*'{meant}'") as caught:
        getattr(keras_caffe_zoo, name)
    assert caught.value.name == name
    assert not hasattr(keras_caffe_zoo, "__wrapped__")


def test_guessing_imports_nothing():
    code = """import sys, keras_caffe_zoo
before = set(sys.modules)
assert not hasattr(keras_caffe_zoo, "caffenett")
sys.exit(bool(set(sys.modules) - before))"""
    assert started(code=code).wait() == 0


def told_of(name, capsys):
    assert cli.main(["heatmap", "a.jpg", "--model", "vgg16", "--class", name]) == 2
    return capsys.readouterr().err


def test_whole_words_are_meant_before_parts(capsys):
    cats = told_of("cat", capsys)
    assert "281 tabby, tabby cat; 282 tiger cat; " in cats
    assert "catesbeiana" not in cats and "catamaran" not in cats
    assert cats.rstrip().endswith("Give a whole name, or a number")


def test_classes_that_are_not_listed_are_counted(capsys):
    terriers = told_of("terrier", capsys)
    assert terriers.count(";") == 9 and "; … (24 in all)" in terriers


def test_a_name_of_two_classes_is_no_choice(capsys):
    assert "134 crane; 517 crane" in told_of("crane", capsys)


MTCNN = ["--model", "mtcnn_r", "--weights"]
BY = "other way round. Swap them"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with a small net of the zoo, as Caffe's files and as Keras'."""
    folder = tmp_path_factory.mktemp("small")
    model = keras_caffe_zoo.mtcnn_r(weights=None)
    keras_caffe_zoo.to_caffe(model, folder / "r.prototxt", folder / "r.caffemodel")
    model.save(folder / "r.keras")
    return folder


def converted(*words):
    return cli.main(["convert", *map(str, words)])


@pytest.mark.parametrize(
    "name", ["n.onnx", pytest.param("n.h5", marks=pytest.mark.slow)]
)
def test_a_net_of_the_zoo_is_converted(name, small, tmp_path, capsys):
    file = tmp_path / name
    check = ["--check"] if name == "n.onnx" else []
    assert converted(*MTCNN, small / "r.caffemodel", "-o", file, *check) == 0
    assert "100,178 parameters" in capsys.readouterr().out and file.stat().st_size


@pytest.mark.slow
def test_a_file_of_keras_is_converted(small, tmp_path, capsys):
    words = "--preprocessing", "--mean", "127", "--check"
    assert converted(small / "r.keras", "-o", tmp_path / "n.onnx", *words) == 0
    assert "ONNX Runtime: largest difference" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n.xml", "n.keras", "n.tflite", "n/"])
def test_every_format_has_every_source(name, small, tmp_path):
    to = ["-o", f"{tmp_path}/{name}", "--check"]
    assert converted(*MTCNN, small / "r.caffemodel", *to) == 0
    assert converted(small / "r.keras", *to) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "NET.prototxt and NET.caffemodel, --model NAME"),
        (["r.prototxt"], "received: r.prototxt alone"),
        (["vgg16"], "--model vgg16"),
        (["--model", "caffenett"], "Did you mean 'caffenet'"),
        ([*NET, "--model", "vgg16"], "received: --model vgg16 and also"),
        ([*NET, "--weights", "a.caffemodel"], "--weights with --model"),
        (["--model", "vgg16", "--ignore-field", "x"], "Expected no --ignore-field"),
    ],
)
def test_what_is_no_source_is_refused(words, said, tmp_path, capsys):
    assert converted(*words, "-o", tmp_path / "n.onnx") == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("n.pb", [".onnx", ".xml", ".tflite", ".keras", ".h5", "in / for"]),
        ("nothing", [".onnx", ".xml", ".tflite", ".keras", ".h5", "in / for"]),
        ("openvino/", [".onnx", "SavedModel. For OpenVINO", "such as net.xml"]),
        ("my-onnx/", [".xml", "For ONNX", "such as net.onnx"]),
        ("net.onnx/", ["For ONNX"]),
        ("out/", ["new folder", "out/net.onnx"]),
        ("out", [".xml", "Name a file in it, such as out/net.onnx"]),
    ],
)
def test_names_that_say_no_format_are_told_which_do(
    name, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert converted(*NET, "-o", name) == 2
    error = capsys.readouterr().err
    assert all(text in error for text in said)
    assert [x.name for x in tmp_path.rglob("*")] == ["out"]


def test_a_table_has_all_formats_and_no_others(capsys):
    with pytest.raises(SystemExit, match="0"):
        converted("--help")
    _, table = capsys.readouterr().out.split("the formats, by")
    told = re.findall(r"^  NET(\S+)", table, re.M)
    assert sorted(told) == sorted(formats.ENDINGS)
    for ending in set(told) - {formats.WEIGHTS}:
        assert formats.form_of(f"n{ending}") == ending
    with pytest.raises(ValueError, match=r"ends in (?!.*\.h5, or)"):
        formats.form_of("n.h5")  # which Python's convert does not write
    assert formats.form_of("h5/") == formats.FOLDER  # nor can be meant there


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("convert r.caffemodel r.prototxt -o n.onnx", BY),
        ("convert r.caffemodel r.prototxt -o n.keras --check", BY),
        ("compare r.caffemodel r.prototxt x.npz", BY),
        ("view r.caffemodel r.prototxt", BY),
        ("classify a.jpg --model r.caffemodel --weights r.prototxt", BY),
        ("detect a.jpg --model r.caffemodel --weights r.prototxt", BY),
        ("heatmap a.jpg --model r.caffemodel --weights r.prototxt", BY),
        ("extract . --model r.caffemodel --weights r.prototxt --layer a -o a.h5", BY),
        ("install r.caffemodel mtcnn_r", BY),
        ("inspect r.caffemodel r.prototxt", "Expected one file"),
        ("card r.prototxt", "a file. from_caffe reads"),
    ],
)
def test_what_is_swapped_is_told(words, said, small, capsys, monkeypatch):
    monkeypatch.chdir(small)
    assert cli.main(words.split()) == 2
    assert said in capsys.readouterr().err
    assert {x.stem for x in small.iterdir()} == {"r"}


def test_what_is_swapped_is_told_in_python(small):
    files = small / "r.caffemodel", small / "r.prototxt"
    for read in (keras_caffe_zoo.from_caffe, keras_caffe_zoo.to_onnx):
        with pytest.raises(keras_caffe_zoo.CaffeFormatError, match=BY):
            read(*files, *["n.onnx"] * (read is keras_caffe_zoo.to_onnx))
    with pytest.raises(keras_caffe_zoo.CaffeFormatError, match="in the first place"):
        keras_caffe_zoo.read_caffemodel(files[1])
