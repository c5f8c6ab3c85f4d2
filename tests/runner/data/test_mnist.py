"""MNIST beside Fashion-MNIST, and where it is missing."""

from pathlib import Path

import pytest

from tests.made.datasets import load, write_idx


def test_mnist_and_fashion_mnist_are_kept_apart_under_one_root(tmp_path: Path):
    write_idx(tmp_path / "MNIST" / "raw", zipped=True)
    with pytest.raises(ValueError, match="no Fashion-MNIST under"):
        load("fashion_mnist", tmp_path)


def test_missing_files_are_an_error_that_says_where_why_and_what_to_do(tmp_path: Path):
    said = rf"no MNIST under '{tmp_path}': put the four idx files .* set data.download: true"
    with pytest.raises(ValueError, match=said):
        load("mnist", tmp_path)
