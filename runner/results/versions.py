"""Which packages made a figure."""

import platform
from importlib import metadata


def own() -> str:
    """Return the version of this package, as it is installed."""
    try:
        return metadata.version("defended")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def versions() -> dict[str, str]:
    """Return the versions that figures may depend on."""
    packages = {"torch", "torchvision", "ray", "numpy", "scipy", "pyarrow"}
    packages |= {"opacus", "scikit-learn", "pyautoattack", "optuna", "timm"}
    installed = {d.name: d.version for d in metadata.distributions() if d.name in packages}
    return {"python": platform.python_version(), **dict(sorted(installed.items()))}
