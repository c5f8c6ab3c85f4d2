"""Every file of attacks/membership is held to the contract, found as the runner finds it."""

import contextlib
import inspect
import itertools
import pkgutil
from typing import Any, Literal, NamedTuple, get_args, get_origin

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import attacks.membership
from attacks.by_name import find
from attacks.membership import Examples, MembershipAttack, by_halves, log_odds
from attacks.membership.lira import Lira
from runner.experiment.config import parse
from runner.statistics.metrics import auc

NAMES = [m.name for m in pkgutil.iter_modules(attacks.membership.__path__) if m.name[0] != "_"]
VIEWS = ("identity", "flip")


def described(name: str) -> list[MembershipAttack]:
    """The attacks that the `YAML:` lines of its docstring describe."""
    found = find("attacks.membership", name, MembershipAttack)
    _, *texts = (inspect.getdoc(found) or "").split("YAML:")
    return [found.model_validate(parse(text.strip().splitlines()[0])) for text in texts]


def variants(name: str) -> list[MembershipAttack]:
    """The default, every other value of each key that has few, and the docstring's examples.

    A value that does not go with the other keys' defaults is left to those.
    """
    found = find("attacks.membership", name, MembershipAttack)
    settings: list[dict[str, Any]] = [{}]
    for key, field in found.model_fields.items():
        if field.annotation is bool:
            settings += [{key: True}, {key: False}]
        elif get_origin(field.annotation) is Literal:
            settings += [{key: value} for value in get_args(field.annotation)]
    attacks = described(name)
    for setting in settings:
        with contextlib.suppress(ValueError):
            attacks.append(found.model_validate({"name": name} | setting))
    return list({repr(attack): attack for attack in attacks}.values())


JOINT = Lira(variance="per_example", across_views="joint")  # needs more where there are more views
ATTACKS = [*(attack for name in NAMES for attack in variants(name)), JOINT]
IDS = [
    f"{a.name}-" + "-".join(str(getattr(a, k)) for k in sorted(a.model_fields_set - {"name"}))
    for a in ATTACKS
]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=IDS)
NAMED = [pytest.param(attack, id=name) for attack, name in zip(ATTACKS, IDS, strict=True)]
COMPARING = [
    p for p, a in zip(NAMED, ATTACKS, strict=True) if a.needs().inside or a.needs().outside
]
COUNTING = [p for p, a in zip(NAMED, ATTACKS, strict=True) if a.needs().num_shadows is not None]


NUM_VIEWS = 2  # of the made-up world


class Said(NamedTuple):
    """What one model answers, by the columns that an attack may read."""

    log_odds: np.ndarray  # (N, V) float32
    logits: np.ndarray  # (N, C) float32
    correct: np.ndarray  # (N, V) bool
    view_logits: np.ndarray  # (N, V, C) float32
    loss_trace: np.ndarray  # (N, E) float32


class World(NamedTuple):
    """What M models in complementary pairs answer, and who was a member of each."""

    answers: list[Said]
    member: np.ndarray  # (M, N) int8
    partner: np.ndarray  # (M,) int
    labels: np.ndarray  # (N,) int
    num_classes: int

    def examples(self, part: slice = slice(None)) -> Examples:
        number = np.arange(len(self.labels))
        return Examples(number[part], self.labels[part], len(number), self.num_classes)


def halves(num_models: int, num_examples: int, rng: np.random.Generator) -> np.ndarray:
    """The member matrix of complementary pairs, each model with half of the examples."""
    ranks = rng.permuted(np.tile(np.arange(num_examples), (num_models // 2, 1)), axis=1)
    member = np.repeat(ranks < num_examples // 2, 2, axis=0)
    member[1::2] ^= True
    return member.astype(np.int8)


def world_of(view_logits: np.ndarray, member: np.ndarray, labels: np.ndarray) -> World:
    """A world whose columns all say the same: logits (M, N, V, C) of every view.

    On the way there they grow in four equal steps.
    """
    answers = []
    for of_model in view_logits.astype(np.float32):
        of_views = np.moveaxis(of_model, 1, 0)
        on_the_way = [step / 4 * of_views[0] for step in range(1, 5)]
        answers.append(
            Said(
                np.stack([log_odds(each, labels) for each in of_views], 1).astype(np.float32),
                logits=of_views[0],
                correct=np.stack([each.argmax(axis=1) == labels for each in of_views], 1),
                view_logits=of_model,
                loss_trace=np.stack([loss_of(logits, labels) for logits in on_the_way], axis=1),
            )
        )
    return World(answers, member, np.arange(len(member)) ^ 1, labels, view_logits.shape[-1])


def loss_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy, (N,) float32."""
    return np.logaddexp(0, -log_odds(logits, labels)).astype(np.float32)


def made_up(num_models: int = 16, num_examples: int = 400, gap: float = 6.0) -> World:
    """Models that know their members: the label's logit is `gap` larger, in both views."""
    rng = np.random.default_rng(0)
    member = halves(num_models, num_examples, rng)
    labels = rng.integers(0, 4, num_examples)
    logits = rng.normal(0, 1.5, (1, num_examples, NUM_VIEWS, 4))
    logits = logits + rng.normal(0, 1, (num_models, num_examples, NUM_VIEWS, 4))
    logits[:, np.arange(num_examples), :, labels] += gap * member.T[:, :, None]
    return world_of(logits, member, labels)


@pytest.fixture(scope="module")
def world() -> World:
    return made_up()


@pytest.fixture(scope="module")
def digits() -> World:
    """Eight small networks that learn half of 240 digits by heart; 2 labels in 5 are wrong."""
    rng = np.random.default_rng(1)
    images, labels = (np.asarray(each) for each in load_digits(return_X_y=True))
    chosen = rng.permutation(len(labels))[:240]
    images, labels = images[chosen].reshape(-1, 8, 8) / 16, labels[chosen]
    wrong = rng.random(240) < 0.4
    labels[wrong] = rng.integers(0, 10, wrong.sum())
    member = halves(8, 240, rng)
    views = [torch.from_numpy(x.reshape(240, 64)).float() for x in (images, np.roll(images, 1, 2))]
    logits = [
        learned(views, torch.from_numpy(labels), row, seed) for seed, row in enumerate(member)
    ]
    return world_of(np.stack(logits), member, labels)


def learned(
    views: list[torch.Tensor], labels: torch.Tensor, member: np.ndarray, seed: int
) -> np.ndarray:
    """Logits (N, V, C) of a network that was trained on both views of its members."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    step = torch.optim.Adam(network.parameters(), lr=0.02)
    inside = torch.from_numpy(member == 1)
    images, truth = torch.cat([view[inside] for view in views]), labels[inside].repeat(2)
    for _ in range(120):
        step.zero_grad()
        torch.nn.functional.cross_entropy(network(images), truth).backward()
        step.step()
    with torch.no_grad():
        return np.stack([network(view).numpy() for view in views], axis=1)


def signals(attack: MembershipAttack, world: World, part: slice = slice(None)) -> np.ndarray:
    """What the attack keeps of each model's answers, (M, B, K), chosen as the runner does."""
    kept = []
    for answered in world.answers:
        answers = getattr(answered, attack.reads)[part]
        if attack.by_view:
            answers = answers[:, attack.columns(VIEWS)]
        kept.append(attack.signal(answers, world.examples(part)))
    return np.stack(kept)


def of_target(attack: MembershipAttack, world: World, m: int, seed: int = 0) -> np.ndarray:
    """The scores of one target, by the definition."""
    kept = signals(attack, world)
    if attack.needs().itself:
        return by_halves(attack, kept[m], world.member[m], world.examples(), seed)
    models = np.arange(len(kept))
    shadows = (models != m) & (models != world.partner[m])
    return attack.score(kept[m], kept[shadows], world.member[shadows], world.examples(), seed)


def scores(attack: MembershipAttack, world: World, num_targets: int = 16) -> np.ndarray:
    """The scores of the first targets, from two blocks; of one, where an attack is trained for it.

    Of an attack without shadows it is all of them, which takes no time.
    """
    if attack.needs().itself:
        return np.stack([of_target(attack, world, m) for m in range(len(world.member))])
    if attack.per_target:
        return of_target(attack, world, 0)[None]
    parts = [slice(0, len(world.labels) // 3), slice(len(world.labels) // 3, None)]
    blocks = [
        (signals(attack, world, part), world.member[:, part], world.partner, world.examples(part))
        for part in parts
    ]
    totals: dict[str, np.ndarray] = {}
    for block in blocks:
        for key, values in attack.sums(*block).items():
            totals[key] = totals[key] + values if key in totals else values
    found = [attack.score_all(*block, totals) for block in blocks]
    return np.concatenate(found, axis=1)[:num_targets]


def mean_auc(attack: MembershipAttack, world: World) -> float:
    found = scores(attack, world)
    return float(np.mean([auc(s, row == 1) for s, row in zip(found, world.member, strict=False)]))


@every_attack
def test_models_that_know_their_members_are_caught(attack: MembershipAttack, world: World):
    assert mean_auc(attack, world) > 0.8


@every_attack
def test_networks_that_learn_digits_by_heart_are_caught(attack: MembershipAttack, digits: World):
    assert mean_auc(attack, digits) > 0.6


@every_attack
def test_membership_drawn_anew_is_not_found(attack: MembershipAttack, world: World):
    """The bound is four standard errors of the mean over pairs, each as good as one target."""
    num_models, num_examples = world.member.shape
    drawn = world._replace(member=halves(num_models, num_examples, np.random.default_rng(2)))
    num_pairs = 1 if attack.per_target and not attack.needs().itself else num_models // 2
    of_one = np.sqrt((num_examples + 1) / (3 * num_examples**2))
    assert mean_auc(attack, drawn) == pytest.approx(0.5, abs=4 * of_one / np.sqrt(num_pairs))


@every_attack
def test_the_rows_of_a_target_and_its_partner_change_none_of_its_scores(
    attack: MembershipAttack, world: World
):
    if attack.needs().itself:
        pytest.skip("it is told of one half, and of no example to judge it: test_halves.py")
    expected, rng = scores(attack, world), np.random.default_rng(3)
    for m in range(min(2, len(expected))):
        member = world.member.copy()
        member[[m, world.partner[m]]] = rng.integers(0, 2, (2, member.shape[1]))
        found = scores(attack, world._replace(member=member))
        np.testing.assert_allclose(found[m], expected[m], rtol=1e-9, atol=1e-9)


@every_attack
def test_blocks_of_examples_have_the_scores_of_the_definition(
    attack: MembershipAttack, world: World
):
    if attack.per_target:
        pytest.skip("it is only ever asked for its definition")
    found = scores(attack, world)
    assert found.dtype == np.float64
    for m in (0, 5):
        expected = of_target(attack, world, m)
        assert expected.shape == world.labels.shape
        np.testing.assert_allclose(found[m], expected, rtol=1e-7, atol=1e-9)


@every_attack
def test_who_looks_at_no_other_model_says_so(attack: MembershipAttack, world: World):
    if attack.needs().num_shadows is not None:
        pytest.skip("it is trained for a while, and how many it looks at is tested below")
    last = len(world.answers) - 1  # only its own answers are left as they are
    others = world._replace(answers=[*world.answers[1:], world.answers[0]][:last])
    others.answers.append(world.answers[last])
    worlds = (others, world)
    if attack.per_target:
        found, expected = (of_target(attack, each, last) for each in worlds)
    else:
        found, expected = (scores(attack, each)[last] for each in worlds)
    same = np.array_equal(found, expected, equal_nan=True)
    assert same == attack.alone


@every_attack
def test_the_same_seed_gives_the_same_bits(attack: MembershipAttack, world: World):
    first, again = (of_target(attack, world, 0, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if not attack.per_target:
        np.testing.assert_array_equal(scores(attack, world), scores(attack, world))


@every_attack
def test_certain_answers_have_finite_scores(attack: MembershipAttack, world: World):
    rng, logits = np.random.default_rng(4), np.zeros((*world.member.shape, 2, 4))
    sure = rng.choice([-60, 60], world.member.shape)
    logits[:, np.arange(len(world.labels)), :, world.labels] = sure.T[:, :, None]
    certain = world_of(logits, world.member, world.labels)
    assert np.abs(certain.answers[0].log_odds).min() > 58
    assert np.isfinite(scores(attack, certain)).all()


def held(inside: int, outside: int, num_examples: int) -> np.ndarray:
    """Rows of shadows that hold each example so often and lack it so often, and one of neither."""
    column = np.repeat([1, 0, -1], [inside, outside, 1])[:, None]
    rows = np.random.default_rng(5).permuted(np.tile(column, num_examples), axis=0)
    return rows.astype(np.int8)


def by_shadows(attack: MembershipAttack, world: World, rows: np.ndarray) -> np.ndarray:
    """The scores of target 0 by shadows that have such rows."""
    kept = signals(attack, world)
    return attack.score(kept[0], kept[2 : 2 + len(rows)], rows, world.examples())


@every_attack
def test_as_many_other_models_as_an_attack_says_it_needs_are_enough(
    attack: MembershipAttack, world: World
):
    """Where it needs none with or without an example, all may hold one, and none another.

    Where it needs others that know its class, one more holds every second example.
    """
    num_examples, (inside, outside, *_) = len(world.labels), attack.needs(NUM_VIEWS)
    rows = held(inside, outside, num_examples)
    if attack.needs().of_class:
        rows = np.vstack([rows, np.where(np.arange(num_examples) % 2, 1, -1).astype(np.int8)])
    if not inside and not outside:
        rows = np.tile(np.arange(num_examples) % 2, (3, 1)).astype(np.int8)
    assert np.isfinite(by_shadows(attack, world, rows)).all()


@pytest.mark.parametrize("attack", COMPARING)
def test_one_other_model_less_of_each_kind_that_an_attack_needs_is_too_few(
    attack: MembershipAttack, world: World
):
    inside, outside = (max(number - 1, 0) for number in attack.needs(NUM_VIEWS)[:2])
    rows = held(inside, outside, len(world.labels))
    assert np.isnan(by_shadows(attack, world, rows)).all()


@pytest.mark.parametrize("attack", COUNTING)
def test_an_attack_looks_at_as_many_shadows_as_it_says_and_takes_no_fewer(
    attack: MembershipAttack, world: World
):
    number, rows = attack.needs().num_shadows, world.member[2:]
    assert number
    expected = by_shadows(attack, world, rows[:number])
    np.testing.assert_array_equal(by_shadows(attack, world, rows), expected)
    with pytest.raises(ValueError, match=f"expected {number} shadows or more"):
        by_shadows(attack, world, rows[: number - 1])


@pytest.mark.parametrize(("key", "value"), [("shadow_arm", "plain"), ("num_shadows", 3)])
@pytest.mark.parametrize("name", NAMES)
def test_what_the_yaml_says_of_shadows_is_what_an_attack_says_it_needs(
    name: str, key: str, value: Any
):
    found = find("attacks.membership", name, MembershipAttack)
    if key in found.model_fields:
        assert found.per_target, "attacks that judge all targets at once are given all models"
        assert getattr(found.model_validate({"name": name, key: value}).needs(), key) == value
    else:
        assert all(getattr(attack.needs(), key) is None for attack in variants(name))


@every_attack
def test_an_attack_survives_its_yaml(attack: MembershipAttack):
    again = find("attacks.membership", attack.name, MembershipAttack)
    assert again.model_validate(attack.model_dump(mode="json")) == attack


@pytest.mark.parametrize("name", NAMES)
def test_what_the_docstring_shows_is_described_once(name: str):
    attacks = described(name)
    assert all(attack.name == name for attack in attacks)
    assert all(a != b for a, b in itertools.combinations(attacks, 2))
