"""What steps take here, by trying each on a few images for a minute: where no Run is finished."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attacks.evasion import EvasionAttack
from runner.data import to_float
from runner.forecast._step_times import (
    TRAIN,
    Seconds,
    Step,
    StepTimes,
    arms_by_recipe,
    recipe_of,
)
from runner.models import image_shape
from runner.plan.plan import Run
from runner.plan.undisturbed import undisturbed
from runner.plan.work import Work
from runner.train.fit import fit
from runner.train.workplace import device_name

LIMIT_S = 60.0  # of all measurements together
FEW = 8  # images of the first try
MORE = 4  # times as many in the next one
MOST = 1000  # images in one pass, as when a model is asked in earnest


class Images(NamedTuple):
    """The pool, on the device that is measured: (N, channels, H, W) uint8, and (N,) int64."""

    pool: Tensor
    labels: Tensor


def with_measured(work: Work, times: StepTimes, limit_s: float = LIMIT_S) -> StepTimes:
    """Return the times with each step that nobody knows measured on a few images, here and now.

    An epoch is taken to last as long as its examples times the seconds of one, which are measured
    on batches as large as there is time for; so is what is asked. What is not measured when the
    time is over stays unknown.
    """
    until = time.monotonic() + limit_s
    asked = [run for name in arms_by_recipe(work).values() for run in work.plan.arms[name][:1]]
    gpu = work.experiment.fleet.num_gpus and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    found = dict(times.of)
    threads = torch.get_num_threads()
    torch.set_num_threads(work.experiment.fleet.num_cpus)
    try:
        with undisturbed():
            images = Images(
                torch.from_numpy(work.dataset.pool_images).to(device),
                torch.from_numpy(work.dataset.pool_labels).to(device),
            )
            for place, run in enumerate(asked):
                share = (until - time.monotonic()) / (len(asked) - place)
                for step, seconds in _of_run(work, run, images, share, found):
                    found[step] = Seconds(seconds, seconds, seconds, 0)
        return StepTimes(found, times.device or device_name(device), times.others)
    finally:
        torch.set_num_threads(threads)


def _of_run(
    work: Work, run: Run, images: Images, share_s: float, known: dict[Step, Seconds]
) -> Iterator[tuple[Step, float]]:
    """The steps of a Run that nobody knows, each with its seconds, in so much time."""
    recipe, until = recipe_of(run), time.monotonic() + share_s
    steps = [Step(recipe, folder.name) for folder in work.asked(run)]
    wanted = [step for step in (Step(recipe, TRAIN), *steps) if step not in known]
    if not wanted or share_s <= 0:
        return
    trained, network = _training(work, run, images, share_s / (1 + len(wanted)))
    asking = _Asking(work, run, images, network)
    answer_s = asking.answer(min(1.0, share_s / (1 + len(wanted))))
    if wanted[0].what == TRAIN:
        yield wanted.pop(0), trained + answer_s * _looked_at(work, run)
    for place, step in enumerate(wanted):
        left = (until - time.monotonic()) / (len(wanted) - place)
        if left <= 0:
            return
        yield step, asking.seconds(step, answer_s, left)


def _training(work: Work, run: Run, images: Images, share_s: float) -> tuple[float, nn.Module]:
    """The seconds of all epochs of a Run, and a network of its kind."""
    shape, members = image_shape(work.dataset), run.members
    networks = list[nn.Module]()

    def epoch(batches: int, size: int) -> float:
        member = run.member.copy()
        member[members[batches * size :]] = 0
        epochs = max(run.training.epochs, 2)
        training = run.training.model_copy(update={"batch_size": size, "epochs": epochs})
        small = replace(run, member=member, training=training, selection=None, selected_on=None)
        epochs = fit(small, images.pool, images.labels, shape)
        next(epochs)  # the network is built, and the first steps are slower
        return _timed(lambda: networks.append(next(epochs).model), images)

    def seconds(size: int) -> float:
        """Of `size` examples: what the third and the fourth batch of an epoch take."""
        return max(epoch(4, size) - epoch(2, size), 0.0) / 2

    each = _of_one(seconds, min(run.training.batch_size, len(members) // 4), share_s)
    return each * len(members) * run.training.epochs, networks[-1].eval()


def _looked_at(work: Work, run: Run) -> int:
    """How many answers training takes: for the best epoch, and for losses that are kept."""
    chosen = 0 if run.selected_on is None else len(run.selected_on)
    kept = len(work.dataset.pool_labels) * run.training.loss_trace
    return run.training.epochs * (chosen + kept)


class _Asking:
    """What it takes to ask one network, in seconds."""

    def __init__(self, work: Work, run: Run, images: Images, network: nn.Module) -> None:
        self.work, self.run, self.images, self.network = work, run, images, network

    def answer(self, share_s: float) -> float:
        """Of one answer to one image."""

        @torch.no_grad()
        def listen(num: int) -> Tensor:
            shown = to_float(self.images.pool[:num])
            logits = self.network(shown).float()
            return self.run.defense.released(self.network, shown, logits).cpu()

        def seconds(num: int) -> float:
            return _timed(lambda: listen(num), self.images)

        return _of_one(seconds, min(MOST, len(self.images.labels)), share_s)

    def seconds(self, step: Step, answer_s: float, share_s: float) -> float:
        """Of all that one step asks a Run."""
        num_pool, at, run = len(self.images.labels), self.work.store, self.run
        for questions in self.work.questions(run):
            answers = questions.answers
            if step.what == at.answers(run.id, questions.answers_id).name:
                plain = len({"identity", *answers.names} - {*answers.adversarial})
                moved = [self._perturbed(a, share_s) for a in answers.adversarial.values()]
                views = plain + len(moved)
                return num_pool * (answer_s * answers.draws * views + sum(moved))
            for name, asked in questions.attacks_of(run.number).items():
                if step.what == at.robustness(run.id, questions.robustness_id(name)).name:
                    on_test = questions.robustness.on == "test"
                    there = len(self.work.dataset.test_labels) if on_test else 0
                    there = there or int((run.member == 0).sum())
                    each = self._perturbed(asked.attack, share_s) if asked.attack else 0.0
                    num = min(there, asked.num_examples or there)
                    return num * (each + answer_s * answers.draws)
        raise AssertionError(f"{step.what} is no step of {run.id}")

    def _perturbed(self, attack: EvasionAttack, share_s: float) -> float:
        """Of one image that is moved."""

        def seconds(num: int) -> float:
            shown, labels = to_float(self.images.pool[:num]), self.images.labels[:num]
            return _timed(
                lambda: attack.perturb(self.network, shown, labels).sum().item(), self.images
            )

        return _of_one(seconds, min(MOST, len(self.images.labels)), share_s)


def _of_one(seconds: Callable[[int], float], most: int, share_s: float) -> float:
    """The seconds of one of `most` examples at a time.

    Measured on as many as there is time for; to more of them a line is drawn through the last two
    numbers, for a step takes some time whatever is in it.

    Args:
        seconds: what so many take; what it does besides takes time as well.
    """
    until, num = time.monotonic() + share_s, min(FEW, most)
    found = list[tuple[int, float]]()
    while True:
        started = time.monotonic()
        found.append((num, seconds(num)))
        if num == most or time.monotonic() + MORE * (time.monotonic() - started) > until:
            break
        num = min(MORE * num, most)
    if num == most or len(found) == 1:
        return found[-1][1] / num
    (fewer, less), (_, longest) = found[-2:]
    each = min(max((longest - less) / (num - fewer), 0.0), longest / num)
    return each + (longest - each * num) / most


def _timed(doing: Callable[[], object], images: Images) -> float:
    """The seconds of it: of one core's own time where that is all it has, whoever else is busy."""
    if images.pool.is_cuda:
        torch.cuda.synchronize()
    alone = not images.pool.is_cuda and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    started = clock()
    doing()
    if images.pool.is_cuda:
        torch.cuda.synchronize()
    return clock() - started
