"""Attack a trained model, and write what it then answers, example by example."""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attacks.evasion import EvasionAttack
from runner.data import to_float
from runner.experiment.questions import Attacked, Questions
from runner.plan.plan import Run
from runner.storage import store
from runner.storage.answers import Robust, read_robustness, robustness_to_bytes
from runner.storage.cloud import Folder
from runner.storage.ids import seed_of
from runner.storage.store import Corrupt
from runner.train.workplace import Workplace, device_name


def attack_all(run: Run, place: Workplace, questions: Questions) -> None:
    """Write a finished Run's answers to natural images and under everything it is attacked with.

    An attack is made in portions, each with a seed of its own, and what one gave is kept until
    the last is done. So an attack that was interrupted goes on, and ends with the same bits.
    """
    for name, asked in questions.attacks_of(run.number).items():
        folder = place.store.robustness(run.id, questions.robustness_id(name))
        if place.leads and store.facts(folder) is None:
            questions.check_attack_code(name)
            _attack(run, place, questions, name or "natural images", asked, folder)


def _attack(
    run: Run, place: Workplace, questions: Questions, name: str, asked: Attacked, folder: Folder
) -> None:
    started, whole = time.perf_counter(), True
    on, draws = questions.robustness.on, questions.answers.draws
    examples, images, labels = _examples(run, place, on, asked.num_examples)
    model, truth = place.trained(run, questions.checkpoint), labels.cpu().numpy()
    size = asked.attack.portion if asked.attack else EvasionAttack.portion
    found: list[Robust] = []
    for start in range(0, len(examples), size):
        place.tell(f"{name} {start}/{len(examples)} images", 0.95)
        some, path = slice(start, start + size), folder / f"part-{start:05d}.parquet"
        part = _read_part(path, place, examples[some], truth[some], draws)
        whole &= part is None
        if part is None:
            torch.manual_seed(seed_of(run.seed, folder.name, *([start] if start else [])))
            once, mean = _predictions(model, asked.attack, images[some], labels[some], draws)
            part = Robust(examples[some], truth[some], once, mean if draws > 1 else None)
            if len(examples) > size:
                store.write(path, robustness_to_bytes(*part))
        found.append(part)
    once = np.concatenate([part.predictions for part in found])
    means = [part.mean for part in found if part.mean is not None]
    mean = np.concatenate(means) if means else None
    content = robustness_to_bytes(examples, truth, once, mean)
    store.write(folder / store.ROBUSTNESS, content)
    facts: dict[str, Any] = {
        "accuracy": float((once == truth).mean()),
        "num_examples": len(truth),
        "device": device_name(place.device),
    }
    if whole:  # else some of it was done before an interruption, and nobody knows how long it took
        facts["time_s"] = time.perf_counter() - started
    if mean is not None:
        facts["accuracy_mean"] = float((mean == truth).mean())
    store.finish(folder, [store.ROBUSTNESS], facts)
    for path in folder.glob("part-*.parquet"):
        path.unlink(missing_ok=True)


def _examples(
    run: Run, place: Workplace, on: str, num_examples: int | None
) -> tuple[np.ndarray, Tensor, Tensor]:
    """The numbers, images and labels to attack: of the test split, or of the Run's non-members."""
    if on == "test":
        images, labels = place.test_images, place.test_labels
        examples = np.arange(len(labels))[:num_examples]
    else:
        images, labels = place.pool_images, place.pool_labels
        examples = np.flatnonzero(run.member == 0)[:num_examples]
    chosen = torch.from_numpy(examples).to(place.device)
    return examples, images[chosen], labels[chosen]


def _read_part(
    path: Folder, place: Workplace, examples: np.ndarray, truth: np.ndarray, draws: int
) -> Robust | None:
    """What a portion gave before an interruption; None where there is none of these images."""
    try:
        part = read_robustness(str(path))
    except FileNotFoundError:
        return None
    except Corrupt as corrupt:
        place.note(f"{corrupt}; its images are attacked again")
        return None
    same = np.array_equal(part.examples, examples) and np.array_equal(part.labels, truth)
    return part if same and (part.mean is not None) == (draws > 1) else None


def _predictions(
    model: nn.Module, attack: EvasionAttack | None, images: Tensor, labels: Tensor, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """The classes answered by the first draw, and by the mean of all, each (N,) int64."""
    shown = to_float(images)
    if attack:
        shown = attack.perturb(model, shown, labels)
    with torch.no_grad():
        answers = [model(shown).float().softmax(1) for _ in range(draws)]
    mean = torch.stack(answers).mean(0)
    return answers[0].argmax(1).cpu().numpy(), mean.argmax(1).cpu().numpy()
