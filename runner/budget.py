"""What `runner budget` prints: the epsilon that some noise gives, or the noise for an epsilon."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from defenses._theorems import ASSUMES_1, ASSUMES_2, Budget, noise_1, noise_2, theorem_1, theorem_2

Accountant = Literal["rdp", "prv"]
NEEDS = {  # strategy -> the options it needs beside its noise, or epsilon
    "I": {"G", "R", "batch_size", "num_examples"},
    "II": {"eta", "B", "a"},
}
MAY_HAVE = {"I": {"epochs", "T", "members"}, "II": {"queries"}}


class NoBudget(ValueError):
    """What was asked has no answer; the message says what to change."""


def residual(strategy: str, M: int, delta: float, given: Mapping[str, float | None]) -> str:
    """Return the printable budget of residual perturbation, by the paper's Theorem 1 or 2.

    Args:
        strategy: "I", additive noise and the weights; "II", multiplicative noise and an answer.
        M: residual mappings.
        delta: in (0, 1).
        given: option -> value, None where it was not given. `epsilon` asks for the smallest noise;
            without it, `gamma` and `pi` ask for the smallest epsilon.

    Raises:
        NoBudget: an option is missing or does not belong, or a premise of the theorem fails.
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _demand_options(strategy, options)
    try:
        if strategy == "I":
            return "\n".join(
                [*_strategy_1(M, delta, options), "status: claimed", f"why: {ASSUMES_1}"]
            )
        return "\n".join([*_strategy_2(M, delta, options), "status: claimed", f"why: {ASSUMES_2}"])
    except ValueError as error:
        raise NoBudget(str(error)) from None


def dp_sgd(
    noise_multiplier: float | None,
    epsilon: float | None,
    batch_size: int,
    num_examples: int,
    epochs: int,
    delta: float,
    accountant: str,
) -> str:
    """Return the printable budget of DP-SGD with Poisson-sampled batches.

    Args:
        noise_multiplier: asks for epsilon; None asks for the multiplier of `epsilon`.
        epsilon: the target, or None.
        batch_size: the expected one.
        num_examples: training examples.
        epochs: of round(num_examples / batch_size) steps each.
        delta: in (0, 1).
        accountant: "rdp", "prv" or "both".

    Raises:
        NoBudget: an option is missing, or out of range.
    """
    target = {"noise-multiplier": noise_multiplier, "epsilon": epsilon}
    target = {name: value for name, value in target.items() if value is not None}
    if len(target) != 1:
        raise NoBudget("give --noise-multiplier to get epsilon, or --epsilon to get the noise")
    if accountant not in (legal := (*get_args(Accountant), "both")):
        raise NoBudget(f"--accountant must be one of {', '.join(legal)}, got {accountant!r}")
    for name, value in {**target, "batch-size": batch_size, "epochs": epochs}.items():
        if not 0 < value < float("inf"):
            raise NoBudget(f"--{name} must be above 0 and finite, got {value:g}")
    if batch_size > num_examples:
        raise NoBudget(f"--batch-size {batch_size} is above --num-examples {num_examples}")
    if not 0 < delta < 1:
        raise NoBudget(f"--delta must lie between 0 and 1, got {delta:g}")
    from defenses.dp_sgd import calibrated, spent  # Opacus and torch take seconds

    rate, steps = batch_size / num_examples, epochs * round(num_examples / batch_size)
    lines = [f"DP-SGD: {steps} steps at sample rate {rate:.5g}, delta {delta:g}"]
    for name in get_args(Accountant):
        if accountant not in (name, "both"):
            continue
        if noise_multiplier is not None:
            lines.append(
                f"epsilon {spent(noise_multiplier, rate, steps, delta, name):.5g} ({name})"
            )
        elif epsilon is not None:
            lines.append(
                f"noise multiplier {calibrated(epsilon, delta, rate, steps, name):.5g} ({name})"
            )
    return "\n".join([*lines, "status: proved", "why: for batches drawn by Poisson sampling"])


def _strategy_1(M: int, delta: float, options: dict[str, Any]) -> list[str]:
    facts = {"G": options["G"], "R": options["R"], "N": options["num_examples"]}
    facts |= {"b": options["batch_size"], "k": options.get("members", 1), "delta": delta}
    if "T" in options:
        facts["T"] = options["T"]
    else:  # each image once an epoch: T b / N is the number of epochs
        facts["T"] = options["epochs"] * facts["N"] / facts["b"]
    lines = [f"Theorem 1, Strategy I: the weights of a trained model, delta {delta:g}"]
    if "epsilon" in options:
        noise = noise_1(epsilon=options["epsilon"], **facts)
        lines.append(f"smallest noise for epsilon {options['epsilon']:g}")
        return [*lines, f"gamma {noise.gamma:.5g}", f"pi {noise.pi:.5g}"]
    budget = theorem_1(gamma=options["gamma"], pi=options["pi"], M=M, **facts)
    names = [*(f"U^{i}" for i in range(M)), "w"]
    layers = (f"{name} {layer:.5g}" for name, layer in zip(names, budget.layers, strict=True))
    return [*lines, *_figures(budget), f"each layer alone: {', '.join(layers)}"]


def _strategy_2(M: int, delta: float, options: dict[str, Any]) -> list[str]:
    queries = options.get("queries", 1)
    facts = {name: options[name] for name in ("eta", "B", "a")}
    facts |= {"M": M, "delta": delta, "queries": queries}
    lines = [f"Theorem 2, Strategy II: what {queries} answer(s) say, delta {delta:g}"]
    if "epsilon" in options:
        lines.append(f"smallest noise for epsilon {options['epsilon']:g}")
        for composed, counted in enumerate(("as stated", "all M + 1 layers composed")):
            noise = noise_2(epsilon=options["epsilon"], composed=bool(composed), **facts)
            lines.append(f"gamma {noise.gamma:.5g}, pi {noise.pi:.5g} ({counted})")
        return lines
    facts |= {"gamma": options["gamma"], "pi": options["pi"]}
    honest = theorem_2(composed=True, **facts).epsilon
    return [*lines, *_figures(theorem_2(**facts)), f"all M + 1 layers composed: {honest:.5g}"]


def _figures(budget: Budget) -> list[str]:
    return [
        f"epsilon {budget.epsilon:.5g}",
        f"lambda {budget.lambda_:.5g}",
        f"Renyi order {budget.order:.5g}",
    ]


def _demand_options(strategy: str, options: Collection[str]) -> None:
    """Refuse an unknown strategy, and options that are missing or that it has no use for."""
    if strategy not in NEEDS:
        raise NoBudget(f"--strategy must be one of {', '.join(NEEDS)}, got {strategy!r}")
    noise = {"epsilon"} if "epsilon" in options else {"gamma", "pi"}
    missing = [_option(name) for name in sorted(NEEDS[strategy] | noise) if name not in options]
    if strategy == "I" and ("epochs" in options) == ("T" in options):
        missing.append("one of --epochs and --T")
    if missing:
        raise NoBudget(f"Strategy {strategy} needs {', '.join(missing)}")
    idle = set(options) - NEEDS[strategy] - MAY_HAVE[strategy] - noise
    if idle:
        names = ", ".join(map(_option, sorted(idle)))
        with_epsilon = " when --epsilon is given" if noise == {"epsilon"} else ""
        raise NoBudget(f"Strategy {strategy} has no use for {names}{with_epsilon}; leave it out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
