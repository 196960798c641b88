"""The colours in which data sets show their classes."""

import numpy as np

# As Cityscapes has them: createLabels of cityscapesScripts.
_CITYSCAPES = [
    *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
    *((153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)),
    *((70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70)),
    *((0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32)),
]
# As SegNet's authors have them, in test_segmentation_camvid.py.
_CAMVID = [
    *((128, 128, 128), (128, 0, 0), (192, 192, 128), (255, 69, 0), (128, 64, 128)),
    *((60, 40, 222), (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128)),
    *((64, 64, 0), (0, 128, 192)),
]
_PUBLISHED = {"cityscapes": _CITYSCAPES, "camvid": _CAMVID}


def palette(classes: int, labels: str | None = None) -> np.ndarray:
    """Return a colour for each class.

    Args:
        classes: How many there are.
        labels: Name of the list of classes. Cityscapes and CamVid have colours of their
            own; all others have those of PASCAL VOC, of which there are 256 and which
            then come again.

    Returns:
        RGB uint8 array `(classes, 3)`.
    """
    published = _PUBLISHED.get(labels, ())
    if len(published) == classes:
        return np.array(published, "uint8")
    return _voc(np.arange(classes) % 256)


def _voc(index: np.ndarray) -> np.ndarray:
    """Return VOC's colours: the bits of a number, dealt out to red, green and blue.

    The first three bits are the highest of the three colours, and so on.
    """
    colours = np.zeros((len(index), 3), "uint8")
    for place in range(8):
        channel, bit = place % 3, 7 - place // 3
        colours[:, channel] |= ((index >> place & 1) << bit).astype("uint8")
    return colours
