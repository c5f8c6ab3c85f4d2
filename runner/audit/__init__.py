"""Audit: every pass over answers and scores."""

import sys
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    """This package, which Python puts in the place of the function `runner.audit`: call either."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return sys.modules["runner"].audit_arrays(*arguments, **named)


sys.modules[__name__].__class__ = _Called
