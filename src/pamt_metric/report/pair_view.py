"""What the page knows of one pair: numbers, maps in bytes, and sound."""

import base64
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pamt_metric.batch import scorer
from pamt_metric.batch.result import Result
from pamt_metric.comparison import describe
from pamt_metric.errors import InputError
from pamt_metric.metric import Align, Level, Metric
from pamt_metric.pictures import colors
from pamt_metric.pictures.listening import Listening, listen
from pamt_metric.pictures.maps import PairMaps, pair_maps
from pamt_metric.report.sound import Format, encode_pair
from pamt_metric.report.source import Entry

MAX_COLUMNS = 800
"""Columns of a map: more than a screen shows; longer clips are averaged down to them."""
MAX_SOUND_S = 300.0
"""Clips longer than this come without sound: two of them would be a hundred megabytes."""
SAME_DISTANCE = 0.01
"""A table's distance and the one of now differ by more only if something has changed."""


def pair_view(
    entry: Entry,
    metric: Metric,
    *,
    level: Level,
    align: Align,
    audio: Format,
    max_duration: float | None = None,
) -> dict[str, Any]:
    """Plain values that JSON can hold.

    Raises:
        InputError: the files cannot be read or compared any more; the message says why.
    """
    loaded = scorer.load(entry.pair, max_duration=max_duration)
    if isinstance(loaded, Result):
        raise InputError(loaded.reason)
    heard = listen(metric, loaded.reference, loaded.test, level=level, align=align)
    maps = pair_maps(heard)
    return {
        "number": entry.number,
        "duration": maps.duration_s,
        "meaning": describe(heard.comparison.distance),
        "summary": heard.comparison.summary(),
        "notes": _notes(entry, heard, audio),
        **_in_bytes(maps),
        "sound": _sound(heard, audio),
    }


def _notes(entry: Entry, heard: Listening, audio: Format) -> list[str]:
    notes = [f"Warning: {warning}" for warning in heard.comparison.warnings]
    told, now = entry.result.distance, heard.comparison.distance
    if told is not None and abs(told - now) > SAME_DISTANCE:
        notes.append(
            f"The table says {told:.3f}, the files now give {now:.3f}: they, or an option, have "
            "changed since."
        )
    if audio == "none":
        notes.append("Sound was left out (--audio none).")
    elif heard.duration_s > MAX_SOUND_S:
        notes.append(
            f"Sound was left out: longer than {MAX_SOUND_S / 60:g} minutes. Columns start and end "
            "in the list of pairs choose a part."
        )
    return notes


def _sound(heard: Listening, audio: Format) -> dict[str, str] | None:
    if audio == "none" or heard.duration_s > MAX_SOUND_S:
        return None
    reference, test = encode_pair(heard.reference, heard.test, audio)
    return {"reference": reference, "test": test}


def _in_bytes(maps: PairMaps) -> dict[str, Any]:
    """Maps of one byte a place, column by column from the start, low bands first."""
    least, most = colors.LEVELS_DB
    difference = _columns(maps.difference)
    levels = {
        name: (_columns(values) - least) / (most - least)
        for name, values in (("reference", maps.reference_db), ("test", maps.test_db))
    }
    return {
        "columns": len(difference),
        "bands": difference.shape[1],
        "top": maps.top,
        "over_time": [round(value, 3) for value in difference.mean(1).tolist()],
        "difference": _base64(colors.strength(difference, maps.top)),
        "lean": _base64(0.5 + 0.5 * _columns(maps.lean)),
        "levels": {name: _base64(values) for name, values in levels.items()},
    }


def _columns(values: Float[np.ndarray, "frame band"]) -> Float[np.ndarray, "column band"]:
    """Means over equal stretches of time, where there are more frames than columns."""
    if len(values) <= MAX_COLUMNS:
        return values
    pooled = torch.nn.functional.adaptive_avg_pool1d(torch.from_numpy(values.T), MAX_COLUMNS)
    return pooled.T.numpy()


def _base64(share: Float[np.ndarray, "column band"]) -> str:
    """Values from 0 to 1 as bytes."""
    places = (255.0 * share.clip(0.0, 1.0)).round().astype(np.uint8)
    return base64.b64encode(places.tobytes()).decode("ascii")
