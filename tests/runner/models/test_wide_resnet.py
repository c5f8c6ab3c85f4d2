"""Wide ResNets' sizes and depths."""

import pytest
from pydantic import ValidationError

from attacks.by_name import find
from runner.models import Model
from tests.made.networks import CIFAR, make, num_parameters


@pytest.mark.parametrize(("depth", "hint"), [(29, "28 or 34"), (4, "use 10"), (27, "22 or 28")])
def test_a_wide_resnet_of_another_depth_is_refused_with_the_nearest_ones(depth, hint):
    wide_resnet = find("runner.models", "wide_resnet", Model)
    with pytest.raises(ValidationError, match=rf"6n \+ 4.*got {depth}.*{hint}"):
        wide_resnet.model_validate({"name": "wide_resnet", "depth": depth})


@pytest.mark.parametrize(("widen_factor", "published"), [(10, 36_479_194), (2, 1_467_610)])
def test_published_sizes_have_the_published_number_of_parameters(widen_factor, published):
    fields = {"name": "wide_resnet", "widen_factor": widen_factor}
    assert num_parameters(make(fields, CIFAR)) == published
