"""Membership-inference attacks: was this example in the training set? One file each.

Letters: M models, N examples, B examples of one block, V views, C classes, E epochs, K numbers of
an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from attacks.by_name import Keys

Sums = Mapping[str, np.ndarray]
Column = Literal["log_odds", "logits", "correct", "view_logits", "loss_trace"]


class Examples(NamedTuple):
    """The B examples that answers are of, out of a pool of N."""

    number: np.ndarray  # (B,) int, places in the pool
    label: np.ndarray  # (B,) int in [0, C)
    num_pool: int  # N
    num_classes: int  # C


class Needs(NamedTuple):
    """The other models, called shadows, that an attack has to have beside its target."""

    inside: int = 1  # trained on an example, for the example to have a score
    outside: int = 1  # not trained on it
    either: bool = False  # whether as many of one kind alone give a score, though a worse one
    of_class: bool = False  # whether others must be trained, and not, on examples of its class
    num_shadows: int | None = None  # that `score` looks at, from the first on; None: all
    shadow_arm: str | None = None  # whose models they are; None: those of the target's own arm
    itself: bool = False  # its only shadow is the target, of which it knows some non-members


class MembershipAttack(Keys):
    """The contract: one attack is one file with one subclass, whose fields are its YAML keys.

    `score` is the definition of the attack. `score_all` judges every model as target at once;
    override it with a closed form, which the tests hold equal to `score`.

    What the runner must know of an attack, and no YAML key:
        reads: the answers that it is given, of which `signal` keeps what it needs.
            log_odds: (B, V) float32. correct: (B, V) uint8, 1 where the label has the largest
            logit. logits: (B, C) float32 of the plain image; log-probabilities do as well.
            view_logits: (B, V, C) float32; models are asked for them by `answers.logits: all`.
            loss_trace: (B, E) float32, the cross-entropy of the plain image after each epoch;
            trainings keep it by `training.loss_trace: true`.
        per_target: the runner calls `score` once for each target, with all examples, as one task,
            and never `sums` or `score_all`.
        calibrated: scores are probabilities of membership in [0, 1], so that precision and recall
            at a threshold mean something.
        cost_known: a score takes no longer than `runner plan` counts for each, which was measured
            of LiRA; where nobody measured it, `plan` says so.
        needs: what a design must give every judged example and target. By default one model
            trained with the example and one without: an attack that compares such models and says
            nothing is refused where coins may leave an example without them. One that is right
            about an example which all shadows hold, or none, says 0 and 0. `num_shadows` and
            `shadow_arm` are for attacks that are `per_target`, which have YAML keys of these names;
            so is `itself`, and then `by_halves` is what the runner calls.
    """

    name: str
    # Of the answers, that log-odds are read of; None: all.
    views: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    per_target: ClassVar[bool] = False
    calibrated: ClassVar[bool] = False

    @property
    def cost_known(self) -> bool:
        return False

    @property
    def reads(self) -> Column:
        return "log_odds"

    @property
    def by_view(self) -> bool:
        """Whether what it reads has an axis of views, of which `views` chooses."""
        return self.reads not in ("logits", "loss_trace")

    @property
    def shadows_apart(self) -> bool:
        """Whether `sums` and `score_all` take member (M, M, B), the shadows of each target apart.

        Say so where they are overridden and hang on how many shadows there are of a kind: then a
        design that tells members by these numbers is mended; else all models count.
        """
        cls, base = type(self), MembershipAttack
        return cls.score_all is base.score_all and cls.sums is base.sums

    @property
    def alone(self) -> bool:
        """Whether it looks at no model but the target."""
        needs = self.needs()
        comparing = needs.inside or needs.outside or needs.of_class
        return needs.itself or not (comparing or self.per_target)

    def needs(self, num_views: int = 1) -> Needs:
        """Return the other models that it takes to judge answers to so many views."""
        return Needs()

    def columns(self, views: Sequence[str]) -> list[int]:
        """Return which of the answers' views it reads, by their places."""
        return [place for place, view in enumerate(views) if view in (self.views or views)]

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return what the attack keeps of one model's answers, (B, K) float.

        Called once for each model, so that all classes of all views are never held of many models.
        By default the answers as they are.
        """
        return answers

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return how likely each example is a member of the target's training set.

        It never sees the target's own member row.

        Args:
            target: (N, K) float, the target model's signals.
            shadows: (S, N, K) float, those of the other models.
            shadow_member: (S, N) int8, 1 in, 0 out, -1 not judged.
            examples: all N of the pool.
            seed: of an attack that draws at random; the same seed gives the same scores.

        Returns:
            (N,) float64, higher means more likely a member.
        """
        raise NotImplementedError

    def sums(
        self, answers: np.ndarray, member: np.ndarray, partner: np.ndarray, examples: Examples
    ) -> Sums:
        """Return what `score_all` needs to know of all examples, from one block of them.

        The sums of several blocks are added, key by key. Shapes as for `score_all`.
        """
        return {}

    def score_all(
        self,
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sums,
    ) -> np.ndarray:
        """Return the scores of every model as target.

        The shadows of target m are all models but m and its partner: in a design of complementary
        pairs the partner's row is the mirror of the target's, so keeping it would give m away.
        Here target m draws with seed m.

        Args:
            answers: (M, B, K) float, the models' signals.
            member: (M, B) int8, 1 in, 0 out, -1 not judged; or, of an attack with `shadows_apart`,
                (M, M, B): of each target, what the others are to it, -1 those that it leaves out,
                itself and its partner among them.
            partner: (M,) int, the model complementary to each, or the model itself.
            examples: the B of this block.
            totals: `sums` added over all blocks.

        Returns:
            (M, B) float64.
        """
        models, apart = np.arange(len(answers)), member.ndim == 3
        shadows = [(models != m) & (models != partner[m]) for m in models]
        scores = [
            self.score(answers[m], answers[s], (member[m] if apart else member)[s], examples, m)
            for m, s in enumerate(shadows)
        ]
        return np.stack(scores)

    @classmethod
    def sums_of(
        cls,
        attacks: Sequence[Any],  # of this class
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
    ) -> list[Sums]:
        """Return the `sums` of several attacks of this class that take the same signals.

        Override it where they have work in common; the bits must be those of each alone.
        """
        return [attack.sums(answers, member, partner, examples) for attack in attacks]

    @classmethod
    def scores_of(
        cls,
        attacks: Sequence[Any],  # of this class
        answers: np.ndarray,
        member: np.ndarray,
        partner: np.ndarray,
        examples: Examples,
        totals: Sequence[Sums],
    ) -> list[np.ndarray]:
        """Return what `score_all` does of several such attacks, likewise.

        Args:
            totals: of each; the others as for `score_all`.
        """
        return [
            attack.score_all(answers, member, partner, examples, of_attack)
            for attack, of_attack in zip(attacks, totals, strict=True)
        ]


def by_halves(
    attack: MembershipAttack, target: np.ndarray, row: np.ndarray, examples: Examples, seed: int
) -> np.ndarray:
    """Return the scores (N,) of an attack that knows some of the target's non-members (`itself`).

    The pool is halved at random. Of one half the attacker is told who was no member, and he judges
    the other half; then the other way round. So what is known of an example has no part in its own
    score, and members and others of a half are drawn as those of the other are.

    Args:
        target: (N, K) float, the target's signals, which are those of the one shadow too.
        row: (N,) int8, the target's own: 1 in, 0 out, -1 not judged.
        examples: all N of the pool.
        seed: of the halves, and of what the attack draws.
    """
    half = np.random.RandomState(seed).permutation(len(row)) % 2  # its stream never changes
    scores = np.empty(len(row))
    for judged in (0, 1):
        known = np.where((half != judged) & (row == 0), 0, -1).astype(np.int8)
        found = attack.score(target, target[None], known[None], examples, seed)
        scores[half == judged] = found[half == judged]
    return scores


def log_odds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log(p_y / (1 - p_y)) of the true class y, in nats.

    Computed from logits, so it stays finite as p_y approaches 1.
    Source: Carlini et al. (2022), https://arxiv.org/abs/2112.03570, logit scaling.

    Args:
        logits: (N, C) float, before softmax.
        labels: (N,) int in [0, C).

    Returns:
        (N,) float64; higher means surer of the true class.

    Raises:
        ValueError: there are fewer than two classes.
    """
    if logits.shape[1] < 2:
        raise ValueError(f"log-odds need two classes or more, got logits of shape {logits.shape}")
    rows, others = np.arange(len(labels)), logits.astype(np.float64)
    true = others[rows, labels]
    others[rows, labels] = -np.inf  # the sum over "not y" must leave y out
    return true - np.logaddexp.reduce(others, axis=1)
