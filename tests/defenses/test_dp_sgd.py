"""DP-SGD's gradients, steps and refusals, with Opacus itself."""

import re
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from defenses import Defense, Facts, Kit, dp_sgd
from defenses._accounting import calibrated, spent
from defenses.demem import DeMem
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from defenses.trades import TRADES
from runner.experiment.training import Schedule
from runner.models.resnet import ResNet
from runner.norms import GroupNorm
from runner.train.fit import lr_factor
from runner.train.workplace import Workplace
from tests.made.dp_sgd import BASES, NUM, SHAPE, backward, batch, each_gradient, network, protected
from tests.made.training import a_run, trained


def flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(defense: Defense, kit: Kit, epoch: int = 0, scale: float = 1.0) -> list[list[int]]:
    """Train an epoch; return the sizes of each step's parts."""
    sizes = []
    for parts in kit.steps(epoch):
        sizes.append([])
        for part in parts:
            backward(defense, kit, part, scale)
            kit.optimizer.step()
            sizes[-1].append(len(part))
    return sizes


@pytest.mark.parametrize("name", BASES)
def test_a_step_is_the_sum_of_clipped_gradients_over_the_expected_batch_size(name: str):
    defense = DPSGD(base=BASES[name], noise_multiplier=0.0, max_grad_norm=0.7)
    kit = protected(defense)
    before = flat(kit.model)
    torch.manual_seed(2)
    train(defense, kit)
    rows = torch.cat([g.flatten(1) for g in each_gradient(defense.base)], 1).double()
    norms = rows.norm(dim=1, keepdim=True)
    assert (norms > 0.7).any()
    expected = (rows * (0.7 / norms).clamp(max=1)).sum(0) / NUM
    assert torch.allclose((before - flat(kit.model)).double(), expected, rtol=1e-4, atol=1e-5)


def test_parts_of_different_sizes_make_the_same_step_as_the_whole_batch():
    weights = {}
    for part in (None, 7):
        defense = DPSGD(noise_multiplier=0.0, max_grad_norm=0.5, physical_batch_size=part)
        kit = protected(defense, batch_size=17)
        sizes = [train(defense, kit, epoch) for epoch in range(3)]
        weights[part] = flat(kit.model)
        assert max(size for steps in sizes for parts in steps for size in parts) > 7 or part
        if part:
            assert all(set(parts[:-1]) <= {7} and parts[-1] <= 7 for s in sizes for parts in s)
            assert any(len(parts) > 1 and parts[-1] < 7 for s in sizes for parts in s)
    assert torch.allclose(weights[7], weights[None], rtol=0, atol=1e-6)


def test_noise_is_added_once_a_step_however_many_parts_it_has():
    for part, num_parts in ((None, 1), (7, 3)):
        defense = DPSGD(noise_multiplier=3.0, max_grad_norm=0.5, physical_batch_size=part)
        kit = protected(defense)
        before = flat(kit.model)
        torch.manual_seed(4)
        assert [len(parts) for parts in train(defense, kit, scale=0.0)] == [num_parts]
        noise = flat(kit.model) - before
        assert noise.std().item() == pytest.approx(3.0 * 0.5 / NUM, rel=0.05)
        assert abs(noise.mean().item()) < 4 * 3.0 * 0.5 / NUM / len(noise) ** 0.5


def test_a_step_that_nobody_is_drawn_for_is_noise_alone():
    defense = DPSGD(noise_multiplier=2.0, max_grad_norm=0.5)
    kit = protected(defense, batch_size=1, seed=3)
    torch.manual_seed(4)
    moves = {}
    for number, parts in enumerate(kit.steps(0)):
        before, sizes = flat(kit.model), []
        for part in parts:
            backward(defense, kit, part)
            kit.optimizer.step()
            sizes.append(len(part))
        moves[number] = (sum(sizes), (flat(kit.model) - before))
    empty = [move for size, move in moves.values() if size == 0]
    assert empty
    assert len(empty) < len(moves) == NUM
    assert torch.cat(empty).std().item() == pytest.approx(2.0 * 0.5, rel=0.05)


def test_the_memory_bound_counts_the_bytes_of_all_gradients(monkeypatch: pytest.MonkeyPatch):
    size = 4 * sum(p.numel() for p in network().parameters())
    monkeypatch.setattr(dp_sgd, "GRADIENT_BYTES", 6 * size + 1)
    defense = DPSGD(noise_multiplier=0.0, poisson_sampling=False)
    assert train(defense, protected(defense)) == [[6, 6, 6, 2]]


@pytest.mark.parametrize("name", ["erm", "pgd_at"])
def test_without_noise_clipping_and_poisson_sampling_it_is_its_base(
    place: Workplace, work, name: str
):
    off = {"noise_multiplier": 0.0, "max_grad_norm": 1e9, "poisson_sampling": False}
    plain = trained(a_run(work, BASES[name]), place)[-1]
    for part in (None, 10) if name == "erm" else (None,):
        defense = DPSGD(base=BASES[name], physical_batch_size=part, **off)
        ours = trained(a_run(work, defense), place)[-1]
        for key, weights in plain[1]["model"].items():
            assert torch.allclose(ours[1]["model"][key], weights, rtol=0, atol=1e-6), key
        assert ours[0]["loss_total"] == pytest.approx(plain[0]["loss_total"], rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_going_on_from_a_checkpoint_gives_the_bits_of_an_undisturbed_run(
    place: Workplace, work, optimizer: str
):
    defense = DPSGD(noise_multiplier=1.0, physical_batch_size=10, base=BASES["pgd_at"])
    run = a_run(work, defense, optimizer=optimizer, lr=0.01)
    whole = trained(run, place)
    torch.rand(17)
    rest = trained(run, place, state=whole[0][1])
    assert len(rest) == len(whole) - 1
    a, b = whole[-1][1]["model"], rest[-1][1]["model"]
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_learning_rate_follows_steps_not_parts(place: Workplace, work):
    cosine = Schedule(name="cosine")
    for part in (None, 3):
        defense = DPSGD(noise_multiplier=1.0, physical_batch_size=part)
        run = a_run(work, defense, schedule=cosine, lr=0.1)
        n, size = len(run.members), run.training.batch_size
        assert (n, size) == (100, 32)  # 3 steps of 32 expected ones, where plain batches are 4
        rates = [metrics["lr"] for metrics, _ in trained(run, place)]
        assert rates == pytest.approx([0.1 * lr_factor(cosine, 3 * e + 2, 3, 2) for e in (0, 1)])


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_batchnorm_becomes_the_groupnorm_that_the_model_itself_offers(norm: type):
    def make_model() -> nn.Module:
        model = network("batch")
        if norm is nn.SyncBatchNorm:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return model

    ours, theirs = DPSGD(noise_multiplier=1.0).build(make_model), network("group")
    assert str(ours) == str(theirs)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
    assert all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def with_norms() -> nn.Module:
    """Every kind of BatchNorm, one of them in two places, one without affine values."""
    twice = nn.BatchNorm1d(16, eps=0.1)
    network = nn.ModuleDict(
        {
            "flat": nn.BatchNorm1d(16, eps=0.01),
            "frozen": nn.BatchNorm2d(8).requires_grad_(False),
            "solid": nn.BatchNorm3d(8),
            "bare": nn.BatchNorm2d(8, affine=False),
            "one": twice,
            "other": nn.Sequential(nn.Linear(16, 16), twice),
        }
    )
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
    return network


def test_the_norm_in_batchnorms_place_keeps_its_eps_and_affine_values():
    network = with_norms()
    norms = {n: m for n, m in network.named_children() if not isinstance(m, nn.Sequential)}
    names = [name for name, _ in network.named_parameters()]
    after = DPSGD(noise_multiplier=1.0).build(lambda: network)
    sides = {"flat": (), "one": (), "frozen": (2, 2), "bare": (1, 1), "solid": (2, 1, 1)}
    for name, given in norms.items():
        old, new = cast(Any, given), after.get_submodule(name)
        assert isinstance(new, GroupNorm)
        assert new.weight is old.weight
        features = torch.randn(5, old.num_features, *sides[name])
        parts = features.flatten(1).reshape(5, new.groups_of(features), -1).double()
        assert parts.shape[2] >= 8
        mean, var = parts.mean(2, keepdim=True), parts.var(2, keepdim=True, correction=0)
        plain = ((parts - mean) / (var + old.eps).sqrt()).reshape(features.shape)
        scale, shift = (new.weight, new.bias) if old.affine else (torch.ones(8), torch.zeros(8))
        shape = (1, -1, *[1] * (features.ndim - 2))
        by_hand = plain * scale.double().view(shape) + shift.double().view(shape)
        torch.testing.assert_close(new(features).double(), by_hand, rtol=1e-4, atol=1e-4)
        assert all(p.requires_grad == (name != "frozen") for p in new.parameters())
    assert after.get_submodule("one") is after.get_submodule("other.1")
    assert [name for name, _ in after.named_parameters()] == names


def test_a_batchnorm_that_stays_fixed_is_kept():
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(4).requires_grad_(False)
            self.conv = nn.Conv2d(4, 4, 3)

        def train(self, mode: bool = True) -> "Fixed":
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, images: Tensor) -> Tensor:
            return self.conv(self.norm(images))

    private = DPSGD(noise_multiplier=1.0)
    assert isinstance(private.build(Fixed).get_submodule("norm"), nn.BatchNorm2d)
    assert not any("norm: group" in remark for remark in private.remarks(Fixed()))


def test_a_layer_whose_size_waits_for_the_first_image_is_refused():
    for lazy in (nn.LazyBatchNorm2d(), nn.LazyLinear(4)):
        with pytest.raises(ValueError, match=r"0\.weight has no size before the first image"):
            DPSGD(noise_multiplier=1.0).build(lambda lazy=lazy: nn.Sequential(lazy))


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_batch_of_one_image_takes_a_step_at_1x1_pixels(num: int):
    """GroupNorm of one value a group raises there, and of two has no gradient."""

    def make_model() -> nn.Module:
        torch.manual_seed(0)
        return ResNet(name="resnet18", width=4, norm="batch").build(SHAPE)

    defense = DPSGD(noise_multiplier=0.0)
    kit = protected(defense, make_model=make_model)
    backward(defense, kit, torch.arange(num))
    kit.optimizer.step()
    for name, p in kit.model.named_parameters():
        assert p.grad is not None
        assert p.grad.abs().max() > 0, name


def test_hooks_on_the_network_survive_and_it_can_be_built_without_numbers():
    calls = []

    def make_model() -> nn.Module:
        model = network("batch")
        model.get_submodule("stem").register_forward_hook(lambda *args: calls.append(args))
        return model

    built = DPSGD(noise_multiplier=1.0).build(make_model)
    built(batch()[0])
    assert len(calls) == 1
    with torch.device("meta"):
        built = DPSGD(noise_multiplier=1.0).build(lambda: network("batch"))
    assert all(p.is_meta for p in built.parameters())


def test_a_network_that_opacus_cannot_train_is_refused_by_name():
    tracking = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    with pytest.raises(ValueError, match=r"cannot train this network: .*InstanceNorm"):
        DPSGD(noise_multiplier=1.0).build(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), tracking))


def test_the_noise_is_given_exactly_once():
    for given, word in (({}, "neither"), ({"noise_multiplier": 1, "target_epsilon": 8}, "both")):
        with pytest.raises(ValueError, match=f"exactly one of .* got {word}"):
            DPSGD(**given)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="target_epsilon needs poisson_sampling"):
        DPSGD(target_epsilon=8.0, poisson_sampling=False)


def test_losses_that_couple_examples_and_a_second_clipping_are_refused():
    private = DPSGD(noise_multiplier=1.0)
    with pytest.raises(ValueError, match="dp_sgd over demem couples examples"):
        DPSGD(noise_multiplier=1.0, base=DeMem(base=ERM(), weight=0.2))
    with pytest.raises(ValueError, match="demem over dp_sgd couples examples"):
        DeMem(base=private, weight=0.2)
    with pytest.raises(ValueError, match="clips per-example gradients twice"):
        DPSGD(noise_multiplier=1.0, base=private)
    assert DeMem(base=private, weight=0.0).per_example_steps


FACTS = Facts(nn.Identity(), 1000, 50, 5, 1e-5)


def test_the_guarantee_is_of_the_weights_and_says_what_it_follows_from():
    given = DPSGD(noise_multiplier=1.1, accountant="rdp").guarantee(FACTS)
    assert (given.status, given.of, given.delta) == ("proved", "the weights", 1e-5)
    assert given.why == (
        "noise multiplier 1.1, sampling rate 0.05, 100 steps, accountant rdp; "
        "one example added or removed"
    )
    tighter = DPSGD(noise_multiplier=1.1).guarantee(FACTS)
    assert tighter.epsilon is not None
    assert given.epsilon is not None
    assert 0 < tighter.epsilon < given.epsilon


def test_at_a_small_delta_rdp_answers_for_prv_and_the_guarantee_says_why():
    small = FACTS._replace(delta=1e-12)
    given = DPSGD(noise_multiplier=1.1).guarantee(small)
    asked = DPSGD(noise_multiplier=1.1, accountant="rdp").guarantee(small)
    assert (given.epsilon, given.status) == (asked.epsilon, "proved")
    assert "accountant rdp (prv is no bound at a delta below 1e-09); one example" in given.why
    assert "accountant rdp; one example" in asked.why


def test_a_target_epsilon_is_just_met_after_all_epochs_and_not_before():
    given = DPSGD(target_epsilon=2.0, accountant="rdp")
    reached = given.resolved(1000, 50, 5).guarantee(FACTS).epsilon
    halfway = given.resolved(1000, 50, 10).guarantee(FACTS).epsilon
    assert reached is not None
    assert halfway is not None
    assert 1.98 < reached <= 2.0
    assert halfway < 1.8


def test_the_noise_of_a_target_is_settled_before_training_also_below_a_wrapper():
    given = DPSGD(target_epsilon=2.0, accountant="rdp")
    settled = given.resolved(1000, 50, 5)
    assert settled.target_epsilon is None
    assert settled.noise_multiplier == calibrated(2.0, 1e-5, 0.05, 100, "rdp")
    assert DeMem(weight=0, base=given).resolved(1000, 50, 5).base == settled
    with pytest.raises(ValueError, match="batch_size must be at most 1000"):
        DPSGD(noise_multiplier=1.0).resolved(1000, 1001, 5)


def test_a_quick_guarantee_is_a_larger_bound_by_rdp():
    defense = DPSGD(noise_multiplier=1.1)
    exact, quick = (defense.guarantee(FACTS._replace(quickly=q)) for q in (False, True))
    assert "accountant rdp" in quick.why
    assert quick.epsilon is not None
    assert exact.epsilon is not None
    assert quick.epsilon > exact.epsilon


def test_without_noise_or_poisson_sampling_there_is_no_guarantee():
    for fields in ({"noise_multiplier": 0.0}, {"noise_multiplier": 1.0, "poisson_sampling": False}):
        given = DPSGD(**fields).guarantee(FACTS)  # pyright: ignore[reportArgumentType]
        assert (given.epsilon, given.status) == (None, "none")
        assert next(iter(fields if len(fields) == 1 else ["poisson_sampling"])) in given.why


def test_little_noise_has_the_bound_that_can_be_computed():
    given = DPSGD(noise_multiplier=0.05).guarantee(FACTS)
    assert given.epsilon is not None
    assert given.epsilon > 1000
    assert "accountant rdp (the prv accountant cannot compute noise_multiplier 0.05" in given.why
    assert "privacy losses reach" in given.why
    assert "use accountant" not in given.why
    vanishing = DPSGD(noise_multiplier=1e-200).guarantee(FACTS._replace(batch_size=1000))
    assert (vanishing.epsilon, vanishing.status) == (None, "none")


def test_a_delta_near_1_has_the_bound_that_can_be_computed():
    given = DPSGD(noise_multiplier=1.0).guarantee(FACTS._replace(delta=0.9999))
    assert (given.epsilon, given.status) == (0, "proved")
    assert "accountant rdp (the prv accountant cannot compute" in given.why
    assert "at delta 0.9999" in given.why


def test_the_report_says_what_a_reader_must_know():
    private = DPSGD(noise_multiplier=1.0)
    told = " ".join(DPSGD(noise_multiplier=1.0, base=TRADES()).remarks(network("batch")))
    assert "norm: group" in told
    assert "two forward passes" in told
    assert "seed stays secret" in told
    assert not any("norm: group" in remark for remark in private.remarks(network("group")))


def test_the_smaller_of_two_bounds_is_stated_and_named():
    much = DPSGD(noise_multiplier=60.0).guarantee(FACTS)
    assert much.epsilon == spent(60.0, 0.05, 100, 1e-5, "rdp")
    assert "accountant rdp (prv gives 0.0" in much.why
    best = DPSGD(noise_multiplier=60.0, accountant="best").guarantee(FACTS)
    assert best.epsilon is not None
    assert much.epsilon is not None
    assert best.epsilon < much.epsilon
    assert "accountant pld; one example" in best.why


def test_a_target_that_prv_refuses_takes_the_best_noise_and_others_stay_as_they_were():
    small = DPSGD(target_epsilon=0.005).resolved(1000, 50, 5)
    assert small.noise_multiplier == calibrated(0.005, 1e-5, 0.05, 100, "best")
    large = DPSGD(target_epsilon=2.0).resolved(1000, 50, 5)
    assert large.noise_multiplier == calibrated(2.0, 1e-5, 0.05, 100, "prv")


@pytest.mark.parametrize(
    ("keys", "less"),
    [
        ({"target_epsilon": 0.1}, 9),
        ({"target_epsilon": 2.0, "accountant": "rdp"}, 7),
        ({"target_epsilon": 0.1, "max_batch_size": 100}, 9),
    ],
)
def test_noise_that_is_not_needed_is_said_with_the_key_that_takes_less(keys, less: int):
    asked = DPSGD.model_validate(keys)
    (told,) = asked.advice(1000, 50, 5)
    taken, enough, share = re.findall(r"noise (\S+) for .* and (\S+) is enough, (\d+) %", told)[0]
    best = asked.model_copy(update={"accountant": "best"})
    assert float(taken) == pytest.approx(asked.resolved(1000, 50, 5).noise_multiplier, rel=1e-3)
    assert float(enough) == pytest.approx(best.resolved(1000, 50, 5).noise_multiplier, rel=1e-3)
    assert int(share) == less
    assert "`accountant: best`" in told
    assert DeMem(weight=0, base=asked).advice(1000, 50, 5) == (told,)


@pytest.mark.parametrize(("batch_size", "least"), [(50, 96), (1000, 1001)])
def test_batches_that_are_cut_too_often_for_any_proof_are_told_of_with_the_way_out(
    batch_size: int, least: int
):
    cut = DPSGD(noise_multiplier=1.0, max_batch_size=batch_size, accountant="rdp")
    (told,) = cut.advice(1000, batch_size, 5)
    assert "no epsilon is proved of this training: max_batch_size" in told
    enough = int(re.findall(r"use max_batch_size: (\d+) or more", told)[0])
    assert enough == least
    assert cut.model_copy(update={"max_batch_size": enough}).advice(1000, batch_size, 5) == ()


@pytest.mark.parametrize(
    "keys",
    [
        {"noise_multiplier": 1.0},
        {"target_tpr": 0.01},
        {"target_epsilon": 0.7},
        {"target_epsilon": 3.0},
        {"target_epsilon": 0.005},  # prv finds none, and the best noise is taken
        {"target_epsilon": 0.1, "accountant": "best"},
    ],
)
def test_nothing_is_said_of_noise_that_is_needed(keys):
    assert DPSGD.model_validate(keys).advice(1000, 50, 5) == ()
