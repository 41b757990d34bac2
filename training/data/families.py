"""Families of degradation: each a list of rungs of growing strength, mildest first.

What is done to a waveform is `benchmarks.degradations`; here is how strongly, and what a rung needs
beside the waveform. Noise around the masked threshold is in `benchmarks.masked_noise`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr

from benchmarks import degradations as degrade
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

WOW_HZ = 0.7
"""Of an off-centre record: 33 1/3 turns a minute are 0.56 Hz, 45 are 0.75 Hz."""

Waveform = np.ndarray  # (1, time) float32 at 48 kHz


def _leak(waveform: Waveform, _: int, *, level_db: float, other: Waveform) -> Waveform:
    """Another song underneath, as a bad separation leaves it."""
    return (waveform + other * 10.0 ** (level_db / 20.0)).astype(np.float32)


def _attack(
    waveform: Waveform, _: int, *, snr_db: float, attack: Callable[..., Waveform]
) -> Waveform:
    """A perturbation against the frozen encoder."""
    return attack(waveform, snr_db=snr_db)


def _resample(waveform: Waveform, sample_rate: int, *, rate: float) -> Waveform:
    """To another rate and back."""
    away = soxr.resample(waveform.T, sample_rate, rate)
    back = soxr.resample(away, rate, sample_rate).T
    whole = np.zeros_like(waveform)
    n_samples = min(whole.shape[-1], back.shape[-1])
    whole[:, :n_samples] = back[:, :n_samples]
    return whole


def _tilt(waveform: Waveform, sample_rate: int, *, tilt_db: float) -> Waveform:
    """Treble up and bass down by as much, as with the two knobs of an amplifier."""
    gains_db = {250.0: -tilt_db, 1000.0: 0.0, 4000.0: tilt_db}
    return degrade.equalise(waveform, sample_rate, gains_db=gains_db)


@dataclass(frozen=True)
class Rung:
    """A degradation of one strength.

    Attributes:
        degrade: the degradation, but for its strength.
        knob: the argument that sets the strength.
        strength: its value.
        needs: what else than the waveform it takes.
    """

    degrade: Callable[..., Waveform]
    knob: str
    strength: float
    needs: tuple[str, ...] = ()

    def __call__(self, waveform: Waveform, **available: object) -> Waveform:
        """The degraded copy."""
        taken = {name: available[name] for name in self.needs}
        return self.degrade(waveform, SAMPLE_RATE, **{self.knob: self.strength}, **taken)


def _family(
    degradation: Callable[..., Waveform],
    knob: str,
    strengths: Sequence[float],
    *,
    needs: tuple[str, ...] = (),
    **fixed: object,
) -> tuple[Rung, ...]:
    return tuple(Rung(partial(degradation, **fixed), knob, value, needs) for value in strengths)


_RANDOM = ("generator",)
FAMILIES: dict[str, tuple[Rung, ...]] = {
    "noise": _family(degrade.white_noise, "snr_db", (60.0, 40.0, 20.0, 0.0), needs=_RANDOM),
    "low-pass": _family(degrade.low_pass, "cutoff_hz", (12000.0, 7000.0, 3500.0)),
    "mp3": _family(degrade.codec, "kbps", (128, 64, 32), name="mp3"),
    "opus": _family(degrade.codec, "kbps", (96, 24, 8), name="opus"),
    "clipping": _family(degrade.clip, "fraction_of_peak", (0.7, 0.4, 0.2)),
    "quantisation": _family(degrade.quantise, "bits", (12, 9, 6)),
    "reverberation": _family(degrade.reverb, "wet", (0.1, 0.3, 0.6), needs=_RANDOM, rt60_s=0.6),
    "leakage": _family(_leak, "level_db", (-40.0, -25.0, -10.0), needs=("other",)),
    "packet loss": _family(degrade.packet_loss, "loss", (0.02, 0.08, 0.3), needs=_RANDOM),
    "high-pass": _family(degrade.high_pass, "cutoff_hz", (60.0, 250.0, 1000.0)),
    "aac": _family(degrade.codec, "kbps", (96, 48, 16), name="aac"),
    "vorbis": _family(degrade.codec, "kbps", (112, 72, 48), name="vorbis"),
    "equalisation": _family(_tilt, "tilt_db", (1.5, 5.0, 12.0)),
    "wow": _family(degrade.wow, "depth", (0.001, 0.005, 0.02), rate_hz=WOW_HZ),
    "pitch": _family(degrade.pitch_shift, "semitones", (0.1, 0.5, 2.0)),
    # Faster only: a slower copy would be longer than its clip.
    "tempo": _family(degrade.tempo, "rate", (1.01, 1.04, 1.15)),
    "adversarial": _family(_attack, "snr_db", (60.0, 45.0, 30.0), needs=("attack",)),
}
INAUDIBLE: dict[str, Rung] = {
    "resampled": Rung(_resample, "rate", 44_100.0),
    "louder": Rung(degrade.gain, "gain_db", 0.5),
    "delayed": Rung(degrade.delay, "delay_ms", 2.0),
}
"""What is done to every clip and must stay under one just-noticeable difference."""
SEVERE = {("noise", 3), ("pitch", 2), ("tempo", 2)}
"""Rungs so strong that another song need not be farther."""
