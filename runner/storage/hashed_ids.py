"""Ids of examples as hashes: whoever has the key finds them again, nobody else.

The key lies beside the report, in ids.key of the experiment's folder, and never in it.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.storage import store
from runner.storage.cloud import Folder

KEY = "ids.key"
DIGITS = 16  # 64 bits: of a million examples two share one once in 40 million experiments


def key_of(folder: Folder) -> bytes:
    """Return an experiment's key, drawn and written where there is none yet.

    Raises:
        Corrupt: the file is not what was written.
    """
    try:
        return store.read_sealed(folder / KEY)
    except FileNotFoundError:
        key = secrets.token_bytes(32)  # from no seed: whoever has the YAML would have the key
        store.write_sealed(folder / KEY, key)
        return key


def hashes(key: bytes, num_examples: int) -> np.ndarray:
    """Return what each example of a pool is called, (N,) str: HMAC-SHA256 of its place in it.

    Without the key one could try all places, and without a key at all whoever has the data could.
    """
    places = (str(place).encode() for place in range(num_examples))
    return np.array([hmac.digest(key, place, "sha256").hex()[:DIGITS] for place in places])


def renamed(figures: Mapping[str, Mapping[str, Any]], names: np.ndarray) -> dict[str, Any]:
    """Return what was found of examples at risk, by arm, with no id but the hash of each."""
    return {
        arm: {
            **found,
            "top": [
                {**one, "example": (name := str(names[one["example"]])), "source": {"id": name}}
                for one in found["top"]
            ],
        }
        for arm, found in figures.items()
    }
