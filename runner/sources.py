"""Whose answers are read, and how many draws of a randomized model they stand for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from attacks.membership import Column


class Source(NamedTuple):
    """An arm's answers."""

    arm: str
    draws: int  # 1: of one draw; more: of the mean over so many


Sources = Mapping[Source, Sequence[str]]  # the paths of the M files of answers


def column_of(reads: Column, source: Source) -> str:
    """Return the column of answers.parquet that a source is read from."""
    return reads if source.draws == 1 else f"{reads}_mean"
