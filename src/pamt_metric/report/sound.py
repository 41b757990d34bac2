"""Sound inside a page: a waveform as the bytes of a compressed file that browsers decode."""

import base64
import io
from typing import Literal

import numpy as np
import soundfile
from jaxtyping import Float
from torch import Tensor

from pamt_metric.errors import InputError
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

HEADROOM = 0.98
"""Largest sample, as a share of full scale, that a clip is turned down to; both by one gain."""
BLOCK_SAMPLES = SAMPLE_RATE
"""Samples that are encoded at once: libsndfile's Ogg encoders keep a block on the stack."""


Format = Literal["flac", "opus", "none"]
"""How sound is kept in a page."""
_ENCODINGS = {"flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS")}


def check(kind: Format) -> None:
    """Refuse, before any work is done, a format that cannot be written here.

    Raises:
        InputError: libsndfile is too old for it.
    """
    if kind == "none":
        return
    container, subtype = _ENCODINGS[kind]
    if subtype not in soundfile.available_subtypes(container):
        raise InputError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot write {kind}: use another "
            "--audio"
        )


def encode_pair(
    reference: Float[Tensor, "channel time"], test: Float[Tensor, "channel time"], kind: Format
) -> tuple[str, str]:
    """Both clips at 48 kHz in base64, turned down by one gain where either would clip."""
    peak = max(float(reference.abs().max()), float(test.abs().max()))
    gain = min(1.0, HEADROOM / peak) if peak > 0.0 else 1.0
    return _encode(gain * reference, kind), _encode(gain * test, kind)


def _encode(waveform: Float[Tensor, "channel time"], kind: Format) -> str:
    container, subtype = _ENCODINGS[kind]
    samples = np.ascontiguousarray(_one_channel_if_equal(waveform).T.numpy())
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE, samples.shape[1], subtype=subtype, format=container
    ) as stream:
        for start in range(0, len(samples), BLOCK_SAMPLES):
            stream.write(samples[start : start + BLOCK_SAMPLES])
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _one_channel_if_equal(
    waveform: Float[Tensor, "channel time"],
) -> Float[Tensor, "kept time"]:
    return waveform[:1] if bool((waveform == waveform[0]).all()) else waveform
