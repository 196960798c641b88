"""`extract_features`: rows, sources, options, refusals."""

import h5py
import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from keras_caffe_zoo import (
    extract_features,
    feature_extractor,
    load_image,
    models,
    preprocess_input,
)
from keras_caffe_zoo.models._classifier import ClassifierDesign

COUNT = 23


@pytest.fixture(scope="module")
def model():
    return tiny.net()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("source") / "photos"


@pytest.fixture(scope="module")
def pictures(folder):
    return tiny.write_pictures(folder, COUNT)


@pytest.fixture(scope="module")
def wanted(model, pictures):
    return tiny.expected(model, pictures)


@pytest.fixture
def extract(model, folder, pictures):
    def run(source=folder, layers=("conv1", "fc2"), out=None, **options):
        defaults = {"preprocess": tiny.centre, "batch_size": 4, "block_size": 10}
        return extract_features(model, source, layers, out, **defaults | options)

    return run


NAMES = [f"{i:04}.png" for i in range(COUNT)]


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_arrays_in_memory_have_a_row_for_each_picture_in_order(extract, wanted):
    found = extract()
    assert found.rows == found.computed == COUNT
    assert (found.names, found.bad, found.path) == (NAMES, (), None)
    assert found.values["conv1"].dtype == np.float32
    for name in ("conv1", "fc2"):
        close(found.values[name], wanted[name])
        assert found.shapes[name] == wanted[name].shape[1:]


def test_hdf5_has_rows_names_and_provenance(extract, wanted, tmp_path):
    report = extract(out=tmp_path / "f.h5")
    assert (report.rows, report.values, report.path) == (COUNT, None, tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        close(file["conv1"][:], wanted["conv1"])
        close(file["fc2"][:], wanted["fc2"])
        assert file["names"].asstr()[:].tolist() == NAMES
        assert file["index"][:].tolist() == list(range(COUNT))
        assert file["fc2"].maxshape == (None, 6)
        facts = file.attrs["provenance"]
    for fact in ('"weights": "', '"layers": {', '"preprocessing": {', '"versions": {'):
        assert fact in facts
    assert list(tmp_path.iterdir()) == [tmp_path / "f.h5"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_has_rows_names_and_provenance(extract, wanted, tmp_path, dtype):
    extract(out=tmp_path / "f.parquet", dtype=dtype)
    table = pq.read_table(tmp_path / "f.parquet")
    assert table["name"].to_pylist() == NAMES
    assert table["index"].to_pylist() == list(range(COUNT))
    column = table["conv1"].combine_chunks()
    rows = column.flatten().to_numpy().reshape(COUNT, 4, 4, 4)
    assert rows.dtype == dtype
    np.testing.assert_allclose(rows, wanted["conv1"], 2e-3, 2e-3)
    assert table.schema.field("conv1").metadata[b"shape"] == b"[4, 4, 4]"
    facts = pq.read_metadata(tmp_path / "f.parquet")
    assert b'"weights": "' in facts.metadata[b"provenance"]
    assert facts.num_row_groups == 3  # one for each block of 10


def test_pool_averages_maps_and_leaves_vectors(extract, wanted):
    found = extract(pool="mean").values
    close(found["conv1"], wanted["conv1"].mean((1, 2)))
    close(found["fc2"], wanted["fc2"])


def test_order_is_the_sources_whichever_picture_is_ready_first(extract, wanted):
    import time

    def slow_for_some(pixels):
        time.sleep(0.03 * (pixels[0, 0, 0] % 3 == 0))
        return tiny.centre(pixels)

    close(extract(preprocess=slow_for_some).values["fc2"], wanted["fc2"])


@pytest.mark.parametrize(
    "kind", ["list", "generator", "array", "paths", "dataset", "batches", "mixed"]
)
def test_sources_of_every_kind(extract, model, folder, tmp_path, kind):
    arrays = [tiny.picture(i) for i in range(7)]
    wanted = tiny.expected(model, arrays)["fc2"]
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path, pixels in zip(paths, arrays, strict=True):
        Image.fromarray(pixels).save(path)
    dataset = tf.data.Dataset.from_tensor_slices(np.stack(arrays))
    source = {
        "list": arrays,
        "generator": (pixels for pixels in arrays),
        "array": np.stack(arrays),
        "paths": map(str, paths),
        "dataset": dataset,
        "batches": dataset.batch(3),
        "mixed": [*paths[:3], *arrays[3:]],
    }[kind]
    found = extract(source, "fc2")
    close(found.values["fc2"], wanted)
    names = {"paths": [p.as_posix() for p in paths]}
    names["mixed"] = [*names["paths"][:3], *"3456"]
    assert found.names == names.get(kind, list("0123456"))


def test_float16_that_would_overflow_is_refused(model, extract, folder):
    with pytest.raises(ValueError, match="65504.*received: .* in conv1.*float32"):
        extract(dtype="float16", preprocess=lambda p: 1e6 * tiny.centre(p))


def test_preprocess_of_another_shape_is_refused(extract):
    with pytest.raises(ValueError, match=r"\(12, 12, 3\).*received: \(2, 12, 3\)"):
        extract(preprocess=lambda p: tiny.centre(p)[:2])


def test_preprocess_that_fails_is_no_bad_picture(extract):
    def broken(pixels):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        extract(preprocess=broken)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocess": None}, "Expected `preprocess` for 'tiny'.*name of the net"),
        ({"preprocess": "caffenet"}, r"\(12, 12, 3\); received: \(227, 227, 3\)"),
        ({"preprocess": "fcn8s"}, "pictures of one size; received: fcn8s"),
        ({"crops": 10}, "no crops beside a function"),
        ({"crops": 5}, "1 or 10; received: crops=5"),
        ({"pool": "max"}, "'mean' or None; received: pool='max'"),
        ({"dtype": "int8"}, "received: dtype='int8'"),
        ({"batch_size": 0}, "received: batch_size=0"),
        ({"layers": ()}, "at least one layer"),
        ({"layers": "fc9"}, "no blob or layer 'fc9'.*'fc2'"),
        ({"engine": "spark"}, "received: engine='spark'"),
        ({"weights": "x.h5"}, "no weights beside a Keras model"),
        ({"source": []}, "at least one picture; received: none"),
        ({"source": 3}, "received: int"),
        ({"source": [np.zeros((4, 4, 3))]}, r"uint8.*received: float64 \(4, 4, 3\)"),
        ({"source": np.zeros((4, 4, 3), "uint8")}, r"\(N, H, W, 3\)"),
        ({"out": "f.csv"}, r"end in one of \.h5.*received: f\.csv"),
    ],
)
def test_what_does_not_fit_is_refused(extract, options, message):
    with pytest.raises(ValueError, match=message):
        extract(**options)


def test_a_dataset_that_is_no_uint8_is_refused(extract):
    dataset = tf.data.Dataset.from_tensor_slices(np.zeros((2, 4, 4, 3), "float32"))
    with pytest.raises(ValueError, match="RGB uint8.*dataset.map"):
        extract(dataset)
    labelled = tf.data.Dataset.zip((dataset, dataset))
    with pytest.raises(ValueError, match="received: elements"):
        extract(labelled)


def test_unknown_arguments_are_refused(extract):
    with pytest.raises(TypeError, match="no argument 'bath_size'"):
        extract(bath_size=3)


def test_hdf5_refuses_layers_that_it_cannot_hold(tmp_path):
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Flatten(name="names")(inputs))
    with pytest.raises(ValueError, match="beside names, index, bad; received: 'names'"):
        extract_features(model, [], "names", tmp_path / "f.h5")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, (height, width) in enumerate(
        [(300, 400), (260, 250), (90, 120), (227, 227)]
    ):
        pixels = tiny.picture(i, height // 4, width // 4)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{i}.jpg")
    return folder


@pytest.fixture(scope="module")
def caffenet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassifierDesign, "FC_UNITS", 8)
        keras.utils.set_random_seed(0)
        return models.caffenet(weights=None)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("crops", [1, 10])
def test_a_net_of_the_zoo_is_fed_as_load_image_feeds_it(
    photos, caffenet, own_cache, crops
):
    found = extract_features(caffenet, photos, "fc7", crops=crops, batch_size=10)
    extractor = feature_extractor(caffenet, "fc7")
    for path, row in zip(sorted(photos.iterdir()), found.values["fc7"], strict=True):
        images = load_image(path, "caffenet", crops=crops).reshape(-1, 227, 227, 3)
        inputs = preprocess_input(images, "caffenet", "channels_last")
        rows = extractor.predict(inputs, verbose=0)
        np.testing.assert_allclose(row, rows.mean(0), rtol=1e-4, atol=1e-3)


def test_an_array_of_the_inputs_size_is_not_cut(caffenet, own_cache):
    ready, larger = tiny.picture(0, 227, 227), tiny.picture(1, 256, 256)
    found = extract_features(caffenet, [ready, larger], "fc7").values["fc7"]
    inputs = preprocess_input(
        np.stack([ready, larger[14:241, 14:241]]), "caffenet", "channels_last"
    )
    rows = feature_extractor(caffenet, "fc7").predict(inputs, verbose=0)
    np.testing.assert_allclose(found, rows, rtol=1e-4, atol=1e-3)


def test_a_name_builds_the_net_with_the_weights_given(
    photos, caffenet, own_cache, tmp_path, monkeypatch
):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)
    caffenet.save_weights(tmp_path / "mine.weights.h5")
    by_name = extract_features(
        "caffenet", photos, "fc6", weights=tmp_path / "mine.weights.h5"
    )
    by_model = extract_features(caffenet, photos, "fc6")
    np.testing.assert_array_equal(by_name.values["fc6"], by_model.values["fc6"])


def test_another_mean_can_be_given(photos, caffenet, own_cache):
    found = extract_features(caffenet, photos, "fc7", mean=(1, 2, 3)).values["fc7"]
    images = np.stack([load_image(p, "caffenet") for p in sorted(photos.iterdir())])
    inputs = preprocess_input(images, "caffenet", "channels_last", mean=(1, 2, 3))
    rows = feature_extractor(caffenet, "fc7").predict(inputs, verbose=0)
    np.testing.assert_allclose(found, rows, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("fcn32s", "pictures of one size; received: fcn32s"),
        ("nin", "Expected `mean=…`"),
    ],
)
def test_nets_without_a_size_or_a_mean_are_refused(photos, net, message, own_cache):
    with pytest.raises(ValueError, match=message):
        extract_features(net, photos, "data", weights=None)


def test_unknown_nets_are_refused(photos):
    with pytest.raises(ValueError, match="no net 'lenet'"):
        extract_features("lenet", photos, "fc7")
