"""`runner audit` from end to end, on models that plain PyTorch trained and on made-up answers."""

import contextlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from attacks.membership import Examples, log_odds
from attacks.membership.lira import Lira
from runner import pipeline
from runner.__main__ import app
from runner.foreign import stage
from runner.foreign.listing import listed
from runner.foreign.reading import open_given
from runner.foreign.schema import read_audit
from runner.plan.work import Work
from runner.statistics import metrics
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.cloud import folder_at
from runner.storage.scores import Reading, members_to_bytes, read_scores
from tests.made.given import C, N, labels_of, logits_of, member_of, write
from tests.made.shares import unmounted

PAGE = Path(__file__).parents[3] / "docs" / "foreign_answers.md"


def audit(folder: Path, *options: str, answers: str = "", member: str = "") -> tuple[int, str]:
    """The exit code and everything printed of one audit in this process."""
    given = ["--answers", answers or str(folder / "answers")]
    given += ["--member", member or str(folder / "member.npy")]
    given += ["--storage", str(folder / "storage"), "--no-ray"]
    result = CliRunner().invoke(app, ["audit", *given, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def results_in(folder: Path, name: str = "given") -> dict[str, Any]:
    """results.json of an audit, but for what it says of the one command that wrote it."""
    found = json.loads((folder / "storage" / "audits" / name / "results.json").read_text())
    assert found.pop("provenance")["date"]
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The models of the documentation's first example, audited as it says; what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    writer = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)[0]
    with contextlib.chdir(folder):
        exec(writer, {})
    code, out = audit(folder, "--shadow-recipe", "same")
    assert code == 0, out
    return folder, out


def test_members_of_models_that_plain_pytorch_trained_are_found(trained: tuple[Path, str]):
    results = results_in(trained[0])
    (arm,) = results["arms"].values()
    for attack in ("lira_online", "lira_offline", "rmia", "loss", "modified_entropy"):
        assert arm["membership"][attack]["auc"]["low"] > 0.5, attack
        assert abs(arm["null_controls"][attack]["auc"]["mean"] - 0.5) < 0.04, attack
    assert arm["membership"]["lira_online"]["auc"]["mean"] > 0.55
    assert arm["train_accuracy"]["mean"] > arm["natural_accuracy"]["mean"] > 0.8
    assert results["data"]["num_pool"] == 600
    assert results["data"]["num_negatives"] == 300
    assert results["design"] == {"name": "given", "num_models": 8}


def test_scores_are_those_of_the_attack_on_the_arrays(trained: tuple[Path, str]):
    folder = trained[0]
    files = sorted((folder / "answers").iterdir())
    logits = np.stack([np.load(file)["logits"] for file in files])
    label, member = np.load(files[0])["labels"], np.load(folder / "member.npy")
    odds = np.stack([log_odds(of, label) for of in logits])[:, :, None].astype(np.float32)
    examples = Examples(np.arange(len(label)), label, len(label), 10)
    (scores,) = (folder / "storage" / "audits" / "given" / "scores").iterdir()
    aucs = []
    for m, row in enumerate(member):
        others = [k for k in range(8) if k not in (m, m ^ 1)]
        expected = Lira().score(odds[m], odds[others], member[others], examples)
        found = read_scores(scores, Reading("models", 1, "lira_online", "member"), m)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)
        aucs.append(metrics.auc(found, row == 1))
    (arm,) = results_in(folder)["arms"].values()
    assert arm["membership"]["lira_online"]["auc"]["mean"] == pytest.approx(np.mean(aucs))


def test_the_report_says_what_was_left_out_and_what_nobody_can_check(trained: tuple[Path, str]):
    folder, out = trained
    assert "label_only is left out: it needs several views" in out
    guards = {guard["name"]: guard for guard in results_in(folder)["guards"]}
    assert guards["target and shadows share a recipe"]["verdict"] == "pass"
    assert guards["an answer does not depend on its batch"]["verdict"] == "unknown"
    page = (folder / "storage" / "audits" / "given" / "report" / "index.html").read_text()
    assert "label_only is left out" in page
    assert "trained elsewhere" in page


def test_a_rerun_converts_and_scores_nothing_and_says_the_same(trained: tuple[Path, str]):
    folder = trained[0]
    before = results_in(folder)
    written = {p: p.stat().st_mtime_ns for p in (folder / "storage").rglob("*.parquet")}
    code, out = audit(folder, "--shadow-recipe", "same")
    assert code == 0, out
    assert "converting" not in out
    after = {p: p.stat().st_mtime_ns for p in (folder / "storage").rglob("*.parquet")}
    assert {p: t for p, t in after.items() if "report" not in p.parts} == {
        p: t for p, t in written.items() if "report" not in p.parts
    }
    assert results_in(folder) == before


def test_an_audit_that_goes_on_after_a_kill_says_so(trained: tuple[Path, str]):
    folder = trained[0]
    before = results_in(folder)
    assert before["events"] == []
    file = folder / "storage" / "audits" / "given" / "driver.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended": None}))
    code, out = audit(folder, "--shadow-recipe", "same")
    assert code == 0, out
    (event,) = results_in(folder)["events"]
    assert "did not say how it ended" in event["text"]
    assert f"1 event is in the report; the last was, at {event['at'][:10]}" in out
    assert results_in(folder) | {"events": []} == before
    assert event["text"] in (file.parent / "report" / "index.html").read_text()


def test_an_audit_waits_for_a_storage_that_is_away_and_names_what_it_sets_aside(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(trained[0] / "storage", tmp_path / "storage")
    folder = tmp_path / "storage" / "audits" / "given"
    (folder / "driver.json").unlink()
    converted, (judged,) = min(folder.glob("answers/*")), [*folder.glob("judged/*")]
    for harmed in (converted / "answers.parquet", next(judged.rglob("*.npz"))):
        harmed.write_bytes(harmed.read_bytes()[:-9])
    told, convert_all = io.StringIO(), stage.convert_all

    def lose_the_storage(*given: Any) -> Any:
        monkeypatch.setattr(stage, "convert_all", convert_all)
        made = convert_all(*given)
        unmounted(tmp_path / "storage", lambda: "waits up to 300 s" in told.getvalue())
        return made

    monkeypatch.setattr(stage, "convert_all", lose_the_storage)
    asked = read_audit(None, [], {"shadow_recipe": "same"})
    answers, member = str(trained[0] / "answers"), str(trained[0] / "member.npy")
    console = Console(file=told, width=200)
    stage.audit_given(answers, member, asked, tmp_path / "storage", False, console)
    assert told.getvalue().count("converting 1 of 8 files") == 1
    assert [event["text"].split("; ", 1)[1] for event in results_in(tmp_path)["events"]] == [
        f"set aside as {converted.name}.corrupt-1, made again",
        "is it mounted?; waits up to 300 s for the storage",
        f"set aside as {judged.name}.corrupt-1, made again",
    ]
    assert results_in(tmp_path) | {"events": []} == results_in(trained[0]) | {"events": []}


def test_the_documented_writer_of_parquet_runs(tmp_path: Path):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    with contextlib.chdir(tmp_path):
        exec(code, {})
    (given,) = listed(str(tmp_path), "member.npy")["models"]
    with open_given(given) as read:
        shapes = {name: values.shape for name, values in next(read.blocks).items()}
    assert shapes == {"label": (3000,), "logits": (3000, 10)}


def test_answers_of_our_own_store_get_the_scores_that_a_run_gave_them(work: Work, tmp_path: Path):
    rng, labels = np.random.default_rng(0), np.asarray(work.dataset.pool_labels)
    for arm, runs in work.plan.arms.items():
        (tmp_path / "answers" / arm).mkdir(parents=True)
        question = work.experiment.questions(arm).answers_id
        for run in runs:
            logits = rng.normal(0, 1, (len(labels), 10)).astype(np.float32)
            logits[np.arange(len(labels)), labels] += 2 * (run.member == 1)
            said = Answered(
                log_odds(logits, labels)[:, None], logits, (logits.argmax(1) == labels)[:, None]
            )
            content = answers_to_bytes(labels, said, ["identity"])
            folder = work.store.answers(run.id, question)
            store.write(folder / "answers.parquet", content)
            store.finish(folder, ["answers.parquet"], {})
            (tmp_path / "answers" / arm / f"m{run.number:03d}.parquet").write_bytes(content)
    (tmp_path / "member.parquet").write_bytes(members_to_bytes(work.plan.member))
    pipeline.score(work, in_ray=False)
    attacks = {k: a.model_dump() for k, a in work.experiment.membership.attacks.items()}
    config = tmp_path / "audit.yaml"
    config.write_text(yaml.safe_dump({"name": "own", "membership": {"attacks": attacks}}))
    code, out = audit(tmp_path, "--config", str(config), member=str(tmp_path / "member.parquet"))
    assert code == 0, out
    (scores,) = (tmp_path / "storage" / "audits" / "own" / "scores").iterdir()
    for arm in work.plan.arms:
        for attack in attacks:
            for m in range(len(work.plan.member)):
                reading = Reading(arm, 1, attack, "member")
                given, run = (read_scores(at, reading, m) for at in (scores, work.scores))
                np.testing.assert_array_equal(given, run)
    (compared,) = results_in(tmp_path, "own")["comparisons"]
    assert [compared["arm"], compared["against"]] == ["pgd_at", "erm"]
    assert compared["measures"]["natural_accuracy"]["num_models"] == 6


@pytest.mark.slow
def test_answers_and_a_storage_on_s3_give_what_folders_give(tmp_path: Path, s3: str):
    write(tmp_path / "answers", member_of())
    loss, at = ("--set", "membership.attacks={loss: threshold}"), folder_at(s3)
    assert audit(tmp_path, *loss)[0] == 0
    for path in (*(tmp_path / "answers").iterdir(), tmp_path / "member.npy"):
        store.write(at / "given" / path.relative_to(tmp_path).as_posix(), path.read_bytes())
    answers, member = str(at / "given" / "answers"), str(at / "given" / "member.npy")
    there = ("--storage", str(at / "storage"))  # the last one counts
    code, out = audit(tmp_path, *loss, *there, answers=answers, member=member)
    assert code == 0, out
    folder = at / "storage" / "audits" / "given"
    found = json.loads((folder / "results.json").read_bytes())
    assert found["arms"] == results_in(tmp_path)["arms"]
    assert b"<svg" in (folder / "report" / "index.html").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    code, out = audit(tmp_path, *loss, *there, answers=answers, member=member)
    assert code == 0, out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == written
    code, out = audit(tmp_path, answers=str(at / "none"), member=member)
    assert code == 2
    assert f"runner: {at / 'none'}" in out


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_tasks_of_ray_score_on_s3_what_one_process_scores_in_a_folder(
    tmp_path: Path, s3: str, local_ray: None
):
    write(tmp_path / "answers", member_of())
    assert audit(tmp_path)[0] == 0
    code, out = audit(tmp_path, "--ray", "--storage", s3)
    assert code == 0, out
    found = json.loads((folder_at(s3) / "audits" / "given" / "results.json").read_bytes())
    assert found["arms"] == results_in(tmp_path)["arms"]


@pytest.mark.parametrize("which", ["answers", "member"])
def test_keys_in_a_uri_are_refused_and_not_repeated(tmp_path: Path, which: str):
    write(tmp_path / "answers", member_of())
    code, out = audit(tmp_path, **{which: "s3://AKIAX:hush@bucket/given"})
    assert code == 2
    assert "AWS_ACCESS_KEY_ID" in out
    assert "AKIAX" not in out
    assert "hush" not in out


@pytest.mark.parametrize("layout", ["logits", "an axis of one", "our own", "one named view"])
def test_answers_to_one_view_are_read_by_what_reads_the_logits_of_all(tmp_path: Path, layout: str):
    """And score what two equal views do, by which each comparison is won twice or not at all."""
    member, labels = member_of(num_examples=60), labels_of(60)
    asked = "--set", "membership.attacks={x: {name: rmia, preset: rmia-2024}}"
    for folder in ("answers", "twice/answers"):
        (tmp_path / folder).mkdir(parents=True)
        np.save((tmp_path / folder).parent / "member.npy", member)
    for m, logits in enumerate(logits_of(member)):
        path, by_view = tmp_path / f"answers/m{m}.npz", logits[:, None]
        if layout == "logits":
            np.savez(path, label=labels, logits=logits)
        elif layout == "an axis of one":
            np.savez(path, label=labels, logits=by_view)
        elif layout == "one named view":
            np.savez(path, label=labels, logits=by_view, views=["flip"])
        else:
            odds = log_odds(logits, labels)[:, None]
            answered = Answered(odds, logits, None, by_view)
            content = answers_to_bytes(labels, answered, ["identity"])
            path.with_suffix(".parquet").write_bytes(content)
        twice = np.repeat(by_view, 2, axis=1)
        np.savez(tmp_path / f"twice/answers/m{m}.npz", label=labels, logits=twice)
    found = []
    for folder in (tmp_path, tmp_path / "twice"):
        code, out = audit(folder, *asked)
        assert code == 0, out
        found.append(results_in(folder)["arms"]["models"]["membership"]["x"]["auc"])
    assert found[0] == found[1]
    assert found[0]["mean"] > 0.6


def test_scores_that_tie_above_a_rate_are_said_to_be_below_chance_for_that_alone(tmp_path: Path):
    """Members are right nine times of ten, others eight: a threshold admits 80 % or none."""
    member, rng = member_of(num_examples=400), np.random.default_rng(0)
    write(tmp_path / "answers", member)
    labels = labels_of(400)
    for m, row in enumerate(member):
        right = rng.random(400) < np.where(row == 1, 0.9, 0.8)
        logits = rng.normal(0, 0.1, (400, C))
        logits[np.arange(400), (labels + ~right) % C] += 3
        np.savez(tmp_path / f"answers/model_{m:02d}.npz", label=labels, logits=logits)
    asked = "--set", "membership.attacks={labels: label_only, loss: threshold}"
    by_rule = {}
    for rule in ("step_le", "interp"):
        code, out = audit(tmp_path, *asked, "--set", f"membership.tpr_rule={rule}", "--name", rule)
        assert code == 0, out
        results = results_in(tmp_path, rule)
        of = results["arms"]["models"]["membership"]["labels"]
        by_rule[rule] = of["tpr_at_fpr"]["0.1"]["mean"], results["warnings"], of["auc"]["mean"]
    assert by_rule["step_le"][0] == 0
    assert by_rule["step_le"][2] == by_rule["interp"][2] == pytest.approx(0.55, abs=0.02)
    assert by_rule["interp"][0] == pytest.approx(0.1 * 0.9 / 0.8, abs=0.006)
    (told,) = [said for said in by_rule["step_le"][1] if "scores take few values" in said]
    assert told.startswith("labels: the TPR at 10 % FPR is one at 0 %, 0.0 %; the TPR at 1 % FPR")
    assert not [said for said in by_rule["interp"][1] if "scores take few values" in said]


def test_with_two_pairs_lira_is_left_out_with_a_sentence_and_the_rest_is_made(tmp_path: Path):
    write(tmp_path / "answers", member_of(4))
    code, out = audit(tmp_path)
    assert code == 0, out
    told = "lira_online is left out: it needs 2 other models trained on it for every example"
    assert told in out.replace("\n", " ")
    (arm,) = results_in(tmp_path)["arms"].values()
    assert list(arm["membership"]) == ["rmia", "loss", "modified_entropy"]


def test_of_halves_without_their_complements_shadows_are_evened_and_the_report_says_so(
    tmp_path: Path,
):
    """Each example is in half of the models, so a target that has it leaves one fewer to others."""
    ranks = np.random.default_rng(0).random((8, 400)).argsort(axis=0)
    member = (ranks < 4).astype(np.int8)
    write(tmp_path / "answers", member)
    noise = np.random.default_rng(1).normal(0, 1, (*member.shape, C))
    for m, logits in enumerate(noise):  # of models that keep nothing
        logits[:, 0] += np.arange(400) % 7
        np.savez(tmp_path / f"answers/model_{m:02d}.npz", label=labels_of(400), logits=logits)
    asked = "--set", "membership.attacks={pe: {name: lira, variance: per_example}, s: lira}"
    code, out = audit(tmp_path, *asked)
    assert code == 0, out
    results = results_in(tmp_path)
    check = {guard["name"]: guard for guard in results["guards"]}[
        "the shadows' membership does not give the target away"
    ]
    assert check["verdict"] == "pass"
    told = "an example is in 4 of 8 models, so the number of shadows that hold it would tell"
    assert "AUC of 0.500, from 0.500 to 0.500" in check["says"]
    assert told in check["says"]
    assert any(note.startswith(told) for note in results["warnings"])
    page = (tmp_path / "storage" / "audits" / "given" / "report" / "index.html").read_text()
    assert "keeps 3 that hold it and 3 that do not" in page
    arm = results["arms"]["models"]
    for name in ("pe", "s"):  # without it 0.43 and 0.45
        assert abs(arm["membership"][name]["auc"]["mean"] - 0.5) < 0.035
        assert abs(arm["null_controls"][name]["auc"]["mean"] - 0.5) < 0.035


def test_a_matrix_by_the_names_of_files_gives_the_figures_of_one_in_their_order(tmp_path: Path):
    write(tmp_path / "answers", member_of())
    order = np.random.default_rng(0).permutation(8)
    columns = {f"model_{m:02d}": member_of()[m] for m in order}
    pq.write_table(pa.table(columns), tmp_path / "member.parquet")
    loss = "--set", "membership.attacks={loss: threshold}"
    assert audit(tmp_path, *loss)[0] == 0
    named = str(tmp_path / "member.parquet")
    code, out = audit(tmp_path, *loss, "--name", "named", member=named)
    assert code == 0, out
    assert results_in(tmp_path, "named")["arms"] == results_in(tmp_path)["arms"]


def test_examples_in_every_model_are_no_members_that_anything_is_judged_by(tmp_path: Path):
    member = member_of(num_examples=90)
    member[:, :30] = 1
    write(tmp_path / "answers", member)
    code, out = audit(tmp_path, "--set", "membership.attacks={loss: threshold}")
    assert code == 0, out
    told = "30 of 90 examples are members of every model and 0 of none: they have no counterpart"
    assert any(warning.startswith(told) for warning in results_in(tmp_path)["warnings"])
    aucs = []
    for logits, row in zip(logits_of(member), member, strict=True):
        odds = log_odds(logits, labels_of(90)).astype(np.float32)[30:]
        inside, outside = odds[row[30:] == 1], odds[row[30:] == 0]
        aucs.append((inside[:, None] > outside).mean())
    (arm,) = results_in(tmp_path)["arms"].values()
    assert arm["membership"]["loss"]["auc"]["mean"] == pytest.approx(np.mean(aucs), abs=1e-12)
    assert results_in(tmp_path)["data"]["num_negatives"] == (member[:, 30:] == 0).sum(1).min()


def test_log_odds_alone_leave_accuracies_and_what_needs_logits_out(tmp_path: Path):
    member = member_of()
    (tmp_path / "answers").mkdir()
    np.save(tmp_path / "member.npy", member)
    for m, logits in enumerate(logits_of(member)):
        odds = log_odds(logits, labels_of())
        np.savez(tmp_path / "answers" / f"m{m}.npz", label=labels_of(), log_odds=odds)
    code, out = audit(tmp_path)
    assert code == 0, out
    assert "modified_entropy is left out: it reads logits, and the answers have log_odds" in out
    (arm,) = results_in(tmp_path)["arms"].values()
    assert "natural_accuracy" not in arm
    assert arm["vulnerable"] is None
    assert arm["membership"]["lira_online"]["auc"]["low"] > 0.5


def test_several_views_let_labels_alone_be_attacked_and_claims_stand_in_the_report(tmp_path: Path):
    member = member_of()
    (tmp_path / "answers").mkdir()
    np.save(tmp_path / "member.npy", member)
    both = np.stack([logits_of(member), logits_of(member)[:, :, ::-1]], axis=2)
    for m, logits in enumerate(both):
        views = np.array(["identity", "flip"])
        arrays: dict[str, Any] = {"label": labels_of(), "logits": logits, "views": views}
        np.savez(tmp_path / "answers" / f"m{m}.npz", **arrays)
    claim = "--set", "claimed.models={epsilon: 2.5, delta: 1.0e-5}"
    code, out = audit(tmp_path, "--shadow-recipe", "differs: other seeds and epochs", *claim)
    assert code == 0, out
    results = results_in(tmp_path)
    arm = results["arms"]["models"]
    assert arm["membership"]["label_only"]["auc"]["low"] > 0.5
    assert results["attacks"]["views"]["label_only"] == ["identity", "flip"]
    assert (arm["guarantee"]["epsilon"], arm["guarantee"]["status"]) == (2.5, "claimed")
    assert "failed check: target and shadows share a recipe" in out
    assert any("other seeds and epochs" in warning for warning in results["warnings"])
    report = tmp_path / "storage" / "audits" / "given" / "report"
    assert "2.5" in (report / "guarantees.md").read_text()


def probabilities() -> np.ndarray:
    return np.full((N, C), np.float32(1 / C))


SHADOWS = "membership.attacks={x: {name: lira, variance: per_example}}"
FAULTS: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "a matrix turned round": ((), {"member": member_of().T}, "write its transpose"),
    "a model without others": ((), {"member": np.ones((8, N))}, "row 0 has no non-members"),
    "another N": ((), {"member": member_of(num_examples=30)}, "the member matrix has 30"),
    "probabilities": ((), {"logits": probabilities()}, "are probabilities"),
    "NaN": ((), {"logits": np.full((N, C), np.nan)}, "NaN"),
    "objects": ((), {"logits": np.array([{}] * N, object)}, "pickled files can run code"),
    "a missing folder": (("--answers", "nowhere"), {}, "nowhere: it cannot be listed"),
    "a missing matrix": (("--member", "none.npy"), {}, r"none\.npy: it cannot be read"),
    "an unknown key": (("--set", "membrship.prior=0.1"), {}, "did you mean 'membership'"),
    "no such recipe": (("--shadow-recipe", "similar"), {}, "shadow_recipe"),
    "no such name": (("--name", "A b"), {}, "name:"),
    "no such view": (
        ("--set", "membership.attacks={x: {name: rmia, preset: rmia-2024, views: [flip]}}"),
        {},
        r"membership\.attacks\.x: it reads the view flip, and the answers have identity",
    ),
    "claimed of no arm": (
        ("--set", "claimed.erm={epsilon: 1}"),
        {},
        "claimed: unknown arm 'erm' .known: models",
    ),
    "at risk by no attack": (
        ("--set", "vulnerable.attack=lira"),
        {},
        "vulnerable.attack: unknown membership attack 'lira' .known: lira_offline",
    ),
    "shadows of no arm": (
        ("--set", "membership.attacks={x: {name: shadow_mlp, shadow_arm: erm}}"),
        {},
        r"x\.shadow_arm: unknown arm 'erm'",
    ),
    "too few models": (("--set", SHADOWS), {"num_models": 2}, "it needs 2 other models trained on"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_message_with_exit_code_2_and_leaves_no_results(
    tmp_path: Path, fault: str
):
    options, changed, reason = FAULTS[fault]
    member = member_of(changed.pop("num_models", 8))
    matrix = changed.pop("member", None)
    write(tmp_path / "answers", member, **changed)
    if matrix is not None:
        np.save(tmp_path / "member.npy", matrix)
    code, out = audit(tmp_path, *options)
    assert code == 2
    assert re.search(reason, out), out
    assert out.count("runner: ") == 1
    assert "Traceback" not in out
    assert not list((tmp_path / "storage").rglob("results.json"))
    assert not list((tmp_path / "storage").rglob(".*"))
    assert not (tmp_path / "storage").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
@pytest.mark.parametrize("paired", [True, False])
def test_an_audit_over_ray_gives_the_same_figures(tmp_path: Path, paired: bool):
    ranks = np.random.default_rng(0).random((8, N)).argsort(axis=0)
    write(tmp_path / "answers", member_of() if paired else (ranks < 4).astype(np.int8))
    assert audit(tmp_path)[0] == 0
    code, out = audit(tmp_path, "--ray", "--name", "over-ray")
    assert code == 0, out
    over_ray = results_in(tmp_path, "over-ray")
    assert over_ray["arms"] == results_in(tmp_path)["arms"]


@pytest.mark.parametrize("num_in", [1, 5])
def test_what_learns_of_both_kinds_is_refused_where_even_shadows_have_one(
    tmp_path: Path, num_in: int
):
    ranks = np.random.default_rng(0).random((6, 120)).argsort(axis=0)
    write(tmp_path / "answers", (ranks < num_in).astype(np.int8))
    for asked in ("{name: threshold, per_class: true}", "{name: shadow_mlp, num_shadows: 5}"):
        code, out = audit(tmp_path, "--set", f"membership.attacks={{x: {asked}}}")
        assert code == 2, out
        assert "shadows that are even have one kind" in out.replace("\n", " ")
        assert not (tmp_path / "storage").exists()
    code, out = audit(tmp_path)
    assert code == 0, out
    checks = {guard["name"]: guard["verdict"] for guard in results_in(tmp_path)["guards"]}
    assert checks["the shadows' membership does not give the target away"] == "pass"
