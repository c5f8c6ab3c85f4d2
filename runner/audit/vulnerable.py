"""Which examples an attack finds in nearly every model trained on them, and in which classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from runner.audit._classes import by_class
from runner.audit._flags import Calling, Flags, count_flags
from runner.audit._memorized import Memorized, memorized
from runner.audit._stability import (
    LEAST_REPEATS,
    expected_by_chance,
    nearly_always,
    rank_correlation,
    stability,
)
from runner.statistics.intervals import clopper_pearson
from runner.storage.answers import Source
from runner.storage.scores import Reading
from runner.storage.sources import Ids, id_columns, id_of

if TYPE_CHECKING:  # it would be torch, which tasks on the nodes have no use for
    from runner.experiment.judging import Vulnerable
    from runner.plan.subject import Subject


class AtRisk(NamedTuple):
    """What is known of each of N examples in the models of one arm."""

    memorization: np.ndarray  # (N,) float64, NaN where it is not judged
    standard_error: np.ndarray  # (N,) float64
    num_in: np.ndarray  # (N,) int32, models trained on it
    flagged_in: np.ndarray  # (N,) int32, and those of them in which it is called a member
    num_out: np.ndarray  # (N,) int32, models that judge it and were not trained on it
    flagged_out: np.ndarray  # (N,) int32
    found_from: np.ndarray  # (N,) float64, as `Flags` has it; NaN where it was not asked for


COUNTS = ("num_in", "flagged_in", "num_out", "flagged_out")  # of an example


class VulnerableExamples(NamedTuple):
    """The vulnerable examples of every arm."""

    figures: dict[str, dict[str, Any]]  # `vulnerable` of each arm in results.json
    examples: dict[str, AtRisk]


def find_vulnerable(work: "Subject", in_ray: bool = False) -> VulnerableExamples:
    """Return what the attack finds of single examples; docs/results_schema.md has its keys.

    Every model counts, whatever `averages.num_models` is, but for the figures of classes. A
    randomized arm is judged by one draw.

    Args:
        work: one that is scored.
        in_ray: over the cluster, to which this process is connected; else in this process, which
            finds the same bits.

    Raises:
        Corrupt: something that was finished cannot be read.
    """
    settings, plan, labels = work.settings, work.plan, work.labels
    attack = settings.vulnerable.attack or next(iter(settings.membership.attacks))
    chosen = settings.vulnerable.model_copy(update={"attack": attack})
    readings = [Reading(arm, 1, attack, "member") for arm in plan.arms]
    rate, sources = chosen.false_positive_rate, work.sources
    paths = {arm: sources[Source(arm, 1)] for arm in plan.arms}
    calling = Calling(work.scores, readings, plan.member, plan.partner, labels, rate)
    flags = count_flags(calling, in_ray)
    memory = memorized(paths, plan.member, in_ray)
    examples = {arm: _at_risk(memory[arm], flags[arm]) for arm in plan.arms}
    figures = {}
    for arm, one in examples.items():
        judged = labels[one.num_in + one.num_out > 0]
        figures[arm] = {
            "attack": attack,
            "false_positive_rate": rate,
            "at_least": chosen.at_least,
            "num_models": len(plan.member),
            **_over_examples(one, flags[arm], memory[arm].probability, chosen),
            "by_class": by_class(flags[arm], judged, work.over),
            "top": [
                _told(one, labels, work.ids, int(i)) for i in most_at_risk(one, chosen.num_shown)
            ],
        }
    return VulnerableExamples(figures, examples)


def most_at_risk(one: AtRisk, num: int) -> np.ndarray:
    """Return the places of the examples called members most often, (n,) int64, at most `num`.

    Among those called so equally often come first the ones that are least often called members in
    models not trained on them, then the most memorized. There are LEAST_REPEATS models or more
    trained on each, and one or more of them finds it.
    """
    known = np.flatnonzero((one.num_in >= LEAST_REPEATS) & (one.flagged_in > 0))
    inside = one.flagged_in[known] / one.num_in[known]
    outside = one.flagged_out[known] / np.maximum(one.num_out[known], 1)
    memory = np.nan_to_num(one.memorization[known], nan=-1.0)
    return known[np.lexsort((known, -memory, outside, -inside))[:num]]


def _at_risk(memory: Memorized, flags: Flags) -> AtRisk:
    counts = [getattr(flags, key).sum(0) for key in COUNTS]
    unknown = np.full(len(memory.score), np.nan)
    found_from = unknown if flags.found_from is None else flags.found_from
    return AtRisk(memory.score, memory.standard_error, *counts, found_from=found_from)


def _over_examples(
    one: AtRisk, flags: Flags, probability: np.ndarray, chosen: "Vulnerable"
) -> dict[str, Any]:
    """The figures of the examples that enough models were trained on."""
    known = one.num_in >= LEAST_REPEATS
    num_in, flagged_in = one.num_in[known], one.flagged_in[known]
    outside = nearly_always(one.flagged_out[known], one.num_out[known], chosen.at_least)
    often = flagged_in / num_in
    return {
        "num_examples": int(known.sum()),
        "least_in": int(num_in.min()) if known.any() else None,
        "most_in": int(num_in.max()) if known.any() else None,
        "num_vulnerable": int(nearly_always(flagged_in, num_in, chosen.at_least).sum()),
        "num_likewise_outside": int(outside.sum()),
        "chance": flags.chance,
        "expected_by_chance": expected_by_chance(num_in, chosen.at_least, flags.chance),
        "stability": stability(flags.num_in[:, known], flags.flagged_in[:, known], chosen.at_least),
        "memorization_correlation": rank_correlation(one.memorization[known], often),
        "probability_correlation": rank_correlation(probability[known], often),
    }


def _told(one: AtRisk, labels: np.ndarray, ids: Ids, i: int) -> dict[str, Any]:
    """One example, as results.json has it."""
    counts = {key: int(getattr(one, key)[i]) for key in COUNTS}
    low, high = clopper_pearson(counts["flagged_in"], counts["num_in"])
    memory = {key: float(getattr(one, key)[i]) for key in AtRisk._fields[:2]}
    return {
        "example": i,
        "source": id_of(ids, i),
        "label": int(labels[i]),
        **counts,
        "low": float(low),
        "high": float(high),
        **{key: value if np.isfinite(value) else None for key, value in memory.items()},
    }


MOST_LINES = 200_000  # of CSV; more examples are written as Parquet


def examples_file(
    labels: np.ndarray,
    examples: Mapping[str, AtRisk],
    ids: Ids,
    hashes: np.ndarray | None = None,
) -> dict[str, bytes | None]:
    """Return examples.csv, or examples.parquet where there are many; the other one is None.

    One row an example: what it is called where it comes from, its place in the pool, its label,
    and of each arm the fields of `AtRisk`, headed `<arm>.<field>`. Where an example is not judged,
    memorization is empty.

    Args:
        labels: (N,) int.
        ids: columns (N,).
        hashes: (N,) str, in place of all ids and of places, by which rows are then sorted: their
            order would tell the places.
    """
    columns = id_columns(ids) | {"place_in_pool": pa.array(np.arange(len(labels)))}
    columns = {"id": pa.array(hashes.tolist())} if hashes is not None else columns
    columns |= {"label": pa.array(labels)}
    for arm, one in examples.items():
        for key, values in one._asdict().items():
            columns[f"{arm}.{key}"] = pa.array(values, from_pandas=True)  # NaN is null
    table, out = pa.table(columns), pa.BufferOutputStream()
    table = table.sort_by("id") if hashes is not None else table
    if many := len(labels) > MOST_LINES:
        pq.write_table(table, out)
    else:
        pyarrow.csv.write_csv(table, out)
    content = out.getvalue().to_pybytes()
    return {
        "examples.csv": None if many else content,
        "examples.parquet": content if many else None,
    }
