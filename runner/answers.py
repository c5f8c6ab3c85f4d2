"""Ask a trained model about every example of the pool, the same way for every model."""

import numpy as np
import torch
from torch import Tensor, nn

from attacks.membership import log_odds
from runner import store, tables
from runner.augment import to_float, view
from runner.experiment import Answers
from runner.plan import Run
from runner.workplace import Workplace

BATCH = 1000  # images in one forward pass; moves no answer but its speed


def ask(run: Run, place: Workplace, answers: Answers) -> None:
    """Write a finished Run's answers, in eval mode and float32, and mark them done."""
    folder = place.store.answers(run.id, answers.id)
    if not place.leads or store.facts(folder) is not None:
        return
    place.tell("answers", 0.95)
    model, labels = place.trained(run), place.pool_labels.cpu().numpy()
    odds = [
        log_odds(logits_of(model, view(place.pool_images, name)), labels) for name in answers.views
    ]
    logits = logits_of(model, place.pool_images)
    if not np.isfinite(logits).all() or not np.isfinite(odds).all():
        raise FloatingPointError("the trained model answers with numbers that are not finite")
    content = tables.answers_to_bytes(labels, np.stack(odds, axis=1), logits, answers.views)
    store.write(folder / "answers.parquet", content)
    right = (logits.argmax(1) == labels)[run.members]
    store.finish(folder, ["answers.parquet"], {"train_accuracy": float(right.mean())})


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor) -> np.ndarray:
    """Return the logits of uint8 images (N, channels, H, W), (N, C) float32."""
    logits = [model(to_float(batch)).float().cpu() for batch in images.split(BATCH)]
    return torch.cat(logits).numpy()
