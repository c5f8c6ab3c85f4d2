"""An audit of arrays in memory: they are written as a folder of answers, and audited as one."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from runner.faults import BadAnswers
from runner.foreign.schema import read_audit
from runner.foreign.stage import audit_given

SHAPE = "give logits (M, N, C), member (M, N) and labels (N,)"


def audit_in(
    answers: np.ndarray | Mapping[str, np.ndarray],
    member: np.ndarray,
    labels: np.ndarray,
    name: str,
    storage: Path | str | None,
    overrides: Sequence[str],
) -> str:
    """Audit arrays as `runner.audit` takes them, without Ray, and return where the results are.

    Args:
        storage: None: a folder that goes when this process ends.

    Raises:
        ConfigError, BadAnswers: it cannot be audited; nothing was written.
    """
    asked = read_audit(None, overrides, {"name": name})
    arms = answers if isinstance(answers, Mapping) else {"": answers}
    arms = {arm: np.asarray(logits) for arm, logits in arms.items()}
    member, labels = np.asarray(member), np.asarray(labels)
    for arm, logits in arms.items():
        if logits.ndim != 3 or logits.shape[:2] != member.shape or labels.shape != member.shape[1:]:
            got = f"got answers {logits.shape}, member {member.shape}, labels {labels.shape}"
            raise BadAnswers(f"answers {arm}".strip(), got, SHAPE)
    if storage is None:
        storage = tempfile.mkdtemp(prefix="audit-")
        atexit.register(shutil.rmtree, storage, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="answers-") as aside:
        files = Path(aside) / "answers"
        for arm, logits in arms.items():
            (files / arm).mkdir(parents=True)
            for number, of_model in enumerate(logits):
                path = files / arm / f"model_{number:04d}.npz"
                np.savez(path, labels=labels, logits=of_model)
        matrix = Path(aside) / "member.npy"
        np.save(matrix, member.astype(np.int8))
        audit_given(str(files), str(matrix), asked, storage, False, Console(quiet=True))
    return str(storage)
