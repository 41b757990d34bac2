"""The contestants, each behind one small adapter.

All hear the conditions of `benchmarks.waveforms.baseline_conditions`: mono, one RMS, the shorter
sound padded with zeros at its end; where a metric departs from that, its module says so. Importing
this package registers the names and loads no library that only one of them needs. Those of other
projects run in a process of their own (`benchmarks.guard`).
"""

from benchmarks.baselines import (
    cdpam,
    encoder_cosine,
    haaqi,
    log_mel,
    mel_loss,
    mfcc,
    mr_stft,
    nmr,
    pamt,
    pamt_ear,
    pesq,
    si_sdr,
    stoi,
    two_f,
    visqol,
    zimtohrli,
)

__all__ = [
    "cdpam",
    "encoder_cosine",
    "haaqi",
    "log_mel",
    "mel_loss",
    "mfcc",
    "mr_stft",
    "nmr",
    "pamt",
    "pamt_ear",
    "pesq",
    "si_sdr",
    "stoi",
    "two_f",
    "visqol",
    "zimtohrli",
]
