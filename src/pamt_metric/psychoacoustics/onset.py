"""Onsets: how suddenly sound begins, heard in sub-frames of 3.3 ms.

The intensity of each region and sub-frame goes through the compression of specific loudness; the
steepest rise from one sub-frame to the next within a frame is that frame's onset,

    onset = max over the frame's sub-frames of [n(s) - n(s - 1)]+,   n = 2.5 C c(I)   in sone

(a region is 2.5 Cam wide, C = 0.0617 sone per Cam, c as in `masking`). A click and a swell of the
same loudness in 75 frames a second differ here by a factor of several. What lies before a clip is
unknown, so its first sub-frame is no onset.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from pamt_metric.psychoacoustics.filterbank import SUB_FRAMES
from pamt_metric.psychoacoustics.loudness import SONE_PER_CAM
from pamt_metric.psychoacoustics.masking import compressed
from pamt_metric.psychoacoustics.scales import BANDS_PER_REGION, CAM_STEP

REGION_SONE = BANDS_PER_REGION * CAM_STEP * SONE_PER_CAM
"""Sone of a region per unit of compressed intensity."""


def onsets(
    region: Float[Tensor, "batch sub_frame region"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch frame region"]:
    """Steepest rise of loudness in each frame and region, in sone; zeros outside `mask`."""
    loudness = REGION_SONE * compressed(region)
    before = functional.pad(loudness, (0, 0, 1, 0), mode="replicate")[:, :-1]
    rise = (loudness - before).clamp_min(0.0)
    return rise.unflatten(1, (-1, SUB_FRAMES)).amax(2) * mask[..., None]
