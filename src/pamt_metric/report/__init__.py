"""The page that `pamt report` writes: a table of scored pairs, their maps, and their sound."""
