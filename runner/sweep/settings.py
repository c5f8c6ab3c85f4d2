"""From the axes of a sweep to settings, and from a setting to an experiment."""

import copy
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.data import Dataset
from runner.experiment import config
from runner.experiment.config import ConfigError, Fault
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Axis, Setting, Sweep, times
from runner.storage.ids import digest, generator_of
from runner.storage.store import Store

MOST_TRIED = 200  # combinations that are validated before anything starts


def drawn(sweep: Sweep) -> list[Setting]:
    """Return `num_trials` settings, each value drawn by the search's seed."""
    random = generator_of(sweep.search.seed, "settings")
    return [
        {key: value_at(axis, random.random()) for key, axis in sweep.axes.items()}
        for _ in range(sweep.search.num_trials or 0)
    ]


def value_at(axis: Axis, part: float) -> Any:
    """Return an axis's value at `part` of its way, in [0, 1); each of a list has equal room."""
    if (listed := axis.listed) is not None:
        return listed[int(part * len(listed))]
    assert axis.low is not None
    assert axis.high is not None
    low, high = (axis.low - 0.5, axis.high + 0.5) if axis.integer else (axis.low, axis.high)
    if axis.scale == "log":
        low = max(low, axis.low / 2)  # where 0.5 was taken from a 1 or less
        return rounded(axis, math.exp(math.log(low) + part * math.log(high / low)))
    return rounded(axis, low + part * (high - low))


def rounded(axis: Axis, value: float) -> int | float:
    """Return a number as it stands in a YAML: whole, or with six significant digits."""
    if not axis.integer:
        return float(f"{value:.6g}")
    assert axis.low is not None
    assert axis.high is not None
    return int(min(max(round(value), math.ceil(axis.low)), math.floor(axis.high)))


def id_of(setting: Setting) -> str:
    """Return the folder name of a setting."""
    return digest(setting)


def labels_of(sweep: Sweep, setting: Setting) -> dict[str, str]:
    """Return each value as short text: a mapping by its name, or whole where names repeat."""
    found = {}
    for key, value in setting.items():
        listed = sweep.axes[key].listed or ()
        names = Counter(str(each.get("name")) for each in listed if isinstance(each, dict))
        found[key] = _label(value, names)
        alike = {json.dumps(each) for each in listed if _label(each, names) == found[key]}
        if isinstance(value, float) and len(alike) > 1:
            found[key] = str(value)  # six digits would make two settings one
    return found


def in_words(sweep: Sweep, setting: Setting) -> str:
    """Return a setting in one line: weight 0.2, base trades."""
    ends = Counter(key.split(".")[-1] for key in sweep.axes)
    parts = []
    for key, label in labels_of(sweep, setting).items():
        last = key.split(".")[-1]
        parts.append(f"{last if ends[last] == 1 else key} {label}")
    return ", ".join(parts)


def with_setting(
    data: dict[str, Any], experiment: Experiment, setting: Setting, num_models: int
) -> dict[str, Any]:
    """Return the YAML of one setting: its values put in, and only the arms that are compared.

    Left out is what a comparison of so few arms and models has no use for: the sweep itself, what
    figures are drawn against, memorization, and an average over fewer models than there are.

    Args:
        data: the YAML of the sweep, from which `experiment` was made.

    Raises:
        ValueError: a key of an axis leads through something that has no keys.
    """
    sweep = experiment.sweep
    assert sweep is not None
    made = copy.deepcopy({k: v for k, v in data.items() if k not in NOT_COMPARED})
    made["arms"] = {name: made["arms"][name] for name in compared_arms(experiment)}
    if made.get("averages"):
        made["averages"].pop("num_models", None)
    made["design"] = {**(made.get("design") or {}), "num_models": num_models}
    values = {
        dotted: copy.deepcopy(value) if factor == 1 else times(value, factor)
        for key, value in setting.items()
        for dotted, factor in ({key: 1} | sweep.axes[key].also).items()
    }
    # The shorter key first: a whole `base`, then what is changed in it.
    for dotted in sorted(values, key=lambda dotted: dotted.count(".")):
        put(made, dotted, values[dotted])
    return made


NOT_COMPARED = ("sweep", "report", "memorization")
ASKED = ("answers", "robustness", "membership", "averages", "epsilon")  # keys that train nothing


def compared_arms(experiment: Experiment) -> list[str]:
    """Return the arms that a setting needs: its own, the base, those varied, shadows' arms."""
    sweep = experiment.sweep
    assert sweep is not None
    needed = {sweep.arm, sweep.base}
    for key, axis in sweep.axes.items():
        parts = [dotted.split(".") for dotted in (key, *axis.also)]
        needed |= {part[1] for part in parts if part[0] == "arms"}
    attacks = experiment.membership.attacks.values()
    needed |= {attack.needs().shadow_arm for attack in attacks}
    return [name for name in experiment.arms if name in needed]


def varied_arms(experiment: Experiment) -> set[str]:
    """Return the arms whose Runs differ by setting: what they are asked makes no other Runs."""
    sweep = experiment.sweep
    assert sweep is not None
    parts = [dotted.split(".") for key, axis in sweep.axes.items() for dotted in (key, *axis.also)]
    if any(part[0] not in ("arms", *ASKED) for part in parts):
        return {*experiment.arms}
    return {part[1] for part in parts if part[0] == "arms" and len(part) > 1}


def put(data: dict[str, Any], dotted: str, value: Any) -> None:
    """Set one dotted key in place; a name that stands for a mapping becomes one; None removes it.

    Raises:
        ValueError: a part of the key is neither a mapping nor a name.
    """
    *parents, last = dotted.split(".")
    for depth, key in enumerate(parents):
        inner = data.get(key)
        if inner is None or isinstance(inner, str):
            inner = data[key] = {"name": inner} if inner else {}
        if not isinstance(inner, dict):
            raise ValueError(f"{'.'.join(parents[: depth + 1])} is {inner!r}, which has no keys")
        data = inner
    if value is None:
        data.pop(last, None)
    else:
        data[last] = value


def check(
    data: dict[str, Any],
    experiment: Experiment,
    source: str,
    dataset: Dataset | None = None,
    seen: set[str] | None = None,
) -> None:
    """Try the settings out before anything starts: all of a grid, or each value by itself.

    Args:
        dataset: on which each sort of arm is rehearsed; None: none is.
        seen: what has been rehearsed, without a fault; grows.

    Raises:
        ConfigError: there is no sweep, or some settings make no valid experiment; each fault once,
            with a setting that has it.
    """
    if experiment.sweep is None:
        why = "there is no such block, so there is nothing to search; use `runner run`"
        raise ConfigError(source, [Fault("sweep", why)])
    faults: dict[tuple[str, str], Fault] = {}
    seen = set() if seen is None else seen
    for setting in to_try(experiment.sweep):
        told = f"(with {in_words(experiment.sweep, setting)})"
        try:
            made = with_setting(data, experiment, setting, experiment.sweep.rungs[0])
            valid = config.validate(made, Experiment, source)
            found = _rehearsed(valid, dataset, seen) if dataset else []
        except ConfigError as error:
            found = error.faults
        except ValueError as error:
            found = [Fault("sweep.axes", str(error))]
        for fault in found:
            whole = Fault(fault.path, f"{fault.reason} {told}")
            faults.setdefault((fault.path, fault.reason), whole)
    if faults:
        raise ConfigError(source, [*faults.values()])


def _rehearsed(experiment: Experiment, dataset: Dataset, seen: set[str]) -> list[Fault]:
    """The faults of a setting's arms of a sort that was not seen.

    Raises:
        DataMissing: the data are not enough for it.
    """
    from runner.forecast.rehearsal.rehearse import sorts_of, tried  # not for faults in keys
    from runner.plan.work import made_ready

    sorts = sorts_of(experiment)
    arms = [name for name in experiment.arms if sorts[name] not in seen]
    if not arms:
        return []
    work = made_ready(experiment, Store(Path()), dataset, Path())
    return tried(work, arms, seen).faults


def to_try(sweep: Sweep) -> Iterator[Setting]:
    """Every combination of values and of both ends of ranges; of too many, one change at a time."""
    ends = {
        key: axis.listed or (rounded(axis, axis.low or 0.0), rounded(axis, axis.high or 0.0))
        for key, axis in sweep.axes.items()
    }
    if math.prod(map(len, ends.values())) <= MOST_TRIED:
        yield from (dict(zip(ends, v, strict=True)) for v in itertools.product(*ends.values()))
        return
    first = {key: values[0] for key, values in ends.items()}
    yield first
    for key, values in ends.items():
        yield from ({**first, key: value} for value in values[1:])


def _label(value: Any, names: Counter[str]) -> str:
    if isinstance(value, dict):
        name = value.get("name", "")
        inner = ", ".join(f"{k} {_label(v, Counter())}" for k, v in value.items() if k != "name")
        return name if name and (names[name] == 1 or not inner) else f"{name}({inner})"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)
