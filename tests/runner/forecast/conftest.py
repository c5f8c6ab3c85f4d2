"""Work of which some is done, and measured."""

import pytest

from runner.plan.work import Work
from tests.made.timings import audited, done


@pytest.fixture
def known(work: Work) -> Work:
    """Both arms have one Run done, of ten seconds; five of each are left."""
    for arm in work.plan.arms:
        done(work, arm, 0, 10.0)
    audited(work)
    return work
