"""What `runner budget` prints: the epsilon that some noise gives, or the noise for an epsilon."""

from collections.abc import Collection, Iterator, Mapping
from decimal import ROUND_CEILING, Context
from typing import Any, NamedTuple, get_args

from defenses.dp_sgd import AT_FPR, Accountant, Training, answering, bounds_of
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
FPRS = (1e-5, 0.001, 0.01, 0.1)  # at which the ceiling is told
OPTIONS = {  # how a configuration spells what a message advises -> how this command does
    "accountant: rdp": "--accountant rdp",
    "noise_multiplier": "--noise-multiplier",
    "accountant: best": "--accountant best",
    "target_epsilon": "--epsilon",
    "target_tpr": "--target-tpr",
    "at_fpr": "--at-fpr",
    "max_batch_size: ": "--max-batch-size ",
    "max_batch_size": "--max-batch-size",
    "training.batch_size": "--batch-size",
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


class Asked(NamedTuple):
    """What `runner budget dp-sgd` is asked; one of the first three is not None."""

    noise_multiplier: float | None  # asks for epsilon and the ceiling
    epsilon: float | None  # asks for the noise
    target_tpr: float | None  # asks for the noise
    at_fpr: float | None  # of target_tpr; None: AT_FPR
    batch_size: int  # the expected one
    num_examples: int
    epochs: int  # of round(num_examples / batch_size) steps each
    delta: float
    accountant: str  # one of Accountant, or "both": prv and rdp
    max_batch_size: int | None = None  # a batch that is drawn larger is cut to it

    @property
    def training(self) -> Training:
        return Training(self.num_examples, self.batch_size, self.epochs, self.max_batch_size)


def dp_sgd(asked: Asked) -> str:
    """Return the printable budget of DP-SGD with Poisson-sampled batches.

    Raises:
        NoBudget: an option is missing or out of range, or the accountant cannot compute it.
    """
    _demand_numbers(asked)
    training = asked.training
    both = asked.accountant == "both"
    every: tuple[Accountant, ...] = get_args(Accountant)
    answers = [
        answering(name, asked.delta)
        for name in every
        if name == asked.accountant or (both and name != "best")
    ]
    try:
        training.check()
        found = [_lines(asked, training, name) for name in dict(answers)]
    except ValueError as error:
        raise NoBudget(_in_options(str(error))) from None
    title = f"DP-SGD: {training.num_steps} steps at sample rate {training.rate:.5g}"
    title += f", delta {asked.delta:g}"
    told = _ceiling(min(noise for noise, _ in found), training, asked.at_fpr)
    why = ["for batches drawn by Poisson sampling"]
    if batches := training.batches:
        why.append(
            f"a batch of more than {batches.most} is cut, and that any is drawn so has a "
            f"probability of {batches.cut:.2g} at the most, which is paid for"
        )
    why += [f"{instead}, so {name} answers" for name, instead in answers if instead]
    lines = [title, *told, *(line for _, lines in found for line in lines), "status: proved"]
    return "\n".join([*lines, f"why: {'; '.join(why)}"])


def _demand_numbers(asked: Asked) -> None:
    """Refuse what is missing, and numbers out of their range."""
    target = {
        "noise-multiplier": asked.noise_multiplier,
        "epsilon": asked.epsilon,
        "target-tpr": asked.target_tpr,
    }
    target = {name: value for name, value in target.items() if value is not None}
    if len(target) != 1:
        raise NoBudget(
            "give --noise-multiplier to get epsilon, or --epsilon or --target-tpr to get the noise"
        )
    if asked.accountant not in (legal := (*get_args(Accountant), "both")):
        raise NoBudget(f"--accountant must be one of {', '.join(legal)}, got {asked.accountant!r}")
    sizes = {"batch-size": asked.batch_size, "epochs": asked.epochs}
    for name, value in {**target, **sizes}.items():
        if not 0 < value < float("inf"):
            raise NoBudget(f"--{name} must be above 0 and finite, got {value:g}")
    if asked.batch_size > asked.num_examples:
        raise NoBudget(
            f"--batch-size {asked.batch_size} is above --num-examples {asked.num_examples}"
        )
    if not 0 < asked.delta < 1:
        raise NoBudget(f"--delta must lie between 0 and 1, got {asked.delta:g}")
    if asked.at_fpr is not None and asked.target_tpr is None:
        raise NoBudget("--at-fpr is where --target-tpr holds; give both, or leave it out")
    if asked.target_tpr is None:
        return
    at_fpr = AT_FPR if asked.at_fpr is None else asked.at_fpr
    if not 0 < at_fpr < 1:
        raise NoBudget(f"--at-fpr must lie between 0 and 1, got {at_fpr:g}")
    if not at_fpr < asked.target_tpr < 1:
        raise NoBudget(
            f"--target-tpr must lie between --at-fpr {at_fpr:g}, which a coin reaches whatever the "
            f"noise, and 1, got {asked.target_tpr:g}"
        )


def _lines(asked: Asked, training: Training, accountant: Accountant) -> tuple[float, list[str]]:
    """The noise that an accountant answers of, and what it says, each with who bounds it so."""
    delta, bounds = asked.delta, bounds_of(accountant, training.rate, asked.delta)
    if accountant != "best":
        bounds = bounds[:1]  # who is asked by name answers by itself
    if asked.noise_multiplier is not None:
        found = training.epsilons(asked.noise_multiplier, delta, bounds).smallest
        return asked.noise_multiplier, [f"epsilon {found.epsilon:.5g} ({found.by})"]
    if asked.epsilon is not None:
        noise = training.noise_of_epsilon(asked.epsilon, delta, accountant)
        by = training.epsilons(noise, delta, bounds).smallest.by
        return noise, [f"noise multiplier {_up(noise)} ({by})"]
    assert asked.target_tpr is not None, "one of three is asked"
    at_fpr = AT_FPR if asked.at_fpr is None else asked.at_fpr
    noise = training.noise_of_tpr(asked.target_tpr, at_fpr)
    lines = [f"noise multiplier {_up(noise)} ({training.ceiling(noise).by})"]
    try:
        found = training.epsilons(noise, delta, bounds).smallest
        return noise, [*lines, f"epsilon {found.epsilon:.5g} ({found.by})"]
    except ValueError as error:  # which takes nothing away from the ceiling
        return noise, [*lines, f"no epsilon: {_in_options(str(error))}"]


def _in_options(told: str) -> str:
    """What a configuration's keys are advised for, as this command spells it."""
    for key, option in OPTIONS.items():
        told = told.replace(key, option)
    return told


def _ceiling(noise: float, training: Training, at_fpr: float | None) -> list[str]:
    """What no membership attack exceeds at this noise."""
    found = training.ceiling(noise)
    fprs = sorted({*FPRS, *((at_fpr,) if at_fpr else ())})
    at = ", ".join(f"{_up(100 * found.tpr_at(fpr), 3)} % at {100 * fpr:g} % FPR" for fpr in fprs)
    return [
        f"no membership attack exceeds, at noise multiplier {noise:.5g} ({found.by}): TPR {at}; "
        f"AUC {_up(found.auc(), 3)}",
        f"mu of Gaussian DP: {_up(found.mu(), 4)}, down to errors of {found.least:g}",
    ]


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


def _up(number: float, digits: int = 5) -> str:
    """So many digits, rounded up: a noise that is printed is enough, and a ceiling is one."""
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(number)
    return f"{rounded:.{digits}g}"


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
