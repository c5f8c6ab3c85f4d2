"""Train: one Run from start to weights."""
