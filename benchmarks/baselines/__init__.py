"""Contestants other than ours, each behind one small adapter.

All hear the conditions of `benchmarks.waveforms.baseline_conditions`: mono, one RMS, the shorter
sound padded with zeros at its end; where a metric departs from that, its module says so. Importing
this package registers the names and loads no heavy library.
"""

from benchmarks.baselines import encoder_cosine, log_mel, mr_stft, pamt

__all__ = ["encoder_cosine", "log_mel", "mr_stft", "pamt"]
