"""What is finished, as pandas frames: the table, scores, ROC curves, examples."""

import io
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.driver.named import find
from runner.faults import UserFault
from runner.report.quantities import every_figure
from runner.report.readings import readings
from runner.statistics.metrics import roc
from runner.storage import store
from runner.storage.cloud import Folder, StorageError
from runner.storage.parquet import whole
from runner.storage.scores import Reading, read_targets

if TYPE_CHECKING:
    from pandas import DataFrame


class Opened:
    """The results of one experiment, or audit."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"<results of {self.raw['experiment']}: {', '.join(self.arms)}>"

    @cached_property
    def raw(self) -> dict[str, Any]:
        """Everything, as results.json has it."""
        return store.results_in(self.folder / store.RESULTS)

    @property
    def arms(self) -> list[str]:
        """The names of the arms."""
        return [*self.raw["arms"]]

    @property
    def report(self) -> str:
        """Where the page lies."""
        return str(store.page_at(self.folder))

    def runs(self, arm: str) -> list[str]:
        """Return the ids of an arm's models, for `runner.load_model`; none of an audit."""
        _known("arm", arm, self.arms)
        described = self.folder / store.DESCRIBED
        return store.results_in(described)["runs"][arm] if described.is_file() else []

    def table(self) -> "DataFrame":
        """Return every figure, a row an arm and metric as the report's table.csv names them.

        Beside mean, low, high (95 %) and num_models: `draws`, over how many draws of a randomized
        model's noise answers are averaged.
        """
        import pandas as pd

        keys = ("mean", "low", "high", "num_models")
        rows = [
            (of.arm, metric, of.draws, *(figure.get(key) for key in keys))
            for of in readings(self.raw)
            for metric, figure in every_figure(of.figures)
        ]
        return pd.DataFrame(rows, columns=["arm", "metric", "draws", *keys])

    def examples(self) -> "DataFrame":
        """Return a row an example: its ids, its label, and how often each arm's models tell it."""
        import pandas as pd

        report = self.folder / store.REPORT
        if (report / "examples.parquet").is_file():
            return whole(str(report / "examples.parquet")).to_pandas()
        if not (report / "examples.csv").is_file():
            told = f"{report}: it has no examples; `runner report` writes it anew"
            raise StorageError(told)
        return pd.read_csv(io.BytesIO((report / "examples.csv").read_bytes()))

    def scores(self, arm: str, attack: str) -> "DataFrame":
        """Return a row a model and example: its score, higher for likelier members.

        And `member` of an experiment of ours: 1 trained on it, 0 not, -1 not judged.

        Raises:
            UserFault: there is no such arm or attack; names those that there are.
        """
        import pandas as pd

        scores = self._scores(arm, attack)
        number, example = np.indices(scores.shape, np.int32)
        columns = {"model": number.ravel(), "example": example.ravel()}
        if (member := self._member()) is not None:
            columns["member"] = member[: len(scores)].ravel()
        return pd.DataFrame({**columns, "score": scores.ravel()})

    def roc(self, arm: str, attack: str, model: int | None = None) -> "DataFrame":
        """Return a ROC curve, fpr and tpr: the mean over an arm's models as in the report.

        Args:
            model: of this one alone, exact: a point for each distinct score.
        """
        import pandas as pd

        if model is None:
            told = self._membership(arm, attack)["roc"]
            return pd.DataFrame({key: told[key] for key in told if key != "num_models"})
        scores, member = self._scores(arm, attack), self._member()
        if member is None:
            raise UserFault("roc: the members of an audit are not stored; leave out model=...")
        if not 0 <= model < len(scores):
            raise UserFault(f"roc: model {model} of {len(scores)}; give 0 to {len(scores) - 1}")
        judged = member[model] >= 0
        fpr, tpr = roc(scores[model][judged], member[model][judged] == 1)
        return pd.DataFrame({"fpr": fpr, "tpr": tpr})

    def _membership(self, arm: str, attack: str) -> Mapping[str, Any]:
        _known("arm", arm, self.arms)
        found = self.raw["arms"][arm]["membership"]
        _known("attack", attack, [*found])
        return found[attack]

    def _scores(self, arm: str, attack: str) -> np.ndarray:
        """(M, N) float32, from the folder that was finished last."""
        num_models = self._membership(arm, attack)["auc"]["num_models"]
        done = [*(self.folder / "scores").glob(f"*/{store.DONE}")]
        if not done:
            raise StorageError(f"{self.folder}: its scores are gone; `runner run` makes them anew")
        newest = max(done, key=_written).parent
        try:
            return read_targets(newest, Reading(arm, 1, attack, "member"), range(num_models))
        except FileNotFoundError:
            raise UserFault(
                f"{attack}: it combines the scores of other attacks, and has none that are stored"
            ) from None

    def _member(self) -> np.ndarray | None:
        """(M, N) int8; None of an audit."""
        path = self.folder / store.MEMBERS
        if not path.is_file():
            return None
        table = whole(str(path))
        return np.stack([table.column(name).to_numpy() for name in table.column_names])


def opened(storage: Folder | str, name: str) -> Opened:
    """Return the results of what is finished, by its name or its folder.

    Raises:
        StorageError: it is not there, or has no results yet.
    """
    return Opened(find(name, storage).folder)


def _known(what: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise UserFault(f"no {what} {name!r}; there are {', '.join(names)}")


def _written(path: Folder) -> float:
    """When a file was written, in UNIX time; in the cloud it is not asked."""
    return getattr(path.stat(), "st_mtime", 0.0)
