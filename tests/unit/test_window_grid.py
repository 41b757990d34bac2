"""The grid of windows on which an encoder hears a clip."""

import pytest

from pamt_metric.encoders import windows
from pamt_metric.encoders.mert import MertEncoder

WINDOW = 120_000


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(400, 1), (719, 1), (720, 2), (24_000, 74), (WINDOW, 374), (720_000, 2249)],
)
def test_n_frames(n_samples, expected):
    assert windows.n_frames(n_samples) == expected
    assert MertEncoder.n_frames(n_samples) == expected


def test_a_clip_of_one_window_or_less_goes_in_whole():
    for n_samples in (400, 50_001, WINDOW):
        assert windows.window_grid(n_samples, window_samples=WINDOW) == [
            windows.Window(0, n_samples, 0, windows.n_frames(n_samples))
        ]


def test_the_last_window_ends_with_the_last_full_frame():
    grid = windows.window_grid(260_000, window_samples=WINDOW)
    # 812 frames: 2 x 374, and 64 from a window that starts at frame 812 - 374 = 438.
    assert grid == [(0, WINDOW, 0, 374), (119_680, WINDOW, 0, 374), (140_160, 119_840, 310, 64)]


@pytest.mark.parametrize(
    "n_samples",
    # One sample or frame around one and two windows, and lengths of no special kind.
    [120_001, 120_080, 120_081, 120_320, 239_439, 239_440, 239_679, 240_000, 299_999, 1_000_003],
)
def test_windows_join_without_gap_or_overlap(n_samples):
    grid = windows.window_grid(n_samples, window_samples=WINDOW)
    frames = []
    for start, length, skip, n_kept in grid:
        assert start % windows.HOP_LENGTH == 0
        assert 119_760 <= length <= WINDOW
        assert start + length <= n_samples
        assert windows.n_frames(length) == 374
        first = start // windows.HOP_LENGTH
        frames += range(first + skip, first + skip + n_kept)
    assert frames == list(range(windows.n_frames(n_samples)))


def test_only_equal_lengths_are_grouped():
    groups = windows.group_equal([5, 7, 5, 5, 7], at_most=2)
    assert groups == [[0, 2], [3], [1, 4]]


@pytest.mark.parametrize("overlap", [0, 1, 2, 17, 150, 372, 373])
@pytest.mark.parametrize("n_samples", [120_001, 120_320, 160_000, 239_440, 239_679, 1_000_003])
def test_kept_frames_of_overlapping_windows_join(n_samples, overlap):
    grid = windows.window_grid(n_samples, window_samples=120_000, overlap_frames=overlap)
    frames = []
    for start, length, skip, n_kept in grid:
        assert start + length <= n_samples
        assert windows.n_frames(length) == 374
        first = start // windows.HOP_LENGTH
        assert n_kept > 0
        frames += range(first + skip, first + skip + n_kept)
    assert frames == list(range(windows.n_frames(n_samples)))


def test_kept_frames_have_half_the_overlap_on_both_sides():
    grid = windows.window_grid(400_000, window_samples=120_000, overlap_frames=124)
    # 1249 frames in windows 250 apart; the last but one ends at 1124, the last one at 1249.
    assert [window.start // 320 for window in grid] == [0, 250, 500, 750, 875]
    assert [window.skip for window in grid] == [0, 62, 62, 62, 187]
    assert [window.n_frames for window in grid] == [312, 250, 250, 250, 187]
