"""Names of classes."""

import numpy as np
import pytest

from keras_caffe_zoo import decode_predictions
from keras_caffe_zoo.labels import class_names, names_of_net


def test_classes_are_in_caffes_order():
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert names[0] == ("n01440764", "tench, Tinca tinca")
    assert names[281] == ("n02123045", "tabby, tabby cat")
    assert names[999][1].startswith("toilet tissue")


def test_most_probable_classes_come_first():
    preds = np.zeros((2, 1000), "float32")
    preds[0, [281, 7]] = 0.75, 0.25
    preds[1, 999] = 1
    first, second = decode_predictions(preds, top=2)
    assert first[0] == ("n02123045", "tabby, tabby cat", 0.75)
    assert first[1][2] == 0.25
    assert second[0][0] == class_names()[999][0]


@pytest.mark.parametrize(
    ("model", "first", "last"),
    [
        (
            "places365_alexnet",
            ("/a/airfield", "airfield"),
            ("/z/zen_garden", "zen garden"),
        ),
        ("age_net", ("0-2", "0 to 2 years"), ("60-100", "60 to 100 years")),
        ("gender_net", ("Male", "male"), ("Female", "female")),
        ("open_nsfw", ("SFW", "suitable for work"), ("NSFW", "not suitable for work")),
        ("rcnn_ilsvrc13", ("n02672831", "accordion"), ("n02391049", "zebra")),
        ("flickr_style", ("Detailed", "detailed"), ("Romantic", "romantic")),
        ("densenet121", ("n01440764", "tench, Tinca tinca"), ("n15075141",)),
    ],
)
def test_each_net_has_the_names_of_its_own_classes(model, first, last):
    preds = np.zeros((1, len(names_of_net(model))), "float32")
    preds[0, 0], preds[0, -1] = 0.25, 0.75
    (found,) = decode_predictions(preds, top=2, model=model)
    assert found[0][: len(last)] == last and found[0][2] == 0.75
    assert found[1] == (*first, 0.25)


def test_places_have_the_numbers_that_others_print_for_them():
    names = [identifier for identifier, _ in class_names("places365")]
    known = {"/b/beach": 48, "/b/bedroom": 52, "/k/kitchen": 203}
    assert {name: names.index(name) for name in known} == known


def test_coco_has_80_classes_after_the_background_by_its_own_numbers():
    names = class_names("coco")
    assert len(names) == 81 and names[0] == ("0", "background")
    numbers = [int(number) for number, _ in names]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 90
    assert names[1] == ("1", "person") and names[80] == ("90", "toothbrush")
    assert names[12] == ("13", "stop sign")  # COCO has no number 12


def test_a_list_of_fewer_classes_than_are_asked_for_is_given_whole():
    (found,) = decode_predictions([[0.25, 0.75]], model="gender_net")
    assert found == [("Female", "female", 0.75), ("Male", "male", 0.25)]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("places205_alexnet", "received: places205_alexnet, with those of places205"),
        ("sphereface", "received: sphereface, with none"),
        ("places366", "no net 'places366'"),
    ],
)
def test_nets_whose_classes_have_no_known_names_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        decode_predictions(np.zeros((1, 205)), model=model)
    with pytest.raises(ValueError, match="received: 'places205' .categoryIndex"):
        class_names("places205")


@pytest.mark.parametrize("shape", [(1000,), (1, 8, 8, 1000), (1, 10)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(N, 1000\); received"):
        decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, 1001])
def test_top_is_checked(top):
    with pytest.raises(ValueError, match="from 1 to 1000"):
        decode_predictions(np.zeros((1, 1000)), top=top)
