"""What `runner budget` prints: the epsilon that some noise gives, or the noise for an epsilon."""

from collections.abc import Collection, Iterator, Mapping
from decimal import ROUND_CEILING, Context
from typing import Any, get_args

from defenses.dp_sgd import Accountant, answering, calibrated, sampling, spent
from defenses.residual_perturbation import (
    ASSUMES_1,
    ASSUMES_2,
    Budget,
    Noise,
    noise_1,
    noise_2,
    theorem_1,
    theorem_2,
)
from runner.faults import UserFault

NEEDS = {  # strategy -> the options it needs beside its noise, or epsilon
    "I": {"G", "R", "batch_size", "num_examples"},
    "II": {"eta", "B", "a"},
}
MAY_HAVE = {"I": {"epochs", "T", "members"}, "II": {"queries"}}
COMPOSED = {"as stated": False, "all M + 1 layers composed": True}  # two readings of Theorem 2
OPTIONS = {  # how a configuration spells what a message advises -> how this command does
    "accountant: rdp": "--accountant rdp",
    "noise_multiplier": "--noise-multiplier",
    "target_epsilon": "--epsilon",
}
Answers = tuple[str, dict[str, Noise], dict[str, Budget]]  # title; by reading, what was asked for


class NoBudget(UserFault):
    """What was asked has no answer; the message says what to change."""


def residual(strategy: str, M: int, delta: float, given: Mapping[str, float | None]) -> str:
    """Return the printable budget of residual perturbation, by the paper's Theorem 1 or 2.

    Args:
        strategy: "I", additive noise and the weights; "II", multiplicative noise and an answer.
        M: residual mappings.
        delta: in (0, 1).
        given: option -> value, None where it was not given. `gamma` and `pi` ask for the smallest
            epsilon, `epsilon` for the smallest noise, and all three whether this noise reaches it:
            "no guarantee at epsilon ..." is an answer, not an error.

    Raises:
        NoBudget: an option is missing or does not belong, or a premise of the theorem fails.
    """
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _demand_options(strategy, options)
    ask, assumes = (_theorem_1, ASSUMES_1) if strategy == "I" else (_theorem_2, ASSUMES_2)
    try:
        title, noises, budgets = ask(M, delta, options)
    except ValueError as error:
        raise NoBudget(str(error)) from None
    lines, status = [f"{title}, delta {delta:g}"], "claimed"
    if budgets:
        lacking = {reading: _lacking(options, noise) for reading, noise in noises.items()}
        lines += [_verdict(options["epsilon"], *item) for item in lacking.items()]
        lines += _figures(budgets)
        if lacking and all(lacking.values()):
            status = f"none at epsilon {options['epsilon']:g}, claimed at the one above"
    else:
        lines.append(f"smallest noise for epsilon {options['epsilon']:g}")
        for reading, noise in noises.items():
            lines.append(f"gamma {_up(noise.gamma)}, pi {_up(noise.pi)}{_of(reading)}")
    return "\n".join([*lines, f"status: {status}", f"why: {assumes}"])


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
        NoBudget: an option is missing or out of range, or the accountant cannot compute it.
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
    rate, steps = sampling(num_examples, batch_size)
    steps *= epochs
    lines = [f"DP-SGD: {steps} steps at sample rate {rate:.5g}, delta {delta:g}"]
    asked = [name for name in get_args(Accountant) if accountant in (name, "both")]
    answers = [answering(name, delta) for name in asked]
    for name in dict.fromkeys(name for name, _ in answers):
        try:
            if noise_multiplier is not None:
                found = spent(noise_multiplier, rate, steps, delta, name)
                lines.append(f"epsilon {found:.5g} ({name})")
            elif epsilon is not None:
                found = calibrated(epsilon, delta, rate, steps, name)
                lines.append(f"noise multiplier {_up(found)} ({name})")
        except ValueError as error:
            told = str(error)
            for key, option in OPTIONS.items():
                told = told.replace(key, option)
            raise NoBudget(told) from None
    why = ["for batches drawn by Poisson sampling"]
    why += [f"{instead}, so {name} answers" for name, instead in answers if instead]
    return "\n".join([*lines, "status: proved", f"why: {'; '.join(why)}"])


def _theorem_1(M: int, delta: float, options: dict[str, Any]) -> Answers:
    facts = {"G": options["G"], "R": options["R"], "N": options["num_examples"]}
    facts |= {"b": options["batch_size"], "k": options.get("members", 1), "delta": delta}
    if "T" in options:
        facts["T"] = options["T"]
    else:  # each image once an epoch: T b / N is the number of epochs
        facts["T"] = options["epochs"] * facts["N"] / facts["b"]
    noises, budgets = {}, {}
    if "epsilon" in options:
        noises[""] = noise_1(epsilon=options["epsilon"], **facts)
    if "gamma" in options:
        budgets[""] = theorem_1(gamma=options["gamma"], pi=options["pi"], M=M, **facts)
    return "Theorem 1, Strategy I: the weights of a trained model", noises, budgets


def _theorem_2(M: int, delta: float, options: dict[str, Any]) -> Answers:
    facts = {name: options[name] for name in ("eta", "B", "a")}
    facts |= {"M": M, "delta": delta, "queries": options.get("queries", 1)}
    noises, budgets = {}, {}
    for reading, composed in COMPOSED.items():
        facts["composed"] = composed
        if "epsilon" in options:
            noises[reading] = noise_2(epsilon=options["epsilon"], **facts)
        if "gamma" in options:
            budgets[reading] = theorem_2(gamma=options["gamma"], pi=options["pi"], **facts)
    title = f"Theorem 2, Strategy II: what {facts['queries']} answer(s) say"
    return title, noises, budgets


def _lacking(options: Mapping[str, float], noise: Noise) -> str:
    """Which noise is below what an epsilon takes; empty if none is."""
    return " and ".join(
        f"{name} {options[name]:g} is below {_up(bound)}"
        for name, bound in noise._asdict().items()
        if options[name] < bound
    )


def _verdict(epsilon: float, reading: str, lacking: str) -> str:
    if lacking:
        return (
            f"no guarantee at epsilon {epsilon:g}: {lacking}, which the theorem needs{_of(reading)}"
        )
    return f"guarantee at epsilon {epsilon:g}: this noise reaches it{_of(reading)}"


def _figures(budgets: Mapping[str, Budget]) -> Iterator[str]:
    (_, budget), *others = budgets.items()
    yield f"epsilon {budget.epsilon:.5g}"
    yield f"lambda {budget.lambda_:.5g}"
    yield f"Renyi order {budget.order:.5g}"
    if budget.layers:
        names = [*(f"U^{i}" for i in range(len(budget.layers) - 1)), "w"]
        layers = (f"{name} {layer:.5g}" for name, layer in zip(names, budget.layers, strict=True))
        yield f"each layer alone: {', '.join(layers)}"
    for reading, other in others:
        yield f"{reading}: {other.epsilon:.5g}"


def _of(reading: str) -> str:
    return f" ({reading})" if reading else ""


def _up(noise: float) -> str:
    """Five digits, rounded up: the noise that is printed is enough."""
    return f"{Context(prec=5, rounding=ROUND_CEILING).create_decimal_from_float(noise):.5g}"


def _demand_options(strategy: str, options: Collection[str]) -> None:
    """Refuse an unknown strategy, and options that are missing or that it has no use for."""
    if strategy not in NEEDS:
        raise NoBudget(f"--strategy must be one of {', '.join(NEEDS)}, got {strategy!r}")
    only_target = "epsilon" in options and not {"gamma", "pi"} & set(options)
    noise = set() if only_target else {"gamma", "pi"}
    missing = [_option(name) for name in sorted(NEEDS[strategy] | noise) if name not in options]
    if strategy == "I" and ("epochs" in options) == ("T" in options):
        missing.append("one of --epochs and --T")
    if missing:
        raise NoBudget(f"Strategy {strategy} needs {', '.join(missing)}")
    idle = set(options) - NEEDS[strategy] - MAY_HAVE[strategy] - noise - {"epsilon"}
    if idle:
        names = ", ".join(map(_option, sorted(idle)))
        raise NoBudget(f"Strategy {strategy} has no use for {names}; leave it out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
