"""How well a music metric agrees with human ears: datasets, baselines, agreement, orderings.

Imports `pamt_metric`, never the other way round. `training` may import this package.
"""
