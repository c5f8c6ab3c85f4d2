"""The options of `runner demo`: what the residual-perturbation paper shows by itself."""

from pathlib import Path
from typing import Annotated

import typer

from runner.driver.exits import complaints

app = typer.Typer(
    help="Repeat what the residual-perturbation paper shows by itself; trains nothing.",
    no_args_is_help=True,
)

Seed = Annotated[int, typer.Option(help="seed of every random draw")]
Out = Annotated[Path, typer.Option(help="folder to write to")]


@app.command()
def reversal(
    image: Annotated[
        Path | None, typer.Option(help="a photograph (default: one that comes with scikit-learn)")
    ] = None,
    gamma: Annotated[float, typer.Option(help="noise, for pixels in [0, 1]")] = 1.0,
    dt: Annotated[float, typer.Option(help="time step; it divides 1")] = 0.01,
    seed: Seed = 0,
    out: Out = Path("results/demos/reversal"),
) -> None:
    """Figures 1 and 8: is an image recovered from its features, with and without noise?"""
    with complaints():
        from runner.standalone.reversal_report import demonstrate

        print(demonstrate(image, gamma, dt, seed, out))
        print(f"figures: {out}")


@app.command()
def rademacher(
    dim: Annotated[int, typer.Option(help="entries of an example")] = 8,
    num_examples: Annotated[int, typer.Option(help="examples N")] = 16,
    c: Annotated[float, typer.Option("--c", help="bound of the norms of w and U")] = 1.0,
    T: Annotated[float, typer.Option("--T", help="time")] = 1.0,
    p: Annotated[float, typer.Option("--p", help="power, between 0 and 1")] = 0.5,
    gamma: Annotated[float, typer.Option(help="noise")] = 1.0,
    seed: Seed = 0,
    out: Out = Path("results/demos/rademacher"),
) -> None:
    """Theorem 3: its closed forms beside a search over the functions that they speak of."""
    with complaints():
        from runner.standalone.rademacher_report import demonstrate

        print(demonstrate(dim, num_examples, c, T, p, gamma, seed, out))
        print(f"figures: {out}")
