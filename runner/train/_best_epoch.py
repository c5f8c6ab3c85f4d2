"""Which epoch of a Run is kept as its best: the most accurate on the selection's images."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runner.data import to_float
from runner.plan.plan import Run
from runner.storage.ids import seed_of
from runner.train.fit import Epoch
from runner.train.workplace import Workplace

BATCH = 500  # images at once; another number would move an attack's random draws


class Best(NamedTuple):
    """The best epoch so far."""

    epoch: int
    accuracy: float  # on the selection's images, under its attack
    weights: dict[str, Tensor]

    def state(self) -> dict[str, Any]:
        """Return it as `weights_only` loads it."""
        return self._asdict()


def better(best: Best | None, epoch: Epoch, accuracy: float) -> Best:
    """Return the better of two epochs, the earlier one where they are equal."""
    if best is not None and best.accuracy >= accuracy:
        return best
    weights = {name: t.detach().cpu().clone() for name, t in epoch.model.state_dict().items()}
    return Best(epoch.number, accuracy, weights)


def accuracy_of(run: Run, place: Workplace, model: nn.Module) -> float:
    """Return the accuracy of a model in training on its Run's selection, in [0, 1].

    Training goes on as if nobody had looked. Every epoch meets the same draws.
    """
    assert run.selection is not None
    assert run.selected_on is not None
    asked = place.copied(run, model)
    attack = run.selection.attack
    attack = attack.settled(run.defense.randomized) if attack else None
    chosen = torch.from_numpy(run.selected_on).to(place.device)
    torch.manual_seed(seed_of(run.seed, "selection"))
    right = 0
    for part in chosen.split(BATCH):
        images, labels = to_float(place.pool_images[part]), place.pool_labels[part]
        if attack:
            images = attack.perturb(asked, images, labels)
        with torch.no_grad():
            right += int((asked(images).argmax(1) == labels).sum())
    return right / len(chosen)
