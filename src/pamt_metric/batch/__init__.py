"""Many files at once: lists of pairs, all pairs of a set, the nearest to a query.

What one command does to a thousand files belongs here; what is printed belongs to `cli`.
"""
