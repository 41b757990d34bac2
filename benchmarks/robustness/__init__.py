"""Robustness: cover song identification and genre classification under attack.

The same probe on the same clips reads either the frozen encoder's hidden states or the metric's
embedding; white-box attacks go through everything between the waveform and the decision.
"""
