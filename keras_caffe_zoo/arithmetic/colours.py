"""sRGB and CIE Lab, for the light of day (D65).

References:
    IEC 61966-2-1 (sRGB); ITU-R BT.709 (its primaries); CIE 15 (Lab).
"""

import numpy as np

_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, seen by the observer of 2 degrees
_BEND = 6 / 29  # below its cube Lab goes straight
_SLOPE = 3 * _BEND**2

# Light of each byte of sRGB.
_BYTES = np.arange(256) / 255
_LIGHT = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4)
_LIGHT = _LIGHT.astype("float32")
_TO_WHITE = (_TO_XYZ / _WHITE[:, None]).T.astype("float32")


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """Return colours in CIE Lab.

    Args:
        rgb: sRGB uint8, (…, 3).

    Returns:
        Float32 (…, 3): L in 0 to 100, a and b about -110 to 110.
    """
    x, y, z = np.moveaxis(_bent(_LIGHT[rgb] @ _TO_WHITE), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lightness_of(rgb: np.ndarray) -> np.ndarray:
    """Return the L of colours in CIE Lab, in 0 to 100.

    Args:
        rgb: sRGB uint8, (…, 3).

    Returns:
        Float32 (…).
    """
    return 116 * _bent(_LIGHT[rgb] @ _TO_WHITE[:, 1]) - 16


def rgb_of(lab: np.ndarray) -> np.ndarray:
    """Return colours in sRGB, those that it has not at its border.

    Args:
        lab: CIE Lab, (…, 3).

    Returns:
        Uint8 (…, 3).
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, "float32"), -1, 0)
    y = (lightness + 16) / 116
    z = np.maximum(y - b / 200, 0)  # as scikit-image, which the net's authors used
    bent = np.stack([y + a / 500, y, z], -1)
    xyz = np.where(bent > _BEND, bent**3, _SLOPE * (bent - 4 / 29))
    light = xyz @ (_FROM_XYZ * _WHITE).T.astype("float32")
    light = light.clip(0, 1)
    steep = 1.055 * light ** (1 / 2.4) - 0.055
    values = np.where(light <= 0.0031308, 12.92 * light, steep)
    return np.rint(values * 255).astype("uint8")


def _bent(share: np.ndarray) -> np.ndarray:
    """Return what Lab makes of shares of white's light."""
    return np.where(share > _BEND**3, np.cbrt(share), share / _SLOPE + 4 / 29)
