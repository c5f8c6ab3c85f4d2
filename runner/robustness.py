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


def attack_all(run: Run, place: Workplace, robustness: Robustness, draws: int) -> None:
    """Write a finished Run's answers to natural images and under each attack of the experiment.

    Args:
        draws: of a randomized model's noise; its answers are taken from one, and from their mean.
    """
    robustness = robustness.settled(run.defense.randomized)
    draws = draws if run.defense.randomized else 1
    for attack in (None, *robustness.attacks):
        _attack(run, place, robustness, attack, draws)


def _attack(
    run: Run, place: Workplace, robustness: Robustness, name: str | None, draws: int
) -> None:
    attack_id = robustness.id(name, draws)
    folder = place.store.robustness(run.id, attack_id)
    if not place.leads or store.facts(folder) is not None:
        return
    place.tell(name or "natural images", 0.95)
    examples, images, labels = _examples(run, place, robustness)
    model = place.trained(run)
    torch.manual_seed(seed_of(run.seed, attack_id))
    attack = robustness.attacks[name] if name else None
    once, mean = _predictions(model, attack, images, labels, draws)
    truth = labels.cpu().numpy()
    content = tables.robustness_to_bytes(examples, truth, once, mean if draws > 1 else None)
    store.write(folder / "robustness.parquet", content)
    facts = {"accuracy": float((once == truth).mean()), "num_examples": len(truth)}
    if draws > 1:
        facts["accuracy_mean"] = float((mean == truth).mean())
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
    draws: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The classes answered by the first draw, and by the mean of all, each (N,) int64."""
    once, mean = [], []
    for batch, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        shown = to_float(batch)
        if attack:
            shown = attack.perturb(model, shown, truth)
        with torch.no_grad():
            answers = [model(shown).float().softmax(1) for _ in range(draws)]
        once.append(answers[0].argmax(1).cpu())
        mean.append(torch.stack(answers).mean(0).argmax(1).cpu())
    return torch.cat(once).numpy(), torch.cat(mean).numpy()
