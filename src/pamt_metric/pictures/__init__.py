"""Pictures of one pair: where in time and frequency the two clips differ, and what masks it."""
