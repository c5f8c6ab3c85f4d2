"""How much of a disk an experiment takes, its small files and folders included."""

from collections.abc import Iterator, Sequence

import torch

from runner.audit.judge import NUM_EDGES, judging_of
from runner.forecast._step_times import recipe_of
from runner.models import image_shape
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage.parquet import BLOCK
from runner.train.fit import build_model

ALLOCATED = 4096  # bytes a file system gives out at a time: to a folder, and to the least file
# Measured on the tests' own experiments, and rounded up:
SMALL = 2048  # of what a Parquet or safetensors file says of itself
EPOCH = 250, 500  # of one epoch, in epochs.jsonl and for TensorBoard
FIGURES = 350_000  # of the report and results.json, for each arm's answers and attack on them


def disk_bytes(work: Work, runs: Sequence[Run] | None = None) -> int:
    """Return the bytes of what training, asking and judging write.

    Args:
        runs: that are still to do; None: all.
    """
    todo = work.plan.runs if runs is None else runs
    return sum(map(_blocks, _of_runs(work, todo))) + sum(map(_blocks, _of_experiment(work)))


def checkpoint_bytes(work: Work) -> int:
    """Return what a Run takes while it trains, at most: two checkpoints, as one replaces the other.

    They hold the weights, what the optimizer keeps of each, the best epoch's, and losses.
    """
    most = 0
    for runs in work.plan.arms.values():
        moments = 2 if runs[0].training.optimizer == "adam" else 1
        copies = 1 + moments + (work.experiment.selection is not None)
        history = EPOCH[0] * runs[0].training.epochs + _trace(work, runs[0])
        most = max(most, 2 * (copies * _weights(work, runs[0]) + history))
    return most


def _blocks(size: float) -> int:
    """What a file of so many bytes takes; a folder is one of none."""
    return max(-(-int(size) // ALLOCATED), 1) * ALLOCATED


def _weights(work: Work, run: Run) -> int:
    """The bytes of a Run's parameters and buffers."""
    state = build_model(run, image_shape(work.dataset), torch.device("cpu")).state_dict()
    return sum(t.numel() * t.element_size() for t in state.values())


def _trace(work: Work, run: Run) -> int:
    """The bytes of the losses that a Run keeps of its training."""
    return run.training.loss_trace * 4 * run.training.epochs * len(work.dataset.pool_labels)


def _of_runs(work: Work, runs: Sequence[Run]) -> Iterator[float]:
    """The bytes of every file and folder below `runs`."""
    num_pool, classes = len(work.dataset.pool_labels), work.dataset.num_classes
    on_test = work.experiment.robustness.on == "test"
    weights: dict[str, int] = {}
    for run in runs:
        recipe = recipe_of(run)
        if recipe not in weights:
            weights[recipe] = _weights(work, run)
        yield from (0.0,) * 3  # its folder, and those of answers and of robustness
        yield from (weights[recipe] + SMALL,) * (2 if work.experiment.selection else 1)
        yield from (each * run.training.epochs for each in EPOCH)
        yield from (0.0,) * 2  # run.json and DONE
        if run.training.loss_trace:
            yield 8 * num_pool + _trace(work, run) + SMALL
        for questions in work.questions(run):
            answers = questions.answers
            views = len(answers.names) * (classes if answers.logits == "all" else 1)
            row = (2 if answers.draws > 1 else 1) * 4 * (len(answers.names) + views + classes)
            yield from (0.0, 0.0, (8 + row) * num_pool + SMALL)  # folder, DONE, answers.parquet
            judged = len(work.dataset.test_labels) if on_test else int((run.member == 0).sum())
            for asked in questions.attacks_of(run.number).values():
                yield from (0.0, 0.0, 16 * min(judged, asked.num_examples or judged) + SMALL)


def _of_experiment(work: Work) -> Iterator[float]:
    """The bytes of the scores, how they were judged, the results and the report."""
    num_models, num_pool = work.plan.member.shape
    yield work.plan.member.size  # member.parquet
    for ids in (work.dataset.pool_ids, work.dataset.test_ids):  # pool.parquet, test.parquet
        rows = len(next(iter(ids.values()), ()))
        texts = sum(4 + c.itemsize / 4 if c.dtype.kind == "U" else 8 for c in ids.values())
        yield (8 + texts) * rows + SMALL
    yield from (0.0,) * 9  # folders, experiment.json and two DONE
    files = max(-(-num_pool // BLOCK), num_models)  # by blocks, or by targets
    for reading, asked in judging_of(work).asked.items():
        yield from (0.0,) * (4 + files)  # folders by arm, draws, attack and matrix, and by target
        yield from (4.0 * num_models * num_pool / files + SMALL,) * files
        rates, probabilities = len(asked.rates), len(asked.thresholds)
        columns = 204 + 6 * rates + asked.num_resamples * (1 + rates) + 2 * probabilities
        edges = 3 * min(NUM_EDGES, num_models * num_pool) if reading.matrix == "member" else 0
        yield 8 * (num_models * columns + edges) + 2 * SMALL
        yield from (0.0,) * 3
    yield FIGURES * len(work.sources) * len(work.experiment.membership.attacks)
