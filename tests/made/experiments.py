"""Experiments that are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from runner.experiment.experiment import Experiment
from tests.conftest import TINY


def refused(base: dict[str, Any] = TINY, **changes: Any) -> dict[str, str]:
    """The reasons, by dotted path."""
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate({**base, **changes})
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in caught.value.errors()}
