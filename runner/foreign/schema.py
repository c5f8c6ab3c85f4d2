"""The YAML of an audit of given answers: how they are judged, and what is said of the models."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat

from attacks.by_name import Keys
from runner.experiment import config
from runner.experiment.judging import Averages, Membership, Stated, Vulnerable
from runner.experiment.questions import Name

SHARED = ("same", "differs", "unknown")  # how a recipe of the shadows begins


def _shared(told: str) -> str:
    """The text as it is, if it begins as it should."""
    if told.partition(":")[0] not in SHARED:
        raise ValueError(f"got {told!r}, expected {', '.join(SHARED)}, or one of them with ': how'")
    return told


class Claimed(Keys):
    """A guarantee of differential privacy that whoever trained the models states."""

    epsilon: PositiveFloat
    delta: Annotated[float, Field(ge=0, lt=1)] = 0.0
    why: str = "as whoever trained the models states it; not checked here"


class Told(Keys):
    """What examples are called in results.json and in the report."""

    ids: Literal["plain", "hashed"] = "plain"


class Audit(Keys):
    """One audit. `membership.attacks` left out means those that can be computed."""

    name: Name = "given"
    description: str = ""  # printed at the top of the report
    seed: NonNegativeInt = 0
    membership: Membership = Membership()
    averages: Averages = Averages()
    vulnerable: Vulnerable = Vulnerable()
    report: Told = Told()
    guarantee: Stated = Stated()  # whose delta lower bounds on epsilon are stated at
    claimed: dict[str, Claimed] = {}  # by arm
    # Which shadows a target is compared with where each example is in so many models: `even` keeps
    # as many of a kind for every target. None: `even`, but `all` of attacks that are asked for by
    # name of another tool's tree, whose own figures they are compared with.
    shadows: Literal["even", "all"] | None = None
    # Whether an arm's models were trained alike: "same", "unknown", or "differs: how".
    shadow_recipe: Annotated[str, AfterValidator(_shared)] = "unknown"

    @property
    def asked(self) -> bool:
        """Whether the attacks were chosen by name."""
        return "attacks" in self.membership.model_fields_set


def read_audit(
    path: Path | None, overrides: Sequence[str], told: Mapping[str, str | None]
) -> Audit:
    """Return the audit that a YAML file, `--set` and options of their own describe.

    Args:
        told: what options say of keys of the same name; None says nothing.

    Raises:
        ConfigError: every fault at once.
    """
    options = {
        f"{key}={json.dumps(value)}": f"--{key.replace('_', '-')} {shlex.quote(value)}"
        for key, value in told.items()
        if value is not None
    }
    data, lines = config.read(path, [*overrides, *options], options)
    return config.validate(data, Audit, str(path or "options"), lines)
