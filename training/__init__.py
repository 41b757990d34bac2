"""The recipe that makes pamt-mini: one script a stage, run as `python -m training.<stage>`."""
