"""Names and seeds are the same on every machine, and tomorrow."""

from runner.storage.ids import seed_of


def test_seeds_depend_on_every_part_and_fit_in_63_bits():
    seeds = {seed_of(*parts) for parts in [(1, "a"), (1, "b"), (2, "a"), ("a", 1), (1,)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
