"""The fixed grid on which a clip is cut into encoder windows.

Zero padding changes the features of a MERT encoder (its first group norm runs over time), so
nothing padded may enter it. A clip no longer than one window goes in whole. A longer one is cut
into windows of one length whose frames join without gap or overlap:

    window 0   |0 ........ 373|
    window 1                  |374 ...... 747|
    last window                    |.........|748 .. 1123|      (here 1124 frames)
                                    not kept     kept

Window k starts at sample k * window_frames * HOP_LENGTH. What remains at the end is covered by
one more window on the same frame grid, which ends with the clip's last full frame; of it only
the frames that no window before has covered are kept.

Windows may also overlap: they then start `window_frames - overlap_frames` apart, and at each seam
the first half of the overlap is kept from the window before it, the rest from the one after, so
that a kept frame has context on both sides (here an overlap of 124):

    window 0   |0 ............ 373|
                 kept to 311
    window 1               |250 ............ 623|
                              kept 312 to 561
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Shaped
from torch import Tensor

from pamt_metric.errors import InputError

# Product of the strides 5, 2, 2, 2, 2, 2, 2 of the convolutional front end, in samples.
HOP_LENGTH = 320
# Receptive field of one frame, in samples (kernels 10, 3, 3, 3, 3, 2, 2): frame t is centred on
# sample 200 + 320 t.
MIN_SAMPLES = 400


class Clip(NamedTuple):
    """One clip, read in parts.

    Attributes:
        read: From a sample to another: that part, as the encoder takes it.
        n_samples: Length of the clip.
    """

    read: Callable[[int, int], Shaped[Tensor, "part_time"]]
    n_samples: int


class Window(NamedTuple):
    """One stretch of a clip that the encoder sees at once.

    Attributes:
        start: First sample of the window in its clip; a multiple of HOP_LENGTH.
        n_samples: Length of the window.
        skip: How many of its first frames another window has covered.
        n_frames: How many frames after those are kept.
    """

    start: int
    n_samples: int
    skip: int
    n_frames: int

    def cut(self, clip: Clip) -> Shaped[Tensor, "window_time"]:
        """The samples of a clip that this window covers."""
        return clip.read(self.start, self.start + self.n_samples)

    def keep(
        self, states: Shaped[Tensor, "layer frame width"]
    ) -> Shaped[Tensor, "layer kept width"]:
        """The frames of the encoded window that no window before it has given."""
        return states[:, self.skip : self.skip + self.n_frames]


def n_frames(n_samples: int) -> int:
    """Number of frames that the encoder gives for `n_samples` samples.

    Raises:
        InputError: If that is less than one frame.
    """
    if n_samples < MIN_SAMPLES:
        raise InputError(
            f"waveform needs at least {MIN_SAMPLES} samples for one encoder frame, "
            f"got {n_samples}; is time the last axis?"
        )
    return (n_samples - MIN_SAMPLES) // HOP_LENGTH + 1


def window_grid(n_samples: int, *, window_samples: int, overlap_frames: int = 0) -> list[Window]:
    """Cut a clip of `n_samples` into windows of at most `window_samples`, in time order.

    The kept frames of all windows, one after another, are the `n_frames(n_samples)` frames of
    the clip. A window is shorter than `window_samples` only where the clip ends before it does;
    all of its frames are full ones even so.

    Args:
        n_samples: Length of the clip.
        window_samples: Length of a window.
        overlap_frames: Frames that two neighbours share, less than a window has.

    Raises:
        InputError: If the clip is shorter than one frame.
    """
    total = n_frames(n_samples)
    if n_samples <= window_samples:
        return [Window(start=0, n_samples=n_samples, skip=0, n_frames=total)]
    per_window = n_frames(window_samples)
    last = total - per_window
    windows, covered = [], 0
    while covered < total:
        first = min(len(windows) * (per_window - overlap_frames), last)
        end = total if first == last else first + per_window - overlap_frames // 2
        start = first * HOP_LENGTH
        length = min(window_samples, n_samples - start)
        windows.append(Window(start, length, skip=covered - first, n_frames=end - covered))
        covered = end
    return windows


def group_equal(lengths: Sequence[int], *, at_most: int) -> list[list[int]]:
    """Indices of equal lengths together, in groups of `at_most`: what may share a batch."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(length, []).append(index)
    return [
        same[first : first + at_most]
        for same in by_length.values()
        for first in range(0, len(same), at_most)
    ]
