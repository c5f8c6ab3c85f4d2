"""DP-SGD: clipped per-example gradients and noise, over any defense that keeps examples apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from attacks.by_name import ByName
from defenses import Defense, Facts, Guarantee, Kit, Wrapper
from defenses._accounting import Accountant, answering, bounds_of
from defenses._poisson import in_parts, poisson_batches, sampling
from defenses._proved import Training
from defenses.erm import ERM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from defenses._trade_off import Neighbours, TradeOff

# the defense, and what `runner budget` asks
__all__ = ["AT_FPR", "DPSGD", "Accountant", "Training", "answering", "bounds_of", "sampling"]

AT_FPR = 0.001  # where the papers compare

GRADIENT_BYTES = 2 * 2**30  # of per-example gradients in memory at once, where the user sets none


class DPSGD(Wrapper):
    """Differentially private SGD on the base's loss.

    Source: Abadi et al. (2016), https://arxiv.org/abs/1607.00133, algorithm 1, by Opacus,
    https://arxiv.org/abs/2109.12298. An epoch is round(members / batch_size) steps, and each member
    is in a step's batch with probability q = batch_size / members. The sum of clipped gradients and
    noise is divided by batch_size, however many examples were drawn.

    With `augmentations` the gradients of so many augmented copies of an example are averaged, and
    it is that mean that is clipped: De et al. (2022), https://arxiv.org/abs/2204.13650. One example
    still moves the sum by max_grad_norm at most, so the guarantee is the same. `max_batch_size`
    cuts a batch that is drawn larger, for a little more delta: `Bounded`.

    Without `poisson_sampling` there is no guarantee, and the batches are the base's: the sum is
    divided by the number of examples in it, so that without noise and clipping the base is left.

    YAML: {name: dp_sgd, noise_multiplier: 1.1}
    YAML: {name: dp_sgd, noise_multiplier: 1.0, max_grad_norm: 0.5, base: {name: pgd_at}}
    YAML: {name: dp_sgd, target_epsilon: 8, target_delta: 1e-5, base: {name: trades}}
    YAML: {name: dp_sgd, target_tpr: 0.01, at_fpr: 0.001}
    YAML: {name: dp_sgd, noise_multiplier: 1.0, augmentations: 2, max_batch_size: 60}
    """

    name: Literal["dp_sgd"] = "dp_sgd"
    base: Annotated[Defense, ByName("defenses")] = ERM()
    noise_multiplier: NonNegativeFloat | None = None  # std of the noise, in units of max_grad_norm
    target_epsilon: PositiveFloat | None = None  # after all epochs; sets the noise
    target_delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5  # of target_epsilon
    max_grad_norm: PositiveFloat = 1.0  # l2, of one example's whole gradient
    accountant: Accountant = "prv"
    poisson_sampling: bool = True
    engine: Literal["taps", "opacus"] = "taps"  # how per-example gradients are taken; the same ones
    physical_batch_size: PositiveInt | None = None  # the most images whose gradients are held at
    # once, copies counted; None: as many as take 2 GiB. A step is then made of parts, and stays the
    # same step.
    augmentations: Annotated[PositiveInt, Field(exclude_if=lambda n: n == 1)] = 1
    max_batch_size: Annotated[PositiveInt | None, Field(exclude_if=lambda n: n is None)] = None
    target_tpr: Annotated[float | None, Field(gt=0, lt=1, exclude_if=lambda tpr: tpr is None)] = (
        None  # that no membership attack exceeds at `at_fpr` after all epochs; sets the noise
    )
    at_fpr: Annotated[float, Field(gt=0, lt=1, exclude_if=lambda fpr: fpr == AT_FPR)] = AT_FPR

    @model_validator(mode="after")
    def _noise_is_given_once(self) -> Self:
        of = {
            key: getattr(self, key) for key in ("noise_multiplier", "target_epsilon", "target_tpr")
        }
        given = [key for key, value in of.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                "dp_sgd needs exactly one of noise_multiplier (how much noise), target_epsilon and "
                "target_tpr (how much privacy; the noise follows), got "
                + (f"{'both ' * (len(given) == 2)}{' and '.join(given)}" or "neither")
            )
        if given != ["noise_multiplier"] and not self.poisson_sampling:
            raise ValueError(
                f"{given[0]} needs poisson_sampling: without it no epsilon and no ceiling is "
                "known; give noise_multiplier instead"
            )
        if self.target_tpr is None and "at_fpr" in self.model_fields_set:
            raise ValueError("at_fpr is where target_tpr holds; give target_tpr, or leave it out")
        if self.target_tpr is not None and self.target_tpr <= self.at_fpr:
            raise ValueError(
                f"target_tpr {self.target_tpr:g} is not above at_fpr {self.at_fpr:g}: a coin finds "
                "as many members as it accuses others, whatever the noise; use a larger target_tpr"
            )
        if self.base.per_example_steps:
            raise ValueError(
                f"dp_sgd over {self.base.name} clips per-example gradients twice; leave out one"
            )
        return self

    @model_validator(mode="after")
    def _batches_can_be_had(self) -> Self:
        if self.max_batch_size is not None and not self.poisson_sampling:
            raise ValueError(
                "max_batch_size cuts batches of random size, and without poisson_sampling all have "
                "training.batch_size examples; leave out one of the two"
            )
        if (self.physical_batch_size or self.augmentations) < self.augmentations:
            raise ValueError(
                f"physical_batch_size {self.physical_batch_size} is below augmentations "
                f"{self.augmentations}: the copies of an example are averaged before it is "
                "clipped, so all of them are held at once; use physical_batch_size: "
                f"{self.augmentations} or more"
            )
        return self

    @property
    def copies(self) -> int:
        return self.augmentations

    @property
    def per_example_steps(self) -> bool:
        return True

    @property
    def one_worker(self) -> bool:
        return True

    def resolved(self, num_members: int, batch_size: int, epochs: int) -> Self:
        """Return it with the noise that `target_epsilon` takes, so that a Run knows its own."""
        found = super().resolved(num_members, batch_size, epochs)
        if not self.poisson_sampling:
            return found
        training = Training(num_members, batch_size, epochs, self.max_batch_size)
        training.check()
        if self.target_epsilon is not None:
            noise = self._noise_for(self.target_epsilon, training)
        elif self.target_tpr is not None:
            noise = training.noise_of_tpr(self.target_tpr, self.at_fpr)
        else:
            return found
        settled = {"target_epsilon": None, "target_tpr": None, "at_fpr": AT_FPR}
        return found.model_copy(update={"noise_multiplier": noise, **settled})

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        """Return the base's network with GroupNorm in place of BatchNorm.

        It takes over eps, the affine values and whether they are trained. Running statistics are
        left behind: they are of other examples, and GroupNorm takes each image's own.

        Raises:
            ValueError: Opacus cannot take per-example gradients of a layer.
        """
        from torch.nn.parameter import is_lazy

        from defenses._private_network import refused_layers, without_batch_norm

        network = self.base.build(make_model)
        lazy = [name for name, p in network.named_parameters() if is_lazy(p)]
        if lazy:
            raise ValueError(
                f"dp_sgd cannot train this network: {lazy[0]} has no size before the first image; "
                "give the layer its sizes"
            )
        without_batch_norm(network.train())
        if refused := [*refused_layers(network)]:
            told = "; ".join(refused)
            raise ValueError(f"dp_sgd cannot train this network: {told}; choose another model")
        return network

    def examine(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Compare per-example gradients of the base's losses with autograd's."""
        from defenses._examined import wrong_gradients

        def losses(model: nn.Module, shown: Tensor) -> Tensor:
            copies = max(1, len(shown) // len(images))
            shown_as = labels.repeat_interleave(copies)[: len(shown)]
            return self.base.losses_at(model, shown, shown.flip(3), shown_as).total

        self.base.examine(network, images, labels)
        if wrong := wrong_gradients(network, losses, images, self.engine, min(self.copies, 2)):
            raise ValueError(f"dp_sgd cannot train this network: {wrong}")

    def protect(self, kit: Kit) -> Kit:
        """Return the kit with per-example gradients, clipping, noise, and Poisson batches."""
        import torch

        from defenses._engines import clipping, recording

        kit = self.base.protect(kit)
        model = recording(kit.model, self.engine, self.copies)
        optimizer = clipping(self.engine)(
            kit.optimizer,
            noise_multiplier=self._noise(),
            max_grad_norm=self.max_grad_norm,
            expected_batch_size=kit.batch_size,
            loss_reduction="mean",
        )
        size = sum(p.numel() * p.element_size() for p in kit.model.parameters() if p.requires_grad)
        part = max(1, (self.physical_batch_size or GRADIENT_BYTES // size) // self.copies)

        def steps(epoch: int) -> Iterator[Iterator[Tensor]]:
            if self.poisson_sampling:
                for batch in poisson_batches(kit, epoch, self.max_batch_size):
                    yield in_parts(batch, part, self.copies, optimizer)
            else:
                for parts in kit.steps(epoch):
                    batch = torch.cat(list(parts))
                    optimizer.expected_batch_size = len(batch)
                    yield in_parts(batch, part, self.copies, optimizer)

        return kit._replace(model=model, optimizer=optimizer, steps=steps)

    def guarantee(self, facts: Facts) -> Guarantee:
        """Return epsilon of the weights after `facts.epochs`, every epoch's weights included.

        Of a defense that is resolved: the noise of `target_epsilon` is settled once, in the plan.
        It covers neither the logged losses nor what was learnt from other runs on the same members.
        """
        if not self.poisson_sampling:
            why = "poisson_sampling is off, and the accountants presume it"
            return Guarantee(None, facts.delta, "none", "the weights", why)
        noise = self._noise()
        if noise == 0:
            why = "noise_multiplier is 0: gradients are clipped and no noise is added"
            return Guarantee(None, facts.delta, "none", "the weights", why)
        training = self._training(facts)
        accountant: Accountant = "rdp" if facts.quickly else self.accountant
        bounds = bounds_of(accountant, training.rate, facts.delta)
        found = training.epsilons(noise, facts.delta, bounds)
        if not found.epsilons:
            return Guarantee(None, facts.delta, "none", "the weights", found.refused[bounds[-1]])
        epsilon, by = found.smallest
        _, instead = answering(accountant, facts.delta)
        if accountant in found.refused:
            instead, _, _ = found.refused[accountant].partition("; ")  # what follows is advice
        elif by != accountant and accountant in found.epsilons:
            instead = f"{accountant} gives {found.epsilons[accountant]:.4g}"
        why = (
            f"noise multiplier {noise:.4g}, sampling rate {training.rate:.4g}, "
            f"{training.num_steps} steps, accountant {by}{f' ({instead})' if instead else ''}; "
            "one example added or removed"
        )
        if batches := training.batches:
            extra = batches.extra(epsilon)
            why += f"; batches of at most {batches.most}, whose cuts take {extra:.2g} of delta"
        return Guarantee(epsilon, facts.delta, "proved", "the weights", why)

    def trade_off(
        self, facts: Facts, neighbours: Neighbours = "added", copies: int = 1
    ) -> TradeOff | None:
        """Return the ceiling of any membership attack on the weights, every epoch's included."""
        noise = self._noise()
        if not self.poisson_sampling or noise == 0:
            return None
        return self._training(facts).ceiling(noise, neighbours, copies)

    def advice(self, num_members: int, batch_size: int, epochs: int) -> tuple[str, ...]:
        """Return the base's, and how much less noise is enough, where that is much.

        Or that a bound on the size of batches leaves nothing proved.
        """
        told = super().advice(num_members, batch_size, epochs)
        training = Training(num_members, batch_size, epochs, self.max_batch_size)
        if self.noise_multiplier and training.batches and (why := self._unproved(training)):
            return (*told, f"DP-SGD: no epsilon is proved of this training: {why}.")
        if self.target_epsilon is None:
            return told
        noise = self._noise_for(self.target_epsilon, training)
        target = self.target_epsilon, self.target_delta, self.accountant
        if (enough := training.needless(noise, *target)) is None:
            return told
        less = 100 * (1 - enough / noise)
        return (
            *told,
            f"DP-SGD: accountant {self.accountant} takes noise {noise:.4g} for target_epsilon "
            f"{self.target_epsilon:g}, and {enough:.4g} is enough, {less:.0f} % less; "
            "`accountant: best` trains with that (another noise, so other Runs).",
        )

    def _unproved(self, training: Training) -> str:
        """Why no epsilon can be proved at target_delta; "" where one can."""
        bounds = bounds_of(self.accountant, training.rate, self.target_delta)
        noise, delta = self._noise(), self.target_delta
        if training.epsilons(noise, delta, ("rdp",)).epsilons:  # quick, and only else all
            return ""
        found = training.epsilons(noise, delta, bounds)
        return "" if found.epsilons else found.refused[bounds[-1]]

    def remarks(self, network: nn.Module) -> tuple[str, ...]:
        """Return the base's remarks and DP-SGD's own."""
        from defenses._private_network import has_batch_norm

        told = [*self.base.remarks(network)]
        if has_batch_norm(network.train()):
            told.append(
                "DP-SGD: BatchNorm is replaced by GroupNorm, which makes it another network; "
                "train the baseline with `norm: group` to compare like with like."
            )
        if {"natural", "adversarial"} <= self.base.terms:
            told.append(
                f"DP-SGD: {self.base.name}'s loss of one example takes two forward passes; it is "
                "still that example's alone, and its gradient is clipped as one."
            )
        told.append(
            "DP-SGD: sampling and noise come from seeded generators, so a Run can be repeated; the "
            "guarantee presumes that the seed stays secret. It takes the number of members and the "
            "mean and spread of the pixels as public, and does not cover the logged losses."
        )
        return tuple(told)

    def _noise_for(self, target_epsilon: float, training: Training) -> float:
        """The noise of an epsilon; where prv finds none, what the best bound takes.

        Where prv finds one it stays, though its error of 0.01 takes more noise than needed of a
        small epsilon: the noise is part of a Run, and those that are stored would be trained anew.
        """
        target = target_epsilon, self.target_delta
        try:
            return training.noise_of_epsilon(*target, self.accountant)
        except ValueError:
            if self.accountant != "prv":
                raise
            return training.noise_of_epsilon(*target, "best")

    def _training(self, facts: Facts) -> Training:
        """What is done, as far as what is proved of it depends on that."""
        return Training(facts.num_members, facts.batch_size, facts.epochs, self.max_batch_size)

    def _noise(self) -> float:
        """The noise multiplier of a defense that is resolved."""
        assert self.noise_multiplier is not None, "the noise follows from the training: resolve it"
        return self.noise_multiplier
