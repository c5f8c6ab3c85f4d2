"""What the paper's theorems claim of a model under residual perturbation, or why they do not."""

from collections.abc import Callable, Mapping
from typing import Literal

from defenses import Facts, Guarantee
from defenses._residual_noise import joins
from defenses._theorems import ASSUMES_1, ASSUMES_2, theorem_1, theorem_2


def claim_1(facts: Facts, gamma: float, pi: float, members: int) -> Guarantee:
    """Return what Theorem 1 claims of the weights under Strategy I.

    Args:
        facts: `assumed` must hold G, a bound of every residual mapping's expected output, and R, a
            bound of an input after normalisation; both in l2 norm.
        gamma: noise on each residual mapping.
        pi: noise on the input after normalisation.
        members: networks that are trained jointly.
    """

    def epsilon(G: float, R: float) -> float:
        budget = theorem_1(
            gamma=gamma,
            pi=pi,
            G=G,
            R=R,
            T=facts.epochs * facts.num_members / facts.batch_size,  # each example once an epoch
            b=facts.batch_size,
            N=facts.num_members,
            M=_num_mappings(facts, members),
            delta=facts.delta,
            k=members,
        )
        return budget.epsilon

    noise = {"gamma": gamma, "pi": pi}
    return _claim(facts, "the weights", noise, ("G", "R"), epsilon, ASSUMES_1)


def claim_2(
    facts: Facts, gamma: float, eta: float, last_layer_noise: float, members: int
) -> Guarantee:
    """Return what Theorem 2 claims of one answer under Strategy II.

    Args:
        facts: `assumed` must hold B, a bound of every residual mapping's output, and a, a bound of
            the last layer's weights; both in l2 norm.
        gamma: noise on each residual mapping, times the features' size.
        eta: the size below which a feature's noise does not shrink.
        last_layer_noise: the theorem's pi.
        members: networks whose answers an answer averages.
    """

    def epsilon(B: float, a: float) -> float:
        budget = theorem_2(
            gamma=gamma,
            pi=last_layer_noise,
            eta=eta,
            B=B,
            a=a,
            M=_num_mappings(facts, members),
            delta=facts.delta,
            queries=members,
        )
        return budget.epsilon

    noise = {"gamma": gamma, "eta": eta, "last_layer_noise": last_layer_noise}
    return _claim(facts, "one answer", noise, ("B", "a"), epsilon, ASSUMES_2)


def _claim(
    facts: Facts,
    of: Literal["the weights", "one answer"],
    noise: Mapping[str, float],
    letters: tuple[str, str],
    epsilon: Callable[[float, float], float],
    assumes: str,
) -> Guarantee:
    """The theorem's figure under the bounds that `letters` name, or the premise that fails."""
    off = [key for key, size in noise.items() if size == 0]
    missing = [letter for letter in letters if letter not in facts.assumed]
    if off:
        why = f"the theorem needs {' and '.join(off)} above 0"
    elif missing:
        keys = " and ".join(f"guarantee.{letter}" for letter in missing)
        why = f"nothing bounds {' and '.join(missing)}; give {keys} to print the paper's figure"
        why += " under that assumption"
    else:
        first, second = (facts.assumed[letter] for letter in letters)
        try:
            figure = epsilon(first, second)
        except ValueError as reason:
            return Guarantee(None, facts.delta, "none", of, str(reason))
        why = f"taking {letters[0]} = {first:g} and {letters[1]} = {second:g}: {assumes}"
        return Guarantee(figure, facts.delta, "claimed", of, why)
    return Guarantee(None, facts.delta, "none", of, why)


def _num_mappings(facts: Facts, members: int) -> int:
    """M, the residual mappings of one member."""
    return len(joins(facts.network)) // members
