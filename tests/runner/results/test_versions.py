"""What results.json says of the code and the packages that made it."""

import platform
from importlib import metadata

from runner.results.versions import versions


def test_versions_are_those_of_the_packages_that_are_installed():
    found = versions()
    assert found.pop("python") == platform.python_version()
    assert {"torch", "numpy", "scipy", "pyarrow"} <= set(found)
    assert found == {name: metadata.version(name) for name in found}
