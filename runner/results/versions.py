"""Which code and which packages made a figure."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path


def versions() -> dict[str, str]:
    """Return the versions that figures may depend on."""
    packages = {"torch", "torchvision", "ray", "numpy", "scipy", "pyarrow"}
    packages |= {"opacus", "scikit-learn", "pyautoattack", "optuna"}
    installed = {d.name: d.version for d in metadata.distributions() if d.name in packages}
    return {"python": platform.python_version(), **dict(sorted(installed.items()))}


def git_commit() -> str:
    """Return the commit of this code, marked when files differ from it; "" outside a repository."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        shown = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(shown, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
