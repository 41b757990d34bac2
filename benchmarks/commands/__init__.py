"""The commands of `python -m benchmarks`, by what they ask; `__main__` registers them."""
