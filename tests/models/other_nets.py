"""The nets that are no classifiers: what holds for each, and which are built when."""

import face_definitions as faces
import map_definitions as maps
import pytest
import region_definitions as regions
import segmentation_definitions as segmentation
import ssd_definitions as ssd
from definition import Definition
from siblings import SIBLINGS

# In the manifest's order.
OTHERS = {
    **segmentation.NETS,
    **ssd.NETS,
    **regions.NETS,
    **faces.NETS,
    **maps.NETS,
}

each_other = pytest.mark.parametrize("name", OTHERS)
each_kind = pytest.mark.parametrize(
    "name",
    [
        n if other.quick else pytest.param(n, marks=pytest.mark.slow)
        for n, other in OTHERS.items()
    ],
)

one_of_a_kind = pytest.mark.parametrize(
    "name",
    [
        n if other.quick else pytest.param(n, marks=pytest.mark.slow)
        for n, other in OTHERS.items()
        if n not in SIBLINGS
    ],
)


def define(name):
    """Return a net's published definition."""
    net = OTHERS[name]
    definition = Definition(
        name, net.size, classes=net.classes, data=net.data, channels=net.channels
    )
    net.layers(definition)
    return definition
