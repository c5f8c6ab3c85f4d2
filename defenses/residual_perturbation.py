"""Residual perturbation: Gaussian noise on every residual block, in training and in answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from attacks.by_name import ByName
from defenses import Defense, Facts, Guarantee, Wrapper
from defenses._theorems import (
    ASSUMES_1,
    ASSUMES_2,
    Budget,
    Noise,
    Strategy,
    noise_1,
    noise_2,
    theorem_1,
    theorem_2,
)
from defenses.erm import ERM

if TYPE_CHECKING:
    from torch import nn

__all__ = [  # the defense, and what `runner budget` asks
    "ASSUMES_1",
    "ASSUMES_2",
    "Budget",
    "Noise",
    "ResidualPerturbation",
    "noise_1",
    "noise_2",
    "theorem_1",
    "theorem_2",
]


class ResidualPerturbation(Wrapper):
    """Any other defense on a network whose residual blocks are noisy, as its attackers find it.

    Source: Tao, Ling, Shi and Wang, "Deep Learning with Data Privacy via Residual Perturbation"
    (seed paper). With n standard normal, drawn anew for every block, member and pass:
    I, equation 6: x + F(x) + gamma n. II, equation 8 and section III-B: x + F(x) + gamma x~ n, with
    x~ = sgn(x) max(|x|, eta). Here sgn(0) is +1: a ReLU leaves exact zeros, which the paper's sgn
    would leave without noise and Theorem 2 without a premise. x is what the shortcut gives; where
    a projection changes its shape, that is not the block's input. What a network does after the
    sum, such as ResNet's ReLU, it does after the noise.
    enresnet: gamma n times the standard deviation of the whole batch's sum, gradient included, as
    in the predecessor's code: Wang et al. (2019), https://arxiv.org/abs/1811.10745. That code
    averages logits; the paper does not say what its ensembles En_k average.

    YAML: {name: residual_perturbation, strategy: I, gamma: 0.5, base: {name: pgd_at}}
    YAML: {name: residual_perturbation, strategy: II, gamma: 0.5, eta: 0.1, last_layer_noise: 0.5}
    YAML: {name: residual_perturbation, strategy: enresnet, gamma: 0.1, members: 5}
    """

    name: Literal["residual_perturbation"] = "residual_perturbation"
    base: Annotated[Defense, ByName("defenses")] = ERM()
    strategy: Strategy = "I"
    gamma: NonNegativeFloat
    eta: NonNegativeFloat = 0  # of II: the size below which a feature's noise does not shrink
    pi: NonNegativeFloat | None = None  # of input noise, in the data set's std; None: `input_noise`
    last_layer_noise: NonNegativeFloat = 0  # of II, times the features' l2 norm: Theorem 2's pi
    # En_k: k networks, trained jointly with one loss on their average
    members: Annotated[int, Field(ge=1, le=100)] = 1
    average: Literal["logits", "probabilities"] = "logits"
    skip: bool = True  # False: the ablation of section IV-D, F(x) and noise

    @model_validator(mode="after")
    def _keys_have_a_meaning(self) -> Self:
        for key in ("eta", "last_layer_noise"):
            if getattr(self, key) > 0 and self.strategy != "II":
                raise ValueError(
                    f"{key} belongs to strategy II, got {getattr(self, key):g} with strategy "
                    f"{self.strategy}; leave it out, or set strategy: II"
                )
        below = self.base
        while isinstance(below, Wrapper):
            if isinstance(below, ResidualPerturbation):
                raise ValueError("residual perturbation cannot be its own base; leave out one")
            below = below.base
        return self

    @property
    def input_noise(self) -> float:
        """The input noise that `pi` means; by default gamma / 2 in I (section IV-A), else 0."""
        if self.pi is not None:
            return self.pi
        return self.gamma / 2 if self.strategy == "I" else 0.0

    @property
    def couples_examples(self) -> bool:
        return (self.strategy == "enresnet" and self.gamma > 0) or self.base.couples_examples

    @property
    def randomized(self) -> bool:
        noise = self.gamma + self.input_noise + self.last_layer_noise
        return noise > 0 or self.base.randomized

    @property
    def one_worker(self) -> bool:
        """EnResNet's noise is measured on the whole batch."""
        return self.strategy == "enresnet" or self.base.one_worker

    def in_short(self) -> Self:
        """Return it with two networks at most."""
        fewer = {"members": min(2, self.members), "base": self.base.in_short()}
        return self.model_copy(update=fewer)

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        """Return the noisy network, or the ensemble of them; without any dial, the base's network.

        Raises:
            ValueError: the network lacks a layer that noise is to be added at.
        """
        from defenses._residual_noise import Ensemble, perturb_input, perturb_joins, perturb_logits

        networks = [self.base.build(make_model) for _ in range(self.members)]
        for network in networks:
            if self.gamma > 0 or not self.skip:
                perturb_joins(network, self.strategy, self.gamma, self.eta, self.skip)
            if self.input_noise > 0:
                perturb_input(network, self.input_noise)
            if self.last_layer_noise > 0:
                perturb_logits(network, self.last_layer_noise)
        return networks[0] if self.members == 1 else Ensemble(networks, self.average)

    def guarantee(self, facts: Facts) -> Guarantee:
        """Return the base's proof if it has one, else what the paper claims, or why it does not."""
        from defenses._residual_claims import claim_1, claim_2

        proved = self.base.guarantee(facts)
        if proved is not None and proved.status == "proved":
            return proved
        of, reason = ("one answer" if self.strategy == "II" else "the weights"), self._unclaimed()
        if reason is not None:
            return Guarantee(None, facts.delta, "none", of, reason)
        if self.strategy == "II":
            return claim_2(facts, self.gamma, self.eta, self.last_layer_noise, self.members)
        return claim_1(facts, self.gamma, self.input_noise, self.members)

    def remarks(self, network: nn.Module) -> tuple[str, ...]:
        said = []
        if self.input_noise > 0:
            said.append(
                "The input noise pi is added after normalisation: its unit is the standard "
                "deviation of the data set, and a bound R of Theorem 1 is in it too."
            )
        if self.strategy == "II" and self.gamma > 0:
            said.append(
                "Strategy II scales its noise by the shortcut of a block, which is not the block's "
                "input where a projection changes its shape."
            )
            if self.eta > 0:
                said.append(
                    "Strategy II takes sgn(0) as +1, so that a zero feature gets noise of size "
                    "gamma eta; under the paper's formula it gets none."
                )
        if self.strategy == "enresnet" and self.gamma > 0:
            said.append(
                "EnResNet's noise scales with the standard deviation over the batch: the examples "
                "of a batch meet, in training and in every answer."
            )
        return (*said, *self.base.remarks(network))

    def _unclaimed(self) -> str | None:
        """Why neither theorem is about a model trained so, whatever the noise and the bounds."""
        if not self.skip:
            return "the theorems are about residual blocks; skip: false makes none"
        if self.per_example_steps:
            return f"the theorems are about plain SGD, and {self.base.name} takes other steps"
        if self.strategy == "II":
            return None
        if self.strategy == "enresnet":
            return "no theorem covers noise that scales with the batch's standard deviation"
        if self.couples_examples:
            return f"Theorem 1 adds up gradients of single images; {self.base.name} couples images"
        if "adversarial" in self.terms:
            return f"Theorem 1 counts one pass per image and step; {self.base.name} makes several"
        return None
