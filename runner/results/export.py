"""A trained model to hand on: weights, a model card, and a bill of materials; nothing of its data.

What is written is named key by key here, so nothing else leaves: no example and no id of one, no
member, no path, no name of a machine or account.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from runner.faults import UserFault
from runner.report.quantities import every_figure
from runner.report.readings import readings
from runner.results.versions import own
from runner.storage import store
from runner.storage.cloud import Folder, StorageError, folder_at
from runner.storage.store import Store
from runner.train.stored import read_stored
from runner.train.weights import weights_to_bytes

FILES = ("model.safetensors", "README.md", "bom.json")
TASK = "image-classification"


class Figure(NamedTuple):
    """A figure of the recipe: a mean over its models, with its 95 % interval."""

    metric: str  # as table.csv names it
    slice: str  # what it was measured on
    mean: float
    interval: tuple[float, float] | None
    num_models: int | None


class Exported(NamedTuple):
    """What is told of a model."""

    name: str
    arm: str
    experiment: str
    data: str
    recipe: Mapping[str, Mapping[str, Any]]  # defense, model, training
    shape: tuple[int, int, int, int]  # channels, height, width, classes
    sha256: str  # of the weights
    figures: list[Figure]

    @property
    def told(self) -> str:
        """The figures' subject in a sentence."""
        return (
            f"Figures are means over all models of the arm {self.arm!r} of the experiment "
            f"{self.experiment!r}, of which this is one, with 95 % intervals."
        )


def export(run: str, storage: Folder | str, out: Path, experiment: str | None = None) -> Path:
    """Write a Run's weights, model card and bill of materials into a new folder, and return it.

    Args:
        experiment: whose figures are told, if several have the Run.

    Raises:
        UserFault: the folder is there and not empty, or several experiments have the Run.
        StorageError: no finished Run, or no finished experiment that has it.
        Corrupt: the weights are not those that were written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserFault(f"{out}: it is there already; name a new folder with --out FOLDER")
    at = Store(folder_at(storage))
    if store.facts(at.run(run)) is None:
        read_stored(storage, run)  # says what is near
    name, arm = _of_experiment(at, run, experiment)
    described = store.results_in(at.experiment(name) / store.DESCRIBED)
    checkpoint = described["experiment"]["arms"][arm]["checkpoint"]
    found = read_stored(storage, run, checkpoint)
    weights = weights_to_bytes(found.network.state_dict(), found.shape)
    results = store.results_in(at.experiment(name) / store.RESULTS)
    channels, height, width, num_classes = found.shape[:4]
    exported = Exported(
        name=run,
        arm=arm,
        experiment=name,
        data=str(results["data"]["name"]),
        recipe={key: _public(found.recipe[key]) for key in ("defense", "model", "training")},
        shape=(channels, height, width, num_classes),
        sha256=hashlib.sha256(weights).hexdigest(),
        figures=[*_figures(results, arm)],
    )
    card, bom = model_card(exported), json.dumps(bill(exported), indent=1, allow_nan=False) + "\n"
    for file, content in zip(FILES, (weights, card.encode(), bom.encode()), strict=True):
        store.write(out / file, content)
    return out


def model_card(exported: Exported) -> str:
    """Return README.md as Hugging Face reads it: a `model-index` in front, then text and table."""
    channels, height, width, num_classes = exported.shape
    metrics = [
        {
            "type": "accuracy" if each.metric.endswith("accuracy") else each.metric,
            "name": f"{each.metric} ({each.slice})" if each.slice else each.metric,
            "value": each.mean,
            **({"args": _interval(each)} if each.interval else {}),
        }
        for each in exported.figures
    ]
    index = {
        "task": {"type": TASK, "name": "Image classification"},
        "dataset": {"type": exported.data, "name": exported.data},
        "metrics": metrics,
    }
    front = {
        "library_name": "pytorch",
        "pipeline_tag": TASK,
        "tags": [
            "membership-inference",
            "adversarial-robustness",
            str(exported.recipe["defense"]["name"]),
        ],
        "model-index": [{"name": exported.name, "results": [index]}],
    }
    rows = [
        f"| {each.metric} | {each.slice} | {each.mean:.4g} | {_printed(each)} | "
        f"{each.num_models or ''} |"
        for each in exported.figures
    ]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, sort_keys=False, width=100).rstrip(),
            "---",
            "",
            f"# {exported.name}",
            "",
            f"A classifier of {num_classes} classes for images of {channels} x {height} x {width}, "
            "float in [0, 1]; it answers with logits. The mean and the std that images are "
            "normalised by lie in the header of model.safetensors, under `image_shape`.",
            "",
            f"{exported.told} Leakage is what membership inference attacks tell of its training "
            "examples: an AUC of 0.5, and a true positive rate as high as the false positive "
            "rate, are a guess.",
            "",
            "| figure | measured on | mean | 95 % interval | models |",
            "|---|---|--:|---|--:|",
            *rows,
            "",
            "## How it was trained",
            "",
            "```yaml",
            yaml.safe_dump({**exported.recipe}, sort_keys=False).rstrip(),
            "```",
            "",
        ]
    )


def bill(exported: Exported) -> dict[str, Any]:
    """Return a CycloneDX 1.7 ML-BOM as JSON; the same model gives the same bytes."""
    channels, height, width, num_classes = exported.shape
    metrics = [
        {
            "type": each.metric,
            "value": repr(each.mean),
            **({"slice": each.slice} if each.slice else {}),
            **({"confidenceInterval": _bounds(each.interval)} if each.interval else {}),
        }
        for each in exported.figures
    ]
    card = {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": TASK,
            "architectureFamily": "neural network",
            "modelArchitecture": str(exported.recipe["model"]["name"]),
            "datasets": [{"type": "dataset", "name": exported.data}],
            "inputs": [{"format": f"images {channels} x {height} x {width}, float in [0, 1]"}],
            "outputs": [{"format": f"logits of {num_classes} classes"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {"technicalLimitations": [exported.told]},
    }
    model = {
        "type": "machine-learning-model",
        "bom-ref": exported.name,
        "name": exported.name,
        "hashes": [{"alg": "SHA-256", "content": exported.sha256}],
        "modelCard": card,
    }
    tool = {"type": "application", "name": "defended", "version": own()}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, exported.sha256)}",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": model},
    }


def _of_experiment(at: Store, run: str, asked: str | None) -> tuple[str, str]:
    """The experiment whose figures are told, and the arm of it that a Run belongs to."""
    found = {}
    for path in sorted((at.root / "experiments").glob(f"*/{store.RESULTS}")):
        described = path.parent / store.DESCRIBED
        runs = store.results_in(described)["runs"] if described.is_file() else {}
        if arms := [arm for arm, ids in runs.items() if run in ids]:
            found[path.parent.name] = arms[0]
    if asked is not None and asked not in found:
        told = f"{', '.join(found)} do" if found else "none does"
        raise StorageError(f"experiment {asked!r} has no finished results of {run}; {told}")
    if not found:
        raise StorageError(f"{run}: no experiment that has it is finished, so it has no figures")
    if asked is None and len(found) > 1:
        told = ", ".join(found)
        raise UserFault(f"{run}: {told} have it; say whose figures with --experiment NAME")
    name = asked or next(iter(found))
    return name, found[name]


def _figures(results: dict[str, Any], arm: str) -> Iterator[Figure]:
    """The figures of an arm, by the answers of as many draws as there are."""
    of_arm = [each for each in readings(results) if each.arm == arm]
    for metric, figure in every_figure(max(of_arm, key=lambda each: each.draws).figures):
        if metric.startswith("train_time") or figure.get("mean") is None:
            continue
        low, high = figure.get("low"), figure.get("high")
        interval = None if low is None or high is None else (float(low), float(high))
        num_models = figure.get("num_models")
        yield Figure(metric, _slice(results, metric), float(figure["mean"]), interval, num_models)


def _slice(results: dict[str, Any], metric: str) -> str:
    """What a figure was measured on."""
    kind = metric.split("/")[0]
    if kind in ("natural_accuracy", "robust_accuracy"):
        return str(results["evaluation"]["on"]).replace("_", "-")
    return {"train_accuracy": "members", "membership": "members and non-members"}.get(kind, "")


def _interval(figure: Figure) -> dict[str, Any]:
    assert figure.interval
    low, high = figure.interval
    return {"confidence": 0.95, "low": low, "high": high, "num_models": figure.num_models}


def _bounds(interval: tuple[float, float]) -> dict[str, str]:
    return {"lowerBound": repr(interval[0]), "upperBound": repr(interval[1])}


def _printed(figure: Figure) -> str:
    return f"[{figure.interval[0]:.4g}, {figure.interval[1]:.4g}]" if figure.interval else ""


def _public(value: Any) -> Any:
    """A part of a recipe without what may be a path."""
    if isinstance(value, Mapping):
        return {k: _public(v) for k, v in value.items() if not _is_path(v)}
    if isinstance(value, list):
        return [_public(each) for each in value if not _is_path(each)]
    return value


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and any(letter in value for letter in "/\\.~:")
