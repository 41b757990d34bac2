"""Readers and renderers that turn the data folder into cached training material."""
