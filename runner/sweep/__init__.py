"""A search over settings of one arm, by Ray Tune: `stage` has the order.

Only `stage`, `search`, `searchers` and `trial` need Ray.
"""
