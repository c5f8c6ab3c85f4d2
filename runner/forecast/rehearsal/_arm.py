"""One arm in small: its network is built, trained a step, saved, loaded, asked and attacked."""

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attacks.by_name import Keys
from attacks.evasion import EvasionAttack
from runner.data import to_float
from runner.experiment.config import Fault
from runner.forecast.rehearsal._attacks import faults_of_attacks
from runner.forecast.rehearsal._few import Few, taken
from runner.forecast.rehearsal._network import blind, wrong_answers, wrong_weights
from runner.forecast.rehearsal._trying import Arm, tried
from runner.models import ImageShape, built
from runner.norms import least_batch, narrow_norms
from runner.plan.plan import Run
from runner.train.bf16 import in_bf16
from runner.train.fit import Epoch, build_model, fit

CPU = torch.device("cpu")
WAY_OUT = "choose a model for such images, or mend it"


def faults_of_arm(arm: Arm, seen: set[str]) -> Iterator[Fault]:
    """What would fail of an arm's first Run, and so of them all. Nothing is written.

    Args:
        seen: networks, and attacks on them, that were tried with other arms; grows.

    Raises:
        Untried: it needs a GPU, which is not here.
    """
    step, why = tried(lambda: _step(arm), arm)
    if step is None:
        yield _why_no_step(arm, why)
        return
    if alone := _needs_one_worker(arm, step.model):
        yield Fault(arm.at("model"), f"{arm.model}: {alone}")
    batch_size = min(arm.run.training.batch_size, len(arm.run.members))
    kind = f"{step.model} {arm.run.defense.randomized}"
    if f"{kind} {batch_size}" not in seen:
        seen.add(f"{kind} {batch_size}")
        narrow, why = tried(lambda: _narrow_norms(arm, batch_size), arm)
        for wrong in narrow or ([why] if why else []):
            yield Fault(arm.at("model"), f"{arm.model}: {wrong}")
    asked = cache(lambda: _asked(arm))  # one for all questions: to build it may take longer
    if kind not in seen:
        wrong, why = tried(
            lambda: wrong_answers(asked(), arm.few, arm.shape) or _wrong_weights(arm, step), arm
        )
        if wrong or why:
            yield Fault(arm.at("model"), f"{arm.model}: {wrong or f'{why}; {WAY_OUT}'}")
            return
    seen.add(kind)
    yield from faults_of_attacks(arm, asked, kind, seen)


def _why_no_step(arm: Arm, why: str) -> Fault:
    """The first thing on the way to a step that fails; `why` is what the step failed with."""
    _, wrong = tried(lambda: built(arm.run.model, arm.shape), arm)
    if wrong:
        return Fault(arm.at("model"), f"{arm.model}: {wrong}; {WAY_OUT}")
    _, wrong = tried(lambda: build_model(arm.run, arm.shape, CPU), arm, bare=True)
    if wrong:
        return Fault(arm.at("defense"), wrong)
    answers, wrong = tried(lambda: wrong_answers(_asked(arm), arm.few, arm.shape), arm)
    if answers or wrong:
        return Fault(arm.at("model"), f"{arm.model}: {answers or f'{wrong}; {WAY_OUT}'}")
    step = f"a step of {arm.run.defense.name} on {arm.model}"
    return Fault(arm.at("defense"), f"{step}: {why}; choose another model or defense, or mend it")


def _narrow_norms(arm: Arm, batch_size: int) -> list[str]:
    network = build_model(arm.run, arm.shape, CPU)
    found = narrow_norms(network, to_float(arm.few.images), batch_size)
    return found or blind(network, arm.few)


def _asked(arm: Arm) -> nn.Module:
    """The network as it answers before any training."""
    return build_model(arm.run, arm.shape, CPU).eval()


def _step(arm: Arm) -> Epoch:
    """One step of training on the few images, with a learning rate of 0.

    What fails so is tried with the batches that there will be, for a defense may need more.
    """
    in_short = arm.run.defense.model_copy(update=_fewer_steps(arm.run.defense))
    small = replace(arm.run, defense=in_short)
    try:
        return _trained(small, arm.few, arm.shape)
    except Exception:
        data, members, size = arm.dataset, arm.run.members, arm.run.training.batch_size
        whole, rest = min(size, len(members)), len(members) % size
        network = build_model(arm.run, arm.shape, CPU)
        least = max(2 * arm.run.workers, least_batch(network, to_float(arm.few.images)))
        sizes = [n for n in (whole, rest) if n >= min(least, whole)]
        batches = [taken(data.pool_images, data.pool_labels, members[:n]) for n in sizes]
        done = [_trained(arm.run, batch, arm.shape) for batch in batches]
        return done[0]


def _trained(run: Run, few: Few, shape: ImageShape, state: dict[str, Any] | None = None) -> Epoch:
    """The Run after an epoch of one batch: these images; with a state, as it was before."""
    num = len(few.labels)
    schedule = run.training.schedule.model_copy(update={"warmup_epochs": 0.0})
    recipe = {"epochs": 1, "batch_size": num, "lr": 0.0, "schedule": schedule}
    recipe["ema"] = None  # the network itself is looked at, with what a step left in it
    small = replace(
        run,
        member=np.ones(num, np.int8),
        training=run.training.model_copy(update=recipe),
        workers=1,
        selection=None,
        selected_on=None,
    )
    return [*fit(small, few.images, few.labels, shape, state=state)][-1]


def _wrong_weights(arm: Arm, step: Epoch) -> str | None:
    """Why a checkpoint, or the weights of a finished Run, would not be read again."""
    again = build_model(arm.run, arm.shape, CPU)
    if arm.run.training.precision == "bf16":
        again = in_bf16(again)  # as the one that was trained answers
    if wrong := wrong_weights(step.model, again, arm.few):
        return wrong
    content = io.BytesIO()
    torch.save(step.state(), content)
    content.seek(0)
    again.load_state_dict(torch.load(content, weights_only=True)["model"])
    return None


def _needs_one_worker(arm: Arm, trained: nn.Module) -> str | None:
    """Why several workers cannot train it together."""
    fleet = arm.experiment.fleet
    if fleet.workers_per_run == 1:
        return None
    if not fleet.num_gpus and any(isinstance(m, _BatchNorm) for m in trained.modules()):
        return (
            "on CPUs each worker of a Run would keep BatchNorm statistics of its own; put "
            "GroupNorm in its place, or use fleet.workers_per_run: 1"
        )
    unused = [n for n, p in trained.named_parameters() if p.requires_grad and p.grad is None]
    if unused:
        return (
            f"the loss does not depend on {unused[0]}, for whose gradient the workers of a Run "
            "would wait; leave it out, or use fleet.workers_per_run: 1"
        )
    return None


def _fewer_steps(keys: Keys) -> dict[str, Any]:
    """The fields of a defense that hold something with steps, with one step each."""
    found: dict[str, Any] = {}
    for name in type(keys).model_fields:
        value = getattr(keys, name)
        if isinstance(value, EvasionAttack):
            found[name] = value.in_short()
        elif isinstance(value, Keys):
            found[name] = value.model_copy(update=_fewer_steps(value))
        elif name == "num_steps":
            found[name] = min(value, 1)
    return found
