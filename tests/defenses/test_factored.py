"""Gradients in two factors are the tensor that they stand for."""

import pytest
import torch
from torch import Tensor

from defenses._factored import Factored, is_worth_factoring, squared_norms, weighted_sum


def factored(positions: int, kernel: tuple[int, ...] = (), dtype: torch.dtype = torch.float64):
    torch.manual_seed(0)
    inputs = torch.randn(5, positions, 12, dtype=dtype)
    return Factored(inputs, torch.randn(5, positions, 7, dtype=dtype), kernel)


def by_hand(g: Factored) -> Tensor:
    """(5, 7, 12 or channels and kernel), a loop over positions."""
    whole = torch.zeros(5, 7, 12, dtype=g.dtype)
    for t in range(g.inputs.shape[1]):
        whole += g.gradients[:, t, :, None] * g.inputs[:, t, None, :]
    return whole.reshape(5, 7, *g.kernel, -1).movedim(-1, 2) if g.kernel else whole


CASES = [(1, ()), (4, ()), (4, (3,)), (2, (2, 3))]


@pytest.mark.parametrize(("positions", "kernel"), CASES)
def test_norms_and_weighted_sums_are_those_of_the_whole(positions: int, kernel: tuple[int, ...]):
    g, weights = factored(positions, kernel), torch.rand(5, dtype=torch.float64)
    whole = by_hand(g)
    norms = whole.flatten(1).norm(dim=1).square()
    summed = torch.einsum("n,n...->...", weights, whole)
    for tensor in (g, whole, whole.transpose(1, 2).contiguous().transpose(1, 2)):
        torch.testing.assert_close(squared_norms(tensor), norms)
        torch.testing.assert_close(weighted_sum(tensor, weights), summed)


def test_whoever_reads_it_finds_a_tensor_like_any_other():
    g = factored(4, (2, 3))
    whole = by_hand(g)
    assert isinstance(g, Tensor)
    assert (g.shape, g.dtype, len(g)) == (whole.shape, whole.dtype, 5)
    torch.testing.assert_close(g + 1, whole + 1)
    torch.testing.assert_close(g[2], whole[2])
    torch.testing.assert_close(torch.cat([g, g]), torch.cat([whole, whole]))
    torch.testing.assert_close(g.plus(g) + 0, 2 * whole)


def test_norms_keep_their_digits_where_positions_cancel():
    """The products of pairs of positions are exact to a share of what would cancel nothing."""
    g = factored(4, dtype=torch.float32)
    g.gradients[:, 2:] = -g.gradients[:, :2]
    g.inputs[:, 2:] = g.inputs[:, :2] + 1e-4 * torch.randn(5, 2, 12)
    expected = by_hand(Factored(g.inputs.double(), g.gradients.double())).flatten(1).norm(dim=1)
    torch.testing.assert_close(squared_norms(g).sqrt().double(), expected, rtol=1e-3, atol=0)
    g.gradients[1:] = torch.randn(4, 4, 7)  # and of one example alone
    expected = by_hand(Factored(g.inputs.double(), g.gradients.double())).flatten(1).norm(dim=1)
    torch.testing.assert_close(squared_norms(g).sqrt().double(), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("share", [1e-1, 3e-2, 1e-2, 1e-3])
def test_norms_keep_their_digits_where_a_little_less_cancels(share: float):
    """Also where too much is left for the whole to be multiplied out."""
    torch.manual_seed(0)
    inputs = torch.randn(64, 1, 96) + share**0.5 * torch.randn(64, 2, 96)
    upstream = torch.randn(64, 1, 80) * torch.tensor([1.0, -1.0])[:, None]
    g = Factored(inputs, upstream)
    expected = torch.bmm(upstream.double().mT, inputs.double()).flatten(1).norm(dim=1)
    torch.testing.assert_close(squared_norms(g).sqrt().double(), expected, rtol=2e-5, atol=0)


def test_nobody_in_the_batch_has_a_sum_of_zeros():
    nobody = torch.zeros(0, 3, 4, 2)
    assert squared_norms(nobody).shape == (0,)
    assert torch.equal(weighted_sum(nobody, torch.zeros(0)), torch.zeros(3, 4, 2))


def test_factors_are_taken_where_they_are_smaller_and_positions_are_few():
    assert is_worth_factoring(1, 3072, 512)
    assert is_worth_factoring(16, 4608, 512)
    assert not is_worth_factoring(1, 64, 10)
    assert not is_worth_factoring(64, 576, 64)
    assert not is_worth_factoring(1024, 144, 16)
