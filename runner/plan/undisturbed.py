"""What a network is tried out under: the same random numbers each time, and none used up."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def undisturbed() -> Iterator[None]:
    """Seed every global random generator, leave each as it was found, and say no warning twice.

    A network may draw which of its layers it calls, by Python's or NumPy's generator too, and what
    is found out about it must be the same at each command. What is tried here is done again in
    earnest, and warns then.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for seed in (random.seed, np.random.seed, torch.manual_seed):
                seed(0)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
