"""Which packages made a figure."""

import platform
from importlib import metadata


def versions() -> dict[str, str]:
    """Return the versions that figures may depend on."""
    packages = {"torch", "torchvision", "ray", "numpy", "scipy", "pyarrow"}
    packages |= {"opacus", "scikit-learn", "pyautoattack", "optuna"}
    installed = {d.name: d.version for d in metadata.distributions() if d.name in packages}
    return {"python": platform.python_version(), **dict(sorted(installed.items()))}
