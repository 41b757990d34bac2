"""A pair as one picture: both spectrograms, where they differ, when, and what masks it."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pamt_metric.comparison import Comparison, describe
from pamt_metric.pictures import colors
from pamt_metric.pictures.maps import FREQUENCY_TICKS, PairMaps, band_of, times
from pamt_metric.psychoacoustics.scales import N_BANDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE_INCHES = (11.0, 12.0)
ROW_HEIGHTS = (2.0, 2.0, 2.4, 1.4, 2.4)
LONGEST_NAME = 60
"""Characters of a file's name that fit above a panel."""
LINE_WIDTH = 1.2
"""Points."""
REFERENCE_COLOR, TEST_COLOR = "#2a78d6", "#e0700a"
HEARD_COLOR = "#f3d9a4"


def draw(
    path: Path,
    maps: PairMaps,
    comparison: Comparison,
    names: tuple[str, str],
    *,
    at: float | None = None,
) -> None:
    """Write the picture.

    Args:
        path: file to write; its suffix says the format.
        maps: the pair's maps.
        comparison: the pair's numbers.
        names: what to call the reference and the test.
        at: second of which spectra and masked threshold are shown; where the difference is
            largest if None.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=FIGURE_INCHES, layout="constrained")
    grid = figure.add_gridspec(5, 2, height_ratios=ROW_HEIGHTS, width_ratios=(1, 0.02))
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[row, 0], sharex=axes[0]) for row in (1, 2, 3)]
    frame = int(maps.over_time.argmax()) if at is None else maps.frame_at(at)
    named = [_shown(name) for name in names]
    figure.suptitle(_title(comparison), fontsize="x-large")
    _draw_levels(axes[0], maps.reference_db, maps.duration_s, f"reference: {named[0]}")
    image = _draw_levels(axes[1], maps.test_db, maps.duration_s, f"test: {named[1]}")
    figure.colorbar(image, cax=figure.add_subplot(grid[0:2, 1]), label="excitation level in dB")
    _draw_difference(axes[2], figure.add_subplot(grid[2, 1]), maps)
    _draw_over_time(axes[3], maps, comparison.distance, frame)
    _draw_spectra(figure.add_subplot(grid[4, 0]), maps, frame)
    with warnings.catch_warnings():
        # A name in a script that no font here has is drawn as boxes, which says it all.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(path, dpi=120)


def _title(comparison: Comparison) -> str:
    value = comparison
    return (
        f"distance {value.distance:.2f}: {describe(value.distance)}\n"
        f"fidelity {value.fidelity:.2f} (added {value.added:.2f}, missing {value.missing:.2f}), "
        f"content {value.content:.2f}, lag {value.lag_ms:.1f} ms, gain {value.gain_db:+.1f} dB"
    )


def _shown(name: str) -> str:
    """A name in one line; a '$' would start a formula of matplotlib's own."""
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        half = (LONGEST_NAME - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    return name.replace("$", r"\$")


def _draw_levels(axes: "Axes", levels: np.ndarray, duration_s: float, title: str) -> Any:
    least, most = colors.LEVELS_DB
    image = _show_map(axes, levels, duration_s, cmap="magma", vmin=least, vmax=most)
    axes.set_title(title, loc="left", fontsize="medium")
    axes.tick_params(labelbottom=False)
    return image


def _draw_difference(axes: "Axes", legend: "Axes", maps: PairMaps) -> None:
    """The map, an outline around what exceeds the masked threshold, and what colours mean."""
    bright = colors.strength(maps.difference, maps.top)
    _show_map(axes, colors.difference_rgb(bright, maps.lean), maps.duration_s)
    heard = maps.heard.T.astype(float)
    if heard.any() and not heard.all():
        where = times(len(maps.difference)), np.arange(N_BANDS)
        axes.contour(*where, heard, levels=[0.5], colors="white", linewidths=0.5, alpha=0.7)
    axes.set_title(
        "difference: orange, more in the test; blue, less; grey, neither. "
        "Outlined: heard, by 1 dB or more over the masked threshold",
        loc="left",
        fontsize="medium",
    )
    axes.tick_params(labelbottom=False)
    scale = np.linspace(0.0, maps.top, 200)[:, None]
    lean = np.broadcast_to(np.array([-1.0, 0.0, 1.0]), (200, 3))
    both = colors.strength(np.broadcast_to(scale, lean.shape), maps.top)
    legend.imshow(
        colors.difference_rgb(both, lean),
        origin="lower",
        aspect="auto",
        extent=(0.0, 3.0, 0.0, maps.top),
    )
    legend.set_xticks([])
    legend.yaxis.tick_right()
    legend.yaxis.set_label_position("right")
    legend.set_ylabel("local distance in JND")


def _draw_over_time(axes: "Axes", maps: PairMaps, distance: float, frame: int) -> None:
    seconds = times(len(maps.over_time))
    axes.fill_between(seconds, maps.over_time, color="0.8")
    axes.plot(seconds, maps.over_time, color="0.2", linewidth=LINE_WIDTH)
    axes.axhline(distance, color="0.4", linestyle="--", linewidth=LINE_WIDTH)
    axes.axvline(seconds[frame], color="black", linestyle=":", linewidth=LINE_WIDTH)
    axes.set_xlim(0.0, maps.duration_s)
    axes.set_ylim(0.0, max(1.0, 1.1 * float(maps.over_time.max())))
    axes.set_ylabel("JND")
    axes.set_xlabel("time in s, from the common start")
    title = f"distance over time; dashed: its mean, the distance {distance:.2f}"
    axes.set_title(title, loc="left", fontsize="medium")


def _draw_spectra(axes: "Axes", maps: PairMaps, frame: int) -> None:
    """Levels of one moment by band, and the masked threshold of the reference."""
    band = np.arange(N_BANDS)
    threshold = maps.threshold_db[frame]
    axes.fill_between(band, threshold, -20.0, color="0.88", label="masked by the reference")
    axes.plot(band, threshold, color="0.5", linewidth=LINE_WIDTH)
    reference, test = maps.reference_db[frame], maps.test_db[frame]
    axes.fill_between(
        band,
        np.maximum(reference, threshold),
        np.maximum(test, threshold),
        where=maps.heard[frame].tolist(),
        color=HEARD_COLOR,
        label="heard difference",
    )
    axes.plot(band, reference, color=REFERENCE_COLOR, label="reference", linewidth=LINE_WIDTH)
    axes.plot(band, test, color=TEST_COLOR, label="test", linewidth=LINE_WIDTH)
    axes.set_xticks([band_of(hz) for hz in FREQUENCY_TICKS], list(FREQUENCY_TICKS.values()))
    axes.set_xlim(0, N_BANDS - 1)
    axes.set_ylim(-10.0, 100.0)
    axes.set_xlabel("frequency in Hz")
    axes.set_ylabel("excitation level in dB")
    at = times(len(maps.difference))[frame]
    axes.set_title(f"at {at:.2f} s (dotted line above)", loc="left", fontsize="medium")
    axes.legend(loc="upper right", ncols=2, fontsize="small")


def _show_map(axes: "Axes", values: np.ndarray, duration_s: float, **options: Any) -> Any:
    """An array over frames and bands (and colours), low bands below."""
    image = axes.imshow(
        values.swapaxes(0, 1),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0.0, duration_s, -0.5, N_BANDS - 0.5),
        **options,
    )
    axes.set_yticks([band_of(hz) for hz in FREQUENCY_TICKS], list(FREQUENCY_TICKS.values()))
    axes.set_ylabel("frequency in Hz")
    return image
