"""Colours of a difference: how bright says how much, the hue says which clip holds more."""

import numpy as np
from jaxtyping import Float, UInt8

BASE = (12, 12, 20)
"""Red, green and blue where there is no difference."""
MORE_IN_TEST = (255, 140, 40)
NEITHER = (226, 214, 226)
MORE_IN_REFERENCE = (60, 150, 255)
LEVELS_DB = (0.0, 90.0)
"""Excitation levels at the two ends of a level map's colours."""
LEVEL_RAMP = ((0, 0, 4), (40, 17, 89), (114, 31, 129), (183, 55, 121), (241, 96, 93),
              (254, 175, 119), (252, 253, 191))  # fmt: skip
"""Colours of a level map at even steps: 'magma' of matplotlib."""


def strength(difference: Float[np.ndarray, "*shape"], top: float) -> Float[np.ndarray, "*shape"]:
    """Brightness, 0 to 1: the root of a local distance over the scale's end opens the low ones."""
    return np.sqrt(np.clip(difference / top, 0.0, 1.0))


def difference_rgb(
    strength: Float[np.ndarray, "*shape"], lean: Float[np.ndarray, "*shape"]
) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours by brightness (0 to 1) and lean (-1 the reference, 1 the test)."""
    neither = np.array(NEITHER, float)
    more = np.clip(lean, 0.0, 1.0)[..., None] * (MORE_IN_TEST - neither)
    less = np.clip(-lean, 0.0, 1.0)[..., None] * (MORE_IN_REFERENCE - neither)
    hue = neither + more + less
    return (BASE + strength[..., None] * (hue - BASE)).round().astype(np.uint8)
