import copy
import dataclasses
import importlib.util
import json
import re
from math import prod
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest

from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.preprocessing import resized_sides
from keras_caffe_zoo.weights import manifest
from keras_caffe_zoo.weights.manifest import (
    class_list,
    load_manifest,
    model_entry,
    model_names,
)

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "keras_caffe_zoo" / "weights_manifest.json"
ENTRIES = [pytest.param(entry, id=name) for name, entry in load_manifest().items()]
WITHOUT_CLASSES = {"embedding", "face_detection", "pose", "edges", "colorization"}
HEX_DIGITS = {"sha1": 40, "sha256": 64, "sha384": 96}


def published_files():
    files = [entry.file for entry in load_manifest().values()]
    means = {entry.mean for entry in load_manifest().values() if entry.mean}
    return files + [mean.file for mean in means if mean.file]


def test_the_packaged_manifest_is_the_top_level_one():
    """A clone of a machine without symbolic links has the path in the link's place."""
    top = ROOT / "weights_manifest.json"
    assert top.resolve() == MANIFEST or (ROOT / top.read_text()) == MANIFEST
    assert not MANIFEST.is_symlink()
    assert json.loads(MANIFEST.read_text())["models"].keys() == set(model_names())


@pytest.fixture(scope="module")
def written():
    return json.loads(MANIFEST.read_text("utf-8"))


@pytest.fixture(scope="module")
def schema():
    schema = json.loads((ROOT / "weights_manifest.schema.json").read_text())
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    return validator(schema)


def test_the_manifest_is_of_its_schema(written, schema):
    schema.validate(written)


@pytest.fixture(scope="module")
def short(written):
    """The manifest with one net, since each check looks at all that there are."""
    return {**written, "models": {"caffenet": written["models"]["caffenet"]}}


REMOVED = object()
CAFFENET, MEAN = ("models", "caffenet"), ("means", "vgg_cnn")
CHANNELS = ("means", "bvlc_integers")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2),
        (("extra",), {}),
        ((*CAFFENET, "extra"), None),
        ((*CAFFENET, "input_size"), 227),
        ((*CAFFENET, "input_size"), [227]),
        ((*CAFFENET, "input_size"), [227, 0]),
        ((*CAFFENET, "task"), "classify"),
        ((*CAFFENET, "scale"), 0),
        ((*CAFFENET, "channel_order"), "bgr"),
        ((*CAFFENET, "resize"), {"rule": "warp", "size": None}),
        ((*CAFFENET, "resize"), {"rule": "to_input", "size": 227}),
        ((*CAFFENET, "resize"), {"rule": "warp", "size": 256, "longest": 500}),
        ((*CAFFENET, "resize"), {"rule": "fit", "size": 600}),
        ((*CAFFENET, "class_labels"), "ImageNet"),
        ((*CAFFENET, "trained_on"), ""),
        (("models", "a" * 27), None),
        (("labels", "ilsvrc12", "classes"), None),
        (("labels", "ilsvrc12", "file"), "../words.txt"),
        ((*CAFFENET, "resize", "rule"), "squeeze"),
        ((*CAFFENET, "format"), "V3"),
        ((*CAFFENET, "classes"), 1000.5),
        ((*CAFFENET, "licence", "non_commercial"), "no"),
        ((*CAFFENET, "licence", "text"), "long " * 20),
        ((*CAFFENET, "file", "sha256"), "A" * 64),
        ((*CAFFENET, "file", "sha1"), "0" * 64),
        ((*CAFFENET, "file", "size"), "243862418"),
        ((*CAFFENET, "file", "urls"), ["ftp://example.org/net"]),
        ((*CAFFENET, "file", "urls"), "http://example.org/net"),
        ((*CAFFENET, "file", "name"), "../net.caffemodel"),
        ((*CAFFENET, "file", "archive"), "nets.tar.gz"),
        ((*CAFFENET, "file", "member"), "net.caffemodel"),
        ((*CAFFENET, "blobs", "conv1"), []),
        ((*CAFFENET, "blobs", "conv1"), [[96, 3, -11, 11]]),
        ((*CAFFENET, "accuracy", 0, "top1"), 157.4),
        ((*CAFFENET, "accuracy", 0, "source"), None),
        ((*CAFFENET, "accuracy", 0, "protocol"), "some crops"),
        ((*CAFFENET, "accuracy", 0), {"source": "somebody"}),
        (("models", "Bad Name"), None),
        (("papers", "vgg", "arxiv"), "arXiv:1409.1556"),
        ((*MEAN, "kind"), "colours"),
        ((*MEAN, "file"), None),
        ((*MEAN, "shape"), [224]),
        ((*MEAN, "stand_in"), [103.9, 116.8]),
        ((*MEAN, "stand_in"), [0.4, 0.5, 300]),
        ((*MEAN, "notes"), None),  # must say whose the stand-in is
        ((*CHANNELS, "channels"), None),
        ((*CAFFENET, "mean"), REMOVED),
        ((*CAFFENET, "file", "sha384"), REMOVED),
        ((*MEAN, "stand_in"), REMOVED),
    ],
)
def test_the_schema_refuses_mistakes(short, schema, place, value):
    changed = copy.deepcopy(short)
    *path, last = place
    at = changed
    for key in path:
        at = at[key]
    if value is REMOVED:
        del at[last]
    else:
        at[last] = value
    assert not schema.is_valid(changed)


@pytest.mark.parametrize("kind", ["papers", "means", "labels", "models"])
def test_every_key_is_required(short, schema, kind):
    """So that an unknown fact is a null that somebody wrote, not an oversight."""
    name, facts = next(iter(short[kind].items()))
    for key in facts:
        less = {k: v for k, v in facts.items() if k != key}
        changed = {**short, kind: {**short[kind], name: less}}
        assert not schema.is_valid(changed), key


def test_papers_and_means_are_all_there_and_all_used(written):
    nets = written["models"].values()
    assert {net["paper"] for net in nets} - {None} == written["papers"].keys()
    assert {net["mean"] for net in nets} - {None} == written["means"].keys()
    assert {net["class_labels"] for net in nets} - {None} == written["labels"].keys()


def test_the_manifest_is_as_its_tool_writes_it(written):
    path = ROOT / "tools" / "write_manifest.py"
    spec = importlib.util.spec_from_file_location("write_manifest", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = MANIFEST.read_text("utf-8")
    assert tool.formatted(written) == text


@pytest.mark.parametrize("entry", ENTRIES)
def test_classes_have_as_many_names_as_the_net_has_outputs(entry, written):
    if entry.class_labels is None:
        assert entry.task in WITHOUT_CLASSES
        return
    labels = class_list(entry.class_labels)
    assert labels.classes == entry.classes
    if labels.file:
        names = class_names(labels.name)
        assert len(names) == len(set(names)) == entry.classes


IN_NO_ARCHIVE = {"archive_size": None, "archive_sha384": None}


# Whose files are not known to hold just the net: two have no published size, others
# are larger than the net, and one holds numbers of half the size.
UNKNOWN_PAYLOAD = {
    *("places205_googlenet", "places365_googlenet", "googlenet_bn", "mtcnn_r"),
    *("colorization", "pspnet50", "pspnet101", "pspnet101_cityscapes"),
    "res10_face_fp16",
}


def test_how_much_a_file_holds_is_known_but_for_a_few():
    entries = load_manifest().items()
    unknown = {name for name, entry in entries if not entry.file.payload_bytes}
    assert unknown == UNKNOWN_PAYLOAD


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_is_given_to_programs_whole(entry, written):
    facts = json.loads(json.dumps(entry.as_dict()))
    original = written["models"][entry.name]
    if entry.resize:  # only one rule has a longest side
        original = {**original, "resize": {"longest": None, **original["resize"]}}
    assert facts.pop("file") == IN_NO_ARCHIVE | original["file"]
    for key in original.keys() - {"paper", "mean", "file"}:
        assert facts[key] == original[key], key
    if entry.mean:
        mean = facts["mean"]
        assert mean.pop("name") == original["mean"]
        told = written["means"][original["mean"]]
        file = told["file"] and IN_NO_ARCHIVE | told["file"]
        assert mean == {**told, "file": file}
    assert entry.file.payload_bytes in (4 * entry.parameters, None)
    assert entry.size == (entry.file.size or 4 * entry.parameters)


@pytest.mark.parametrize("entry", ENTRIES)
def test_blobs_add_up_to_the_payload_and_nearly_to_the_file(entry):
    shapes = [shape for layer in entry.blobs.values() for shape in layer]
    payload = 4 * sum(map(prod, shapes))
    if entry.name in UNKNOWN_PAYLOAD:
        assert entry.file.size is None or entry.file.size > payload
        return
    assert payload == entry.file.payload_bytes
    if entry.file.size:  # names and headers: a few hundred bytes a layer
        assert 0 < entry.file.size - payload < 400 * len(entry.blobs)


# Worked out from the deploy definitions, not from the manifest.
@pytest.mark.parametrize(
    "name, payload",
    {
        "caffenet": 243860896,
        "rcnn_ilsvrc13": 230750496,
        "flickr_style": 227800656,
        "vgg_cnn_f": 243338144,
        "vgg_cnn_m": 411634080,
        "vgg_cnn_s": 411634080,
        "vgg_cnn_m_2048": 369879456,
        "vgg_cnn_m_1024": 349002144,
        "vgg_cnn_m_128": 330734496,
        "places205_alexnet": 230832436,
        "hybrid_cnn": 246859900,
        "googlenet": 4 * 13378280,
    }.items(),
)
def test_payload_is_that_of_the_deploy_definition(name, payload):
    assert model_entry(name).file.payload_bytes == payload


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_download_can_be_verified(entry):
    assert entry.file.hashes or entry.blobs


@pytest.mark.parametrize("file", published_files(), ids=lambda file: file.name)
def test_checksums_and_urls_are_well_formed(file):
    for name, digest in file.hashes.items():
        assert re.fullmatch(f"[0-9a-f]{{{HEX_DIGITS[name]}}}", digest)
    for url in file.urls:
        assert urlsplit(url).scheme in ("http", "https")
    assert (file.archive is None) == (file.member is None)
    if file.archive:
        # Some clouds have numbers in place of names.
        named = [url for url in file.urls if "drive.google.com" not in url]
        paths = [urlsplit(url).path for url in named]
        assert not named or any(path.endswith(file.archive) for path in paths)
        assert file.packed.hashes.keys() <= {"sha384"}
    else:
        assert file.packed is file.archive_size is file.archive_sha384 is None


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_head_has_as_many_outputs_as_there_are_classes(entry):
    heads = {layer: shapes[-1][0] for layer, shapes in entry.blobs.items()}
    of_boxes = [n for layer, n in heads.items() if layer.endswith("_mbox_conf")]
    bins = 7 * 7 if entry.name == "rfcn_resnet50" else 1  # each has maps of its own
    assert entry.classes * bins in heads.values() or of_boxes
    assert not any(outputs % entry.classes for outputs in of_boxes)


@pytest.mark.parametrize("entry", ENTRIES)
def test_means_are_plausible_and_of_a_known_kind(entry):
    if entry.mean is None:
        assert entry.name in ("nin", "colorization")  # no readme's; no BGR's
        return
    assert entry.mean.kind in ("image", "pixel", "channels")
    assert (entry.mean.file is None) == (entry.mean.kind == "channels")
    for means in filter(None, (entry.mean.channels, entry.mean.stand_in)):
        blue, green, red = means
        if entry.mean.name == "res10_face":
            green -= 60  # a slip of its authors', kept by all who use it
        grey = entry.mean.name in ("zero", "mid_grey")
        assert (blue == green == red) if grey else 75 < blue < green < red < 130
    if entry.mean.kind == "pixel":
        assert entry.mean.shape == entry.input_size


@pytest.mark.parametrize("entry", ENTRIES)
def test_pictures_become_inputs_of_the_size_told(entry):
    if entry.input_size is None:
        return
    whole = entry.resize is not None and entry.resize.rule == "to_input"
    sides = set(entry.input_size)
    assert whole or (len(sides) == 1 and max(sides) <= resized_sides(entry, (9, 9))[0])
    assert 0 < entry.scale <= 1


@pytest.mark.parametrize("entry", ENTRIES)
def test_accuracies_are_percentages_with_a_source(entry):
    for one in entry.accuracy:
        known = (one.top1, one.top5, one.mean_iu, one.mean_ap, one.accuracy)
        figures = [figure for figure in known if figure is not None]
        assert one.source and figures
        assert all(20 < figure < 99 for figure in figures)


def test_the_non_commercial_nets_say_so():
    told = {n for n, e in load_manifest().items() if e.licence.non_commercial}
    limited = {"flickr_style", "nin", "openpose_coco", "openpose_mpi"}
    limited |= {"segnet", "segnet_pascal", "enet"}
    assert told == limited | {
        name for name in model_names() if name.startswith("vgg_cnn")
    }


def test_entries_cannot_be_changed():
    entry = model_entry("caffenet")
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.title = "other"
    with pytest.raises(TypeError):
        entry.blobs["conv1"] = ()
    with pytest.raises(TypeError):
        load_manifest()["caffenet"] = entry
    assert load_manifest() is load_manifest()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no net 'vgg_s'. Did you mean .*'vgg_cnn_s'"):
        model_entry("vgg_s")


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="version 1; received: version=2"):
        manifest.parse_manifest({"version": 2})
