import dataclasses
import json
import re
from math import prod
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keras_caffe_zoo.weights import manifest
from keras_caffe_zoo.weights.manifest import load_manifest, model_entry, model_names

ROOT = Path(__file__).parents[2]
ENTRIES = [pytest.param(entry, id=name) for name, entry in load_manifest().items()]
HEX_DIGITS = {"sha1": 40, "sha256": 64, "sha384": 96}


def published_files():
    files = [entry.file for entry in load_manifest().values()]
    means = {entry.mean for entry in load_manifest().values() if entry.mean}
    return files + [mean.file for mean in means if mean.file]


def test_the_packaged_manifest_is_the_top_level_one():
    packaged = ROOT / "keras_caffe_zoo" / "weights_manifest.json"
    assert packaged.read_bytes() == (ROOT / "weights_manifest.json").read_bytes()
    assert json.loads(packaged.read_text())["models"].keys() == set(model_names())


@pytest.mark.parametrize("entry", ENTRIES)
def test_blobs_add_up_to_the_payload_and_nearly_to_the_file(entry):
    shapes = [shape for layer in entry.blobs.values() for shape in layer]
    payload = 4 * sum(map(prod, shapes))
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
        assert all(url.endswith(file.archive) for url in file.urls)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_head_has_as_many_outputs_as_there_are_classes(entry):
    heads = [shapes[0][0] for shapes in entry.blobs.values()]
    assert entry.classes in heads


@pytest.mark.parametrize("entry", ENTRIES)
def test_means_are_plausible_and_of_a_known_kind(entry):
    if entry.mean is None:
        assert entry.name == "nin"  # its readme gives none
        return
    assert entry.mean.kind in ("image", "pixel", "channels")
    assert (entry.mean.file is None) == (entry.mean.kind == "channels")
    blue, green, red = entry.mean.channels or (100, 110, 120)
    assert 95 < blue < green < red < 130
    if entry.mean.kind == "pixel":
        assert entry.mean.shape == (entry.input_size, entry.input_size)


@pytest.mark.parametrize("entry", ENTRIES)
def test_accuracies_are_percentages_with_a_source(entry):
    for one in entry.accuracy:
        figures = [f for f in (one.top1, one.top5, one.mean_iu) if f is not None]
        assert one.source and figures
        assert all(30 < figure < 95 for figure in figures)


def test_the_non_commercial_nets_say_so():
    told = {n for n, e in load_manifest().items() if e.licence.non_commercial}
    assert told == {"flickr_style", "nin"} | {
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
    with pytest.raises(ValueError, match=r"(?s)Expected one of .*vgg_cnn_s.*'vgg_s'"):
        model_entry("vgg_s")


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="version 1; received: version=2"):
        manifest.parse_manifest({"version": 2})
