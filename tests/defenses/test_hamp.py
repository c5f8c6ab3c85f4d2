"""HAMP's loss against the definition, and its answers: true ones in order, noise in value."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from defenses.demem import DeMem
from defenses.hamp import HAMP, _chosen, soft_label
from runner.ask.answers import ask
from runner.experiment.questions import Answers, Questions, Robustness
from runner.storage import store
from runner.storage.answers import read_answers
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.defenses.oracles import batch, divergence, network, probabilities
from tests.made.training import a_run


@pytest.mark.parametrize("num_classes", [2, 10, 100])
@pytest.mark.parametrize("entropy", [0.0, 0.5, 0.95, 1.0])
def test_a_soft_label_has_the_entropy_that_is_asked_for(entropy: float, num_classes: int):
    true, other = soft_label(entropy, num_classes)
    assert true + (num_classes - 1) * other == pytest.approx(1)
    assert true >= other
    p = np.array([true] + [other] * (num_classes - 1))
    found = -sum(x * math.log(x) for x in p if x) / math.log(num_classes)
    assert found == pytest.approx(entropy, abs=1e-9)


@pytest.mark.parametrize("kl", ["over_classes", "sum"])
def test_the_loss_is_the_divergence_less_the_entropy(kl: Any):
    images, labels = batch()
    losses = HAMP(entropy=0.8, strength=0.3, kl=kl).losses(network().train(), images, labels)
    true, other = soft_label(0.8, 5)
    for i, logits in enumerate(network().train()(images)):
        p, y = probabilities(logits), int(labels[i])
        target = torch.tensor([true if k == y else other for k in range(5)], dtype=p.dtype)
        entropy = -(p * p.log()).sum()
        expected = divergence(target, p) / (5 if kl == "over_classes" else 1) - 0.3 * entropy
        assert losses.total[i].item() == pytest.approx(expected.item(), rel=1e-10)


def test_what_is_let_out_keeps_the_order_and_has_the_values_of_an_answer_to_noise():
    model, (images, _) = network().eval(), batch()
    with torch.no_grad():
        own = model(images)
        out = HAMP().released(model, images, own)
        again = HAMP().released(model, images.flip(0)[:4], own.flip(0)[:4]).flip(0)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 256, (256, 1, 6, 6), generator=generator).double() / 255
        scores = model(noise).float().sort(dim=1).values
    assert torch.equal(out.argsort(1), own.argsort(1))
    assert torch.allclose(out.sort(1).values, scores[_chosen(images)].to(out.dtype), atol=1e-6)
    assert torch.allclose(again, out[-4:], atol=1e-6)  # in another batch too
    assert torch.equal(HAMP(outputs="own").released(model, images, own), own)
    assert torch.equal(DeMem(base=HAMP()).released(model, images, own), out)


def test_a_tie_of_the_scores_leaves_the_class_as_it_is():
    class Constant(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(images), 4)

    own = torch.tensor([[0.0, 3.0, 3.0, 1.0], [0.0, 0.0, 0.0, 2.0]])
    out = HAMP().released(Constant(), torch.rand(2, 1, 6, 6), own)
    assert out.argmax(1).tolist() == own.argmax(1).tolist() == [1, 3]


def test_images_that_differ_in_one_pixel_get_noise_of_their_own_and_all_noise_is_used():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2000, 1, 6, 6), generator=generator).float() / 255
    counts = _chosen(images).bincount(minlength=256)
    assert counts.min() > 0
    assert counts.max() < 30  # 7.8 of each expected
    other = images.clone()
    other[:, 0, 3, 3] = (other[:, 0, 3, 3] + 1 / 255) % (256 / 255)
    assert (_chosen(images) == _chosen(other)).double().mean() < 0.02
    assert torch.equal(_chosen(images), _chosen(images.double()))


def test_an_asked_model_lets_out_modified_answers_and_the_same_classes(place: Workplace, work: Any):
    answered = {}
    for outputs in ("own", "scores_of_noise"):
        run = a_run(work, HAMP(entropy=0.5, outputs=outputs), epochs=2)
        train(run, place)
        questions = Questions(Answers(views=("identity", "flip")), Robustness(), "last")
        ask(run, place, questions)
        folder = place.store.answers(run.id, questions.answers_id)
        facts = store.facts(folder)
        assert facts is not None
        assert facts["batch_dependence"] < 1e-3
        path = str(folder / store.ANSWERS)
        answered[outputs] = {name: read_answers(path, name) for name in ("logits", "correct")}
    own, out = answered["own"], answered["scores_of_noise"]
    np.testing.assert_array_equal(own["correct"], out["correct"])
    np.testing.assert_array_equal(own["logits"].argmax(1), out["logits"].argmax(1))
    assert np.abs(own["logits"] - out["logits"]).max() > 1e-3
    rounded = {tuple(np.sort(row).round(4)) for row in out["logits"]}
    assert len(rounded) < len(out["logits"])  # of 256 answers to noise
