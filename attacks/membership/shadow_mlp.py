"""The shadow attack: a small network learns from shadow models how answers to members look."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import PositiveInt

from attacks.membership import Column, Examples, MembershipAttack, Needs

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier


class Protocol(NamedTuple):
    """How the attacker's network is trained, with Adam."""

    hidden: tuple[int, ...]
    learning_rate: float
    batch_size: int
    epochs: int
    l2: float  # scikit-learn's alpha, which it halves and divides by the batch size


PROTOCOLS = {
    # IV-A-c of "Residual Perturbation", which names no batch size; He et al., after whom it trains
    # its models, have 128.
    "respert-paper": Protocol((64,), 0.1, batch_size=128, epochs=50, l2=0),
    # The paper's network with the code's training: AhmedSalem2/ML-Leaks, trainAttackModel.
    "salem-paper": Protocol((64,), 0.01, batch_size=10, epochs=50, l2=2e-5),
    # The code asks for model='softmax', so its n_hidden=64 is unused. Adam moves two softmax units
    # apart by 0.01 each, which is one logistic unit moved by 0.02, at half the penalty.
    "salem-code": Protocol((), 0.02, batch_size=10, epochs=50, l2=1e-5),
}


class ShadowMLP(MembershipAttack):
    """Train a network to tell a shadow's members by its largest probabilities, then ask it.

    Sources: Salem et al. (2019), https://arxiv.org/abs/1806.01246, adversary 1, and section IV-A-b
    of "Residual Perturbation". `PROTOCOLS` has the trainings. Unlike LiRA it has no memory of
    examples: one rule for all, so it says little about the worst case.

    `activation` is that of the hidden layer. The seed paper names none; tanh is what ML-Leaks' code
    gives a hidden layer. It decides the result at respert-paper's learning rate of 0.1: on a
    simulated weak signal (best AUC 0.54, 10,000 shadow rows) 20 tanh networks had a mean AUC of
    0.536, while all 20 ReLU networks died: one answer for every example, AUC 0.5 exactly, which
    reads as privacy. On another, at 25,000 rows, 11 of 20 died; at a best AUC of 0.7, none of 8.
    tanh can be misled as well: 2 of 20 were below 0.505 at 2,500 rows. The attacker, who sees his
    shadows' membership, may therefore train `restarts` networks and keep the one that fits it
    best: with five, tanh had 0.537 to 0.539 there. Five did not save ReLU. The papers train one.

    The output is one logistic unit where the papers have two softmax units: the same functions, but
    after a hidden layer it moves half as fast.

    shadow_arm: the arm whose models are the shadows, as where the seed paper attacks an ensemble
        with the shadow of a plain network; None is the target's own arm, the adaptive attacker.
        The runner picks them.
    num_shadows: how many of the shadows given are used, from the first on.
    """

    name: Literal["shadow_mlp"] = "shadow_mlp"
    protocol: Literal["respert-paper", "salem-paper", "salem-code"] = "respert-paper"
    top: PositiveInt = 3
    shadow_arm: str | None = None
    num_shadows: PositiveInt = 1
    activation: Literal["tanh", "relu"] = "tanh"
    restarts: PositiveInt = 1

    per_target: ClassVar[bool] = True
    calibrated: ClassVar[bool] = True

    @property
    def reads(self) -> Column:
        return "logits"

    def needs(self, num_views: int = 1) -> Needs:
        """Shadows with members and non-members, whichever those are."""
        return Needs(0, 0, num_shadows=self.num_shadows, shadow_arm=self.shadow_arm)

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the probability of membership that the network gives each of the N examples.

        It learns from the examples with shadow_member >= 0 of each shadow.

        Args:
            target: (N, C) float logits or log-probabilities.
            shadows: (S, N, C) float, likewise.
            shadow_member: (S, N) int8, 1 in, 0 out, -1 not judged.
            examples: not looked at.
            seed: of the network's first weights and the order of the rows.

        Raises:
            ValueError: shapes do not fit, too few shadows, or one without members or non-members.
        """
        from sklearn.metrics import log_loss

        self._check(target, shadows, shadow_member)
        used, member = shadows[: self.num_shadows], shadow_member[: self.num_shadows]
        rows = top_probabilities(used[member >= 0], self.top)
        labels = member[member >= 0] == 1
        seeds = np.random.SeedSequence(seed).generate_state(self.restarts)
        networks = [self._train(rows, labels, int(s)) for s in seeds]
        best = min(networks, key=lambda network: log_loss(labels, network.predict_proba(rows)))
        return np.asarray(best.predict_proba(top_probabilities(target, self.top)))[:, 1]

    def _train(self, rows: np.ndarray, labels: np.ndarray, seed: int) -> MLPClassifier:
        """A network after exactly the protocol's number of epochs."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        protocol = PROTOCOLS[self.protocol]
        network = MLPClassifier(
            protocol.hidden,
            activation=self.activation,
            learning_rate_init=protocol.learning_rate,
            batch_size=min(protocol.batch_size, len(rows)),  # pyright: ignore[reportArgumentType]
            alpha=protocol.l2,
            max_iter=protocol.epochs,
            n_iter_no_change=protocol.epochs,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # to stop then is the protocol
            network.fit(rows, labels)
        assert network.n_iter_ == protocol.epochs
        return network

    def _check(self, target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray) -> None:
        if shadows.shape[1:] != target.shape or shadow_member.shape != shadows.shape[:2]:
            raise ValueError(
                "expected logits (N, C) of the target and (S, N, C) of the shadows with membership "
                f"(S, N), got {target.shape}, {shadows.shape} and {shadow_member.shape}"
            )
        if len(shadows) < self.num_shadows:
            raise ValueError(
                f"expected {self.num_shadows} shadows or more, got {len(shadows)}; "
                "train more models or lower num_shadows"
            )
        for s, row in enumerate(shadow_member[: self.num_shadows]):
            num_in, num_out = int((row == 1).sum()), int((row == 0).sum())
            if not num_in or not num_out:
                raise ValueError(
                    "expected members and non-members in every shadow, got "
                    f"{num_in} and {num_out} in shadow {s}; use a design that gives it both"
                )


def top_probabilities(logits: np.ndarray, top: int) -> np.ndarray:
    """Return the largest class probabilities, in falling order, whichever classes they are.

    The logits are sorted before they are summed, so the order of the classes changes no bit.

    Args:
        logits: (N, C) float logits or log-probabilities.
        top: how many; min(top, C) come back, so 2 for two classes.

    Returns:
        (N, min(top, C)) float64.
    """
    falling = -np.sort(-logits.astype(np.float64, order="C"), axis=1)
    odds = np.exp(falling - falling[:, :1])
    return odds[:, :top] / odds.sum(axis=1, keepdims=True)
