"""The optimizer of a Run, without torch's compiler: its import would take each worker a second."""

import inspect
from typing import Any

import torch
from torch import nn

from runner.experiment.training import Training

# torch wraps these so that its compiler leaves them alone, and so imports it to be called at all.
WRAPPED = ("step", "add_param_group", "zero_grad", "state_dict", "load_state_dict")


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Return what moves the model's parameters as the training asks, to torch's last bit."""
    common: dict[str, Any] = {"lr": training.lr, "weight_decay": training.weight_decay}
    if training.optimizer == "adam":
        return _eager(torch.optim.Adam)(model.parameters(), **common)
    return _eager(torch.optim.SGD)(
        model.parameters(), momentum=training.momentum, nesterov=training.nesterov, **common
    )


def _eager(kind: type[torch.optim.Optimizer]) -> Any:
    """One of torch's optimizers whose methods are what torch wrapped."""
    own = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    return type(kind.__name__, (kind,), {**own, "step": torch.no_grad()(own["step"])})
