"""Pretrained encoders of music, frozen: waveform in, hidden states per frame out.

`pamt_metric.encoders.mert.MertEncoder` serves the whole MERT family. Nothing is imported here,
so that `import pamt_metric` stays free of transformers.
"""
