"""Attack a trained model, and write what it then answers, example by example."""

import numpy as np
import torch

from attacks.evasion import EvasionAttack
from runner import store, tables
from runner.augment import to_float
from runner.experiment import Robustness
from runner.ids import seed_of
from runner.plan import Run
from runner.workplace import Workplace

BATCH = 500  # images attacked at once; another number would move an attack's random draws


def attack_all(run: Run, place: Workplace, robustness: Robustness) -> None:
    """Write a finished Run's answers to natural images and under each attack of the experiment."""
    for attack in (None, *robustness.attacks):
        _attack(run, place, robustness, attack)


def _attack(run: Run, place: Workplace, robustness: Robustness, name: str | None) -> None:
    folder = place.store.robustness(run.id, robustness.id(name))
    if not place.leads or store.facts(folder) is not None:
        return
    place.tell(name or "natural images", 0.95)
    examples, images, labels = _examples(run, place, robustness)
    model = place.trained(run)
    torch.manual_seed(seed_of(run.seed, robustness.id(name)))
    attack = robustness.attacks[name] if name else None
    predictions = _predictions(model, attack, images, labels)
    right = predictions == labels.cpu().numpy()
    content = tables.robustness_to_bytes(examples, labels.cpu().numpy(), predictions)
    store.write(folder / "robustness.parquet", content)
    facts = {"accuracy": float(right.mean()), "num_examples": len(right)}
    store.finish(folder, ["robustness.parquet"], facts)


def _examples(
    run: Run, place: Workplace, robustness: Robustness
) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """The numbers, images and labels to attack: of the test split, or of the Run's non-members."""
    if robustness.on == "test":
        images, labels = place.test_images, place.test_labels
        examples = np.arange(len(labels))[: robustness.num_examples]
    else:
        images, labels = place.pool_images, place.pool_labels
        examples = np.flatnonzero(run.member == 0)[: robustness.num_examples]
    chosen = torch.from_numpy(examples).to(place.device)
    return examples, images[chosen], labels[chosen]


def _predictions(
    model: torch.nn.Module,
    attack: EvasionAttack | None,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> np.ndarray:
    """The classes answered, (N,) int64."""
    predictions = []
    for batch, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        shown = to_float(batch)
        if attack:
            shown = attack.perturb(model, shown, truth)
        with torch.no_grad():
            predictions.append(model(shown).argmax(1).cpu())
    return torch.cat(predictions).numpy()
