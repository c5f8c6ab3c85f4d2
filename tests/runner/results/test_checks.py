import numpy as np
import torch
from torch import nn

from attacks.membership.lira import Lira
from attacks.membership.shadow_mlp import ShadowMLP
from defenses.dp_sgd import DPSGD
from runner.ask.answers import FEW, ask, batch_dependence, logits_of
from runner.data import Dataset
from runner.experiment.questions import Checkpoint
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.results.checks import (
    MOST_DEPENDENCE,
    eval_check,
    null_check,
    recipe_check,
    twins_check,
    views_check,
    warnings_of,
)
from runner.statistics.intervals import Interval
from runner.storage import store
from runner.train.train import train
from runner.train.workplace import Workplace


class InTrainMode(Workplace):
    """A workplace whose models are left in train mode when they are asked."""

    def trained(self, run: Run, checkpoint: Checkpoint = "last") -> nn.Module:
        return super().trained(run, checkpoint).train()


def test_the_null_guard_names_the_attack_that_leaks_by_itself():
    fine, bad = Interval(0.501, 0.495, 0.507, 8), Interval(0.56, 0.54, 0.58, 8)
    wide = Interval(0.51, 0.46, 0.56, 8)
    assert null_check({("erm", "lira"): fine}).verdict == "pass"
    assert null_check({("erm", "lira"): fine, ("erm", "rmia"): wide}).verdict == "undecided"
    guard = null_check({("erm", "lira"): fine, ("trades", "rmia"): bad, ("erm", "x"): wide})
    assert guard.verdict == "fail"
    assert "rmia on trades" in guard.says
    assert "0.560 [0.540, 0.580]" in guard.says


def test_batch_norm_in_train_mode_is_caught_and_in_eval_mode_passes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10))
    images = torch.randint(0, 256, (200, 1, 8, 8), dtype=torch.uint8)

    def dependence(model: nn.Module) -> float:
        return batch_dependence(model, images, logits_of(model, images)[:FEW])

    assert dependence(model.eval()) < 1e-5
    assert dependence(model.train()) > 10 * MOST_DEPENDENCE


def test_models_are_asked_twice_and_the_answers_compared(place: Workplace, work: Work):
    run = work.plan.arms["erm"][0]
    questions = work.experiment.questions("erm")
    train(run, place)
    ask(run, place, questions)
    facts = store.facts(place.store.answers(run.id, questions.answers_id))
    assert facts is not None
    assert eval_check({"erm": [facts]}).verdict == "pass"
    store.remove(place.store.answers(run.id, questions.answers_id))
    ask(run, InTrainMode(*place), questions)
    facts = store.facts(place.store.answers(run.id, questions.answers_id))
    guard = eval_check({"erm": [facts]})
    assert guard.verdict == "fail"
    assert warnings_of([guard])[0].startswith("failed check: an answer does not depend on its")


def test_answers_that_differ_by_no_number_fail():
    found = [{"batch_dependence": value} for value in (1e-7, float("nan"))]
    assert eval_check({"erm": found}).verdict == "fail"
    assert eval_check({"erm": found[::-1]}).verdict == "fail"


def test_randomized_models_are_not_compared_and_the_guard_says_so():
    assert eval_check({"noisy": [{}, {}]}).verdict == "unknown"
    mixed = eval_check({"noisy": [{}], "erm": [{"batch_dependence": 1e-7}]})
    assert mixed.verdict == "pass"
    assert "1 randomized models" in mixed.says


def test_runs_of_one_arm_share_their_recipe_and_other_shadows_are_named(work: Work):
    guard = recipe_check(work.plan, {"lira": Lira(), "mlp": ShadowMLP(shadow_arm="erm")})
    assert guard.verdict == "pass"
    assert "mlp has the models of erm for shadows" in guard.says


def test_a_model_of_another_recipe_fails(work: Work):
    from dataclasses import replace

    runs = work.plan.arms["erm"]
    other = runs[3].training.model_copy(update={"epochs": 7})
    odd = (*runs[:3], replace(runs[3], training=other), *runs[4:])
    plan = replace(work.plan, arms={"erm": odd})
    guard = recipe_check(plan, {"lira": Lira()})
    assert guard.verdict == "fail"
    assert "models 0 and 3 of erm differ in training" in guard.says


def test_a_model_of_another_defense_fails_and_one_with_the_noise_of_its_number_does_not(work: Work):
    from dataclasses import replace

    runs, others = work.plan.arms["erm"], work.plan.arms["pgd_at"]
    odd = (*runs[:3], replace(runs[3], defense=others[3].defense), *runs[4:])
    guard = recipe_check(replace(work.plan, arms={"erm": odd}), {"lira": Lira()})
    assert guard.verdict == "fail"
    assert "models 0 and 3 of erm differ in defense" in guard.says
    fewer = runs[1].member.copy()
    fewer[np.flatnonzero(fewer == 1)[:5]] = 0
    noisy = [DPSGD(noise_multiplier=noise) for noise in (1.0, 1.1)]
    first = replace(runs[0], defense=noisy[0])
    alike, apart = (
        recipe_check(
            replace(work.plan, arms={"dp": (first, replace(runs[1], defense=noisy[1], member=m))}),
            {"lira": Lira()},
        )
        for m in (fewer, runs[1].member)
    )
    assert alike.verdict == "pass"
    assert "the noise that their number of members takes" in alike.says
    assert apart.verdict == "fail"


def test_a_pool_with_many_twins_fails_and_a_few_are_told(work: Work):
    data = work.dataset
    judged = np.ones(len(data.pool_labels), bool)
    assert twins_check(data, judged).verdict == "pass"
    images = data.pool_images.copy()
    images[100:150] = images[:50]
    twice = Dataset(images, *list(vars(data).values())[1:])
    guard = twins_check(twice, judged)
    assert guard.verdict == "fail"
    assert "100 of 200 examples have an exact duplicate" in guard.says


def test_models_that_were_asked_about_other_views_fail(tmp_path):
    from runner.storage.answers import Answered, Source, answers_to_bytes

    paths = []
    for views in (["identity"], ["flip"]):
        paths.append(str(tmp_path / f"{views[0]}.parquet"))
        content = answers_to_bytes(np.zeros(3), Answered(np.zeros((3, 1))), views)
        (tmp_path / f"{views[0]}.parquet").write_bytes(content)
    assert views_check({Source("erm", 1): paths}).verdict == "fail"
    assert views_check({Source("erm", 1): paths[:1] * 2}).verdict == "pass"
