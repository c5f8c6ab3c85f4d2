"""Ask a trained model about every example of the pool, the same way for every model."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attacks.evasion import EvasionAttack
from attacks.membership import log_odds
from runner.data import to_float, view
from runner.experiment.questions import Questions
from runner.plan.plan import Run
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.ids import seed_of
from runner.train.workplace import Workplace, device_name

BATCH = 1000  # images in one forward pass; another number would move a randomized model's draws
FEW = 64  # images that are asked about again, in another batch

Answer = Callable[[Tensor], Tensor]  # (n, channels, H, W) float in [0, 1] -> (n, C) logits


class Said(NamedTuple):
    """What a model answers to one view of all images."""

    once: np.ndarray  # (N, C) float32 logits, of one draw where the model is randomized
    mean: np.ndarray  # (N, C) float32 logarithms of the mean class probabilities over all draws


def ask(run: Run, place: Workplace, questions: Questions) -> None:
    """Write a finished Run's answers, in eval mode and float32, and mark them done."""
    answers = questions.answers
    folder = place.store.answers(run.id, questions.answers_id)
    if not place.leads or store.facts(folder) is not None:
        return
    questions.check_answers_code()
    place.tell("answers", 0.95)
    started = time.perf_counter()
    model, labels = place.trained(run, questions.checkpoint), place.pool_labels.cpu().numpy()

    def answer(shown: Tensor) -> Tensor:
        return run.defense.released(model, shown, model(shown).float())

    said = {}
    for name in dict.fromkeys(("identity", *answers.names)):
        if name in answers.adversarial:
            torch.manual_seed(seed_of(run.seed, "adversarial", name))
            shown = _attacked(model, answers.adversarial[name], place)
        else:
            shown = view(place.pool_images, name).split(BATCH)
        said[name] = _listen(answer, shown, answers.draws, run.seed, name)
    if not all(np.isfinite(logits).all() for each in said.values() for logits in each):
        raise FloatingPointError("the trained model answers with numbers that are not finite")

    def answered(by: str) -> Answered:
        of_views = [getattr(said[name], by) for name in answers.names]
        return Answered(
            log_odds=np.stack([log_odds(logits, labels) for logits in of_views], axis=1),
            logits=getattr(said["identity"], by),
            correct=np.stack([logits.argmax(1) == labels for logits in of_views], axis=1),
            view_logits=np.stack(of_views, axis=1) if answers.logits == "all" else None,
        )

    def train_accuracy(logits: np.ndarray) -> float:
        return float((logits.argmax(1) == labels)[run.members].mean())

    mean = answered("mean") if answers.draws > 1 else None
    content = answers_to_bytes(labels, answered("once"), answers.names, mean)
    store.write(folder / store.ANSWERS, content)
    facts: dict[str, Any] = {"train_accuracy": train_accuracy(said["identity"].once)}
    if mean:
        facts["train_accuracy_mean"] = train_accuracy(said["identity"].mean)
    if not run.defense.randomized:
        together = said["identity"].once[:FEW]
        facts["batch_dependence"] = batch_dependence(answer, place.pool_images, together)
    facts |= {"time_s": time.perf_counter() - started, "device": device_name(place.device)}
    store.finish(folder, [store.ANSWERS], facts)


def batch_dependence(model: Answer, images: Tensor, together: np.ndarray) -> float:
    """Return how far answers move when the same images are asked about in another batch.

    The largest difference of two logits, as a share of the largest logit. Rounding gives 1e-5 or
    less; BatchNorm in train mode, or whatever else looks at batch-mates, gives 1e-2 and more.

    Args:
        model: one that is not randomized.
        images: (n, channels, H, W) uint8; the first FEW are asked about.
        together: (FEW, C) what it has answered to these in a batch with others.
    """
    halves = images[:FEW].flip(0).tensor_split(2)
    apart = np.concatenate([logits_of(model, half) for half in halves if len(half)])[::-1]
    return float(np.abs(together - apart).max() / max(np.abs(together).max(), 1e-30))


def _attacked(model: nn.Module, attack: EvasionAttack, place: Workplace) -> list[Tensor]:
    """Every example of the pool as the attack moves it against this model, in batches."""
    batches = zip(place.pool_images.split(BATCH), place.pool_labels.split(BATCH), strict=True)
    return [attack.perturb(model, to_float(images), labels) for images, labels in batches]


def _listen(model: Answer, batches: Sequence[Tensor], draws: int, seed: int, view: str) -> Said:
    """Ask about images (n, channels, H, W), uint8 or float, each draw with a seed of its own."""
    once, total = np.empty(0), np.empty(0)
    for draw in range(draws):
        torch.manual_seed(seed_of(seed, "draw", view, draw))
        logits = np.concatenate([logits_of(model, batch) for batch in batches])
        if draw == 0:
            once, total = logits, np.full(logits.shape, -np.inf)
        logits = logits.astype(np.float64)
        total = np.logaddexp(total, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return Said(once, (total - np.log(draws)).astype(np.float32))


@torch.no_grad()
def logits_of(model: Answer, images: Tensor) -> np.ndarray:
    """Return the logits of one batch of images, uint8 or float in [0, 1], (n, C) float32."""
    shown = to_float(images) if images.dtype == torch.uint8 else images
    return model(shown).float().cpu().numpy()
