"""Plan, train, ask, audit, report: one experiment of many defended models on Ray.

In Python this is the door; docs/python.md walks through it. Nothing is imported until it is asked
for: `import runner` waits for neither torch nor Ray. By its name as a text, since this file is part
of every module of the package: what it imported would decide what they decide (`runner.code`).
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["Loaded", "audit", "audit_arrays", "load", "load_model", "open"]


class Loaded(NamedTuple):
    """An experiment that was read and found without a fault; nothing was started or written."""

    config: str
    overrides: tuple[str, ...]
    storage: str

    def plan(self) -> str:
        """Return what a run would do, as `runner plan` prints it."""
        return _part("runner.forecast.forecast").forecast(self._work())

    def run(self) -> Any:
        """Do what is missing, as `runner run` does, and return what `open` does.

        Raises:
            UserFault, StorageError: the request is wrong; nothing was started.
            Unfinished: Runs failed; what is finished is kept.
        """
        console = _part("rich.console").Console(stderr=True, quiet=True)
        work = self._work()
        _part("runner.pipeline").run(work, console)
        return open(self.storage, work.experiment.name)

    def _work(self) -> Any:
        """The experiment ready to start, tried in small."""
        experiment, lines = _valid(self.config, self.overrides)
        rehearse = _part("runner.forecast.rehearsal.rehearse").rehearse
        return _part("runner.plan.work").prepare(
            experiment, self.storage, look=lambda work: rehearse(work, self.config, lines)
        )


def load(config: Any, overrides: Sequence[str] = (), storage: Any = "results") -> Loaded:
    """Return an experiment, checked key by key.

    Args:
        config: a YAML file, or a shipped name such as "quickstart".
        overrides: as `--set` takes them: "training.epochs=3".
        storage: folder or URI that results are kept in.

    Raises:
        ConfigError: every fault at once, a ValueError.
    """
    _valid(str(config), tuple(overrides))
    return Loaded(str(config), tuple(overrides), str(storage))


def open(storage: Any, name: str) -> Any:
    """Return the `runner.results.opened.Opened` of an experiment or audit that is finished.

    Raises:
        StorageError: it is not there; says what is.
    """
    return _part("runner.results.opened").opened(str(storage), name)


def load_model(run: str, storage: Any = "results", checkpoint: str = "last") -> Any:
    """Return a trained model, an `nn.Module` in eval mode, on the CPU.

    It takes images (N, channels, H, W) float in [0, 1], which it normalises itself, and answers
    with (N, C) logits.

    Args:
        run: a Run's id, such as `results.runs("erm")` lists them.
        checkpoint: "last", or "best" where there is one.

    Raises:
        StorageError: there is no such finished Run; says which are near.
        Corrupt: its weights are not, byte for byte, those that were written.
    """
    return _part("runner.train.stored").load_stored(str(storage), run, checkpoint)


def audit_arrays(
    answers: Any,
    member: Any,
    labels: Any,
    *,
    name: str = "given",
    storage: Any = None,
    overrides: Sequence[str] = (),
) -> Any:
    """Audit models that were trained elsewhere, in this process and without Ray.

    Args:
        answers: (M, N, C) logits of M models about all N examples; or such an array by arm.
        member: (M, N), 1 where a model was trained on an example, 0 where not, -1: not judged.
        labels: (N,) int in [0, C).
        name: of the audit.
        storage: folder that the results and their report are kept in; None: gone with this process.
        overrides: as `runner audit --set` takes them.

    Raises:
        BadAnswers: what was given cannot be audited, a ValueError.
    """
    audit_in = _part("runner.foreign.arrays").audit_in
    return open(audit_in(answers, member, labels, name, storage, overrides), name)


audit = audit_arrays  # importing the package `runner.audit` puts that in its place: it is the same


def _valid(config: str, overrides: Sequence[str]) -> Any:
    """The experiment that a YAML describes, and on which lines its keys are."""
    yaml = _part("runner.experiment.config")
    kind = _part("runner.experiment.experiment").Experiment
    _, experiment, lines = yaml.valid(yaml.locate(config), overrides, kind)
    return experiment, lines


def _part(name: str) -> Any:
    """One module, imported now."""
    return import_module(name)
