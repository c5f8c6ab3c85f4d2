"""What each Run is expected to cost beside the others, before and after such ones were timed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from runner.forecast._step_times import quietly, recipe_of, step_times_of, steps_left
from runner.models import ImageShape, image_shape
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.train.fit import build_model

FEW = 2  # examples of which operations are counted; BatchNorm wants two


def costs(work: Work, runs: Sequence[Run]) -> list[float]:
    """Return what is left to do of each Run, in seconds, or in floating-point operations.

    Seconds where everything that is left was measured in other Runs of the experiment. Else the
    operations of training and of answering; attacks, which all arms meet alike, are left out.
    """
    times, left = step_times_of(work, None), [steps_left(work, run) for run in runs]
    if all(step in times.of for steps in left for step in steps):
        return [sum(times.of[step].median for step in steps) for steps in left]
    shape, counted = image_shape(work.dataset), dict[str, tuple[float, float]]()
    found = []
    for run in runs:
        recipe = recipe_of(run)
        if recipe not in counted:
            counted[recipe] = operations(run, shape)
        answer, step = counted[recipe]
        asked = sum(len(q.answers.names) * q.answers.draws for q in work.questions(run))
        epochs = 0 if quietly(work.is_trained, run) else run.training.epochs
        asked += epochs * run.training.loss_trace
        found.append(answer * asked * len(run.member) + step * epochs * len(run.members))
    return found


def operations(run: Run, shape: ImageShape) -> tuple[float, float]:
    """Return the floating-point operations that one answer takes, and one example's training step.

    Only matrix products and convolutions count. What a defense does beside its losses, such as
    DP-SGD's gradient of each example by itself, is not in it.
    """
    model = build_model(run, shape, torch.device("cpu")).eval()
    images, labels = torch.zeros(FEW, shape.channels, shape.height, shape.width), torch.arange(FEW)
    with _Operations() as answering, torch.no_grad():
        model(images)
    model.train()
    with _Operations() as training:
        run.defense.losses(model, images, labels % shape.num_classes).total.sum().backward()
    return answering.total / FEW, run.defense.copies * training.total / FEW


class _Operations(TorchDispatchMode):
    """Counts; torch's own FlopCounterMode cannot be around the gradients that an attack takes."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; to tell the compiler so takes 2 s to import it

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out
