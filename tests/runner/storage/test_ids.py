"""Names and seeds are the same on every machine, and tomorrow."""

from runner.storage.ids import digest, generator_of, seed_of


def test_seeds_depend_on_every_part_and_fit_in_63_bits():
    seeds = {seed_of(*parts) for parts in [(1, "a"), (1, "b"), (2, "a"), ("a", 1), (1,)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_names_and_seeds_are_those_that_storages_of_before_were_written_with():
    assert seed_of("pool", 7, 3) == 7474669507471179638
    assert digest({"b": 2, "a": [1.5, None]}) == digest({"a": [1.5, None], "b": 2}) == "8807316f"


def test_a_generators_draws_follow_from_its_seed():
    assert generator_of("pool", 7).bytes(8) == generator_of("pool", 7).bytes(8)
    assert generator_of("pool", 7).bytes(8) != generator_of(7, "pool").bytes(8)
