"""A small network that knows digits."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn


def digits(n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A small network trained on all digits but the last n, and these."""
    pixels, digit = map(torch.tensor, load_digits(return_X_y=True))
    images, labels = pixels.float().view(-1, 1, 8, 8) / 16, digit
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
    ).append(nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(8):
        for chosen in torch.randperm(len(images) - n).split(128):
            optimizer.zero_grad()
            F.cross_entropy(model(images[chosen]), labels[chosen]).backward()
            optimizer.step()
    optimizer.zero_grad()
    return model.eval(), images[-n:], labels[-n:]
