"""The options of `runner budget`: noise and epsilon, and an audit of DP-SGD."""

import sys
from typing import Annotated

import typer

from runner.driver.exits import Output, complaints

app = typer.Typer(
    help="Say what epsilon some noise gives, or what noise an epsilon takes; and audit DP-SGD.",
    no_args_is_help=True,
)

Delta = Annotated[float, typer.Option(help="the delta of (epsilon, delta)")]
Target = Annotated[
    float | None, typer.Option(help="print the noise for this epsilon, or if the noise reaches it")
]
Seed = Annotated[int, typer.Option(help="seed of every random draw")]


@app.command()
def residual(
    strategy: Annotated[str, typer.Option(help="I: additive noise; II: multiplicative")] = "I",
    gamma: Annotated[float | None, typer.Option(help="noise on each residual mapping")] = None,
    pi: Annotated[
        float | None, typer.Option(help="noise on the input (I), the output (II)")
    ] = None,
    epsilon: Target = None,
    G: Annotated[float | None, typer.Option("--G", help="I: bound of a mapping's mean")] = None,
    R: Annotated[float | None, typer.Option("--R", help="I: bound of an input's norm")] = None,
    epochs: Annotated[float | None, typer.Option(help="I: times an image is used")] = None,
    T: Annotated[float | None, typer.Option("--T", help="I: steps, in place of epochs")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="I: images in a step")] = None,
    num_examples: Annotated[int | None, typer.Option(min=1, help="I: training images N")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="I: ensemble, default 1")] = None,
    eta: Annotated[float | None, typer.Option(help="II: floor of a feature's size")] = None,
    B: Annotated[float | None, typer.Option("--B", help="II: bound of a mapping's norm")] = None,
    a: Annotated[float | None, typer.Option("--a", help="II: bound of the last layer")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="II: answers, default 1")] = None,
    num_layers: Annotated[
        int, typer.Option(min=1, max=10_000, help="M, residual mappings; resnet8 has 3")
    ] = 3,
    delta: Delta = 1e-5,
) -> None:
    """Residual perturbation, by the theorems of its paper; the noise is in the paper's units."""
    given = {"gamma": gamma, "pi": pi, "epsilon": epsilon, "G": G, "R": R, "epochs": epochs}
    given |= {"T": T, "batch_size": batch_size, "num_examples": num_examples, "members": members}
    given |= {"eta": eta, "B": B, "a": a, "queries": queries}
    with complaints():
        from runner.standalone import noise

        print(noise.residual(strategy, num_layers, delta, given))


@app.command()
def dp_sgd(
    batch_size: Annotated[int, typer.Option(min=1, help="expected batch size")],
    num_examples: Annotated[int, typer.Option(min=1, help="training examples")],
    epochs: Annotated[int, typer.Option(min=1, help="of num-examples / batch-size steps")],
    noise_multiplier: Annotated[float | None, typer.Option(help="print epsilon")] = None,
    epsilon: Target = None,
    target_tpr: Annotated[
        float | None, typer.Option(help="print the noise that no attack's TPR exceeds this at")
    ] = None,
    at_fpr: Annotated[
        float | None, typer.Option(help="the FPR of --target-tpr, default 0.001")
    ] = None,
    delta: Delta = 1e-5,
    max_batch_size: Annotated[
        int | None, typer.Option(min=1, help="cut a batch that is drawn larger; pay for it")
    ] = None,
    accountant: Annotated[
        str, typer.Option(help="best (smallest bound), prv, rdp, or both of these")
    ] = "best",
) -> None:
    """DP-SGD with Poisson-sampled batches: epsilon, and the ceiling of any membership attack."""
    with complaints():
        from runner.standalone import noise

        targets = (noise_multiplier, epsilon, target_tpr, at_fpr)
        facts = (batch_size, num_examples, epochs, delta, accountant, max_batch_size)
        print(noise.dp_sgd(noise.Asked(*targets, *facts)))


@app.command("audit")
def dp_audit(
    noise_multiplier: Annotated[float, typer.Option(help="noise of DP-SGD, in clipping norms")],
    max_grad_norm: Annotated[float, typer.Option(help="the clipping norm")] = 1.0,
    num_examples: Annotated[
        int, typer.Option(help="examples of a trial, its canary included")
    ] = 16,
    batch_size: Annotated[int, typer.Option(help="expected batch size")] = 8,
    steps: Annotated[int, typer.Option(help="steps of a trial, in whole epochs")] = 2,
    trials: Annotated[int, typer.Option(help="small models to train")] = 1000,
    delta: Delta = 1e-5,
    seed: Seed = 0,
) -> None:
    """Train DP-SGD with and without a canary, and refute its epsilon if it is broken."""
    with complaints():
        from runner.standalone.dp_audit import command, told
        from runner.standalone.dp_trials import Setting

        setting = Setting(num_examples, batch_size, steps)
        found = command(noise_multiplier, max_grad_norm, setting, trials, delta, seed, Output())
        print(told(found))
        if found.alarms:
            sys.exit(1)
