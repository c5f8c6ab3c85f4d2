"""What is stored of one experiment, sweep or audit, as far as it is set beside others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from runner.driver.named import Named, find, storage_of
from runner.faults import UserFault
from runner.storage.cloud import Folder
from runner.storage.store import DESCRIBED, RESULTS, Store, results_in

ASKED = {"arms", "attacks", "data", "evaluation"}  # keys without which nothing can be set beside


class Stored(NamedTuple):
    """One of those that are compared."""

    label: str  # what it is called beside the others
    kind: str
    folder: Folder
    results: dict[str, Any]
    described: dict[str, Any]  # experiment.json; empty where there is none
    store: Store | None  # where its models lie

    @property
    def config(self) -> dict[str, Any] | None:
        """Its resolved YAML; None where none was stored."""
        told = (self.results.get("provenance") or {}).get("config")
        return yaml.safe_load(told) if told else self.described.get("experiment")


def read_all(named: Sequence[str], storage: Folder | str) -> list[Stored]:
    """Return what is stored of each that was named.

    Raises:
        StorageError: something that was named is not there, or has no results.
        UserFault: fewer than two were named, or one twice, or its results cannot be read.
    """
    if len(named) < 2:
        raise UserFault(f"compare: two or more are compared, {named[0]!r} alone was named")
    found = [find(one, storage) for one in named]
    for i, one in enumerate(found):
        if one.folder in [other.folder for other in found[:i]]:
            raise UserFault(f"compare: {named[i]!r} is named twice ({one.folder}); name it once")
    names = [one.name for one in found]
    labels = [
        f"{name} ({names[:i].count(name) + 1})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]
    return [_stored(label, one) for label, one in zip(labels, found, strict=True)]


def _stored(label: str, one: Named) -> Stored:
    results = results_in(one.folder / RESULTS)
    if not results.keys() >= ASKED:
        missing = ", ".join(sorted(ASKED - results.keys()))
        raise UserFault(
            f"{one.folder / RESULTS}: not what `run`, `audit` or `sweep` writes, it has no "
            f"{missing}; `runner report` writes it anew"
        )
    described = one.folder / DESCRIBED
    told = results_in(described) if described.is_file() else {}
    return Stored(label, one.kind, one.folder, results, told, storage_of(one.folder))
