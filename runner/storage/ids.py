"""Names and seeds that follow from facts, the same on every machine."""

import hashlib
import json

import numpy as np


def seed_of(*parts: object) -> int:
    """Return a 63-bit seed that depends on all parts and their order; equal on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def generator_of(*parts: object) -> np.random.Generator:
    """Return a generator whose draws depend on all parts and their order; alike everywhere."""
    return np.random.Generator(np.random.Philox(seed_of(*parts)))


def digest(facts: object) -> str:
    """Return 8 hex digits that name a JSON object."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
