"""Label smoothing against the definition, and off."""

import pytest
import torch

from defenses.erm import ERM
from defenses.label_smoothing import LabelSmoothing
from tests.defenses.oracles import batch, network, probabilities
from tests.made.defenses import loss_and_gradients


def test_the_loss_is_the_cross_entropy_to_the_mixed_label():
    images, labels = batch()
    losses = LabelSmoothing(smoothing=0.3).losses(network().train(), images, labels)
    assert losses.natural is not None
    for i, logits in enumerate(network().train()(images)):
        p, y = probabilities(logits), int(labels[i])
        expected = sum(-(0.7 * (k == y) + 0.3 / 5) * p[k].log().item() for k in range(5))
        assert losses.total[i].item() == pytest.approx(expected, rel=1e-10)
        assert losses.natural[i].item() == pytest.approx(-p[y].log().item(), rel=1e-10)


def test_without_smoothing_it_is_erm():
    off = loss_and_gradients(LabelSmoothing(smoothing=0))
    assert all(map(torch.equal, off, loss_and_gradients(ERM())))
