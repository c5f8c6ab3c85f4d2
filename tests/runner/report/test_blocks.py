import importlib
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from runner.report import blocks
from runner.report.blocks import BLOCKS, Block, captions, draw
from runner.report.blocks.against import against_figure
from runner.report.blocks.privacy_robustness import privacy_robustness_figure
from runner.report.blocks.roc import roc_figure, roc_linear_figure
from runner.report.blocks.thresholds import thresholds_figure
from runner.report.style import save

DRAW = {"roc": roc_figure, "privacy_robustness": privacy_robustness_figure}


def drawn(results, name: str) -> Figure:
    """One figure, without the time that the others take."""
    figure = DRAW[name](results)
    assert figure is not None
    return figure


@pytest.mark.parametrize("one", [against_figure, thresholds_figure, roc_linear_figure])
def test_the_same_results_draw_the_same_bytes(drawn_noisy, noisy, one):
    assert save(drawn_noisy(one), "svg") == save(one(noisy), "svg")


def test_uncalibrated_attacks_have_no_thresholds_and_no_linear_curve(results):
    assert thresholds_figure(results) is None
    assert roc_linear_figure(results) is None


def test_every_block_of_every_file_has_its_place_and_its_own_files():
    ours = []
    for path in Path(blocks.__file__).parent.glob("[!_]*.py"):
        module = importlib.import_module(f"runner.report.blocks.{path.stem}")
        ours += [found for found in vars(module).values() if isinstance(found, Block)]
    assert len(ours) == len(BLOCKS) == len(set(BLOCKS))
    assert set(ours) == set(BLOCKS)
    for kind in ("markdown", "csv", "figure"):
        names = [block.name for block in BLOCKS if getattr(block, kind)]
        assert len(names) == len(set(names)), kind
    both = [block.name for block in BLOCKS if block.figure and (block.markdown or block.html)]
    assert not both, "the page shows a figure or a table of a block: make two blocks of it"


def test_captions_tell_of_what_was_drawn(results, noisy):
    noisy["report"] |= {"against": "gamma"}
    one, other = captions(results), captions(noisy)
    assert one["privacy_robustness"].startswith("Privacy against accuracy under attack")
    assert "AUC" not in one["privacy_robustness"]
    assert "probabilities are drawn by AUC, others by TPR" in other["privacy_robustness"]
    shown = "Training and test accuracy, membership AUC and accuracy under attack against gamma"
    assert other["against"].startswith(shown)
    noisy["attacks"]["robustness"] = {}
    shown = "Training and test accuracy and membership AUC against gamma"
    assert captions(noisy)["against"].startswith(shown)
    assert "Hollow" in other["roc"]
    assert "Hollow" not in one["roc"]


def test_without_a_membership_attack_there_is_nothing_to_draw(results):
    results["attacks"]["membership"] = {}
    assert set(draw(results).values()) == {None}


def test_names_that_look_like_mathematics_or_hidden_labels_are_drawn(results):
    results["arms"] = {r"_$\frac{$": results["arms"]["erm"]}
    for name in ("roc", "privacy_robustness"):
        figure = drawn(results, name)
        assert save(figure, "svg").startswith(b"<?xml")
