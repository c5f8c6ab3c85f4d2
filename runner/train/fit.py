"""The training loop of one Run: plain PyTorch, with or without other workers, and no Ray."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from attacks.evasion import plain
from defenses import Kit
from runner.data import to_float
from runner.experiment.training import Schedule
from runner.models import ImageShape, built
from runner.norms import least_batch
from runner.plan.plan import Run
from runner.storage.ids import generator_of, seed_of
from runner.train._average import Average
from runner.train._optimizer import make_optimizer
from runner.train.augment import augmented
from runner.train.bf16 import in_bf16

Group = dist.ProcessGroup | None


class Epoch(NamedTuple):
    """What a finished epoch leaves: figures, and the state to go on from."""

    number: int  # from 0
    metrics: dict[str, float]  # mean losses, learning rate at the end, seconds
    state: Callable[[], dict[str, Any]]  # tensors and numbers only, so weights_only loads it
    model: nn.Module  # unwrapped; of the average of its weights, where that is asked for


def build_model(run: Run, shape: ImageShape, device: torch.device) -> nn.Module:
    """Return the Run's network with its initial weights; what has four axes is channels_last."""
    torch.manual_seed(seed_of(run.seed, "weights"))
    model = run.defense.build(lambda: built(run.model, shape)).to(device)
    for t in (*model.parameters(), *model.buffers()):
        if t.ndim == 4:  # `to` would refuse a network that has weights with five as well
            # `contiguous` would leave the strides of one channel: other kernels and bits.
            t.data = t.data.to(memory_format=torch.channels_last)
    return model


def fit(
    run: Run,
    images: Tensor,
    labels: Tensor,
    shape: ImageShape,
    group: Group = None,
    state: dict[str, Any] | None = None,
) -> Iterator[Epoch]:
    """Train a Run and yield after each epoch.

    Every random draw is seeded by the Run and the epoch, so a Run that goes on from `state` ends
    with the same bits on a CPU as one that was never stopped.

    Args:
        run: what to train.
        images: (N, channels, H, W) uint8, the pool, on the device to train on.
        labels: (N,) int64, on the same device.
        shape: what the network must know of the images.
        group: the workers that train this Run together, each with its share of every batch.
        state: an earlier epoch's `state()`; None starts from the beginning.

    Raises:
        ValueError: the defense cannot train this network.
        FloatingPointError: the loss is not finite any more.
    """
    training, device = run.training, images.device
    rank, world = (dist.get_rank(group), dist.get_world_size(group)) if group else (0, 1)
    model = build_model(run, shape, device)
    run.defense.examine(model, *_noise(images, labels))
    average = Average(build_model(run, shape, device), training.ema) if training.ema else None
    if training.precision == "bf16":
        model = in_bf16(model)
    optimizer = make_optimizer(model, training)
    least = max(2 * world, least_batch(model, to_float(images[:2])))
    first = 0
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if average:
            average.network.load_state_dict(state["average"])
        first = state["epoch"] + 1
    kit = run.defense.protect(
        Kit(
            _distributed(model, group),
            optimizer,
            lambda epoch: ([batch] for batch in _batches(run, epoch, least)),
            torch.from_numpy(run.members),
            training.batch_size,
            seed_of(run.seed, "defense"),
        )
    )
    phases, num_steps, lr = run.defense.phases(training.epochs), 0, training.lr
    for epoch in range(first, training.epochs):
        begun, length = _phase(phases, epoch)
        if epoch in (first, begun):  # DP-SGD has steps of its own, and each phase may have
            num_steps = sum(1 for _ in kit.steps(epoch))
        defense = run.defense.in_epoch(epoch)
        started = time.perf_counter()
        torch.manual_seed(seed_of(run.seed, "epoch", epoch, rank))
        draws = torch.Generator(device).manual_seed(seed_of(run.seed, "augment", epoch))
        kit.model.train()
        sums = _Sums(device)
        for step, parts in enumerate(kit.steps(epoch)):
            done = (epoch - begun) * num_steps + step
            lr = training.lr * lr_factor(training.schedule, done, num_steps, length)
            for parameters in kit.optimizer.param_groups:
                parameters["lr"] = lr
            for part in parts:
                chosen = part.to(device)
                # All workers draw for the whole part and keep their share: the same at any world.
                shown = augmented(images[chosen], run.augment, draws)[rank::world]
                kit.optimizer.zero_grad(set_to_none=True)
                losses = defense.losses(kit.model, shown, labels[chosen][rank::world])
                # Mean over all workers' shares, whatever they are: gradients are averaged.
                loss = losses.total.sum() * (world / len(part))
                loss.backward()
                kit.optimizer.step()
                sums.add(losses._asdict())
            if average:
                average.add(plain(kit.model), done)
        metrics = sums.means(group)
        if not math.isfinite(metrics.get("loss_total", 0)):
            raise FloatingPointError(
                f"the loss is {metrics['loss_total']} in epoch {epoch}; "
                f"lower training.lr (now {training.lr}) or use precision: fp32"
            )
        metrics |= _watched(run, kit.model, images, labels)
        metrics |= {"lr": lr, "time_s": time.perf_counter() - started}
        spent = run.defense.guarantee(run.facts(plain(kit.model), epoch + 1, quickly=True))
        if spent and spent.status == "proved" and spent.epsilon is not None:
            metrics |= {"epsilon": spent.epsilon, "delta": spent.delta}

        def now(epoch: int = epoch) -> dict[str, Any]:
            model = plain(kit.model).state_dict()
            kept = {"average": average.network.state_dict()} if average else {}
            return {"epoch": epoch, "model": model, "optimizer": kit.optimizer.state_dict(), **kept}

        yield Epoch(epoch, metrics, now, average.network if average else plain(kit.model))


def lr_factor(schedule: Schedule, step: int, num_steps: int, epochs: int) -> float:
    """Return the learning rate of a step as a multiple of its base.

    A warm-up of w steps has the rates 1/w, 2/w, ..., 1, as in Goyal et al. (2017),
    https://arxiv.org/abs/1706.02677: a first step at rate 0 would learn nothing, and DP-SGD would
    pay for it. Cosine falls from 1 over the steps that are left, so that nothing jumps; milestones
    count from the start.

    Args:
        schedule: how it moves.
        step: of the whole training, from 0.
        num_steps: of an epoch.
        epochs: of the whole training.
    """
    warmup = schedule.warmup_epochs * num_steps
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (epochs * num_steps - warmup)))
    return schedule.factor ** sum(step / num_steps >= each for each in schedule.milestones)


def _phase(phases: tuple[int, ...], epoch: int) -> tuple[int, int]:
    """The first epoch of the phase that an epoch is in, and how many epochs it has."""
    begun = 0
    for length in phases:
        if epoch < begun + length:
            return begun, length
        begun += length
    raise AssertionError(f"epoch {epoch} is behind all phases {phases}")


def _watched(run: Run, model: nn.Module, images: Tensor, labels: Tensor) -> Mapping[str, float]:
    """What the defense sees of the network after an epoch, on the same members each time."""
    if not run.defense.num_watched:
        return {}
    drawn = generator_of(run.seed, "watched").permutation(run.members)[: run.defense.num_watched]
    chosen = torch.from_numpy(drawn).to(images.device)
    torch.manual_seed(seed_of(run.seed, "watch"))  # the next epoch seeds its own draws
    return run.defense.watch(model, to_float(images[chosen]), labels[chosen])


def _batches(run: Run, epoch: int, least: int) -> Iterable[Tensor]:
    """The members in a new order, in batches; a last one that is too small is left out."""
    order = generator_of(run.seed, "order", epoch)
    batches = torch.from_numpy(order.permutation(run.members)).split(run.training.batch_size)
    return [b for b in batches if len(b) >= min(least, len(batches[0]))]


def _noise(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Three images of noise, no two alike and none of anybody, laid out as those of a step."""
    shape = (len(labels[:3]), *images.shape[1:])
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return drawn.to(images.device, memory_format=torch.channels_last), labels[:3]


def _distributed(model: nn.Module, group: Group) -> nn.Module:
    """The model, wrapped when several workers train it; on GPUs BatchNorm sees the global batch."""
    if group is None or dist.get_world_size(group) == 1:
        return model
    if next(model.parameters()).is_cuda:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model, group)
    # Two forwards a step (TRADES) would trip over buffers that a broadcast changed in between.
    return DistributedDataParallel(model, process_group=group, broadcast_buffers=False)


class _Sums:
    """Sums of per-example losses, kept on the device until the epoch ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.count = 0  # 0 after an epoch of empty batches, which Poisson sampling can give

    def add(self, losses: dict[str, Tensor | None]) -> None:
        for term, values in losses.items():
            if values is not None:
                self.sums[term] = self.sums.get(term, 0) + values.detach().double().sum()
        self.count += len(losses["total"])  # pyright: ignore[reportArgumentType]

    def means(self, group: Group) -> dict[str, float]:
        """The means over all workers' examples."""
        count = torch.tensor(float(self.count), dtype=torch.float64, device=self.device)
        both = torch.stack([*self.sums.values(), count])
        if group is not None:
            dist.all_reduce(both, group=group)
        means = (both[:-1] / both[-1]).tolist()
        return {f"loss_{term}": mean for term, mean in zip(self.sums, means, strict=True)}
