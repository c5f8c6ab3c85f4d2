"""Whether a network answers such images as it must: what is wrong, in words, or nothing."""

import torch
from torch import Tensor, nn

from runner.data import to_float
from runner.forecast.rehearsal._few import Few
from runner.models import ImageShape
from runner.train.weights import put_weights, weights_to_bytes

SEED = 0  # of a randomized network's draws, so that it can be asked twice
ALIKE = 1e-3  # two answers may differ by so much of the largest: sums in another order
MOST_TOLD = 300  # characters
MOVED = 0.05  # how far weights are moved, so that one which is not saved shows
TRIES = 5  # of weights that are moved twice as far each time


@torch.no_grad()
def wrong_answers(model: nn.Module, few: Few, shape: ImageShape) -> str | None:
    """Return why a network in eval mode cannot be asked about such images."""
    shown = to_float(few.images)
    given = shown.clone()
    logits = _asked(model, shown)
    expected = (len(few.labels), shape.num_classes)
    if not isinstance(logits, Tensor):
        return f"it returns a {type(logits).__name__}; return the logits alone, {expected}"
    if logits.shape != expected:
        return f"it returns {tuple(logits.shape)}; expected one logit for each class, {expected}"
    if not logits.is_floating_point():
        return f"it returns {logits.dtype}; expected logits in floating point"
    if not torch.equal(shown, given):
        return "it changes the images that it is given; let it work on a copy of them"
    if not logits.isfinite().all():
        bad = int((~logits.isfinite().all(1)).sum())
        return (
            f"its answers to {bad} of {len(logits)} images are not finite, before any training; "
            "does it divide by what is 0 where an image is of one colour?"
        )
    sums = logits.float().sum(1)
    if logits.min() >= 0 and (sums - 1).abs().max() < ALIKE:
        return "it returns probabilities, and losses and attacks take logits; leave softmax out"
    if not _close(logits, _asked(model, shown)):
        return (
            "asked twice about the same images under the same seed, it gives other answers; draw "
            "its noise from torch's global generator, and keep nothing from one call to the next"
        )
    alone = _asked(model, shown[:1])
    if alone.shape != (1, shape.num_classes):
        return f"asked about one image alone it returns {tuple(alone.shape)}; keep the first axis"
    return None


@torch.no_grad()
def wrong_weights(trained: nn.Module, again: nn.Module, few: Few) -> str | None:
    """Return why a network's weights would not be those of the network that is loaded.

    Args:
        trained: as a step of training left it; its weights are moved.
        again: built anew.
    """
    state = trained.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        return (
            f"its state_dict holds {strange[0]}, a {type(state[strange[0]]).__name__}, and a file "
            "of weights holds tensors alone; keep numbers in a buffer, and the rest out of it"
        )
    _move(trained)
    try:
        put_weights(again, weights_to_bytes(trained.state_dict()))
    except RuntimeError as error:
        why = " ".join(str(error).split())[:MOST_TOLD]
        return f"its weights cannot be put into it again once it is built anew: {why}"
    shown = to_float(few.images)
    expected, found = (_asked(network.eval(), shown) for network in (trained, again))
    if _close(expected, found):
        return None
    return (
        "once its weights were saved and loaded, it gives other answers; all that they depend on "
        "must be a parameter or a buffer in its state_dict, or follow from torch's seed"
    )


@torch.no_grad()
def blind(network: nn.Module, few: Few) -> list[str]:
    """Return that a network in eval mode gives all images one answer, if it does.

    A norm of the user's own hand, over one value, does so, and no function of torch shows it.

    Args:
        network: as it is built; its weights are moved, for a last layer often begins at 0, and
            further, for all of few ReLUs may be shut.
        few: what it is asked about, image by image, for the bits of one kernel.
    """
    shown = to_float(few.images)
    if (shown == shown[:1]).all():
        return []
    for twice in range(TRIES):
        _move(network, MOVED * 2**twice, seed=twice)
        first, *others = (_asked(network.eval(), image[None]) for image in shown)
        if not (isinstance(first, Tensor) and all(torch.equal(first, o) for o in others)):
            return []
    return [
        "it gives all images the same answer, whatever its weights; does a norm see one value "
        "alone? Use more channels in a group, larger images or no norm there"
    ]


def _move(network: nn.Module, by: float = MOVED, seed: int = SEED) -> None:
    """Add noise to all weights."""
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        if p.is_floating_point():
            p += by * torch.randn(p.shape, generator=generator).to(p.dtype)


def _asked(model: nn.Module, shown: Tensor) -> Tensor:
    torch.manual_seed(SEED)
    return model(shown)


def _close(some: Tensor, others: Tensor) -> bool:
    """Whether two answers are the same but for rounding."""
    some, others = some.float(), others.float()
    most = max(float(some.nan_to_num().abs().max()), 1e-6)
    return torch.allclose(some, others, rtol=0, atol=ALIKE * most, equal_nan=True)
